/** The two tables that remember what an import has committed. They lie beside the table that is loaded, and are made when first needed. */

import { quoteTable } from './identifiers.js';
import type { CopyClient } from './pool.js';

const IMPORTS = 'spillway_imports';
const RANGES = 'spillway_import_ranges';

/** Any number will do, as long as nobody else takes it: two sessions that create the tables at the same time go one after the other. */
const CREATION_LOCK = '6003378895332000089';

/** The statements, for one schema. What they answer is text, so that type parsers which the user has set change nothing here. */
export interface ImportStatements {
  readonly begin: string;
  readonly create: readonly string[];
  readonly insert: string;
  readonly find: string;
  readonly nextRun: string;
  readonly lockRun: string;
  readonly readRanges: string;
  readonly compact: string;
  readonly mark: string;
  readonly finish: string;
  readonly openRejects: string;
  readonly forget: string;
}

/** Are both there? Names of tables are looked up as the server would, and never made part of a statement unquoted. */
const FIND_TABLES =
  'SELECT (pg_catalog.to_regclass($1) IS NOT NULL AND pg_catalog.to_regclass($2) IS NOT NULL)::text AS found';

export async function ensureTables(
  client: CopyClient,
  schema: string,
  statements: ImportStatements,
): Promise<void> {
  // Looked for first: to create one that exists needs the right to create, which those who may only load need not have.
  const names = [quoteTable(schema, IMPORTS), quoteTable(schema, RANGES)];
  const { rows } = await client.query(FIND_TABLES, names);
  if ((rows[0] as { found: string }).found === 'true') return;
  await client.query('SELECT pg_catalog.pg_advisory_xact_lock($1)', [CREATION_LOCK]);
  for (const statement of statements.create) await client.query(statement);
}

/** Whether an error says that a batch has been marked already. */
export function isMarkedTwice(error: unknown): boolean {
  const { code, table } = error as { code?: unknown; table?: unknown };
  return code === '23505' && table === RANGES;
}

/** How long a server waits for COMMIT after a batch was marked. Shorter than others wait for that batch's lock. */
const MARKED_LIMIT = '20s';

export function importStatements(schema: string): ImportStatements {
  const imports = quoteTable(schema, IMPORTS);
  const ranges = quoteTable(schema, RANGES);
  // Ranges that overlap or touch form an island.
  const islands = `
    SELECT *, count(*) FILTER (WHERE reach IS NULL OR first_position::numeric - 1 > reach) OVER (ORDER BY first_position) AS island
    FROM (
      SELECT first_position, last_position, rows, rejected,
        max(last_position) OVER (ORDER BY first_position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reach
      FROM ${ranges} WHERE import = $1
    ) AS ordered`;
  return {
    // Whoever has waited for a lock must see what was committed meanwhile, whatever the session's own default is.
    begin: 'BEGIN ISOLATION LEVEL READ COMMITTED',
    create: [
      `CREATE TABLE IF NOT EXISTS ${imports} (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        import_id text NOT NULL UNIQUE,
        table_name text NOT NULL,
        source json,
        run integer NOT NULL DEFAULT 1,
        started_at timestamptz NOT NULL DEFAULT now(),
        finished_at timestamptz
      )`,
      `CREATE TABLE IF NOT EXISTS ${ranges} (
        import bigint NOT NULL REFERENCES ${imports} ON DELETE CASCADE,
        first_position bigint NOT NULL,
        last_position bigint NOT NULL,
        rows bigint NOT NULL,
        rejected bigint NOT NULL,
        rejects json,
        PRIMARY KEY (import, first_position)
      )`,
    ],
    // Ids begin anew where the one table was dropped alone, by DROP … CASCADE: what the other has kept would pass for this import's.
    insert: `WITH made AS (
        INSERT INTO ${imports} (import_id, table_name, source) VALUES ($1, $2, $3) ON CONFLICT (import_id) DO NOTHING
        RETURNING id, run
      ), orphans AS (
        DELETE FROM ${ranges} USING made WHERE import = id
      )
      SELECT id::text, run::text FROM made`,
    // Waits for batches of an earlier run that are marked and about to be committed.
    find: `SELECT id::text, table_name, source::text, (finished_at IS NOT NULL)::text AS is_finished
      FROM ${imports} WHERE import_id = $1 FOR NO KEY UPDATE`,
    nextRun: `UPDATE ${imports} SET run = run + 1 WHERE id = $1 RETURNING run::text`,
    lockRun: `SELECT id::text FROM ${imports} WHERE id = $1 AND run = $2 FOR NO KEY UPDATE`,
    readRanges: `SELECT min(first_position)::text AS first, max(last_position)::text AS last, sum(rows)::text AS rows,
        sum(rejected)::text AS rejected, (count(*) FILTER (WHERE rejected = 0))::text AS plain
      FROM (${islands}) AS found GROUP BY island ORDER BY min(first_position)`,
    // Each island's first row comes to stand for the whole; of the others only those go that hold no rejects.
    compact: `WITH placed AS (
        SELECT first_position, rejected, island,
          row_number() OVER within AS place, max(last_position) OVER whole AS island_last,
          sum(rows) FILTER (WHERE rejected = 0) OVER whole AS plain_rows
        FROM (${islands}) AS found
        WINDOW whole AS (PARTITION BY island), within AS (PARTITION BY island ORDER BY first_position)
      ), removed AS (
        DELETE FROM ${ranges} AS old USING placed
        WHERE old.import = $1 AND old.first_position = placed.first_position AND placed.place > 1 AND placed.rejected = 0
      )
      UPDATE ${ranges} AS kept SET last_position = placed.island_last,
        rows = CASE WHEN placed.rejected = 0 THEN 0 ELSE kept.rows END + coalesce(placed.plain_rows, 0)
      FROM placed
      WHERE kept.import = $1 AND kept.first_position = placed.first_position AND placed.place = 1`,
    // The shared lock lasts until COMMIT has taken effect: the next run waits for it, and so sees the batch or supersedes it.
    mark: `INSERT INTO ${ranges} (import, first_position, last_position, rows, rejected, rejects)
      SELECT id, $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::json FROM ${imports} WHERE id = $1 AND run = $2 FOR SHARE
      RETURNING pg_catalog.set_config('idle_in_transaction_session_timeout', '${MARKED_LIMIT}', true)`,
    finish: `UPDATE ${imports} SET finished_at = coalesce(finished_at, now()) WHERE id = $1 AND run = $2 RETURNING id::text`,
    openRejects: `DECLARE spillway_rejects NO SCROLL CURSOR FOR
      SELECT entry ->> 1 AS reject
      FROM ${ranges}, pg_catalog.json_array_elements(rejects) AS entry
      WHERE import = $1 ORDER BY (entry ->> 0)::bigint`,
    forget: `DELETE FROM ${imports} WHERE id = $1 AND run = $2 AND NOT EXISTS (SELECT FROM ${ranges} WHERE import = $1)
      RETURNING id::text`,
  };
}
