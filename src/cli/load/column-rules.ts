/** How the fields of columns are read: by the types that were inferred, or by those of a table that is there. Pure. */

import type { LoadOptions } from '../args/options.js';
import type { FieldRule, FieldRules } from '../csv/field-rules.js';
import type { TableColumn, TableDescription } from '../../postgres/table/catalogue.js';
import type { InputName } from '../table/input-names.js';
import type { Conversions } from '../values/conversion.js';

const KINDS: Readonly<Record<string, keyof Conversions>> = {
  date: 'date',
  timestamp: 'date',
  timestamptz: 'date',
  int2: 'number',
  int4: 'number',
  int8: 'number',
  numeric: 'number',
  float4: 'number',
  float8: 'number',
};

/** The rules for a table that is made of these names. Undefined if all fields are as the server reads them. */
export function rulesOf(names: readonly InputName[]): FieldRules | undefined {
  return rulesFrom(names.map(({ name, rule }) => [name, rule]));
}

/** The rules of flags for columns that are there: their types decide. Undefined if all fields are as the server reads them. */
export function rulesFor(
  columns: readonly Pick<TableColumn, 'name' | 'type'>[],
  names: readonly InputName[],
): FieldRules | undefined {
  const conversions = new Map(names.map(({ name, conversions }) => [name, conversions]));
  const rules = columns.map(({ name, type }): [string, FieldRule | undefined] => {
    const kind = kindOfType(type);
    const conversion = kind && conversions.get(name)?.[kind];
    return [name, conversion && { nulls: [], conversion }];
  });
  return rulesFrom(rules);
}

/** What flags may say of a type's values. */
export function kindOfType(type: TableColumn['type']): keyof Conversions | undefined {
  return type.kind === 'scalar' ? KINDS[type.name] : undefined;
}

function rulesFrom(rules: readonly (readonly [string, FieldRule | undefined])[]): FieldRules | undefined {
  const some = rules.filter((entry): entry is [string, FieldRule] => entry[1] !== undefined);
  return some.length === 0 ? undefined : Object.fromEntries(some);
}

/** The names of a table's columns in their order: CSV without a header has fields for them. */
export function fieldNames(
  { format, header }: LoadOptions,
  table: TableDescription | undefined,
): string[] | undefined {
  if (table === undefined || format === 'ndjson' || header) return undefined;
  return table.columns.filter(({ isGenerated }) => !isGenerated).map(({ name }) => name);
}
