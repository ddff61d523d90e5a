/** `npm run soak:log`: workers of one log are killed, stopped and cut off while they load it; then rows and dead letters are compared with it. */

import { parseArgs } from 'node:util';
import { noNatsServer } from '../../support/nats-server.js';
import { runLogSoak } from './log-soak.js';

const HELP = `npm run soak:log -- [options]

  --messages N   in the stream (default 5000000); one of a thousand is bad
  --workers N    processes (default 4)
  --kills N      SIGKILL, each followed by a new worker (default 50)
  --stops N      SIGSTOP, and SIGCONT beyond the lease (default 20)
  --cuts N       connections to either server cut or silenced (default 0)
  --restarts N   NATS and PostgreSQL in turn, killed and started again (default 0)
  --lease-ms N   (default 2000)
  --lane-size N  (default 50000)
  --seed N       which fault comes when, and to whom (default 1)
`;

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '5000000' },
    workers: { type: 'string', default: '4' },
    kills: { type: 'string', default: '50' },
    stops: { type: 'string', default: '20' },
    cuts: { type: 'string', default: '0' },
    restarts: { type: 'string', default: '0' },
    'lease-ms': { type: 'string', default: '2000' },
    'lane-size': { type: 'string', default: '50000' },
    seed: { type: 'string', default: '1' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit();
}
if (noNatsServer !== undefined) {
  process.stderr.write(`${noNatsServer}\n`);
  process.exit(2);
}

const number = (name: Exclude<keyof typeof values, 'help'>): number => {
  const value = Number(values[name]);
  if (Number.isInteger(value) && value >= 0) return value;
  process.stderr.write(`--${name} needs a whole number\n\n${HELP}`);
  process.exit(2);
};

const startedAt = performance.now();
const say = (line: string): void => {
  console.log(`${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(7)} s  ${line}`);
};
const report = await runLogSoak({
  messages: number('messages'),
  workers: number('workers'),
  faults: {
    kill: number('kills'),
    stop: number('stops'),
    cut: number('cuts'),
    restart: number('restarts'),
  },
  leaseMs: number('lease-ms'),
  laneSize: number('lane-size'),
  seed: number('seed'),
  say,
});
console.log(report.lines.join('\n'));
for (const reason of report.reasons) console.log(`WRONG: ${reason}`);
console.log(report.reasons.length === 0 ? 'All checks hold.' : 'The soak has failed.');
process.exitCode = report.reasons.length === 0 ? 0 : 1;
