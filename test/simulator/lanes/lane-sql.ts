/** The real statements about lanes, on a real server: their plans and times with very many rows, and connections that claim side by side. */

import { setMaxListeners } from 'node:events';
import type pg from 'pg';
import { createLaneTables } from '../../../src/postgres/lanes/lane-tables.js';
import { LaneLedger } from '../../../src/postgres/lanes/lane-ledger.js';
import { laneStatements } from '../../../src/postgres/lanes/lane-statements.js';
import type { Statement } from '../../../src/postgres/sql/statement.js';

const SCHEMA = 'public';
const TABLE = 'lanes_sql';
const LEASE_MS = 600_000;
const LANE_SIZE = 50_000;
const REPEATS = 11;
const NEVER = new AbortController().signal;
setMaxListeners(0, NEVER);

/** Which rows the table of lanes has. */
export type Filling =
  /** All free, as if they had been made at once. */
  | 'all free'
  /** The first lane is held, and all others but the last ones are finished, and not merged. */
  | 'finished behind a held one';

const FREE_AT_END = 64;

export interface StatementCost {
  readonly name: string;
  /** Median, on the server. */
  readonly ms: number;
  /** The scans of the table, such as `Index Scan using spillway_lanes_pkey`. */
  readonly scans: readonly string[];
  readonly rowsOfTable: number;
}

export interface Contention {
  readonly connections: number;
  readonly claims: number;
  /** Lanes that two have claimed. */
  readonly twice: number;
  readonly perSecond: number;
  readonly medianMs: number;
  readonly slowestMs: number;
}

/** Makes the tables, if need be, and an import of so many lanes. */
export async function fillLanes(pool: pg.Pool, id: string, lanes: number, filling: Filling): Promise<string> {
  await pool.query(`CREATE TABLE IF NOT EXISTS ${TABLE} (id int)`);
  for (const text of createLaneTables(SCHEMA, 'spillway_dead_letters')) await pool.query(text);
  const { rows } = await pool.query<{ id: string }>(laneStatements(SCHEMA).insertImport, [
    id,
    TABLE,
    '{"from":"first"}',
  ]);
  const importRow = rows[0]!.id;
  const isFree = filling === 'all free' ? 'true' : `lane >= ${lanes - FREE_AT_END}`;
  const next = `CASE WHEN lane = 0 OR ${isFree} THEN lane * ${LANE_SIZE} + 1 ELSE (lane + 1) * ${LANE_SIZE} + 1 END`;
  const lease = `CASE WHEN lane = 0 AND NOT (${isFree}) THEN now() + interval '1 hour' END`;
  await pool.query(
    `INSERT INTO spillway_lanes (import, lane, through_lane, first, last, next, run, lease_until, rows, dead_letters)
     SELECT $1, lane, lane, lane * ${LANE_SIZE} + 1, (lane + 1) * ${LANE_SIZE}, ${next}, 0, ${lease}, 0, 0
     FROM generate_series(0, $2::bigint - 1) AS lane`,
    [importRow, lanes],
  );
  await pool.query('VACUUM ANALYZE spillway_lanes');
  return importRow;
}

/** Each statement in a transaction of its own, which is rolled back. */
export async function statementCosts(pool: pg.Pool, importRow: string): Promise<StatementCost[]> {
  const { claim, claimInOrder, claimOver, readLanes, merge, advance, renew, endStalled, nextLeaseEnd } =
    laneStatements(SCHEMA);
  const lease = String(LEASE_MS);
  const { rows } = await pool.query<{ lane: string; next: string; run: number }>(
    'SELECT lane, next, run FROM spillway_lanes WHERE import = $1 AND next <= last ORDER BY lane DESC LIMIT 1',
    [importRow],
  );
  const { lane, next, run } = rows[0]!;
  const own = [importRow, lane, String(run), lease];
  const list: [name: string, text: Statement, values: string[]][] = [
    ['claim', claim, [importRow, lease]],
    ['claim, in order', claimInOrder, [importRow, lease]],
    ['claim, lease over', claimOver, [importRow, lease]],
    ['record a batch', advance, [...own, String(Number(next) + 5_000), next, '5000', '0']],
    ['renew a lease', renew, own],
    ['read the state', readLanes, [importRow]],
    ['end stalled sessions', endStalled, [importRow, lease]],
    ['next end of a lease', nextLeaseEnd, [importRow]],
    ['merge', merge, [importRow]],
  ];
  const costs: StatementCost[] = [];
  for (const [name, text, values] of list) {
    const times: number[] = [];
    let scans: string[] = [];
    const repeats = name === 'merge' ? 1 : REPEATS;
    for (let repeat = 0; repeat < repeats; repeat += 1) {
      const found = await explain(pool, text, values);
      times.push(found.ms);
      scans = found.scans;
    }
    const ms = times.sort((a, b) => a - b)[times.length >> 1]!;
    const { rows: count } = await pool.query<{ rows: number }>(
      'SELECT count(*)::int AS rows FROM spillway_lanes WHERE import = $1',
      [importRow],
    );
    costs.push({ name, ms, scans, rowsOfTable: count[0]!.rows });
  }
  return costs;
}

interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly Plans?: readonly Plan[];
}

async function explain(
  pool: pg.Pool,
  text: Statement,
  values: readonly string[],
): Promise<{ ms: number; scans: string[] }> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const { rows } = await client.query<{
      'QUERY PLAN': [{ Plan: Plan; 'Execution Time': number; 'Planning Time': number }];
    }>(`EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ${text}`, [...values]);
    await client.query('ROLLBACK');
    const [found] = rows[0]!['QUERY PLAN'];
    return { ms: found['Execution Time'] + found['Planning Time'], scans: [...new Set(scansOf(found.Plan))] };
  } finally {
    client.release();
  }
}

function* scansOf(plan: Plan): Generator<string> {
  const { 'Node Type': type, 'Relation Name': relation, 'Index Name': index, Plans = [] } = plan;
  if (relation === 'spillway_lanes' && type.endsWith('Scan')) {
    yield index === undefined ? type : `${type} using ${index}`;
  }
  for (const part of Plans) yield* scansOf(part);
}

/** Connections that claim one lane after another, with the ledger's own code. */
export async function contend(
  makePool: () => pg.Pool,
  importId: string,
  connections: number,
  claimsEach: number,
): Promise<Contention> {
  const pools = Array.from({ length: connections }, makePool);
  try {
    const options = { importId, schema: SCHEMA, table: TABLE, deadLetters: 'spillway_dead_letters' };
    const common = {
      leaseMs: LEASE_MS,
      isOrdered: false,
      from: 'first',
      source: {},
      maxRejects: undefined,
    } as const;
    const ledgers = await Promise.all(
      pools.map((pool) => LaneLedger.open(pool, { ...options, ...common }, NEVER)),
    );
    const lanes: number[] = [];
    const times: number[] = [];
    const start = performance.now();
    await Promise.all(
      ledgers.map(async (ledger) => {
        for (let claim = 0; claim < claimsEach; claim += 1) {
          const begun = performance.now();
          const found = await ledger.claim(NEVER);
          times.push(performance.now() - begun);
          if (found !== undefined) lanes.push(found.lane);
        }
      }),
    );
    const seconds = (performance.now() - start) / 1_000;
    times.sort((a, b) => a - b);
    return {
      connections,
      claims: lanes.length,
      twice: lanes.length - new Set(lanes).size,
      perSecond: lanes.length / seconds,
      medianMs: times[times.length >> 1]!,
      slowestMs: times.at(-1)!,
    };
  } finally {
    await Promise.all(pools.map((pool) => pool.end()));
  }
}
