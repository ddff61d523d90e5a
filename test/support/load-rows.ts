/** Rows through `copyInto`, batch after batch; bad ones are gathered. */

import type pg from 'pg';
import { BackpressureWritable, type FailedItem } from '../../src/index.js';
import { copyInto } from '../../src/postgres/index.js';

export interface Loaded<T> {
  readonly sink: BackpressureWritable<T>;
  readonly failures: FailedItem<T>[];
}

export async function loadRows<T extends object>(
  pool: pg.Pool,
  options: Parameters<typeof copyInto<T, pg.PoolClient>>[1],
  rows: readonly T[],
  batchSize: number,
): Promise<Loaded<T>> {
  const failures: FailedItem<T>[] = [];
  const sink = new BackpressureWritable<T>(copyInto<T, pg.PoolClient>(pool, options), {
    batchSize,
    concurrency: 1,
    onFailed: (failed) => failures.push(...failed),
  });
  for (const row of rows) if (!sink.write(row)) await new Promise((resolve) => sink.once('drain', resolve));
  await new Promise<void>((resolve, reject) => {
    sink.on('error', reject);
    sink.end(resolve);
  });
  return { sink, failures };
}
