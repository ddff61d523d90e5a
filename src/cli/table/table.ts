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
import { didYouMean } from '../common/similar-names.js';
import { snakeCase } from '../common/snake-case.js';
import type { InputName } from './input-names.js';
import type { LoadOptions } from '../args/options.js';
import { showTable, type TableName } from '../args/table-name.js';
import { columnFor, columnsByName, type ColumnNames } from './flag-columns.js';
import { cutNames, numbered, serverNames } from './server-names.js';

/** A column of the table that is loaded, with the name that the input has for it. */
export interface LoadColumn extends TableColumn {
  /** The column's name in the table: that of the input, cut to the server's longest name. */
  readonly columnName: string;
  /** The name in the header; undefined if it is `name`. */
  readonly written?: string | undefined;
  /** `--type` says its type: it is never widened. */
  readonly hasGivenType?: boolean;
  /** The name that was too long for the server. */
  readonly cutFrom?: string | undefined;
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
export function throwMissingTable(name: TableName, source = 'the input'): never {
  throw new CliError(`there is no table ${showTable(name)}; --create makes it from ${source}`);
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
  normalizes = false,
): Promise<LoadColumn[]> {
  const loadable = table.columns.filter(({ isGenerated }) => !isGenerated);
  if (names === undefined) return loadable.map((column) => ({ ...column, columnName: column.name }));
  const found = existingNames(table, names, normalizes);
  const given = names.map((input, index) => found[index] ?? wantedName(input));
  const columnNames = await serverNamesFor(pool, table, names, given);
  const byName = new Map(loadable.map((column) => [column.name, column]));
  return names.map((input, index) => {
    const columnName = columnNames[index]!;
    const column = byName.get(columnName);
    if (column === undefined) throw noSuchColumn(table, input);
    const cutFrom = columnName === given[index] ? undefined : given[index];
    const hasGivenType = input.givenType !== undefined;
    return { ...column, name: input.name, columnName, written: input.written, hasGivenType, cutFrom };
  });
}

/** Names are cut only if the table lacks one of them: most tables have them as they are. */
async function serverNamesFor(
  pool: CopyPool,
  table: TableDescription,
  names: readonly InputName[],
  given: readonly string[],
): Promise<readonly string[]> {
  const existing = new Set(table.columns.map(({ name }) => name));
  if (given.every((name) => existing.has(name))) return given;
  const columnNames = await withClient(pool, (client) => serverNames(client, given));
  names.forEach((input, index) => {
    const columnName = columnNames[index]!;
    // `--create` has numbered one of two cut names. The other one is not in this input, so that either column may be meant.
    const twin = numbered(columnName, 2);
    if (columnName === given[index] || !existing.has(twin) || columnNames.includes(twin)) return;
    throw ambiguous(input, "is longer than the server's longest, and", [columnName, twin]);
  });
  return columnNames;
}

/** Returns the first of the names that the server would cut. */
export async function firstCut(pool: CopyPool, names: readonly InputName[]): Promise<string | undefined> {
  const given = names.map(wantedName);
  const cut = await withClient(pool, (client) => cutNames(client, given));
  return given.find((name, index) => name !== cut[index]);
}

/** Returns the name that the column should have in the table. */
export function wantedName({ name, columnName = name }: InputName): string {
  return columnName;
}

/**
 * Returns the table's own names of columns that it has, in the order of the input's names; undefined for the others. Pure.
 *
 * With `--normalize-names`, a column counts also if its name in snake_case is that of the input.
 *
 * @throws {CliError} for a name that may stand for several columns
 */
function existingNames(
  { columns }: Pick<TableDescription, 'columns'>,
  names: readonly InputName[],
  normalizes: boolean,
): (string | undefined)[] {
  const existing = new Set(columns.map(({ name }) => name));
  const wanted = names.map(wantedName);
  const columnsIn = (name: string): string[] =>
    normalizes ? [...existing].filter((column) => snakeCase(column) === name) : [];
  return names.map((input, index) => {
    const name = wanted[index]!;
    const { written = input.name } = input;
    const found = existing.has(name) ? [name] : columnsIn(name);
    // `--create` has numbered one of two names that are the same in snake_case. The other one is not in this input.
    const twin = `${name}_2`;
    if (normalizes && written !== name && existing.has(twin) && !wanted.includes(twin)) found.push(twin);
    if (found.length > 1)
      throw ambiguous({ ...input, name: written }, `is ${JSON.stringify(name)} in snake_case, and`, found);
    return found[0];
  });
}

function ambiguous(input: InputName, why: string, columns: readonly string[]): CliError {
  const list = columns.map((column) => JSON.stringify(column)).join(' or ');
  return atInput(
    input,
    `the name ${JSON.stringify(input.name)} ${why} may stand for the column ${list}; give the columns' own names by --columns`,
  );
}

/** @returns an error that names a similar column, if there is one */
function noSuchColumn(table: Pick<TableDescription, 'table' | 'columns'>, input: InputName): CliError {
  const { written = input.name } = input;
  const loadable = table.columns.filter(({ isGenerated }) => !isGenerated).map(({ name }) => name);
  const isGenerated = table.columns.some(({ name }) => name === wantedName(input));
  const what = isGenerated
    ? `the column ${JSON.stringify(wantedName(input))} of "${table.table}" is computed by the server and cannot be loaded`
    : `the table "${table.table}" has no column ${JSON.stringify(written)}${didYouMean(written, loadable)}`;
  const help = input.file === undefined ? '' : ' (--columns says what is loaded)';
  return atInput(input, `${what}; it takes ${loadable.join(', ')}${help}`);
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
  columns: readonly (ColumnNames & Pick<LoadColumn, 'columnName'>)[],
): string[] | undefined {
  const known = columnsByName(columns);
  return key?.map((name) => columnFor('--key', name, known).columnName);
}

/** Names that a note lists. */
const MOST_LISTED = 5;

/** Returns notes on the names that the server has cut, or that are in snake_case now. */
export function nameNotes(
  { table: name, normalizeNames }: Pick<LoadOptions, 'table' | 'normalizeNames'>,
  table: TableDescription,
  columns: readonly LoadColumn[],
): string[] {
  const notes = columns.flatMap(({ cutFrom, columnName }) =>
    cutFrom === undefined ? [] : [cutNote('column', cutFrom, columnName)],
  );
  const changed = columns.filter(
    ({ name, written = name, columnName }) => written !== '' && written !== columnName,
  );
  if (normalizeNames && changed.length > 0) {
    const list = changed
      .slice(0, MOST_LISTED)
      .map(
        ({ name, written = name, columnName }) =>
          `${JSON.stringify(written)} is ${JSON.stringify(columnName)}`,
      );
    notes.push(`names in snake_case: ${list.join(', ')}${changed.length > MOST_LISTED ? ' …' : ''}`);
  }
  if (name.table !== table.table) notes.unshift(cutNote('table', name.table, table.table));
  return notes;
}

function cutNote(what: string, name: string, kept: string): string {
  return `the ${what} name ${JSON.stringify(name)} is longer than the server's longest; the ${what} is ${JSON.stringify(kept)}`;
}
