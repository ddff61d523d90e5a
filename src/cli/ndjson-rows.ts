/** JSON objects to rows of the table: keys to columns, values to the text that the column's type reads. */

import { LosslessNumber, stringify } from 'lossless-json';
import type { TableColumn } from '../postgres/catalogue.js';
import type { TakeRow } from './csv-reader.js';
import { InputError } from './errors.js';
import { NdjsonReader, type JsonRecord } from './ndjson-reader.js';
import type { BlockReader } from './record-parser.js';
import type { SourceFile } from './source.js';

export interface NdjsonRowOptions {
  readonly maxRecordBytes: number;
  readonly columns: readonly TableColumn[];
  /** Whether keys that no column stands for are left out (`--columns` names the keys to load) or refused. */
  readonly ignoresOtherKeys: boolean;
}

/** Reads one file. */
export class NdjsonRows implements BlockReader<unknown[]> {
  readonly #file: SourceFile;
  readonly #reader: NdjsonReader;
  readonly #columns: readonly { name: string; toField: (value: unknown) => unknown; inherited: boolean }[];
  readonly #ignoresOtherKeys: boolean;

  constructor(file: SourceFile, options: NdjsonRowOptions) {
    this.#file = file;
    this.#reader = new NdjsonReader(file.name, options.maxRecordBytes);
    this.#ignoresOtherKeys = options.ignoresOtherKeys;
    this.#columns = options.columns.map(({ name, type }) => ({
      name,
      toField: fieldEncoder(type),
      // Such a key is found in every object, whether the record has it or not.
      inherited: name in Object.prototype,
    }));
  }

  read(block: Buffer, take: TakeRow<unknown[]>): void {
    this.#reader.read(block, (record, line) => take(this.#toRow(record, line), line));
  }

  refuseOversized(): never {
    return this.#reader.refuseOversized();
  }

  #toRow(record: JsonRecord, line: number): unknown[] {
    const row: unknown[] = [];
    let found = 0;
    for (const { name, toField, inherited } of this.#columns) {
      const value = inherited && !Object.hasOwn(record, name) ? undefined : record[name];
      if (value === undefined) {
        row.push(null);
        continue;
      }
      found += 1;
      row.push(value === null ? null : this.#field(toField, value, line));
    }
    if (!this.#ignoresOtherKeys && found < Object.keys(record).length) this.#refuseKey(record, line);
    return row;
  }

  #field(toField: (value: unknown) => unknown, value: unknown, line: number): unknown {
    try {
      return toField(value);
    } catch (error) {
      if (error instanceof RangeError) this.#reader.refuseNested(line, error);
      throw error;
    }
  }

  #refuseKey(record: JsonRecord, line: number): never {
    const key = Object.keys(record).find((name) => this.#columns.every((column) => column.name !== name));
    throw new InputError(
      this.#file.name,
      line,
      `the key ${JSON.stringify(key)} is not among those that are loaded; name all in --columns`,
    );
  }
}

/**
 * How a value of JSON is handed to a column. Into `json` and `jsonb` goes its JSON, a text included; elsewhere a text is the type's literal,
 * and an object or array is given as JSON text, except to array columns.
 */
function fieldEncoder(type: TableColumn['type']): (value: unknown) => unknown {
  if (type.kind === 'array') {
    return (value) => (Array.isArray(value) ? value.map((element) => arrayElement(element)) : plain(value));
  }
  return type.name === 'json' || type.name === 'jsonb' ? jsonText : plain;
}

function plain(value: unknown): unknown {
  if (value instanceof LosslessNumber) return value.value;
  return typeof value === 'object' ? jsonText(value) : value;
}

function arrayElement(value: unknown): unknown {
  return Array.isArray(value)
    ? value.map((element) => arrayElement(element))
    : value === null
      ? null
      : plain(value);
}

function jsonText(value: unknown): string {
  // The library's own, for it writes the digits of long numbers as they came.
  return typeof value === 'object' ? stringify(value)! : JSON.stringify(value);
}
