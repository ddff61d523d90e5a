/** Types of `--type`: resolved by the server, which alone knows those that are not words of SQL. */

import type { TypeName } from '../args/type-name.js';
import { CliError } from '../common/errors.js';
import type { CopyClient, CopyPool } from '../../postgres/protocol/pool.js';
import { runStatement } from '../../postgres/sql/statement.js';
import { FIND_TYPES } from '../../postgres/sql/table-statements.js';
import type { TableDescription } from '../../postgres/table/catalogue.js';
import { valuesByColumn, type ColumnNames } from './flag-columns.js';
import type { InputName } from './input-names.js';
import { withClient, type LoadColumn } from './table.js';

interface FoundType {
  /** With its schema, as statements have it. */
  readonly sql: string;
  /** As messages have it. */
  readonly name: string;
}

/**
 * Returns the types of columns as a statement has them, with their schema.
 *
 * @throws {CliError} for one that the server does not know
 */
export async function typesForServer(client: CopyClient, columns: readonly InputName[]): Promise<string[]> {
  const given = columns.flatMap(({ name, givenType }) =>
    givenType === undefined ? [] : [[name, givenType] as const],
  );
  const found = await findTypes(client, given);
  return columns.map(({ name, type }) => found.get(name)?.sql ?? type);
}

/** @throws {CliError} for a column of `--type` that is not there */
export function markGivenTypes(
  columns: readonly LoadColumn[],
  types: Readonly<Record<string, TypeName>>,
): LoadColumn[] {
  const given = valuesByColumn('--type', types, columns);
  return columns.map((column) => ({ ...column, hasGivenType: Object.hasOwn(given, column.name) }));
}

/**
 * Checks that a table which was there has the types that are given: `--create` does not change it.
 *
 * @throws {CliError} naming the column and both types
 */
export async function assertGivenTypes(
  pool: CopyPool,
  { table }: TableDescription,
  types: Readonly<Record<string, TypeName>>,
  columns: readonly (ColumnNames & { readonly typeName: string })[],
): Promise<void> {
  const given = valuesByColumn('--type', types, columns);
  if (Object.keys(given).length === 0) return;
  const found = await withClient(pool, (client) => findTypes(client, Object.entries(given)));
  for (const { name, columnName = name, typeName } of columns) {
    const type = found.get(name);
    if (type === undefined || baseOf(type.name) === baseOf(typeName)) continue;
    throw new CliError(
      `--type: the table "${table}" is there, and its column ${JSON.stringify(columnName)} is ${typeName}, not ${type.name}; ` +
        'leave --type out, change the table by ALTER TABLE, or give another --table',
    );
  }
}

/** Without modifiers, which may be written in several ways: `numeric(10)` is `numeric(10,0)`. */
function baseOf(type: string): string {
  return type.replace(/\([^()]*\)/g, '').replace(/(?:\[\d*\])+$/, '[]');
}

async function findTypes(
  client: CopyClient,
  given: readonly (readonly [column: string, type: TypeName])[],
): Promise<Map<string, FoundType>> {
  const lookups = given.flatMap(([, { lookup }]) => (lookup === undefined ? [] : [lookup]));
  const found = lookups.length === 0 ? [] : await askFor(client, lookups);
  let next = 0;
  return new Map(
    given.map(([column, { text, lookup, suffix }]) => {
      if (lookup === undefined) return [column, { sql: text, name: text }];
      const type = found[next++];
      if (type == null) throw unknownType(column, text);
      return [column, { sql: type.sql + suffix, name: type.name + suffix }];
    }),
  );
}

async function askFor(client: CopyClient, lookups: readonly string[]): Promise<(FoundType | null)[]> {
  const { rows } = await runStatement(client, FIND_TYPES, [lookups]);
  return JSON.parse((rows[0] as { types: string | null }).types ?? '[]') as (FoundType | null)[];
}

function unknownType(column: string, type: string): CliError {
  const usual = Object.hasOwn(OTHER_NAMES, type) ? OTHER_NAMES[type] : undefined;
  const hint = usual === undefined ? '; \\dT of psql lists the types' : `; PostgreSQL calls it ${usual}`;
  return new CliError(
    `--type: the server knows no type ${JSON.stringify(type)} (column ${JSON.stringify(column)})${hint}`,
  );
}

/** Names of types that other programs use. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  str: 'text',
  clob: 'text',
  double: 'double precision',
  float64: 'double precision',
  float32: 'real',
  number: 'numeric',
  long: 'bigint',
  int64: 'bigint',
  int32: 'integer',
  tinyint: 'smallint',
  datetime: 'timestamp',
  blob: 'bytea',
  serial: 'integer',
  bigserial: 'bigint',
};
