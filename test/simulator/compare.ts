/** `npm run compare:adaptive`: adaptive control against fixed settings, model by model. */

import { parseArgs } from 'node:util';
import { CHANGES, COMPARED_MODELS, OTHER_MODELS } from './compared-models.js';
import { compare, recover, TARGET_MS, type Comparison } from './comparison.js';

const HELP = `npm run compare:adaptive -- [options]

  --seeds N     so many destinations of each kind (default 8)
  --first N     the first seed (default 1): others are other destinations
  --noise A,B   each call by chance slower or faster: sigma of a log-normal distribution (default 0,0.15)
  --seconds S   virtual time of each run, of which the last two thirds count (default 180)
  --model NAME  only these, by a part of their name: ${[...Object.keys(COMPARED_MODELS), ...Object.keys(OTHER_MODELS), ...CHANGES.map(({ name }) => name)].join(', ')}
  --all         a line for each run
`;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '8' },
    first: { type: 'string', default: '1' },
    noise: { type: 'string', default: '0,0.15' },
    seconds: { type: 'string', default: '180' },
    model: { type: 'string', default: '' },
    all: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const seeds = Array.from({ length: Number(values.seeds) }, (_, n) => Number(values.first) + n);
const median = (numbers: readonly number[]) =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!;
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const spread = (numbers: readonly number[], show: (value: number) => string) =>
  `${show(median(numbers))} (${show(Math.min(...numbers))} – ${show(Math.max(...numbers))})`;

if (values.help) process.stdout.write(HELP);
else {
  await compareAll();
  await recoverAll();
}

async function compareAll(): Promise<void> {
  const names = Object.keys({ ...COMPARED_MODELS, ...OTHER_MODELS }).filter((name) =>
    name.includes(values.model),
  );
  if (names.length === 0) return;
  console.log(
    'Throughput as a share of the best fixed setting that keeps the target in 95 % of flushes, and 95th percentile of the latency;\nmedian (least – most) over the seeds.\n',
  );
  console.log(
    '| model | noise | fixed: defaults | fixed: 3 slots, best size | adaptive | its p95 / target | below 95 % |',
  );
  console.log('|---|---|---|---|---|---|---|');
  for (const name of names)
    for (const noise of values.noise.split(',').map(Number)) {
      const runs: Comparison[] = [];
      for (const seed of seeds) {
        const run = await compare(name, seed, noise, 1000 * Number(values.seconds));
        runs.push(run);
        if (values.all) tell(run);
      }
      const shares = runs.map(({ adaptive }) => adaptive.share);
      const cells = [
        name,
        noise,
        spread(
          runs.map((run) => run.defaults),
          percent,
        ),
        spread(
          runs.map((run) => run.threeSlots),
          percent,
        ),
        spread(shares, percent),
        spread(
          runs.map(({ adaptive }) => adaptive.p95Ms / TARGET_MS),
          (value) => value.toFixed(2),
        ),
        `${shares.filter((share) => share < 0.95).length} of ${runs.length}`,
      ];
      console.log(`| ${cells.join(' | ')} |`);
    }
}

async function recoverAll(): Promise<void> {
  const changes = CHANGES.filter(({ name }) => name.includes(values.model));
  if (changes.length === 0) return;
  console.log(
    '\n| change | flushes until within 5 % of the best | rounds of the slots | interval then, ms | flushes until it is back |',
  );
  console.log('|---|---|---|---|---|');
  for (const change of changes) {
    const runs = [];
    for (const seed of seeds) runs.push(await recover(change, seed));
    const whole = (value: number) => value.toFixed(0);
    const cells = [
      change.name,
      spread(
        runs.map((run) => run.flushes),
        whole,
      ),
      spread(
        runs.map((run) => run.rounds),
        (value) => value.toFixed(1),
      ),
      spread(
        runs.map((run) => run.intervalMs),
        whole,
      ),
      spread(
        runs.map((run) => run.intervalFlushes),
        whole,
      ),
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
}

function tell({ seed, best, adaptive }: Comparison): void {
  const at = `${best.concurrency} × ${best.batchSize}: ${best.itemsPerSecond.toFixed(0)} items/s, p95 ${best.p95Ms.toFixed(0)} ms`;
  const own = `${adaptive.concurrency} × ${adaptive.batchSize}: ${adaptive.itemsPerSecond.toFixed(0)} items/s, p95 ${adaptive.p95Ms.toFixed(0)} ms`;
  console.log(`  seed ${seed}: best fixed ${at}; adaptive at last ${own}: ${percent(adaptive.share)}`);
}
