/**
 * The statements of the import's bookkeeping, for one schema. What they return is text, so that type parsers which the user has set change
 * nothing here.
 */

import { quoteTable } from '../sql/identifiers.js';
import { EQUALS, sequence, statement, type Statement } from '../sql/statement.js';
import { IMPORTS, RANGES } from './bookkeeping-trust.js';

export interface ImportStatements {
  readonly begin: Statement;
  readonly create: readonly Statement[];
  readonly insert: Statement;
  readonly find: Statement;
  readonly nextRun: Statement;
  readonly lockRun: Statement;
  readonly readRanges: Statement;
  readonly compact: Statement;
  readonly checkpoint: Statement;
  readonly finish: Statement;
  /** For a transaction that locks nothing: it may be idle for longer than `begin` allows. */
  readonly liftSilenceLimit: Statement;
  readonly openRejects: Statement;
  readonly forget: Statement;
  readonly startOver: Statement;
  readonly forgetRanges: Statement;
}

/** How long a server waits for the next statement of a session that has locked an import. Shorter than others wait for that lock. */
const SILENCE_LIMIT = '20s';

/** An import, as long as no later run has taken over. */
const IS_RUN = `id ${EQUALS} $1 AND run ${EQUALS} $2`;

export function importStatements(schema: string): ImportStatements {
  const imports = quoteTable(schema, IMPORTS);
  const ranges = quoteTable(schema, RANGES);
  return {
    begin: sequence([
      // After a wait for a lock, a session must see what was committed meanwhile, whatever its own default is.
      statement('BEGIN ISOLATION LEVEL READ COMMITTED'),
      statement(`SET LOCAL idle_in_transaction_session_timeout TO '${SILENCE_LIMIT}'`),
    ]),
    liftSilenceLimit: statement('SET LOCAL idle_in_transaction_session_timeout TO DEFAULT'),
    create: createStatements(imports, ranges),
    ...runStatements(imports, ranges),
    ...rangeStatements(imports, ranges),
  };
}

function createStatements(imports: string, ranges: string): Statement[] {
  return [
    statement(`CREATE TABLE IF NOT EXISTS ${imports} (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      import_id pg_catalog.text NOT NULL UNIQUE,
      table_name pg_catalog.text NOT NULL,
      source pg_catalog.json,
      run integer NOT NULL DEFAULT 1,
      started_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now(),
      finished_at pg_catalog.timestamptz
    )`),
    statement(`CREATE TABLE IF NOT EXISTS ${ranges} (
      import bigint NOT NULL REFERENCES ${imports} ON DELETE CASCADE,
      first_position bigint NOT NULL,
      last_position bigint NOT NULL,
      rows bigint NOT NULL,
      rejected bigint NOT NULL,
      rejects pg_catalog.json,
      PRIMARY KEY (import, first_position)
    )`),
  ];
}

/** The row of an import: which run of it is on, and whether it is finished. */
function runStatements(
  imports: string,
  ranges: string,
): Pick<ImportStatements, 'insert' | 'find' | 'nextRun' | 'lockRun' | 'finish' | 'forget' | 'startOver'> {
  return {
    // If only the one table was dropped, by DROP … CASCADE, its ids begin again: rows of the other would pass for this import's.
    insert: statement(`WITH made AS (
        INSERT INTO ${imports} (import_id, table_name, source) VALUES ($1, $2, $3) ON CONFLICT (import_id) DO NOTHING
        RETURNING id, run
      ), orphans AS (
        DELETE FROM ${ranges} USING made WHERE import ${EQUALS} id
      )
      SELECT id::pg_catalog.text, run::pg_catalog.text FROM made`),
    // Waits for batches of an earlier run that have written their checkpoints and are about to be committed.
    find: statement(`SELECT id::pg_catalog.text, table_name, source::pg_catalog.text, (finished_at IS NOT NULL)::pg_catalog.text AS is_finished
      FROM ${imports} WHERE import_id ${EQUALS} $1 FOR NO KEY UPDATE`),
    nextRun: statement(
      `UPDATE ${imports} SET run = run OPERATOR(pg_catalog.+) 1 WHERE id ${EQUALS} $1 RETURNING run::pg_catalog.text`,
    ),
    lockRun: statement(`SELECT id::pg_catalog.text FROM ${imports} WHERE ${IS_RUN} FOR NO KEY UPDATE`),
    finish: statement(
      `UPDATE ${imports} SET finished_at = coalesce(finished_at, pg_catalog.now()) WHERE ${IS_RUN} RETURNING id::pg_catalog.text`,
    ),
    // As a run of its own: what is left of the batches before cannot be committed any more.
    startOver:
      statement(`UPDATE ${imports} SET run = run OPERATOR(pg_catalog.+) 1, source = $3::pg_catalog.json
      WHERE ${IS_RUN} RETURNING run::pg_catalog.text`),
    forget:
      statement(`DELETE FROM ${imports} WHERE ${IS_RUN} AND NOT EXISTS (SELECT FROM ${ranges} WHERE import ${EQUALS} $1)
      RETURNING id::pg_catalog.text`),
  };
}

