/** `npm run bench [-- NAME … --rounds N --json FILE --save]`: runs the benchmarks and prints a table for each comparison. */

import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { compare, type Comparison, type ComparisonResult } from './support/comparison.js';
import { describeMachine, machineLine } from './support/machine.js';
import { saveTables, tableOf } from './support/report.js';

/** What a benchmark's file exports as `comparisons`: one after another, so that a server can be started before and ended after them. */
interface Benchmark {
  readonly comparisons: () => AsyncIterable<Comparison> | Iterable<Comparison>;
}

const BENCHMARKS: Readonly<Record<string, { question: string; load: () => Promise<Benchmark> }>> = {
  'write-cost': {
    question: 'What does it cost to write an item, beside plain streams?',
    load: () => import('./write-cost.js'),
  },
  'copy-objects': {
    question: 'How fast do objects get into PostgreSQL, beside psql?',
    load: () => import('./copy-objects.js'),
  },
  'load-csv': {
    question: 'How fast does the command line load a CSV file, beside psql?',
    load: () => import('./load-csv.js'),
  },
};

const USAGE = `usage: npm run bench -- [NAME …] [--rounds N] [--json FILE] [--save]\n\n${Object.entries(
  BENCHMARKS,
)
  .map(([name, { question }]) => `  ${name.padEnd(14)} ${question}`)
  .join('\n')}\n`;

interface Invocation {
  readonly names: readonly string[];
  readonly rounds: number | undefined;
  readonly json: string | undefined;
  /** Put the tables into this folder's README.md. */
  readonly save: boolean;
}

/** Nothing where the arguments are wrong; the reason is on standard error. */
function readArguments(): Invocation | undefined {
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: { rounds: { type: 'string' }, json: { type: 'string' }, save: { type: 'boolean' } },
    });
    const unknown = positionals.filter((name) => !Object.hasOwn(BENCHMARKS, name));
    if (unknown.length > 0) throw new Error(`there is no benchmark ${unknown.join(', ')}`);
    if (values.rounds !== undefined && !/^[1-9]\d*$/.test(values.rounds)) {
      throw new Error(`--rounds must be a whole number of at least 1; got ${values.rounds}`);
    }
    return {
      names: positionals.length > 0 ? positionals : Object.keys(BENCHMARKS),
      rounds: values.rounds === undefined ? undefined : Number(values.rounds),
      json: values.json,
      save: values.save ?? false,
    };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    return undefined;
  }
}

async function main(): Promise<number> {
  const invocation = readArguments();
  if (invocation === undefined) return 2;
  const machine = describeMachine();
  process.stdout.write(`${machineLine(machine)}\n`);
  const results: Record<string, ComparisonResult[]> = {};
  for (const name of invocation.names) {
    const { question, load } = BENCHMARKS[name]!;
    process.stdout.write(`\n## ${name}: ${question}\n`);
    const { comparisons } = await load();
    results[name] = [];
    for await (const comparison of comparisons()) {
      const result = await compare(comparison, invocation.rounds, showProgress);
      showProgress('');
      process.stdout.write(`\n${tableOf(result)}`);
      results[name].push(result);
    }
    if (invocation.save) await saveTables(name, machine, results[name]);
  }
  if (invocation.json !== undefined) {
    await writeFile(invocation.json, `${JSON.stringify({ machine, results }, undefined, 2)}\n`);
  }
  const isWrong = Object.values(results).some((list) =>
    list.some((result) => result.results.some(({ wrong }) => wrong !== undefined)),
  );
  return isWrong ? 1 : 0;
}

/** On a terminal only: in a file it would be noise. */
function showProgress(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`);
}

process.exitCode = await main();
