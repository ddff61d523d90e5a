/** `copyInto({ importId, positionOf })`: however often a source is fed, each row is there once. */

import { describe, expect, test } from 'vitest';
import { BackpressureWritable, type FailedItem, type WritableOptions } from '../../../src/index.js';
import { copyInto } from '../../../src/postgres/index.js';
import { useTestDatabase } from '../../support/postgres.js';
import { range } from '../../support/range.js';

const database = useTestDatabase();

interface Row {
  id: number;
  n: number | string;
}

const rowsUpTo = (count: number): Row[] => range(count).map((id) => ({ id, n: 1 }));

async function feed(
  table: string,
  rows: readonly Row[],
  options: WritableOptions<Row> = {},
  importId = table,
): Promise<{ error: Error | undefined; flushed: number }> {
  const pool = database.pool({ max: 4 });
  const copy = copyInto<Row>(pool, { table, importId, positionOf: ({ id }) => id });
  const sink = new BackpressureWritable<Row>(copy, { batchSize: 70, ...options });
  const ended = new Promise<Error | undefined>((resolve) => {
    sink.on('error', resolve);
    sink.on('finish', () => resolve(undefined));
  });
  for (const row of rows) sink.write(row);
  sink.end();
  const error = await ended;
  if (!sink.closed) await new Promise((resolve) => sink.once('close', resolve));
  return { error, flushed: sink.getMetrics().eventsFlushed };
}

async function idsOf(table: string): Promise<number[]> {
  return (await database.query<{ id: number }>(`SELECT id FROM ${table} ORDER BY id`)).map(({ id }) => id);
}

describe('an import', () => {
  test('fed again, from its beginning or from the middle, in batches of another size, adds what is missing', async () => {
    const table = await database.table('id int, n int');
    const rows = rowsUpTo(1_000);
    expect(await feed(table, rows.slice(0, 300))).toEqual({ error: undefined, flushed: 300 });
    // As after a crash that lost a batch in the middle.
    expect(await feed(table, rows.slice(500, 640))).toEqual({ error: undefined, flushed: 140 });
    expect(await feed(table, rows, { batchSize: 333, concurrency: 1 })).toEqual({
      error: undefined,
      flushed: 1_000,
    });
    expect(await feed(table, rows, { batchSize: 11 })).toEqual({ error: undefined, flushed: 1_000 });
    expect(await idsOf(table)).toEqual(rows.map(({ id }) => id));
  });

  test('under another name is another one', async () => {
    const table = await database.table('id int, n int');
    await feed(table, rowsUpTo(10), {}, 'one');
    await feed(table, rowsUpTo(10), {}, 'two');
    expect((await idsOf(table)).length).toBe(20);
  });

  test('a bad row that ended the first run is not passed over by the second', async () => {
    const table = await database.table('id int, n int');
    const rows = rowsUpTo(200);
    rows[150] = { id: 150, n: 'bad' };
    const first = await feed(table, rows, { concurrency: 1 });
    expect(first.error?.message).toContain('invalid input syntax');
    rows[150] = { id: 150, n: 2 };
    expect(await feed(table, rows)).toEqual({ error: undefined, flushed: 200 });
    expect(await idsOf(table)).toEqual(rows.map(({ id }) => id));
  });

  test('a bad row that onFailed took is told once, and the rows around it are there once', async () => {
    const table = await database.table('id int, n int');
    const rows = rowsUpTo(200);
    rows[150] = { id: 150, n: 'bad' };
    const failed: FailedItem<Row>[] = [];
    const onFailed = (failures: FailedItem<Row>[]) => failed.push(...failures);
    expect(await feed(table, rows, { onFailed })).toEqual({ error: undefined, flushed: 199 });
    expect(await feed(table, rows, { onFailed, batchSize: 50 })).toEqual({ error: undefined, flushed: 200 });
    expect(failed.map(({ item }) => item.id)).toEqual([150]);
    expect(await idsOf(table)).toEqual(rows.map(({ id }) => id).filter((id) => id !== 150));
  });

  test('positions that do not rise are refused before anything is written', async () => {
    const table = await database.table('id int, n int');
    const { error } = await feed(table, [...rowsUpTo(3), { id: 1, n: 1 }]);
    expect(error?.message).toContain('positionOf must give each item a higher position');
    expect(await idsOf(table)).toEqual([]);
  });

  test('positions that begin again with a later batch are refused, because its rows would pass for written', async () => {
    const table = await database.table('id int, n int');
    const { error } = await feed(table, [...rowsUpTo(70), ...rowsUpTo(70)], { concurrency: 1 });
    expect(error?.message).toContain('a higher position than the one before: 0 follows 69');
    expect(await idsOf(table)).toEqual(rowsUpTo(70).map(({ id }) => id));
  });
});
