/** Finds the columns that flags name: by the table's name of a column, or as the input writes it. Pure. */

import { CliError } from '../common/errors.js';
import { didYouMean } from '../common/similar-names.js';

/** Names of one column. */
export interface ColumnNames {
  /** In the records of the input: of CSV after repair, of JSON the key. */
  readonly name: string;
  /** In the table. Default: `name`. */
  readonly columnName?: string | undefined;
  /** In the header. Default: `name`. */
  readonly written?: string | undefined;
}

/** Returns columns by every name that means one of them: the table's counts first, then the input's. */
export function columnsByName<Column extends ColumnNames>(columns: readonly Column[]): Map<string, Column> {
  const found = new Map<string, Column>();
  for (const column of columns) found.set(column.columnName ?? column.name, column);
  for (const column of columns) if (!found.has(column.name)) found.set(column.name, column);
  const headers = columns.flatMap(({ written }) => (written === undefined ? [] : [written]));
  const isOnly = (header: string): boolean => headers.indexOf(header) === headers.lastIndexOf(header);
  for (const column of columns) {
    const { written } = column;
    if (written !== undefined && !found.has(written) && isOnly(written)) found.set(written, column);
  }
  return found;
}

/**
 * Returns the values of a flag such as `--null-for`, by the `name` of the column that each is about.
 *
 * @throws {CliError} for a column that is not there, naming one that is similar
 */
export function valuesByColumn<Value>(
  flag: string,
  values: Readonly<Record<string, Value>>,
  columns: readonly ColumnNames[],
): Record<string, Value> {
  const entries = Object.entries(values);
  if (entries.length === 0) return {};
  const known = columnsByName(columns);
  const found = entries.map(([name, value]) => [columnFor(flag, name, known).name, value] as const);
  const names = found.map(([name]) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined)
    throw new CliError(`${flag}: the column ${JSON.stringify(twice)} is named in two ways; give one of them`);
  return Object.fromEntries(found);
}

/** @throws {CliError} for a column that is not there */
export function columnFor<Column extends ColumnNames>(
  flag: string,
  name: string,
  known: ReadonlyMap<string, Column>,
): Column {
  const column = known.get(name);
  if (column !== undefined) return column;
  const names = [...new Set(known.values())].map((each) => each.columnName ?? each.name);
  throw new CliError(
    `${flag}: ${JSON.stringify(name)} is not among the columns that are loaded${didYouMean(name, known.keys())}: ${names.join(', ')}`,
  );
}