/** The ranges of positions that an import has committed, and the rejects within them. */
function rangeStatements(
  imports: string,
  ranges: string,
): Pick<ImportStatements, 'readRanges' | 'compact' | 'checkpoint' | 'openRejects' | 'forgetRanges'> {
  // Ranges that overlap or touch form an island.
  const islands = `
    SELECT *, pg_catalog.count(*) FILTER (
        WHERE reach IS NULL OR (first_position::numeric OPERATOR(pg_catalog.-) 1) OPERATOR(pg_catalog.>) reach::numeric
      ) OVER (ORDER BY first_position) AS island
    FROM (
      SELECT first_position, last_position, rows, rejected,
        pg_catalog.max(last_position) OVER (ORDER BY first_position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reach
      FROM ${ranges} WHERE import ${EQUALS} $1
    ) AS ordered`;
  return {
    readRanges:
      statement(`SELECT pg_catalog.min(first_position)::pg_catalog.text AS first, pg_catalog.max(last_position)::pg_catalog.text AS last,
        pg_catalog.sum(rows)::pg_catalog.text AS rows, pg_catalog.sum(rejected)::pg_catalog.text AS rejected,
        (pg_catalog.count(*) FILTER (WHERE rejected ${EQUALS} 0))::pg_catalog.text AS plain
      FROM (${islands}) AS found GROUP BY island ORDER BY pg_catalog.min(first_position)`),
    // Each island's first row comes to stand for the whole; of the others only those go that hold no rejects.
    compact: statement(`WITH placed AS (
        SELECT first_position, rejected, island,
          pg_catalog.row_number() OVER within AS place, pg_catalog.max(last_position) OVER whole AS island_last,
          pg_catalog.sum(rows) FILTER (WHERE rejected ${EQUALS} 0) OVER whole AS plain_rows
        FROM (${islands}) AS found
        WINDOW whole AS (PARTITION BY island), within AS (PARTITION BY island ORDER BY first_position)
      ), removed AS (
        DELETE FROM ${ranges} AS old USING placed
        WHERE old.import ${EQUALS} $1 AND old.first_position ${EQUALS} placed.first_position
          AND placed.place OPERATOR(pg_catalog.>) 1 AND placed.rejected ${EQUALS} 0
      )
      UPDATE ${ranges} AS kept SET last_position = placed.island_last,
        rows = (CASE WHEN placed.rejected ${EQUALS} 0 THEN 0 ELSE kept.rows END)::numeric OPERATOR(pg_catalog.+) coalesce(placed.plain_rows, 0)
      FROM placed
      WHERE kept.import ${EQUALS} $1 AND kept.first_position ${EQUALS} placed.first_position AND placed.place ${EQUALS} 1`),
    // The shared lock lasts until COMMIT has taken effect: the next run waits for it, and so sees the batch or supersedes it.
    checkpoint:
      statement(`INSERT INTO ${ranges} (import, first_position, last_position, rows, rejected, rejects)
      SELECT id, $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::pg_catalog.json FROM ${imports} WHERE ${IS_RUN} FOR SHARE
      RETURNING pg_catalog.set_config('idle_in_transaction_session_timeout', '${SILENCE_LIMIT}', true)`),
    forgetRanges: statement(`WITH gone AS (DELETE FROM ${ranges} WHERE import ${EQUALS} $1 RETURNING rows)
      SELECT coalesce(pg_catalog.sum(rows), 0)::pg_catalog.text AS rows FROM gone`),
    openRejects: statement(`DECLARE spillway_rejects NO SCROLL CURSOR FOR
      SELECT entry OPERATOR(pg_catalog.->>) 1 AS reject
      FROM ${ranges}, pg_catalog.json_array_elements(rejects) AS entry
      WHERE import ${EQUALS} $1 ORDER BY (entry OPERATOR(pg_catalog.->>) 0)::bigint`),
  };
}
