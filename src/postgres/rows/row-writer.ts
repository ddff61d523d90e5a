/** Writes rows into chunks, by a layout. A value that it cannot write is a fault of its row, named by place and column. */

import { AbsentRefusal, absentList, MissingColumn, type AbsentValues } from '../merge/absent-values.js';
import { fieldOf, messageOf } from '../../common/thrown.js';
import { WorkPacer } from '../../common/turn-budget.js';
import { show } from '../../guards/validate.js';
import { BinaryChunk, BinaryRefusal } from '../encoding/binary/binary-chunk.js';
import { CHUNK_BYTES, ChunkWriter } from '../encoding/text/chunk-writer.js';
import type { BinaryFormat } from './copy-format.js';
import type { RowLayout } from './row-layout.js';
import type { ValueEncoder } from '../encoding/text/text-encoders.js';
import {
  faultOfRow,
  isInstance,
  isNeverRow,
  isOfBatch,
  isPlain,
  notRow,
  RowFault,
  unreadValues,
} from './row-fault.js';
import { ValueFault } from '../encoding/text/value-fault.js';

/** Returns the row that an item stands for. An error that it throws is a fault of that row. With `only`, just that value is needed. */
export type ValuesOf = (item: unknown, only?: number, row?: number) => unknown;

/** A chunk that rows are written to, in either format. */
interface RowChunk {
  readonly length: number;
  take(): Buffer;
  rewind(length: number): void;
  startRow(): void;
  writeNull(): void;
  writeDefault(): void;
  writePlain(text: string): void;
  endField(): void;
  endRow(): void;
  end(): void;
}

interface FieldEncoder {
  write(chunk: RowChunk, value: unknown): void;
}

export class RowWriter {
  readonly #layout: RowLayout;
  readonly #valuesOf: ValuesOf | undefined;
  readonly #faults: RowFault[] | undefined;
  readonly #names: ReadonlySet<string>;
  readonly #writer: RowChunk;
  readonly #encoders: readonly FieldEncoder[];
  readonly #mayWalkKeys: boolean;
  readonly #absent: AbsentValues | undefined;
  /** Columns that the row leaves out, as far as it is written. Undefined: rows have no such list. */
  readonly #leftOut: number[] | undefined;
  readonly #isGrouped: boolean;
  #hasLeftOut = false;
  readonly pacer: WorkPacer;
  /** Columns that the last row leaves out, as `absentList` returns them. Set only if rows are sent in groups. */
  lastLeftOut = '';

  /**
   * @param faults collects the rows that cannot be written, in order, which are left out. Without it the first one is thrown.
   * @param binary the layout's binary format; undefined: text
   */
  constructor(
    layout: RowLayout,
    valuesOf?: ValuesOf,
    faults?: RowFault[],
    binary?: BinaryFormat,
    pacer = new WorkPacer(),
  ) {
    this.pacer = pacer;
    // The encoders of a format are written for its chunks.
    this.#writer = binary === undefined ? new ChunkWriter() : new BinaryChunk(layout.columns.length);
    this.#encoders =
      binary === undefined ? layout.columns.map(({ encoder }) => encoder as FieldEncoder) : binary.encoders;
    this.#absent = layout.absent;
    this.#isGrouped = layout.absent?.way === 'groups';
    this.#leftOut = this.#isGrouped || layout.absent?.way === 'list' ? [] : undefined;
    this.#layout = layout;
    this.#valuesOf = valuesOf;
    this.#faults = faults;
    this.#names = new Set(layout.names);
    // A walk also meets keys that are inherited.
    this.#mayWalkKeys = layout.columns.every(({ mustBeOwn }) => !mustBeOwn);
  }

  /**
   * Writes rows from `start` on until a chunk is full, or the turn of the event loop is spent. Returns the next row.
   *
   * @throws {RowFault} if faults are not collected
   * @throws {BinaryRefusal} a value that can only be written as text
   */
  fill(items: readonly unknown[], start: number): number {
    const writer = this.#writer;
    let row = start;
    for (; row < items.length; row += 1) {
      if (writer.length >= CHUNK_BYTES) return row;
      this.writeRow(items, row);
      if (this.pacer.isTurnSpent() && row + 1 < items.length) return row + 1;
    }
    writer.end();
    return row;
  }

