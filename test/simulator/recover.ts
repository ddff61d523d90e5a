/** `npm run simulate:recovery`: every disturbance, from every state, at every load; a table of how long the sink takes to be back. */

import { parseArgs } from 'node:util';
import {
  DISTURBANCES,
  LOADS,
  RECOVERING_MODELS,
  recoverUnderLoad,
  SINKS,
  type RecoveryCase,
  type RecoveryResult,
  type SinkName,
  type StartState,
} from './recovery.js';

const HELP = `npm run simulate:recovery -- [options]

  --seeds N        so many destinations of each kind (default 2)
  --first N        the first seed (default 1)
  --noise A        each call by chance slower or faster: sigma of a log-normal distribution (default 0)
  --intervals N    the upper bound of the flush interval, as a multiple of the lower one (default 300)
  --model NAME     only these, by a part of their name: ${Object.keys(RECOVERING_MODELS).join(', ')}
  --disturbance NAME   ${Object.keys(DISTURBANCES).join(', ')}
  --sink NAME      ${Object.keys(SINKS).join(', ')}
  --all            a line for each run that is not back within 30 flushes
`;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '2' },
    first: { type: 'string', default: '1' },
    noise: { type: 'string', default: '0' },
    intervals: { type: 'string', default: '300' },
    model: { type: 'string', default: '' },
    disturbance: { type: 'string', default: '' },
    sink: { type: 'string', default: '' },
    all: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit();
}

const STATES: readonly StartState[] = ['interval at its minimum', 'after a long stall'];
const first = Number(values.first);
const seeds = Array.from({ length: Number(values.seeds) }, (_, n) => first + n);
const picked = (names: readonly string[], part: string) => names.filter((name) => name.includes(part));

console.log(
  '| disturbance | state | runs | interval back | flushes until then | seconds until then | age back, s | backlog gone, s |',
);
console.log('|---|---|---|---|---|---|---|---|');
for (const disturbance of picked(Object.keys(DISTURBANCES), values.disturbance)) {
  for (const state of STATES) {
    const results: RecoveryResult[] = [];
    for (const found of cases(disturbance, state)) {
      const result = await recoverUnderLoad(found);
      results.push(result);
      if (values.all && !(result.intervalFlushes <= 30)) console.log(JSON.stringify({ ...found, ...result }));
    }
    console.log(row(disturbance, state, results));
  }
}

function* cases(disturbance: string, state: StartState): Generator<RecoveryCase> {
  for (const model of picked(Object.keys(RECOVERING_MODELS), values.model))
    for (const sink of picked(Object.keys(SINKS), values.sink) as SinkName[])
      for (const load of LOADS)
        for (const seed of seeds)
          yield {
            model,
            sink,
            disturbance,
            state,
            load,
            seed,
            intervals: Number(values.intervals),
            noise: Number(values.noise),
          };
}

function row(disturbance: string, state: string, results: readonly RecoveryResult[]): string {
  const back = results.filter(({ intervalFlushes }) => intervalFlushes <= 30).length;
  const cells = [
    disturbance,
    state,
    results.length,
    `${((100 * back) / results.length).toFixed(0)} %`,
    spread(
      results.map(({ intervalFlushes }) => intervalFlushes),
      0,
    ),
    spread(
      results.map(({ intervalMs }) => intervalMs / 1000),
      1,
    ),
    spread(
      results.map(({ ageMs }) => ageMs / 1000),
      1,
    ),
    spread(
      results.map(({ backlogMs }) => backlogMs / 1000),
      1,
    ),
  ];
  return `| ${cells.join(' | ')} |`;
}

/** Median and largest. */
function spread(figures: readonly number[], digits: number): string {
  const sorted = figures.toSorted((a, b) => a - b);
  const tell = (value: number) => (value === Infinity ? 'never' : value.toFixed(digits));
  return `${tell(sorted[Math.floor(sorted.length / 2)]!)} (up to ${tell(sorted.at(-1)!)})`;
}
