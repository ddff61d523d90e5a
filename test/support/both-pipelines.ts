/** A load as blocks that the server reads, and row by row: both must end alike, in table, rejects and words. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, expect } from 'vitest';
import { load, type Terminal } from '../../src/cli/load/load.js';
import { openRowPipeline, openPipeline, type OpenPipeline } from '../../src/cli/load/load-pipeline.js';
import type { LoadOptions } from '../../src/cli/args/options.js';
import { parseArguments } from '../../src/cli/args/parse-arguments.js';
import type { TestDatabase } from './postgres.js';

export interface Ground {
  readonly database: TestDatabase;
  readonly directory: string;
  readonly fileName: string;
  /** Of the table: its first one is `a`. */
  readonly columns: string;
}

/** For all tests of a file: a folder of their own. */
export function useGround(database: TestDatabase, fileName: string, columns: string): Ground {
  let directory = '';
  beforeAll(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'spillway-pipelines-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));
  return {
    database,
    get directory() {
      return directory;
    },
    fileName,
    columns,
  };
}

export interface Ending {
  table: unknown;
  rejects: unknown;
  error: string | undefined;
  exitCode: number;
  summary: Record<string, unknown>;
}

/** What says how it went, and not what came of it. */
const OF_THE_WAY = [
  'seconds', 'rowsPerSecond', 'timeInStateMs', 'producerBlockedMs', 'flushes', 'retries', 'peakMemoryBytes', 'table', 'rejectsFile',
]; // prettier-ignore

const OF_THE_TIME = ['rowsRead', 'lastRow', 'rowsDropped', 'dropsByReason'];

function without(summary: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(summary).filter(([name]) => !names.includes(name)));
}

/** Says nothing, and gets no signals. */
export function silentTerminal(): Terminal {
  const output = new PassThrough().resume();
  return {
    environment: {},
    stdin: new PassThrough(),
    stdout: output,
    stderr: output,
    onStopSignal: () => () => undefined,
  } as unknown as Terminal;
}

let runs = 0;

async function run(
  { database, directory, columns }: Ground,
  file: string,
  args: readonly string[],
  rejects: boolean,
  pipeline: OpenPipeline,
): Promise<Ending> {
  const table = await database.table(columns);
  runs += 1;
  const rejectsFile = path.join(directory, `rejects-${runs}.ndjson`);
  const invocation = parseArguments([
    'load', file, '--table', table, '--to', database.url, '--quiet', ...args,
    ...(rejects ? ['--rejects', rejectsFile] : []),
  ]); // prettier-ignore
  const { options } = invocation as { options: LoadOptions };
  const { json, error, exitCode } = await load(options, silentTerminal(), pipeline).catch(
    (thrown: unknown) => ({
      json: {},
      error: (thrown as Error).message.replaceAll(`"${table}"`, '"TABLE"'),
      exitCode: 1,
    }),
  );
  const lines = rejects ? (await readFile(rejectsFile, 'utf8').catch(() => '')).split('\n') : [];
  const rows = await database.query(`SELECT t.*, a::text FROM ${table} t ORDER BY t::text COLLATE "C"`);
  await database.query(`DROP TABLE ${table}`);
  // The folder's random name may hold the table's.
  const fixed = (text: string): string =>
    text.replaceAll(rejectsFile, 'REJECTS').replaceAll(directory, 'FOLDER').replaceAll(table, 'TABLE');
  return {
    table: rows,
    rejects: lines.map(fixed).toSorted(),
    error: error && fixed(error),
    exitCode,
    summary: Object.fromEntries(
      Object.entries(without(json, OF_THE_WAY)).map(([name, value]) => [
        name,
        typeof value === 'string' ? fixed(value) : value,
      ]),
    ),
  };
}

/** Loads the file by both pipelines, and expects the same of both. */
export async function expectSame(
  ground: Ground,
  bytes: Buffer,
  args: readonly string[],
  rejects: boolean,
): Promise<Ending> {
  const file = path.join(ground.directory, ground.fileName);
  await writeFile(file, bytes);
  const rows = await run(ground, file, args, rejects, openRowPipeline);
  const blocks = await run(ground, file, args, rejects, openPipeline);
  if (rows.exitCode === 1) {
    // How much had been read when it ended is a matter of time.
    for (const ending of [rows, blocks]) ending.summary = without(ending.summary, OF_THE_TIME);
  }
  expect(blocks).toEqual(rows);
  return blocks;
}

/** Name, pipeline, and whether bad rows are taken. */
export const PIPELINES: readonly (readonly [name: string, pipeline: OpenPipeline, rejects: boolean])[] = [
  ['as blocks', openPipeline, false],
  ['row by row', openRowPipeline, false],
  ['as blocks, with rejects', openPipeline, true],
  ['row by row, with rejects', openRowPipeline, true],
];

/** Loads a file into a table. @throws {Error} what the load ends with */
export async function loadBy(
  pipeline: OpenPipeline,
  file: string,
  table: string,
  url: string,
  args: readonly string[],
): Promise<void> {
  const { options } = parseArguments(['load', file, '--table', table, '--to', url, '--quiet', ...args]) as {
    options: LoadOptions;
  };
  const { error } = await load(options, silentTerminal(), pipeline);
  if (error !== undefined) throw new Error(error);
}
