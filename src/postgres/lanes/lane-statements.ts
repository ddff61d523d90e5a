/**
 * The statements about lanes. Only the server's clock decides whether a lease is over, so that the clocks of the workers do not matter.
 */

import { IMPORTS } from '../imports/bookkeeping-trust.js';
import { importStatements } from '../imports/import-statements.js';
import { quoteTable } from '../sql/identifiers.js';
import { EQUALS, sequence, statement, type Statement } from '../sql/statement.js';
import type { BeginningCheck, TransactionScope } from '../sql/transaction-scope.js';
import { LANES } from './lane-tables.js';

export interface LaneStatements {
  readonly insertImport: Statement;
  readonly findImport: Statement;
  readonly forgetOrphans: Statement;
  /** Locks the import against other workers that make lanes, and reads what there is. */
  readonly lockImport: Statement;
  readonly findImportRow: Statement;
  /** Unless the import has lanes. */
  readonly replaceSource: Statement;
  readonly findMade: Statement;
  readonly readLanes: Statement;
  readonly claim: Statement;
  readonly claimInOrder: Statement;
  readonly claimOver: Statement;
  readonly claimOverInOrder: Statement;
  readonly insertLanes: Statement;
  readonly merge: Statement;
  readonly renew: Statement;
  readonly advance: Statement;
  readonly release: Statement;
  /** As `release`, but the lane counts as one of a worker that has gone. */
  readonly leave: Statement;
  readonly endStalled: Statement;
  readonly nextLeaseEnd: Statement;
}

const LESS = 'OPERATOR(pg_catalog.<)';
const AT_MOST = 'OPERATOR(pg_catalog.<=)';
const NOW = 'pg_catalog.clock_timestamp()';
const PLUS = 'OPERATOR(pg_catalog.+)';
const MINUS = 'OPERATOR(pg_catalog.-)';

/** @param milliseconds a parameter */
const interval = (milliseconds: string): string =>
  `pg_catalog.make_interval(0, 0, 0, 0, 0, 0, ${milliseconds}::double precision OPERATOR(pg_catalog./) 1000::double precision)`;

/** Each transaction of a worker. If the worker is cut off, the server ends it, and frees what it has locked. */
export function beginTransaction(leaseMs: number): Statement {
  return sequence([
    // After a wait for a lock, the transaction must see what was committed meanwhile.
    statement('BEGIN ISOLATION LEVEL READ COMMITTED'),
    statement(`SET LOCAL idle_in_transaction_session_timeout TO ${leaseMs}`),
  ]);
}

export function laneStatements(schema: string): LaneStatements {
  const lanes = quoteTable(schema, LANES);
  const imports = quoteTable(schema, IMPORTS);
  const { insert, find } = importStatements(schema);
  return {
    insertImport: insert,
    findImport: find,
    // If the table of imports alone was dropped, by DROP … CASCADE, its ids begin again.
    forgetOrphans: statement(`DELETE FROM ${lanes} WHERE import ${EQUALS} $1`),
    lockImport: statement(
      `SELECT id::pg_catalog.text FROM ${imports} WHERE id ${EQUALS} $1 FOR NO KEY UPDATE`,
    ),
    findImportRow: statement(`SELECT id::pg_catalog.text FROM ${imports} WHERE id ${EQUALS} $1`),
    replaceSource: statement(`UPDATE ${imports} SET source = $2::pg_catalog.json
      WHERE id ${EQUALS} $1 AND NOT EXISTS (SELECT FROM ${lanes} t WHERE t.import ${EQUALS} $1) RETURNING id::pg_catalog.text`),
    findMade: statement(`SELECT pg_catalog.max(t.through_lane)::pg_catalog.text AS through,
        pg_catalog.count(*) FILTER (WHERE t.next ${AT_MOST} t.last AND t.lease_until IS NULL)::pg_catalog.text AS free
      FROM ${lanes} t WHERE t.import ${EQUALS} $1`),
    readLanes:
      statement(`SELECT whole.*, coalesce((SELECT pg_catalog.json_agg(pg_catalog.json_build_object('lane', t.lane, 'first', t.first, 'last', t.last, 'next', t.next,
          'isHeld', coalesce(NOT t.lease_until ${LESS} ${NOW}, false)) ORDER BY t.lane)
        FROM ${lanes} t WHERE t.import ${EQUALS} $1 AND t.next ${AT_MOST} t.last), '[]')::pg_catalog.text AS open
      FROM (SELECT pg_catalog.max(t.through_lane)::pg_catalog.text AS through,
        coalesce(pg_catalog.sum(t.rows), 0)::pg_catalog.text AS rows,
        coalesce(pg_catalog.sum(t.dead_letters), 0)::pg_catalog.text AS dead_letters,
        coalesce(pg_catalog.sum(t.through_lane ${MINUS} t.lane ${PLUS} 1) FILTER (WHERE t.last ${LESS} t.next), 0)::pg_catalog.text AS finished
        FROM ${lanes} t WHERE t.import ${EQUALS} $1) AS whole`),
    ...claimStatements(lanes),
    ...makingStatements(lanes),
    ...ownStatements(lanes),
  };
}

