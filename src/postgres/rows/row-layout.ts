/** Decides which columns a COPY fills, and in which order: once, by the options or by the first row. Pure. */

import { CopyError } from '../errors/copy-error.js';
import type { TableColumn, TableDescription } from '../table/catalogue.js';
import { planBinary, type BinaryFormat, type FormatOption } from './copy-format.js';
import { planFieldChecks, type FieldCheck } from '../encoding/binary/line-check.js';
import type { DateZone } from '../encoding/dates/date-clock.js';
import { compileEncoder, type ValueEncoder } from '../encoding/text/text-encoders.js';
import type { ConflictTarget } from '../table/conflict-target.js';
import { MOST_COLUMNS, type AbsentValues, type AbsentWay } from '../merge/absent-values.js';
import type { ConflictRule } from '../merge/plan-request.js';
import {
  planCopy,
  TEXT_FORMAT,
  TEXT_FORMAT_WITH_DEFAULTS,
  type CopyFormat,
  type CopyPlan,
} from '../merge/copy-plan.js';

interface LayoutColumn {
  name: string;
  typeName: string;
  encoder: ValueEncoder;
  /** Every object has something of this name (`constructor`, `__proto__` …), which is no value of the row's. */
  mustBeOwn: boolean;
}

/** The origin of the list of columns. It decides the error of a row that does not fit. */
export type LayoutSource =
  /** The option `columns`: objects may hold more, which is left out. */
  | 'option'
  /** The first row's keys: a key beyond them is that row's fault. */
  | 'keys'
  /** The first row is an array: all columns of the table, in its order, but for generated ones. */
  | 'table';

export interface RowLayout {
  source: LayoutSource;
  columns: readonly LayoutColumn[];
  names: readonly string[];
  /** Columns that the first row had no key for, and that a later row may have. */
  addable: ReadonlySet<string>;
  schema: string;
  table: string;
  plan: CopyPlan;
  /** Whose wall clock a `Date` is written by. */
  zone: DateZone;
  /** Undefined: no column has a default. */
  absent: AbsentValues | undefined;
  /** The same rows in a way that may leave something out; set if this layout refuses that, and there is such a way. */
  listing: RowLayout | undefined;
  textFormat: CopyFormat;
  /** Undefined: the rows go as text. */
  binary: BinaryFormat | undefined;
  /** Of the first columns: how fields of lines are checked here. Empty: the server cannot explain a value by itself (before PostgreSQL 16). */
  fieldChecks: readonly FieldCheck[];
  refersToItself: boolean;
  hasTriggers: boolean;
}

/** The names that the options or the first row ask for. */
export interface ColumnChoice {
  source: LayoutSource;
  /** Of `table`: none. */
  names: readonly string[];
}

/** @param weightColumn filled beside the columns of the rows */
export function chooseColumns(
  option: readonly string[] | undefined,
  firstRow: unknown,
  weightColumn?: string,
): ColumnChoice {
  const choice = chooseRowColumns(option, firstRow);
  const isLeftOut = weightColumn === undefined || choice.source === 'table' || choice.names.length === 0;
  return isLeftOut || choice.names.includes(weightColumn)
    ? choice
    : { ...choice, names: [...choice.names, weightColumn] };
}

function chooseRowColumns(option: readonly string[] | undefined, firstRow: unknown): ColumnChoice {
  if (option !== undefined) return { source: 'option', names: option };
  try {
    if (Array.isArray(firstRow)) return { source: 'table', names: [] };
    const names = typeof firstRow === 'object' && firstRow !== null ? Object.keys(firstRow) : [];
    return { source: 'keys', names };
  } catch {
    // A proxy that cannot be read.
    return { source: 'keys', names: [] };
  }
}

export interface LayoutRequest {
  conflict: ConflictRule;
  format: FormatOption;
  /** The index that the rule's key names. */
  conflictTarget: ConflictTarget | undefined;
  zone: DateZone;
  weightColumn?: string | undefined;
}

const PLAIN: LayoutRequest = {
  zone: 'local',
  conflict: { onConflict: 'error' },
  format: 'auto',
  conflictTarget: undefined,
};

/**
 * @throws {CopyError} `setup`, if the table has no such column, or COPY cannot fill it, at all or in this format, or if the key is not among
 * the columns
 */
export function planLayout(
  description: TableDescription,
  choice: ColumnChoice,
  request: LayoutRequest = PLAIN,
): RowLayout {
  const columns =
    choice.source === 'table'
      ? description.columns.filter((column) => !column.isGenerated)
      : choice.names.map((name) => findColumn(description, name));
  checkKey(description, columns, request.conflict);
  checkWeight(description, request.weightColumn);
  const layout = layoutOf(description, choice.source, columns, request, undefined);
  if (layout.absent?.way !== 'refused') return layout;
  const way = absentWay(description, columns, layout);
  if (way === undefined) return layout;
  return {
    ...layout,
    listing: layoutOf(description, choice.source, columns, { ...request, format: 'text' }, way),
  };
}

