/** The table to load into: finds it, and matches its columns with the input's names. */

import { messageOf, toError } from '../../common/thrown.js';
import { ClientLease } from '../../postgres/connection/client-lease.js';
import { describeTable, type TableColumn, type TableDescription } from '../../postgres/table/catalogue.js';
import { CopyError } from '../../postgres/errors/copy-error.js';
import { quoteTable } from '../../postgres/sql/identifiers.js';
import type { CopyClient, CopyPool } from '../../postgres/protocol/pool.js';
import { leavesConnectionUsable } from '../../postgres/errors/sqlstate.js';
import { runStatement } from '../../postgres/sql/statement.js';
import { truncateTable as truncation } from '../../postgres/sql/table-statements.js';
import { inTime } from '../server/answer-time.js';
import { CliError, ExitCode, InputError, oneLine } from '../common/errors.js';
import type { InputName } from './preview.js';
import { showTable, type TableName } from '../args/table-name.js';
import { cutNames, numbered, serverNames } from './server-names.js';

/** A column of the table that is loaded, with the name that the input has for it. */
export interface LoadColumn extends TableColumn {
  /** The column's name in the table: that of the input, cut to the server's longest name. */
  readonly columnName: string;
}

/** Returns undefined if there is no such table. A name that is too long is cut as the server cuts it. */
export async function findTable(pool: CopyPool, name: TableName): Promise<TableDescription | undefined> {
  return withClient(pool, async (client) => {
    const found = await describeIfFound(client, name);
    if (found !== undefined) return found;
    const cut = await serverTableName(client, name);
    return cut.table === name.table && cut.schema === name.schema ? undefined : describeIfFound(client, cut);
  });
}

async function describeIfFound(client: CopyClient, name: TableName): Promise<TableDescription | undefined> {
  try {
    return await describeTable(client, name.schema, name.table);
  } catch (error) {
    if (error instanceof CopyError && error.sqlState === '42P01') return undefined;
    throw error;
  }
}

/** The name that the server keeps for a table of this name. */
export async function serverTableName(client: CopyClient, { schema, table }: TableName): Promise<TableName> {
  const [cutTable, cutSchema] = await cutNames(client, schema === undefined ? [table] : [table, schema]);
  return { schema: cutSchema, table: cutTable! };
}

/** @throws {CliError} always: there is no such table. */
export function throwMissingTable(name: TableName): never {
  throw new CliError(`there is no table ${showTable(name)}; --create makes it from the input`);
}

export async function truncateTable(client: CopyClient, table: TableDescription): Promise<void> {
  await runStatement(client, truncation(quoteTable(table.schema, table.table)));
}

/** Runs `use` with a client of the pool. @throws {CliError} with the server's message */
export async function withClient<Result>(
  pool: CopyPool,
  use: (client: CopyClient) => Promise<Result>,
): Promise<Result> {
  const lease = await ClientLease.take(pool, new AbortController().signal);
  try {
    const result = await inTime(use(lease.client));
    lease.release();
    return result;
  } catch (error) {
    if (isUsableAfter(error)) lease.release();
    else lease.discard(toError(error));
    throw error instanceof CliError ? error : new CliError(oneLine(messageOf(error)), ExitCode.FAILED, error);
  }
}

/** Returns whether the server has answered, so that the connection can be used again. */
function isUsableAfter(error: unknown): boolean {
  if (error instanceof CopyError) return true;
  return error instanceof Error && leavesConnectionUsable(error);
}

/**
 * Returns the table's columns for the input's names, in the names' order; without names, all columns that can be loaded.
 *
 * @throws {CliError} for a name that the table does not have, or whose column the server computes.
 */
export async function columnsFor(
  pool: CopyPool,
  table: TableDescription,
  names: readonly InputName[] | undefined,
): Promise<LoadColumn[]> {
  const loadable = table.columns.filter(({ isGenerated }) => !isGenerated);
  if (names === undefined) return loadable.map((column) => ({ ...column, columnName: column.name }));
  const columnNames = await columnNamesFor(pool, table, names);
  const byName = new Map(loadable.map((column) => [column.name, column]));
  return names.map((input, index) => {
    const columnName = columnNames[index]!;
    const column = byName.get(columnName);
    if (column === undefined) throw noSuchColumn(table, loadable, input);
    return { ...column, name: input.name, columnName };
  });
}

/** Names are cut only if the table lacks one of them: most tables have them as they are. */
async function columnNamesFor(
  pool: CopyPool,
  table: TableDescription,
  names: readonly InputName[],
): Promise<string[]> {
  const given = names.map(({ name }) => name);
  const existing = new Set(table.columns.map(({ name }) => name));
  if (given.every((name) => existing.has(name))) return given;
  const columnNames = await withClient(pool, (client) => serverNames(client, given));
  names.forEach((input, index) => {
    const columnName = columnNames[index]!;
    // `--create` has numbered one of two cut names. The other one is not in this input, so that either column may be meant.
    const twin = numbered(columnName, 2);
    if (columnName === input.name || !existing.has(twin) || columnNames.includes(twin)) return;
    throw atInput(
      input,
      `the name ${JSON.stringify(input.name)} is longer than the server's longest, and may stand for the column ` +
        `${JSON.stringify(columnName)} or ${JSON.stringify(twin)}; give the columns' own names by --columns`,
    );
  });
  return columnNames;
}

function noSuchColumn(table: TableDescription, loadable: readonly TableColumn[], input: InputName): CliError {
  const generated = table.columns.some((candidate) => candidate.name === input.name);
  const what = generated
    ? `the column ${JSON.stringify(input.name)} of "${table.table}" is computed by the server and cannot be loaded`
    : `the table "${table.table}" has no column ${JSON.stringify(input.name)}`;
  return atInput(input, `${what}; it takes ${loadable.map((candidate) => candidate.name).join(', ')}`);
}

function atInput({ file, line }: InputName, message: string): CliError {
  return file === undefined ? new CliError(`--columns: ${message}`) : new InputError(file, line, message);
}

/**
 * Returns the table's own names for the columns of `--key`.
 *
 * @throws {CliError} for a column that is not loaded: a row would have no key.
 */
export function keyColumns(
  key: readonly string[] | undefined,
  columns: readonly LoadColumn[],
): string[] | undefined {
  return key?.map((name) => {
    const column = columns.find((candidate) => candidate.name === name || candidate.columnName === name);
    if (column !== undefined) return column.columnName;
    const names = columns.map((candidate) => candidate.name).join(', ');
    throw new CliError(`--key: ${JSON.stringify(name)} is not among the columns that are loaded: ${names}`);
  });
}

/** Returns notes on the names that the server has cut. */
export function nameNotes(
  name: TableName,
  table: TableDescription,
  columns: readonly LoadColumn[],
): string[] {
  const notes = columns
    .filter((column) => column.name !== column.columnName)
    .map((column) => cutNote('column', column.name, column.columnName));
  if (name.table !== table.table) notes.unshift(cutNote('table', name.table, table.table));
  return notes;
}

function cutNote(what: string, name: string, kept: string): string {
  return `the ${what} name ${JSON.stringify(name)} is longer than the server's longest; the ${what} is ${JSON.stringify(kept)}`;
}