/** A lane that nobody reads. A row that is locked belongs to a batch that is about to be committed. */
function claimStatements(
  lanes: string,
): Pick<
  LaneStatements,
  'claim' | 'claimInOrder' | 'claimOver' | 'claimOverInOrder' | 'endStalled' | 'nextLeaseEnd'
> {
  const isOver = `t.lease_until ${LESS} ${NOW}`;
  const isFree = `(t.lease_until IS NULL OR ${isOver})`;
  const claimOf = (condition: string): Statement =>
    statement(`WITH free AS MATERIALIZED (
        SELECT t.lane FROM ${lanes} t WHERE t.import ${EQUALS} $1 AND t.next ${AT_MOST} t.last AND ${condition}
        ORDER BY t.lane LIMIT 1 FOR UPDATE SKIP LOCKED
      )
      UPDATE ${lanes} AS claimed SET run = claimed.run ${PLUS} 1, lease_until = (${NOW} ${PLUS} ${interval('$2')})
      FROM free WHERE claimed.import ${EQUALS} $1 AND claimed.lane ${EQUALS} free.lane
      RETURNING claimed.lane::pg_catalog.text, claimed.first::pg_catalog.text, claimed.last::pg_catalog.text,
        claimed.next::pg_catalog.text, claimed.run::pg_catalog.text`);
  const isFirst = `NOT EXISTS (SELECT FROM ${lanes} before
      WHERE before.import ${EQUALS} $1 AND before.next ${AT_MOST} before.last AND before.lane ${LESS} t.lane)`;
  return {
    claim: claimOf(isFree),
    claimInOrder: claimOf(`${isFree} AND ${isFirst}`),
    claimOver: claimOf(isOver),
    claimOverInOrder: claimOf(`${isOver} AND ${isFirst}`),
    // Its worker is stopped, or cut off, perhaps within its first claim. The lock on the lane's row would keep others from claiming it.
    endStalled: statement(`SELECT pg_catalog.pg_terminate_backend(a.pid)::pg_catalog.text AS ended
      FROM ${lanes} t JOIN pg_catalog.pg_locks l
        ON l.locktype ${EQUALS} 'transactionid' AND l.transactionid ${EQUALS} t.xmax AND l.granted
      JOIN pg_catalog.pg_stat_activity a ON a.pid ${EQUALS} l.pid
      WHERE t.import ${EQUALS} $1 AND t.next ${AT_MOST} t.last AND ${isFree}
        AND a.usename ${EQUALS} current_user AND a.wait_event ${EQUALS} 'ClientRead'
        AND a.state_change ${LESS} (${NOW} ${MINUS} ${interval('$2')})`),
    nextLeaseEnd:
      statement(`SELECT (pg_catalog.date_part('epoch', pg_catalog.min(t.lease_until) ${MINUS} ${NOW}) OPERATOR(pg_catalog.*) 1000::double precision)::pg_catalog.text AS in_ms
      FROM ${lanes} t WHERE t.import ${EQUALS} $1 AND t.next ${AT_MOST} t.last`),
  };
}