  /** True once a row has left out a column that its list names. */
  get hasLeftOut(): boolean {
    return this.#hasLeftOut;
  }

  /** Bytes written since the last `take()`. */
  get length(): number {
    return this.#writer.length;
  }

  /** @throws {RowFault} if faults are not collected */
  writeRow(items: readonly unknown[], row: number): void {
    const { length } = this.#writer;
    try {
      this.#write(items[row], row);
    } catch (thrown) {
      if (this.#leftOut !== undefined) this.#leftOut.length = 0;
      const error = isOfBatch(thrown) ? thrown : faultOfRow(row, thrown);
      if (this.#faults === undefined || !(error instanceof RowFault)) throw error;
      this.#writer.rewind(length);
      this.#faults.push(error);
    }
  }

  #write(item: unknown, row: number): void {
    const values = this.#valuesOf === undefined ? item : this.#valuesFrom(this.#valuesOf, item, row);
    if (Array.isArray(values)) this.#writeArray(values, row);
    else if (typeof values === 'object' && values !== null)
      this.#writeObject(values as Record<string, unknown>, row);
    else {
      const message = `a row must be an object or an array; got ${show(values)}`;
      throw new RowFault(row, undefined, '22P02', message);
    }
  }

  #valuesFrom(valuesOf: ValuesOf, item: unknown, row: number): unknown {
    try {
      return valuesOf(item, undefined, row);
    } catch (thrown) {
      throw unreadValues(row, thrown);
    }
  }

  take(): Buffer {
    return this.#writer.take();
  }

  #writeObject(values: Record<string, unknown>, row: number): void {
    const { columns, source, names } = this.#layout;
    const writer = this.#writer;
    if (Object.getPrototypeOf(values) !== Object.prototype && isNeverRow(values)) throw notRow(values, row);
    let present = 0;
    let index = 0;
    let value: unknown;
    writer.startRow();
    try {
      if (this.#mayWalkKeys) {
        // While the keys are the columns' names in their order, engines read the values by their places in the object. To look up each
        // name of a list instead takes a fifth of the time that a row takes.
        let isWalked = true;
        for (const key in values) {
          if (key !== names[index]) {
            isWalked = false;
            break;
          }
          // If a getter throws, the value before is not at fault.
          value = undefined;
          value = values[key];
          if (this.#writeField(index, value)) present += 1;
          index += 1;
        }
        if (isWalked && index === columns.length) {
          this.#endRow();
          this.#checkHasField(row);
          return;
        }
      }
      for (; index < columns.length; index += 1) {
        const { name, mustBeOwn } = columns[index]!;
        value = undefined;
        value = mustBeOwn && !Object.hasOwn(values, name) ? undefined : values[name];
        if (this.#writeField(index, value)) present += 1;
      }
    } catch (error) {
      throw this.#fault(row, index, value, error);
    }
    this.#endRow();
    // If there are as many keys as columns, and all columns were found, no key is left over.
    if (source !== 'option' && (present !== columns.length || countKeys(values) !== columns.length)) {
      this.#checkKeys(values, row);
    }
    // If no column was found, the value may not be a row (a Map, a Date …).
    if (present === 0) this.#checkIsRow(values, row);
    this.#checkHasField(row);
  }

  #writeArray(values: readonly unknown[], row: number): void {
    const { columns, source } = this.#layout;
    if (source === 'keys') {
      throw new RowFault(
        row,
        undefined,
        '22P04',
        "is an array, but the first row was an object: name the arrays' columns by the option 'columns'",
      );
    }
    if (values.length !== columns.length) {
      throw new RowFault(
        row,
        undefined,
        '22P04',
        `has ${values.length} values for ${columns.length} columns`,
      );
    }
    const writer = this.#writer;
    let index = 0;
    writer.startRow();
    try {
      for (; index < columns.length; index += 1) this.#writeField(index, values[index]);
    } catch (error) {
      throw this.#fault(row, index, fieldOf(values, String(index)), error);
    }
    this.#endRow();
    this.#checkHasField(row);
  }

