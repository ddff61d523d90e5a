/** Turns JSON objects into rows of the table: keys become columns, values the text that the column's type reads. */

import { stringify } from 'lossless-json';
import type { TableColumn } from '../../../postgres/table/catalogue.js';
import { throwFault, type BlockReader, type OnBadRecord, type OnRow } from '../../records/block-reader.js';
import { InputError } from '../../common/errors.js';
import { didYouMean } from '../../common/similar-names.js';
import { integerText, OverlongNumber, RejectedNumber, WrittenNumber } from '../values/written-number.js';
import { WrittenJson, type SelectedKeys } from '../values/long-record.js';
import { ArrayLiteral, WrittenArray } from '../values/written-array.js';
import { NdjsonReader, type JsonRecord } from './ndjson-reader.js';
import type { SourceFile } from '../../input/source.js';

export interface NdjsonRowOptions {
  readonly columns: readonly TableColumn[];
  /** `true`: keys without a column are left out, as `--columns` names the keys to load. `false`: they are an error. */
  readonly ignoresOtherKeys: boolean;
  /** COPY's text may use the default marker for an absent key. Default `false`: such records become rows. */
  readonly takesDefaultMarker?: boolean;
}

/** Reads one file. */
export class NdjsonRows implements BlockReader<unknown[]> {
  readonly #file: SourceFile;
  readonly #reader: NdjsonReader;
  readonly #columns: RecordColumns;

  constructor(file: SourceFile, options: NdjsonRowOptions) {
    this.#file = file;
    this.#columns = new RecordColumns(options);
    this.#reader = new NdjsonReader(file, this.#columns.keptKeys);
  }

  /** The number of the line on which the next block begins. */
  get nextLine(): number {
    return this.#reader.nextLine;
  }

  set nextLine(line: number) {
    this.#reader.nextLine = line;
  }

  read(block: Buffer, onRow: OnRow<unknown[]>, onBadRecord: OnBadRecord = throwFault): undefined {
    const onRecord = (record: JsonRecord, line: number): void => {
      const row = this.#toRow(record, line, onBadRecord);
      if (row !== undefined) onRow(row, line);
    };
    this.#reader.read(block, onRecord, onBadRecord);
  }

  rejectLine(reason: string, written: Buffer, onBadRecord: OnBadRecord = throwFault): void {
    this.#reader.rejectLine(reason, written, onBadRecord);
  }

  /** Returns nothing for a record that was passed to `onBadRecord`. */
  #toRow(record: JsonRecord, line: number, onBadRecord: OnBadRecord): unknown[] | undefined {
    let row: unknown[] | undefined;
    try {
      row = this.#columns.rowOf(record);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      onBadRecord(this.#reader.nestedTooDeeply(line, error), line, this.#reader.written);
      return undefined;
    }
    if (row !== undefined) return row;
    const fault = new InputError(this.#file, line, this.#columns.describeUnknown(record));
    onBadRecord(fault, line, this.#reader.written);
    return undefined;
  }
}

/** The columns that records fill. */
export class RecordColumns {
  readonly #columns: readonly { name: string; toField: ToField; inherited: boolean }[];
  readonly #ignoresOtherKeys: boolean;
  readonly #names: ReadonlySet<string>;

