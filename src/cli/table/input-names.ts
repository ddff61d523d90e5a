/** The names of the input's fields or keys, with the types of their values. */

import type { LoadOptions } from '../args/options.js';
import type { TypeName } from '../args/type-name.js';
import type { InputName as InputFile } from '../common/errors.js';
import { snakeCaseNames } from '../common/snake-case.js';
import type { Conversions } from '../values/conversion.js';
import type { FieldRule } from '../csv/field-rules.js';
import { FieldInference } from './field-inference.js';
import type { ValueHint } from './value-hints.js';
import { columnsByName, valuesByColumn } from './flag-columns.js';
import type { TypeInference } from './infer-types.js';

/** A name of the input's, which should be a column's. */
export interface InputName {
  /** In the records: of CSV after repair and `--normalize-names`, of JSON the key. */
  readonly name: string;
  /** In the header; undefined if it is `name`. */
  readonly written?: string | undefined;
  /** `--normalize-names`, of JSON: what the column is to be called; undefined if it is `name`. */
  readonly columnName?: string | undefined;
  /** File and line of the name; undefined if it comes from `--columns`. */
  readonly file: InputFile | undefined;
  readonly line: number | undefined;
  /** That of `--type`, or inferred from the sample, if types were asked for. */
  readonly type: string;
  /** `--type`: it is never changed. */
  readonly givenType?: TypeName | undefined;
  /** CSV: how its fields are read, if types were asked for and not all fields are as the server reads them. */
  readonly rule?: FieldRule | undefined;
  /** CSV: how its fields are read if the column is there already. */
  readonly conversions?: Conversions | undefined;
  /** CSV: what the user should know of the values, if the column is to be made. */
  readonly hint?: ValueHint | undefined;
}

/** A column's name with the types of its values so far. */
export class NamedColumn<Inference extends TypeInference | FieldInference> {
  readonly inference: Inference;
  readonly name: string;
  readonly written: string | undefined;
  columnName: string | undefined;
  /** `--null-for` */
  nulls: ReadonlySet<string> | undefined;
  readonly #file: InputFile | undefined;
  readonly #line: number | undefined;

  constructor(inference: Inference, { name, written, file, line }: PlacedName) {
    this.inference = inference;
    this.name = name;
    this.written = written;
    this.#file = file;
    this.#line = line;
  }

  done(givenType: TypeName | undefined): InputName {
    const { name, written, columnName, inference } = this;
    const found =
      inference instanceof FieldInference
        ? inference.done(givenType)
        : { type: givenType?.text ?? inference.type, rule: undefined };
    return { name, written, columnName, file: this.#file, line: this.#line, ...found, givenType };
  }
}

export interface PlacedName {
  readonly name: string;
  readonly written?: string | undefined;
  readonly file?: InputFile;
  readonly line?: number;
}

/** @throws {CliError} for a column of `--type` that is not there */
export function inputNames(
  columns: readonly NamedColumn<TypeInference | FieldInference>[],
  { types }: Pick<LoadOptions, 'types'>,
  withTypes: boolean,
): InputName[] {
  const given = withTypes ? valuesByColumn('--type', types, columns) : {};
  return columns.map((column) =>
    column.done(Object.hasOwn(given, column.name) ? given[column.name] : undefined),
  );
}

/** Keys stay as the records have them; only their columns get other names. */
export function nameColumns(
  columns: readonly NamedColumn<TypeInference>[],
  { normalizeNames }: Pick<LoadOptions, 'normalizeNames'>,
): void {
  if (!normalizeNames) return;
  const names = snakeCaseNames(columns.map(({ name }) => name));
  for (const [place, column] of columns.entries()) column.columnName = names[place];
}

/** Lets the columns know the texts of `--null-for`. */
export function withNulls(
  columns: NamedColumn<FieldInference>[],
  { nullsFor }: LoadOptions,
): NamedColumn<FieldInference>[] {
  const named = columnsByName(columns);
  for (const [name, texts] of Object.entries(nullsFor)) {
    const column = named.get(name);
    if (column !== undefined) column.nulls = new Set(texts);
  }
  return columns;
}

/** Adds a value to a column's inference, unless `--null-for` makes it NULL. */
export function addField({ nulls, inference }: NamedColumn<FieldInference>, value: string | null): void {
  if (value !== null && nulls?.has(value) !== true) inference.add(value);
}