function makingStatements(lanes: string): Pick<LaneStatements, 'insertLanes' | 'merge'> {
  return {
    insertLanes:
      statement(`INSERT INTO ${lanes} (import, lane, through_lane, first, last, next, run, rows, dead_letters)
      SELECT $1::bigint, (made OPERATOR(pg_catalog.->>) 0)::bigint, (made OPERATOR(pg_catalog.->>) 0)::bigint,
        (made OPERATOR(pg_catalog.->>) 1)::bigint, (made OPERATOR(pg_catalog.->>) 2)::bigint, (made OPERATOR(pg_catalog.->>) 3)::bigint, 0, 0, 0
      FROM pg_catalog.json_array_elements($2::pg_catalog.json) AS made`),
    // Of lanes that are finished one after another, the first row comes to stand for all. So the table has at most two rows for each lane that is
    // open: a claim passes over those that are finished, and they would become many behind one that is slow.
    merge: statement(`WITH numbered AS MATERIALIZED (
        SELECT t.*, pg_catalog.count(*) FILTER (WHERE t.next ${AT_MOST} t.last) OVER (ORDER BY t.lane) AS island
        FROM ${lanes} t WHERE t.import ${EQUALS} $1
      ), done AS MATERIALIZED (
        SELECT n.*, pg_catalog.row_number() OVER (PARTITION BY n.island ORDER BY n.lane) AS place FROM numbered n WHERE n.last ${LESS} n.next
      ), removed AS (
        DELETE FROM ${lanes} old USING done
        WHERE old.import ${EQUALS} $1 AND old.lane ${EQUALS} done.lane AND done.place OPERATOR(pg_catalog.>) 1
      )
      UPDATE ${lanes} AS kept SET through_lane = whole.through_lane, last = (whole.last), next = (whole.last ${PLUS} 1), lease_until = (NULL),
        rows = (whole.rows), dead_letters = (whole.dead_letters)
      FROM (SELECT pg_catalog.min(done.lane) AS lane, pg_catalog.max(done.through_lane) AS through_lane, pg_catalog.max(done.last) AS last,
        pg_catalog.sum(done.rows)::bigint AS rows, pg_catalog.sum(done.dead_letters)::bigint AS dead_letters, pg_catalog.count(*) AS lanes
        FROM done GROUP BY done.island) AS whole
      WHERE kept.import ${EQUALS} $1 AND kept.lane ${EQUALS} whole.lane AND whole.lanes OPERATOR(pg_catalog.>) 1`),
  };
}

/** What a worker does with a lane that it has claimed. None of them does anything once another worker has taken over. */
function ownStatements(lanes: string): Pick<LaneStatements, 'renew' | 'advance' | 'release' | 'leave'> {
  const isMine = `import ${EQUALS} $1 AND lane ${EQUALS} $2 AND run ${EQUALS} $3`;
  return {
    // Waits for a batch of the same worker whose connection was lost, so that what it has committed is seen.
    renew: statement(`UPDATE ${lanes} SET lease_until = ${NOW} ${PLUS} ${interval('$4')} WHERE ${isMine}
      RETURNING next::pg_catalog.text`),
    // Only from where this worker has left it: after a failover the database may have lost its last commits.
    advance:
      statement(`UPDATE ${lanes} SET next = $5::bigint, lease_until = (${NOW} ${PLUS} ${interval('$4')}),
        rows = (rows ${PLUS} $7::bigint), dead_letters = (dead_letters ${PLUS} $8::bigint)
      WHERE ${isMine} AND next ${EQUALS} $6::bigint
      RETURNING next::pg_catalog.text`),
    release: statement(`UPDATE ${lanes} SET lease_until = NULL WHERE ${isMine}`),
    leave: statement(`UPDATE ${lanes} SET lease_until = ${NOW} WHERE ${isMine}`),
  };
}

/** A lane as one worker has claimed it. */
export interface ClaimKey {
  readonly importRow: string;
  readonly lane: number;
  readonly run: number;
}

/**
 * The transaction of a batch. When the tables have been checked, it locks the lane's row first, so that nobody takes over meanwhile, even if the batch takes longer than the
 * lease. If somebody has taken over already, no row is locked, and `advance` finds none at the end.
 */
export function laneScope(
  schema: string,
  { importRow, lane, run }: ClaimKey,
  leaseMs: number,
  check: BeginningCheck['run'],
): TransactionScope {
  const begin = beginTransaction(leaseMs);
  // Returns no row, unlike SELECT … FOR UPDATE: a COPY follows in the same message.
  const lock = statement(`UPDATE ${quoteTable(schema, LANES)} SET run = run
    WHERE import ${EQUALS} '${importRow}'::bigint AND lane ${EQUALS} '${lane}'::bigint AND run ${EQUALS} '${run}'::integer`);
  return {
    isFinal: true,
    begin,
    check: { run: check, then: lock },
    restart: sequence([statement('ROLLBACK'), begin]),
    commit: statement('COMMIT'),
    rollback: statement('ROLLBACK'),
  };
}