/** Undefined: there is none. */
function absentWay(
  { hasInsertRule }: TableDescription,
  columns: readonly TableColumn[],
  { plan }: RowLayout,
): 'groups' | 'list' | undefined {
  const isListable = columns.length < MOST_COLUMNS;
  if (plan.staging !== undefined) return isListable ? 'list' : undefined;
  // A COPY names at least one column, and a row may leave out all that have a default.
  const isNever = columns.every(({ hasDefault }) => hasDefault === true);
  return isNever && isListable && hasInsertRule !== true ? 'list' : 'groups';
}

/** @param way how rows leave columns out. Undefined: as a layout without a further field can. */
function layoutOf(
  description: TableDescription,
  source: LayoutSource,
  columns: readonly TableColumn[],
  { conflict, format, conflictTarget, zone }: LayoutRequest,
  way: AbsentWay | undefined,
): RowLayout {
  const { schema, table, hasRowSecurity: isSecured = false } = description;
  const encoded = columns.map((column) => ({ ...column, encoder: compileEncoder(column.type, zone) }));
  const listsAbsent = way === 'list';
  const plan = planCopy({ schema, table, columns, conflict, conflictTarget, isSecured, listsAbsent });
  const takesMarker = description.takesDefaultMarker === true && plan.staging === undefined;
  const hasDefault = columns.map((column) => column.hasDefault === true);
  const absent = hasDefault.includes(true)
    ? ({ way: way ?? (takesMarker ? 'marker' : 'refused'), hasDefault } as const)
    : undefined;
  return {
    source,
    columns: encoded.map(({ name, typeName, encoder }) => ({
      name,
      typeName,
      encoder,
      mustBeOwn: name in Object.prototype,
    })),
    names: columns.map(({ name }) => name),
    // An update sets what is loaded: there the list of columns must not depend on the rows.
    addable: new Set(
      source === 'keys' && conflict.onConflict !== 'update' ? otherColumns(description, columns) : [],
    ),
    schema,
    table,
    plan,
    zone,
    absent,
    listing: undefined,
    textFormat: absent?.way === 'marker' ? TEXT_FORMAT_WITH_DEFAULTS : TEXT_FORMAT,
    binary: planBinary({ schema, table }, encoded, format, zone),
    fieldChecks: description.takesDefaultMarker === true ? planFieldChecks(encoded, zone) : [],
    refersToItself: description.refersToItself,
    // A policy may ask for other rows, too.
    hasTriggers: description.hasTriggers || isSecured,
  };
}

const NUMBERS: ReadonlySet<string> = new Set(['int2', 'int4', 'int8', 'numeric', 'float4', 'float8']);

function checkWeight(description: TableDescription, weightColumn: string | undefined): void {
  if (weightColumn === undefined) return;
  const { name, typeName, type } = findColumn(description, weightColumn);
  if (type.kind === 'scalar' && NUMBERS.has(type.name)) return;
  const where = `table "${description.schema}"."${description.table}"`;
  const message = `option 'weightColumn' names ${JSON.stringify(name)} of ${where}, which is no number: its type is ${typeName}`;
  throw columnFault(message, '42804', description.table, name);
}

function otherColumns(description: TableDescription, columns: readonly TableColumn[]): string[] {
  return description.columns
    .filter((column) => !column.isGenerated && !columns.includes(column))
    .map(({ name }) => name);
}

/** Columns of the key that are not loaded must get their value in another way. */
function checkKey(
  description: TableDescription,
  columns: readonly TableColumn[],
  conflict: ConflictRule,
): void {
  if (conflict.onConflict === 'error') return;
  const unknown = conflict.key?.find((name) => {
    if (columns.some((column) => column.name === name)) return false;
    const column = description.columns.find((candidate) => candidate.name === name);
    return column === undefined || !(column.isGenerated || column.hasDefault === true);
  });
  if (unknown === undefined) return;
  const into = `the columns that are loaded into table ${JSON.stringify(description.table)}`;
  const message = `option 'key' names ${JSON.stringify(unknown)}, which is not among ${into}`;
  throw columnFault(message, '42703', description.table, unknown);
}

function columnFault(message: string, sqlState: string, table: string, column: string): CopyError {
  return new CopyError(message, { failureClass: 'setup', sqlState, table, column });
}

function findColumn({ schema, table, columns }: TableDescription, name: string): TableColumn {
  const column = columns.find((candidate) => candidate.name === name);
  const where = `table "${schema}"."${table}"`;
  if (column === undefined) {
    const near = columns.find((candidate) => candidate.name.toLowerCase() === name.toLowerCase());
    const hint = near === undefined ? '' : `; it has ${JSON.stringify(near.name)}`;
    throw columnFault(`${where} has no column ${JSON.stringify(name)}${hint}`, '42703', table, name);
  }
  if (column.isGenerated) {
    const message = `column ${JSON.stringify(name)} of ${where} is generated by the server: leave it out`;
    throw columnFault(message, '42P10', table, name);
  }
  return column;
}
