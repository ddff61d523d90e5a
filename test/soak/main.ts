/** `npm run soak`: a service under load, for minutes, while its database comes and goes. */

import { parseArgs } from 'node:util';
import { runSoak } from './soak.js';

const HELP = `npm run soak -- [options]

  --minutes N   how long (default 10)
  --seed N      which faults and rates (default 1)
  --quiet       only the report
`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    quiet: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit();
}
const minutes = Number(values.minutes);
const seed = Number(values.seed);
if (!(minutes > 0) || !Number.isInteger(seed)) {
  process.stderr.write(`--minutes needs a number above 0, --seed a whole number\n\n${HELP}`);
  process.exit(2);
}

const startedAt = performance.now();
const say = (line: string) => {
  const at = ((performance.now() - startedAt) / 1_000).toFixed(1);
  console.log(`${at.padStart(7)} s  ${line}`);
};
const report = await runSoak({ durationMs: 60_000 * minutes, seed, ...(values.quiet ? {} : { say }) });
console.log(report.lines.join('\n'));
for (const reason of report.reasons) console.log(`WRONG: ${reason}`);
console.log(report.isGood ? 'All checks hold.' : 'The soak has failed.');
process.exitCode = report.isGood ? 0 : 1;
