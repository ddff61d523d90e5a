/** `npm run simulate`: long campaigns, and one seed again. */

import { parseArgs } from 'node:util';
import {
  describeFailures,
  emptyReport,
  MS_PER_HOUR,
  NAMES,
  pairsNamed,
  runPair,
  table,
  type PairReport,
} from './campaign.js';
import { show } from './journal.js';
import { planFor, simplify, SIMPLIFICATIONS } from './plan.js';
import { Simulation } from './simulation.js';

const HELP = `npm run simulate -- [options]

  --hours H          virtual hours for each pair of producer and destination (default 1)
  --seeds N          instead: so many runs for each pair
  --minutes M        end after so many real minutes, pairs by turns
  --first N          the number of the first run of each pair (default 0): other numbers are other runs
  --producer NAME    only these, by a part of their name
  --destination NAME (${NAMES})

  --seed S           run one seed again
  --trace            and print what happens
  --without A,B      and leave out parts of it: ${Object.keys(SIMPLIFICATIONS).join(', ')}
`;

const { values } = parseArgs({
  options: {
    hours: { type: 'string' },
    seeds: { type: 'string' },
    minutes: { type: 'string' },
    first: { type: 'string', default: '0' },
    producer: { type: 'string' },
    destination: { type: 'string' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    without: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) process.stdout.write(HELP);
else if (values.seed !== undefined) await replay(Number(values.seed));
else await campaign();

async function replay(seed: number): Promise<void> {
  const plan = simplify(planFor(seed), values.without === '' ? [] : values.without.split(','));
  console.log(show(plan, 2));
  try {
    const result = await new Simulation(plan, values.trace ? console.log : undefined).run();
    console.log(`seed ${seed} keeps every promise; it ended: ${result.end}; digest ${result.digest}`);
    console.log(show(result.metrics));
  } catch (thrown) {
    console.log(`seed ${seed} breaks a promise ${(thrown as Error).message}`);
    process.exitCode = 1;
  }
}

async function campaign(): Promise<void> {
  const pairs = pairsNamed(values.producer, values.destination);
  const reports = new Map<number, PairReport>(pairs.map((pair) => [pair, emptyReport(pair)]));
  const endsAt =
    values.minutes === undefined ? undefined : performance.now() + Number(values.minutes) * 60_000;
  const runs = values.seeds === undefined ? undefined : Number(values.seeds);
  const hours = values.hours === undefined ? (runs === undefined ? 1 : Infinity) : Number(values.hours);
  for (let round = 0; round === 0 || (endsAt !== undefined && performance.now() < endsAt); round++) {
    for (const pair of pairs) {
      if (endsAt !== undefined && performance.now() >= endsAt) break;
      await addRuns(reports.get(pair)!, pair, endsAt === undefined ? runs : 1, hours * MS_PER_HOUR);
    }
  }
  const all = [...reports.values()];
  console.log(table(all));
  if (all.some(({ failures }) => failures.length > 0)) {
    console.log(`\nbroken promises:\n${describeFailures(all)}`);
    process.exitCode = 1;
  }
}

async function addRuns(
  report: PairReport,
  pair: number,
  runs: number | undefined,
  virtualMs: number,
): Promise<void> {
  const before = report.failures.length;
  const firstRun = Number(values.first) + report.runs;
  await runPair(pair, { virtualMs, firstRun, ...(runs !== undefined && { runs }) }, report);
  // At once, for a campaign may take hours.
  for (const failed of report.failures.slice(before))
    console.log(describeFailures([{ ...report, failures: [failed] }]));
}