  /** Returns whether there is a value: `null` is one. */
  #writeField(index: number, value: unknown): boolean {
    const writer = this.#writer;
    if (value === null || (value === undefined && this.#absent?.hasDefault[index] !== true))
      writer.writeNull();
    else if (value === undefined) {
      this.#writeAbsent(this.#absent!, index);
      // The COPY of this row does not name the column.
      if (this.#isGrouped) return false;
    } else this.#encoders[index]!.write(writer, value);
    writer.endField();
    return value !== undefined;
  }

  /** @throws {AbsentRefusal} */
  #writeAbsent({ way }: AbsentValues, index: number): void {
    if (way === 'marker') return this.#writer.writeDefault();
    if (this.#leftOut === undefined) throw new AbsentRefusal();
    if (!this.#isGrouped) this.#writer.writeNull();
    this.#leftOut.push(index);
  }

  #endRow(): void {
    if (this.#leftOut !== undefined) {
      const list = absentList(this.#leftOut);
      if (this.#isGrouped) this.lastLeftOut = list;
      else {
        this.#writer.writePlain(list);
        this.#writer.endField();
      }
      if (list !== '') this.#hasLeftOut = true;
      const isEmpty = this.#isGrouped && this.#leftOut.length === this.#layout.columns.length;
      this.#leftOut.length = 0;
      // No field was written whose end could become the end of the row. See `#checkHasField`.
      if (isEmpty) return;
    }
    this.#writer.endRow();
  }

  /** Refuses a row that leaves out every column: a COPY names at least one. */
  #checkHasField(row: number): void {
    if (!this.#isGrouped || this.lastLeftOut === '') return;
    if (this.lastLeftOut.split(',').length < this.#layout.columns.length) return;
    throw new RowFault(
      row,
      undefined,
      '22P04',
      'leaves out every column that is loaded, and all of them have defaults: before PostgreSQL 16 a table with a RULE on INSERT, or of 1,600 ' +
        'columns, needs a value for one of them (null is one)',
    );
  }

  /** Refuses an object that is not plain and has none of the columns, not even as undefined. */
  #checkIsRow(values: object, row: number): void {
    const isFound = (name: string, mustBeOwn: boolean): boolean =>
      mustBeOwn ? Object.hasOwn(values, name) : name in values;
    if (isPlain(values)) return;
    if (!this.#layout.columns.some(({ name, mustBeOwn }) => isFound(name, mustBeOwn)))
      throw notRow(values, row);
  }

  #checkKeys(values: Record<string, unknown>, row: number): void {
    for (const key of Object.keys(values)) {
      if (this.#names.has(key) || values[key] === undefined) continue;
      if (this.#layout.addable.has(key)) throw new MissingColumn(key);
      const reason =
        this.#layout.source === 'keys' && this.#layout.plan.staging?.merge.mayRepeat === true
          ? "the first row did not have it, and its keys fix the columns: give the option 'columns'"
          : 'the table has no such column to fill';
      throw new RowFault(row, key, '22P04', `has the key ${JSON.stringify(key)}: ${reason}`);
    }
  }

  /**
   * Returns the fault for what an encoder, or a getter, `toJSON` or `toPostgres` of the caller, has thrown.
   *
   * @throws {BinaryRefusal} as it came, if the text encoder takes the value: then the row goes as text
   */
  #fault(row: number, index: number, value: unknown, thrown: unknown): RowFault {
    const { name, typeName, encoder } = this.#layout.columns[index]!;
    if (isInstance(thrown, AbsentRefusal)) throw thrown;
    let error = thrown;
    if (isInstance(thrown, BinaryRefusal)) {
      error = value === undefined ? undefined : faultOf(encoder, value);
      if (error === undefined) throw thrown;
    }
    const [sqlState, message] = isInstance(error, ValueFault)
      ? [error.sqlState, error.message]
      : ['22P02', `cannot be written: ${messageOf(error)}`];
    return new RowFault(row, name, sqlState, `column ${JSON.stringify(name)} (${typeName}) ${message}`);
  }
}

/** Returns the text encoder's error for a value, or undefined if it takes the value. */
function faultOf(encoder: ValueEncoder, value: unknown): unknown {
  try {
    encoder.write(new ChunkWriter(), value);
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Counts keys in a loop of its own: engines run `for … in` over objects of one shape without reading the keys. */
function countKeys(values: object): number {
  let count = 0;
  // eslint-disable-next-line @typescript-eslint/no-unused-vars -- counted, not read
  for (const _key in values) count += 1;
  return count;
}