  constructor({ columns, ignoresOtherKeys }: NdjsonRowOptions) {
    this.#names = new Set(columns.map(({ name }) => name));
    this.#ignoresOtherKeys = ignoresOtherKeys;
    this.#columns = columns.map(({ name, type }) => ({
      name,
      toField: fieldEncoder(type),
      // Every object has a property of this name, whether the record has the key or not.
      inherited: name in Object.prototype,
    }));
  }

  /** What is needed of a long record. One key more, for the error that names an unknown one. */
  get keptKeys(): SelectedKeys {
    return { names: this.#names, mostOthers: 1 };
  }

  /**
   * Returns the values in the order of the columns; undefined for a record with a key that no column stands for.
   *
   * @throws {RangeError} if it is nested too deeply
   */
  rowOf(record: JsonRecord): unknown[] | undefined {
    const row: unknown[] = [];
    let found = 0;
    for (const { name, toField, inherited } of this.#columns) {
      const value = inherited && !Object.hasOwn(record, name) ? undefined : record[name];
      if (value !== undefined) found += 1;
      // An absent key gets the column's default.
      row.push(value === undefined || value === null ? value : toField(value));
    }
    return this.#ignoresOtherKeys || found === Object.keys(record).length ? row : undefined;
  }

  /** Returns the first key of the record that no column stands for. */
  unknownKey(record: JsonRecord): string {
    return Object.keys(record).find((name) => !this.#names.has(name))!;
  }

  /** Says which key that is. */
  describeUnknown(record: JsonRecord): string {
    const key = this.unknownKey(record);
    return `the key ${JSON.stringify(key)} is not among those that are loaded${didYouMean(key, this.#names)}; name all in --columns`;
  }
}

type ToField = (value: unknown) => unknown;

/** Types that have only whole numbers. */
const WHOLE_NUMBERS = new Set(['bool', 'int2', 'int4', 'int8', 'oid', 'xid', 'cid']);
/** In characters, far beyond the range of the types. Shorter integers are left for the server to reject. */
const LONGEST_INTEGER = 1000;
/** Types whose encoders reject every number. */
const NO_NUMBERS = new Set(['bytea', 'date', 'timestamp', 'timestamptz', 'point', 'circle']);

/**
 * Returns the function that turns a JSON value into the column's field.
 *
 * | value | `json`, `jsonb` | array column | other columns |
 * |---|---|---|---|
 * | string | its JSON, with quotes | the type's literal | the type's literal |
 * | number | its JSON | rejected | as it is written; for integers its value, so that `1.0` is 1 |
 * | object | its JSON | its JSON | its JSON |
 * | array | its JSON | an array | its JSON |
 */
export function fieldEncoder(type: TableColumn['type']): ToField {
  if (type.kind === 'array') return arrayEncoder(type);
  if (type.name === 'json' || type.name === 'jsonb') return jsonText;
  if (WHOLE_NUMBERS.has(type.name)) return (value) => plain(value, wholeNumber);
  if (NO_NUMBERS.has(type.name)) return (value) => plain(value, asRejected);
  return (value) => plain(value, asWritten);
}

/** Nested arrays are dimensions; for elements of JSON only if all elements are arrays. */
function arrayEncoder(type: TableColumn['type'] & { kind: 'array' }): ToField {
  const element = fieldEncoder(type.element);
  const isJson = element === jsonText;
  const literal = new ArrayLiteral(type, element, isJson);
  const toArray = (values: readonly unknown[]): unknown[] => {
    const areDimensions = !isJson || values.every((value) => Array.isArray(value));
    return values.map((value) => {
      if (value === null) return null;
      return areDimensions && Array.isArray(value) ? toArray(value) : element(value);
    });
  };
  return (value) => {
    if (value instanceof WrittenJson && value.isArray) return new WrittenArray(value.text, literal);
    return Array.isArray(value) ? toArray(value) : plain(value, asRejected);
  };
}

function plain(value: unknown, toNumber: (number: WrittenNumber) => unknown): unknown {
  if (value instanceof WrittenNumber) return toNumber(value);
  return typeof value === 'object' ? jsonText(value) : value;
}

function asWritten(number: WrittenNumber): WrittenNumber {
  return number;
}

function asRejected({ value }: WrittenNumber): RejectedNumber {
  return new RejectedNumber(value);
}

function wholeNumber(number: WrittenNumber): unknown {
  const text = integerText(number.value);
  const { length } = text ?? number.value;
  return length > LONGEST_INTEGER ? new OverlongNumber(number.value) : (text ?? number);
}

function jsonText(value: unknown): string {
  if (value instanceof WrittenJson) return value.text;
  // The library's writer keeps numbers as they were written.
  return typeof value === 'object' ? stringify(value)! : JSON.stringify(value);
}
