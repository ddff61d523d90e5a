/** The two tables that remember what an import has committed. They lie beside the table that is loaded, and are made when first needed. */

import { CopyError } from '../errors/copy-error.js';
import { quoteTable } from '../sql/identifiers.js';
import { distrust, IMPORTS, RANGES, type TableFacts } from './bookkeeping-trust.js';
import type { CopyClient } from '../protocol/pool.js';
import { inspectTables, lockAndInspectTables } from './bookkeeping-facts.js';
import { EQUALS, rowsOfLast, runStatement, statement, type Statement } from '../sql/statement.js';

/** Any number will do, as long as nobody else takes it: two sessions that create the tables at the same time go one after the other. */
const CREATION_LOCK = '6003378895332000089';

/** The statements, for one schema. What they answer is text, so that type parsers which the user has set change nothing here. */
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
  readonly openRejects: Statement;
  readonly forget: Statement;
}

const LOCK_CREATION = statement('SELECT pg_catalog.pg_advisory_xact_lock($1)');
const NAMES = [IMPORTS, RANGES];

/** The table that is loaded; the bookkeeping lies in the same schema. */
export interface LoadedTable {
  readonly schema: string;
  readonly table: string;
}

/** @throws {CopyError} `setup`, if another role could run code or forge rows by them; see `distrust` */
export async function ensureTables(
  client: CopyClient,
  loaded: LoadedTable,
  statements: ImportStatements,
): Promise<void> {
  // Looked for first: to create one that exists needs the right to create, which those who may only load need not have.
  const found = await inspect(client, loaded, inspectTables(loaded.schema, loaded.table, NAMES));
  if (found < NAMES.length) {
    await runStatement(client, LOCK_CREATION, [CREATION_LOCK]);
    for (const create of statements.create) await runStatement(client, create);
  }
  await checkTables(client, loaded);
}

/**
 * To be called in each transaction that uses the tables, before it does. They are locked until its end, so that what was checked stays.
 *
 * @throws {CopyError} as `ensureTables`
 */
export async function checkTables(client: CopyClient, loaded: LoadedTable): Promise<void> {
  const found = await inspect(client, loaded, lockAndInspectTables(loaded.schema, loaded.table, NAMES));
  if (found === NAMES.length) return;
  throw new CopyError(
    `the tables ${NAMES.join(' and ')} are no longer in schema ${JSON.stringify(loaded.schema)}`,
    {
      failureClass: 'setup',
      table: loaded.table,
    },
  );
}

/** @returns how many of them there are */
async function inspect(client: CopyClient, { schema, table }: LoadedTable, text: Statement): Promise<number> {
  const rows = (await rowsOfLast(client, text)) as { fact: string }[];
  for (const { fact } of rows) {
    const facts = JSON.parse(fact) as TableFacts;
    const reason = distrust(facts, quoteTable(schema, table));
    if (reason === undefined) continue;
    throw new CopyError(
      `the table ${quoteTable(schema, facts.name)} is not trusted to hold what imports have committed: ${reason}`,
      { failureClass: 'setup', table },
    );
  }
  return rows.length;
}

/** Whether another session made a table of this name while we did: it is looked at then, like any that is found. */
export function isMadeMeanwhile(error: unknown): boolean {
  const { code, schema } = error as { code?: unknown; schema?: unknown };
  return code === '42P07' || code === '42710' || (code === '23505' && schema === 'pg_catalog');
}

/** Whether an error says that a batch has been marked already. */
export function isDuplicateCheckpoint(error: unknown): boolean {
  const { code, table } = error as { code?: unknown; table?: unknown };
  return code === '23505' && table === RANGES;
}

/** How long a server waits for COMMIT after a batch was marked. Shorter than others wait for that batch's lock. */
const CHECKPOINT_COMMIT_LIMIT = '20s';

export function importStatements(schema: string): ImportStatements {
  const imports = quoteTable(schema, IMPORTS);
  const ranges = quoteTable(schema, RANGES);
  const isRun = `id ${EQUALS} $1 AND run ${EQUALS} $2`;
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
    // After a wait for a lock, a session must see what was committed meanwhile, whatever its own default is.
    begin: statement('BEGIN ISOLATION LEVEL READ COMMITTED'),
    create: [
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
    ],
    // If only the one table was dropped, by DROP … CASCADE, its ids begin again: rows of the other would pass for this import's.
    insert: statement(`WITH made AS (
        INSERT INTO ${imports} (import_id, table_name, source) VALUES ($1, $2, $3) ON CONFLICT (import_id) DO NOTHING
        RETURNING id, run
      ), orphans AS (
        DELETE FROM ${ranges} USING made WHERE import ${EQUALS} id
      )
      SELECT id::pg_catalog.text, run::pg_catalog.text FROM made`),
    // Waits for batches of an earlier run that are marked and about to be committed.
    find: statement(`SELECT id::pg_catalog.text, table_name, source::pg_catalog.text, (finished_at IS NOT NULL)::pg_catalog.text AS is_finished
      FROM ${imports} WHERE import_id ${EQUALS} $1 FOR NO KEY UPDATE`),
    nextRun: statement(
      `UPDATE ${imports} SET run = run OPERATOR(pg_catalog.+) 1 WHERE id ${EQUALS} $1 RETURNING run::pg_catalog.text`,
    ),
    lockRun: statement(`SELECT id::pg_catalog.text FROM ${imports} WHERE ${isRun} FOR NO KEY UPDATE`),
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
      SELECT id, $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::pg_catalog.json FROM ${imports} WHERE ${isRun} FOR SHARE
      RETURNING pg_catalog.set_config('idle_in_transaction_session_timeout', '${CHECKPOINT_COMMIT_LIMIT}', true)`),
    finish: statement(
      `UPDATE ${imports} SET finished_at = coalesce(finished_at, pg_catalog.now()) WHERE ${isRun} RETURNING id::pg_catalog.text`,
    ),
    openRejects: statement(`DECLARE spillway_rejects NO SCROLL CURSOR FOR
      SELECT entry OPERATOR(pg_catalog.->>) 1 AS reject
      FROM ${ranges}, pg_catalog.json_array_elements(rejects) AS entry
      WHERE import ${EQUALS} $1 ORDER BY (entry OPERATOR(pg_catalog.->>) 0)::bigint`),
    forget:
      statement(`DELETE FROM ${imports} WHERE ${isRun} AND NOT EXISTS (SELECT FROM ${ranges} WHERE import ${EQUALS} $1)
      RETURNING id::pg_catalog.text`),
  };
}
