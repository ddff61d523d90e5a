/**
 * The statements of a batch: straight into the table, or, for an upsert, into a temporary table and from there. Names are quoted; values
 * never become part of a statement. Pure.
 */

import type { TableColumn } from './catalogue.js';
import { CopyError } from './copy-error.js';
import { quoteIdentifier, quoteLiteral, quoteTable } from './identifiers.js';

/** How the rows of a COPY are written: what stands in its parentheses. */
export type CopyFormat = string;

/** Our own text: tabs, `\N` for NULL. */
export const TEXT_FORMAT: CopyFormat = "FORMAT text, ENCODING 'UTF8'";

export const BINARY_FORMAT: CopyFormat = 'FORMAT binary';

/** The server's own CSV, or its text format with another delimiter and another NULL than usual. Both are given by the user. */
export function delimitedFormat(format: 'csv' | 'text', delimiter: string, nullText: string): CopyFormat {
  return `FORMAT ${format}, DELIMITER ${quoteLiteral(delimiter)}, NULL ${quoteLiteral(nullText)}, ENCODING 'UTF8'`;
}

/** What becomes of a row whose key the table holds already. */
export type ConflictRule =
  | { onConflict: 'error' }
  /** Without a key: whichever unique constraint it would break. */
  | { onConflict: 'ignore'; key: readonly string[] | undefined }
  | { onConflict: 'update'; key: readonly string[] };

export interface CopyPlan {
  copy(format: CopyFormat): string;
  /** The table that the server names where a row of the COPY is at fault. */
  copiedTable: string;
  /** Upsert: the way over a temporary table. */
  staging: Staging | undefined;
}

export interface Staging {
  /** Once in a transaction, before the first COPY. */
  create: string;
  /** Before each further COPY. */
  empty: string;
  /** After each COPY: its rows go into the table. */
  merge: string;
}

/** The temporary table's name: in `pg_temp`, so it hides nothing and cannot be anybody else's. */
const STAGING_TABLE = 'spillway_batch';

/**
 * @param secured the same columns, if row-level security applies: the server takes no COPY FROM into such a table
 * @throws {CopyError} `setup`, where the key is not among the columns
 */
export function planCopy(
  target: { schema: string; table: string },
  names: readonly string[],
  conflict: ConflictRule,
  secured?: readonly Pick<TableColumn, 'name' | 'sqlType'>[],
): CopyPlan {
  const table = quoteTable(target.schema, target.table);
  const list = listOf(names);
  if (conflict.onConflict === 'error') {
    return secured === undefined
      ? { copy: copyInto(table, list), copiedTable: target.table, staging: undefined }
      : planInsert(table, list, secured);
  }
  for (const name of conflict.key ?? []) {
    if (!names.includes(name)) throw keyNotLoaded(target.table, name);
  }
  const staging = quoteTable('pg_temp', STAGING_TABLE);
  return {
    copy: copyInto(staging, list),
    copiedTable: STAGING_TABLE,
    staging: {
      // In an outer transaction the one of the batch before is still there.
      create: `DROP TABLE IF EXISTS ${staging}; CREATE TEMPORARY TABLE ${quoteIdentifier(STAGING_TABLE)} ON COMMIT DROP AS SELECT ${list} FROM ${table} WITH NO DATA`,
      // Not DELETE: in a fresh table the rows' places (ctid) are in the order in which they came.
      empty: `TRUNCATE ${staging}`,
      merge: mergeInto(table, staging, names, conflict),
    },
  };
}

/** Through a temporary table, with a plain INSERT. It reads no column of the table: the role may lack the right SELECT. */
function planInsert(
  table: string,
  list: string,
  columns: readonly Pick<TableColumn, 'name' | 'sqlType'>[],
): CopyPlan {
  const staging = quoteTable('pg_temp', STAGING_TABLE);
  const typed = columns.map(({ name, sqlType }) => `${quoteIdentifier(name)} ${sqlType}`).join(', ');
  return {
    copy: copyInto(staging, list),
    copiedTable: STAGING_TABLE,
    staging: {
      create: `DROP TABLE IF EXISTS ${staging}; CREATE TEMPORARY TABLE ${quoteIdentifier(STAGING_TABLE)} (${typed}) ON COMMIT DROP`,
      empty: `TRUNCATE ${staging}`,
      // Identity columns take what the input has for them, as COPY does.
      merge: `INSERT INTO ${table} (${list}) OVERRIDING SYSTEM VALUE SELECT ${list} FROM ${staging} ORDER BY ctid`,
    },
  };
}

function copyInto(table: string, list: string): (format: CopyFormat) => string {
  return (format) => `COPY ${table} (${list}) FROM STDIN WITH (${format})`;
}

/**
 * What the table holds is as if the rows had come one by one: of those with the same key the last one counts for `update`, the first one
 * for `ignore`. In the order of the key, so that batches which meet in the same rows do not wait for each other in a circle. Rows without a
 * whole key equal no other.
 */
function mergeInto(
  table: string,
  staging: string,
  names: readonly string[],
  conflict: Exclude<ConflictRule, { onConflict: 'error' }>,
): string {
  const list = listOf(names);
  const { key } = conflict;
  // Identity columns take what the input has for them, as COPY does.
  const insert = `INSERT INTO ${table} (${list}) OVERRIDING SYSTEM VALUE`;
  if (key === undefined) {
    return `${insert} SELECT ${list} FROM ${staging} ORDER BY ctid ON CONFLICT DO NOTHING`;
  }
  const keys = listOf(key);
  const place = quoteIdentifier(freeName('spillway_place', names));
  const order = conflict.onConflict === 'update' ? 'DESC' : 'ASC';
  const ranked = `SELECT ${list}, row_number() OVER (PARTITION BY ${keys} ORDER BY ctid ${order}) AS ${place} FROM ${staging}`;
  const isAlone = key.map((name) => ` OR ${quoteIdentifier(name)} IS NULL`).join('');
  const others = names.filter((name) => !key.includes(name));
  const action =
    conflict.onConflict === 'ignore' || others.length === 0
      ? 'NOTHING'
      : `UPDATE SET ${others.map((name) => `${quoteIdentifier(name)} = EXCLUDED.${quoteIdentifier(name)}`).join(', ')}`;
  return (
    `${insert} SELECT ${list} FROM (${ranked}) AS batch WHERE ${place} = 1${isAlone} ORDER BY ${keys} ` +
    `ON CONFLICT (${keys}) DO ${action}`
  );
}

function listOf(names: readonly string[]): string {
  return names.map(quoteIdentifier).join(', ');
}

function freeName(wanted: string, names: readonly string[]): string {
  let name = wanted;
  while (names.includes(name)) name += '_';
  return name;
}

function keyNotLoaded(table: string, name: string): CopyError {
  const message = `option 'key' names ${JSON.stringify(name)}, which is not among the columns that are loaded into table ${JSON.stringify(table)}`;
  return new CopyError(message, { failureClass: 'setup', sqlState: '42703', table, column: name });
}
