/** The table to load into: looked up, made where that was asked for, and held against the input's names. */

import { messageOf } from '../errors.js';
import { describeTable, type TableColumn, type TableDescription } from '../postgres/catalogue.js';
import { CopyError } from '../postgres/copy-error.js';
import { quoteIdentifier, quoteTable } from '../postgres/identifiers.js';
import type { CopyClient, CopyPool } from '../postgres/pool.js';
import { CliError, ExitCode, InputError, oneLine } from './errors.js';
import type { InputName } from './preview.js';
import { showTable, type TableName } from './table-name.js';

/** Undefined where there is no such table. */
export async function findTable(pool: CopyPool, name: TableName): Promise<TableDescription | undefined> {
  return withClient(pool, async (client) => {
    try {
      return await describeTable(client, name.schema, name.table);
    } catch (error) {
      if (error instanceof CopyError && error.sqlState === '42P01') return undefined;
      throw error;
    }
  });
}

/** @throws {CliError} always: there is no such table. */
export function refuseMissingTable(name: TableName): never {
  throw new CliError(`there is no table ${showTable(name)}; --create makes it from the input`);
}

/** Makes the table, all columns nullable. One that somebody else has made meanwhile stays as it is. */
export async function createTable(
  pool: CopyPool,
  name: TableName,
  columns: readonly InputName[],
): Promise<TableDescription> {
  if (columns.length === 0) {
    throw new CliError(
      `the table ${showTable(name)} cannot be made: the input has no records to infer its columns from`,
    );
  }
  const list = columns.map((column) => `${quoteIdentifier(column.name)} ${column.type}`).join(', ');
  await withClient(pool, (client) =>
    client.query(`CREATE TABLE IF NOT EXISTS ${quoteTable(name.schema, name.table)} (${list})`),
  );
  const table = await findTable(pool, name);
  return table ?? refuseMissingTable(name);
}

export async function truncateTable(client: CopyClient, table: TableDescription): Promise<void> {
  await client.query(`TRUNCATE ${quoteTable(table.schema, table.table)}`);
}

/** @throws {CliError} in the server's words */
export async function withClient<Result>(
  pool: CopyPool,
  use: (client: CopyClient) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect();
  try {
    return await use(client);
  } catch (error) {
    throw error instanceof CliError ? error : new CliError(oneLine(messageOf(error)), ExitCode.FAILED, error);
  } finally {
    client.release();
  }
}

/**
 * The table's columns for the input's names, in the names' order; without names all columns that can be loaded.
 *
 * @throws {CliError} for a name that the table does not have, or whose column the server computes.
 */
export function columnsFor(table: TableDescription, names: readonly InputName[] | undefined): TableColumn[] {
  const loadable = table.columns.filter(({ isGenerated }) => !isGenerated);
  if (names === undefined) return loadable;
  return names.map(({ name, file, line }) => {
    const column = loadable.find((candidate) => candidate.name === name);
    if (column !== undefined) return column;
    const generated = table.columns.some((candidate) => candidate.name === name);
    const what = generated
      ? `the column ${JSON.stringify(name)} of "${table.table}" is computed by the server and cannot be loaded`
      : `the table "${table.table}" has no column ${JSON.stringify(name)}`;
    const message = `${what}; it takes ${loadable.map((candidate) => candidate.name).join(', ')}`;
    throw file === undefined ? new CliError(`--columns: ${message}`) : new InputError(file, line, message);
  });
}

/** @throws {CliError} for a column of `--key` that is not loaded: a row would have no key. */
export function checkKey(key: readonly string[] | undefined, columns: readonly TableColumn[]): void {
  const unknown = key?.find((name) => columns.every((column) => column.name !== name));
  if (unknown === undefined) return;
  const names = columns.map(({ name }) => name).join(', ');
  throw new CliError(`--key: ${JSON.stringify(unknown)} is not among the columns that are loaded: ${names}`);
}
