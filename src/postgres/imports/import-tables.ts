/** Makes and checks the tables that record what an import has committed. They lie in the schema of the table that is loaded. */

import { CopyError } from '../errors/copy-error.js';
import { quoteTable } from '../sql/identifiers.js';
import {
  distrust,
  IMPORT_TABLES,
  RANGES,
  type BookkeepingTables,
  type TableFacts,
} from './bookkeeping-trust.js';
import type { CopyClient } from '../protocol/pool.js';
import { inspectTables, lockAndInspectTables } from './bookkeeping-facts.js';
import { rowsOfLast, runStatement, statement, type Statement } from '../sql/statement.js';

/** Any number will do, as long as nobody else takes it: two sessions that create the tables at the same time go one after the other. */
const CREATION_LOCK = '6003378895332000089';

const LOCK_CREATION = statement('SELECT pg_catalog.pg_advisory_xact_lock($1)');

/** The table that is loaded; the bookkeeping lies in the same schema. */
export interface LoadedTable {
  readonly schema: string;
  readonly table: string;
}

/** @throws {CopyError} `setup`, if another role could run code or forge rows by them; see `distrust` */
export async function ensureTables(
  client: CopyClient,
  loaded: LoadedTable,
  create: readonly Statement[],
  tables: BookkeepingTables = IMPORT_TABLES,
): Promise<void> {
  // Looked for first: to create one that exists needs the right to create, which those who may only load need not have.
  const look = inspectTables(loaded.schema, loaded.table, [...tables.keys()]);
  const found = await inspect(client, loaded, look, tables);
  if (found < tables.size) {
    await runStatement(client, LOCK_CREATION, [CREATION_LOCK]);
    for (const statement of create) await runStatement(client, statement);
  }
  await checkTables(client, loaded, tables);
}

/**
 * To be called in each transaction that uses the tables, before it does. They are locked until its end, so that what was checked stays.
 *
 * @throws {CopyError} as `ensureTables`
 */
export async function checkTables(
  client: CopyClient,
  loaded: LoadedTable,
  tables: BookkeepingTables = IMPORT_TABLES,
): Promise<void> {
  const names = [...tables.keys()];
  const look = lockAndInspectTables(loaded.schema, loaded.table, names);
  const found = await inspect(client, loaded, look, tables);
  if (found === tables.size) return;
  throw new CopyError(
    `the tables ${names.join(' and ')} are no longer in schema ${JSON.stringify(loaded.schema)}`,
    {
      failureClass: 'setup',
      table: loaded.table,
    },
  );
}

/** @returns how many of them there are */
async function inspect(
  client: CopyClient,
  { schema, table }: LoadedTable,
  text: Statement,
  tables: BookkeepingTables,
): Promise<number> {
  const rows = (await rowsOfLast(client, text)) as { fact: string }[];
  for (const { fact } of rows) {
    const facts = JSON.parse(fact) as TableFacts;
    const reason = distrust(facts, quoteTable(schema, table), tables);
    if (reason === undefined) continue;
    throw new CopyError(
      `the table ${quoteTable(schema, facts.name)} is not trusted to hold what imports have committed: ${reason}`,
      { failureClass: 'setup', table },
    );
  }
  return rows.length;
}

/** True if another session has made a table of this name meanwhile. It is then checked like any table that is found. */
export function isMadeMeanwhile(error: unknown): boolean {
  const { code, schema } = error as { code?: unknown; schema?: unknown };
  return code === '42P07' || code === '42710' || (code === '23505' && schema === 'pg_catalog');
}

/** True if an error says that a batch has a checkpoint already. */
export function isDuplicateCheckpoint(error: unknown): boolean {
  const { code, table } = error as { code?: unknown; table?: unknown };
  return code === '23505' && table === RANGES;
}
