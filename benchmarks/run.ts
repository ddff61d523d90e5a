/**
 * `npm run bench -- NAME … [--rounds N] [--warm-ups N] [--rows N] [--json FILE] [--save]`: runs benchmarks and prints a table for each comparison;
 * without a name, lists them.
 */

import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { compare, type Comparison } from './support/comparison.js';
import { measureFigures, type Figures } from './support/figures.js';
import { describeMachine, machineLine } from './support/machine.js';
import { assertPlaces, isFaulty, saveTables, tableOf, type Result } from './support/report.js';

/** What a benchmark's file exports as `comparisons`: one after another, so that a server can be started before and ended after them. */
interface Benchmark {
  /** `size`: rows or items of a run, in place of the benchmark's own. */
  readonly comparisons: (
    size?: number,
  ) => AsyncIterable<Comparison | Figures> | Iterable<Comparison | Figures>;
}

const BENCHMARKS: Readonly<Record<string, { question: string; load: () => Promise<Benchmark> }>> = {
  'write-cost': {
    question: 'What does it cost to write an item, beside plain streams?',
    load: () => import('./write-cost.js'),
  },
  'write-alone': {
    question:
      'Is the cost of a write the same where each stream has a process of its own, and the first time?',
    load: () => import('./write-alone.js'),
  },
  'strategies-full': {
    question: 'What does a write cost when the buffer is full, for each strategy?',
    load: () => import('./strategies-full.js'),
  },
  'small-things': {
    question: 'What do a short-lived stream, a snapshot of metrics and a crowd of waiting callers cost?',
    load: () => import('./small-things.js'),
  },
  'event-loop': {
    question:
      'How long does the longest turn of the event loop take while batches are encoded, isolated and given up?',
    load: () => import('./event-loop.js'),
  },
  engines: {
    question: 'How fast are other batching engines at the same work, and which of them bound memory?',
    load: () => import('./engines.js'),
  },
  capacity: {
    question: 'Does the cost of an item depend on the capacity?',
    load: () => import('./capacity.js'),
  },
  'batch-size': {
    question: 'How does throughput depend on the size of a batch?',
    load: () => import('./batch-size.js'),
  },
  age: {
    question: 'How old are rows that trickle in, when their flush starts?',
    load: () => import('./age.js'),
  },
  memory: {
    question: 'How much memory do the core and the command line hold, over time?',
    load: () => import('./memory.js'),
  },
  'copy-objects': {
    question: 'How fast do objects get into PostgreSQL, beside psql and other ways?',
    load: () => import('./copy-objects.js'),
  },
  'copy-types': {
    question: 'How does COPY depend on the types of the values?',
    load: () => import('./copy-types.js'),
  },
  'row-width': {
    question: 'How does COPY depend on the number of columns?',
    load: () => import('./row-width.js'),
  },
  connections: {
    question: 'How does COPY depend on the number of connections?',
    load: () => import('./connections.js'),
  },
  'load-csv': {
    question: 'How fast does the command line load a CSV file, beside psql?',
    load: () => import('./load-csv.js'),
  },
  'load-ndjson': {
    question: 'How fast does the command line load an NDJSON file, beside psql and CSV?',
    load: () => import('./load-ndjson.js'),
  },
  'load-rejects': {
    question: 'What does --rejects cost, with nothing to reject and with bad rows of five kinds?',
    load: () => import('./load-rejects.js'),
  },
  consume: {
    question: 'How fast do workers load a stream of NATS JetStream, beside one written by hand?',
    load: () => import('./consume.js'),
  },
  instrumentation: {
    question: 'What do metrics, spans, reports and channels cost, and what if nobody listens?',
    load: () => import('./instrumentation.js'),
  },
  'start-up': {
    question: 'How long does a load of one row take, beside Node.js that does nothing?',
    load: () => import('./start-up.js'),
  },
};

const USAGE = `usage: npm run bench -- [NAME …] [--rounds N] [--warm-ups N] [--rows N] [--json FILE] [--save]\n\n${Object.entries(
  BENCHMARKS,
)
  .map(([name, { question }]) => `  ${name.padEnd(16)} ${question}`)
  .join(
    '\n',
  )}\n  all${' '.repeat(14)}every one of them\n\n--rows N: rows or items of a run, in place of the benchmark’s own number.\n`;

interface Invocation {
  readonly names: readonly string[];
  readonly rounds: number | undefined;
  readonly warmUps: number | undefined;
  readonly rows: number | undefined;
  readonly json: string | undefined;
  /** Put the tables into this folder's README.md. */
  readonly save: boolean;
}

/** Nothing where the arguments are wrong; the reason is on standard error. */
function readArguments(): Invocation | undefined {
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: {
        rounds: { type: 'string' },
        'warm-ups': { type: 'string' },
        rows: { type: 'string' },
        json: { type: 'string' },
        save: { type: 'boolean' },
      },
    });
    const unknown = positionals.filter((name) => name !== 'all' && !Object.hasOwn(BENCHMARKS, name));
    if (unknown.length > 0) throw new Error(`there is no benchmark ${unknown.join(', ')}`);
    return {
      names: positionals.includes('all') ? Object.keys(BENCHMARKS) : positionals,
      rounds: wholeNumber('--rounds', values.rounds, 1),
      warmUps: wholeNumber('--warm-ups', values['warm-ups'], 0),
      rows: wholeNumber('--rows', values.rows, 1),
      json: values.json,
      save: values.save ?? false,
    };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    return undefined;
  }
}

function wholeNumber(option: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text) && Number(text) >= least) return Number(text);
  throw new Error(`${option} must be a whole number of at least ${least}; got ${text}`);
}

async function main(): Promise<number> {
  const invocation = readArguments();
  if (invocation === undefined) return 2;
  if (invocation.names.length === 0) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (invocation.save) await assertPlaces(invocation.names);
  const machine = describeMachine();
  process.stdout.write(`${machineLine(machine)}\n`);
  const results: Record<string, Result[]> = {};
  for (const name of invocation.names) {
    const { question, load } = BENCHMARKS[name]!;
    process.stdout.write(`\n## ${name}: ${question}\n`);
    const { comparisons } = await load();
    results[name] = [];
    for await (const comparison of comparisons(invocation.rows)) {
      const result =
        'measure' in comparison
          ? await measureFigures(comparison, showProgress, invocation.rounds)
          : await compare(comparison, invocation, showProgress);
      showProgress('');
      process.stdout.write(`\n${tableOf(result)}`);
      results[name].push(result);
    }
    if (invocation.save) await saveTables(name, machine, results[name]);
  }
  if (invocation.json !== undefined) {
    await writeFile(invocation.json, `${JSON.stringify({ machine, results }, undefined, 2)}\n`);
  }
  const isWrong = Object.values(results).some((list) => list.some(isFaulty));
  return isWrong ? 1 : 0;
}

/** On a terminal only: in a file it would be noise. */
function showProgress(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`);
}

process.exitCode = await main();
