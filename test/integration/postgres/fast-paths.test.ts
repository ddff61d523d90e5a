/**
 * The fast paths are taken where they should be: one that is never taken again changes nothing that a user sees but the time. What shows it
 * is counted at their edges: the statements that are sent, the lines that are read there.
 */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openPipeline } from '../../../src/cli/load/load-pipeline.js';
import { NdjsonTranscoder } from '../../../src/cli/ndjson/copy/transcoder.js';
import { copyInto } from '../../../src/postgres/index.js';
import { LineTranscoder } from '../../../src/postgres/encoding/binary/line-transcoder.js';
import { RowWriter } from '../../../src/postgres/rows/row-writer.js';
import { loadBy } from '../../support/both-pipelines.js';
import { flushContext, useTestDatabase } from '../../support/postgres.js';
import { range } from '../../support/range.js';

const database = useTestDatabase();
let directory = '';
let copies: string[] = [];
/** Whatever is sent, pieces of a batch too. */
let queries = 0;

beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'spillway-fast-paths-'));
  copies = [];
  queries = 0;
  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with the client
  const query = pg.Client.prototype.query as (this: pg.Client, ...args: unknown[]) => unknown;
  vi.spyOn(pg.Client.prototype, 'query').mockImplementation(function (this: pg.Client, ...args: unknown[]) {
    queries += 1;
    const { text } = args[0] as { text?: unknown };
    if (typeof text === 'string' && /\bCOPY .* FROM STDIN/.test(text)) copies.push(text);
    return query.apply(this, args) as never;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(directory, { recursive: true, force: true });
});

async function loadFile(
  name: string,
  lines: readonly string[],
  table: string,
  ...args: string[]
): Promise<void> {
  const file = path.join(directory, name);
  await writeFile(file, lines.map((line) => `${line}\n`).join(''));
  await loadBy(openPipeline, file, table, database.url, args);
}

async function expectRows(table: string, count: number): Promise<void> {
  expect(await database.query(`SELECT count(*)::int AS n FROM ${table}`)).toEqual([{ n: count }]);
}

describe('copyInto', () => {
  test.each<[string, string, (n: number) => Record<string, unknown>]>([
    ['ordinary integers', 'a int, b bigint, c smallint', (n: number) => ({ a: n, b: n * 1_000_000, c: -n })],
    [
      'ordinary integers as text',
      'a int, b bigint, c smallint',
      (n: number) => ({ a: `${n}`, b: `${n * 100}`, c: `${-n}` }),
    ],
    [
      'dates and numbers',
      'a timestamptz, b float8',
      (n: number) => ({ a: new Date(n * 1_000_000), b: n / 7 }),
    ],
  ])('sends %s in binary, all of a batch in one COPY', async (_name, columns, rowOf) => {
    const table = await database.table(columns);
    await copyInto(database.pool(), { table })(range(1_000).map(rowOf), flushContext());
    expect(copies).toEqual([expect.stringContaining('FORMAT binary')]);
    await expectRows(table, 1_000);
  });

  test('finds 40 rows with a fault of the same kind among 2,000 in few statements', async () => {
    const table = await database.table('a inet');
    const bad = new Set(range(40).map((n) => 13 + n * 47));
    const rows = range(2_000).map((n) => ({ a: bad.has(n) ? `host ${n}` : `10.0.${n >> 8}.${n & 255}` }));
    const result = await copyInto(database.pool(), { table })(rows, {
      ...flushContext(),
      takesFailures: true,
    });
    expect(result?.errors).toHaveLength(40);
    // It takes 77. Rows that look alike were candidates once, which took 45 and saved too little time.
    expect(queries).toBeLessThan(85);
    await expectRows(table, 1_960);
  });

  test('reads the values of a row by its own keys, if they are in the order of the columns', async () => {
    const table = await database.table('a int, b int');
    const seen: string[] = [];
    const row = new Proxy<Record<string, number>>(
      { a: 1, b: 2 },
      {
        ownKeys: (target) => {
          seen.push('keys');
          return Reflect.ownKeys(target);
        },
        get: (target, name) => {
          if (typeof name === 'string' && name in target) seen.push(name);
          return Reflect.get(target, name) as unknown;
        },
      },
    );
    await copyInto(database.pool(), { table, columns: ['a', 'b'] })([row], flushContext());
    // It may be looked at more than once. By the columns' names the values would come before the keys.
    expect(seen.join()).toMatch(/^(keys,a,b,?)+$/);
  });
});

describe('spillway load', () => {
  test('CSV of texts goes to the server as it is', async () => {
    const rows = vi.spyOn(RowWriter.prototype, 'writeRow');
    const table = await database.table('a int, b text');
    await loadFile('in.csv', ['a,b', ...range(3_000).map((n) => `${n},"x, ${n}"`)], table);
    expect(copies).toEqual([expect.stringContaining('FORMAT csv')]);
    expect(rows).not.toHaveBeenCalled();
    await expectRows(table, 3_000);
  });

  test('CSV of dates goes to the server in binary, without a row being made of it', async () => {
    const rows = vi.spyOn(RowWriter.prototype, 'writeRow');
    const lines = vi.spyOn(LineTranscoder.prototype, 'next');
    const table = await database.table('a int, b timestamptz');
    await loadFile(
      'in.csv',
      ['a,b', ...range(3_000).map((n) => `${n},${new Date(n * 10_000_000).toISOString()}`)],
      table,
    );
    expect(copies).toEqual([expect.stringContaining('FORMAT binary')]);
    expect(lines).toHaveBeenCalled();
    expect(rows).not.toHaveBeenCalled();
    await expectRows(table, 3_000);
  });

  test('NDJSON becomes text of COPY without being parsed', async () => {
    const rows = vi.spyOn(RowWriter.prototype, 'writeRow');
    const blocks = vi.spyOn(NdjsonTranscoder.prototype, 'transcode');
    const table = await database.table('a int, b text, c jsonb');
    await loadFile(
      'in.ndjson',
      range(3_000).map((n) => JSON.stringify({ a: n, b: `x "${n}"\n`, c: { k: [n, null] } })),
      table,
    );
    let records = 0;
    for (const { value } of blocks.mock.results) records += (value as { records: number }).records;
    expect(records).toBe(3_000);
    for (const transcoder of blocks.mock.contexts)
      expect((transcoder as NdjsonTranscoder).slowPathRecords).toBe(0);
    expect(rows).not.toHaveBeenCalled();
    await expectRows(table, 3_000);
  });
});
