/** `consumeLog` from a log in memory into a real PostgreSQL. */

import { describe, expect, test } from 'vitest';
import { consumeLog, type ConsumeOptions, type LogLoad } from '../../../src/postgres/index.js';
import { MemoryLog } from '../../support/memory-log.js';
import { useTestDatabase } from '../../support/postgres.js';
import { range } from '../../support/range.js';

const database = useTestDatabase();

/** Loads what is there, by one worker. */
async function loadAll(
  log: MemoryLog,
  table: string,
  options: Partial<ConsumeOptions> = {},
): Promise<LogLoad> {
  const load = start(log, table, { untilCaughtUp: true, ...options });
  await load.finished;
  return load;
}

function start(
  log: MemoryLog,
  table: string,
  options: Partial<ConsumeOptions> = {},
  pool = database.pool(),
): LogLoad {
  return consumeLog(log, pool, {
    table,
    importId: table,
    leaseMs: 2_000,
    ...options,
  });
}

async function idsOf(table: string): Promise<number[]> {
  return (await database.query<{ id: number }>(`SELECT id FROM ${table} ORDER BY id`)).map(({ id }) => id);
}

function filled(
  count: number,
  kind: ConstructorParameters<typeof MemoryLog>[0] = { laneSize: 100 },
): MemoryLog {
  const log = new MemoryLog(kind);
  for (const id of range(count))
    log.append({ id, n: 1 }, { lane: 'partitions' in kind ? id % kind.partitions : 0 });
  return log;
}

describe('consumeLog', () => {
  test('loads each message once, across lanes and runs, and merges finished lanes', async () => {
    const table = await database.table('id int, n int');
    const log = filled(1_050);
    const first = await loadAll(log, table, { batchSize: 30 });
    expect(await idsOf(table)).toEqual(range(1_050));
    expect(first.getMetrics()).toMatchObject({
      rowsLoaded: 1_050,
      deadLetters: 0,
      lanesFinished: 10,
      lanesHeld: 0,
    });
    for (const id of range(150, 1_050)) log.append({ id, n: 1 });
    const second = await loadAll(log, table);
    expect(second.getMetrics().rowsLoaded).toBe(150);
    expect(await idsOf(table)).toEqual(range(1_200));
    const lanes = await database.query<{ lane: string; next: string }>(
      `SELECT lane, next FROM spillway_lanes WHERE import = (SELECT id FROM spillway_imports WHERE import_id = $1) ORDER BY lane`,
      [table],
    );
    expect(lanes.length).toBeLessThan(5);
    expect(lanes.at(-1)).toEqual({ lane: '12', next: '1201' });
  });
});
