/** The rows of one COPY: which rows of the batch they are, and how they were sent. Finds the row that an error of the server names. */

import { DEFAULT_MARKER } from '../merge/absent-values.js';
import { findErrorPosition, type ErrorPosition } from './error-position.js';
import type { RowLayout } from './row-layout.js';
import type { RowFault } from './row-fault.js';
import { RowWriter, type ValuesOf } from './row-writer.js';

export class SentRows {
  /** The items of the batch. */
  readonly items: readonly unknown[];
  readonly layout: RowLayout;
  readonly #rows: readonly number[] | undefined;
  readonly #valuesOf: ValuesOf | undefined;
  readonly #faults: readonly RowFault[];

  /**
   * @param rows places in the batch of the rows that the COPY was to send. Undefined: all.
   * @param faults those of them that could not be sent, in order
   */
  constructor(
    layout: RowLayout,
    items: readonly unknown[],
    rows?: readonly number[],
    valuesOf?: ValuesOf,
    faults: readonly RowFault[] = [],
  ) {
    this.layout = layout;
    this.items = items;
    this.#rows = rows;
    this.#valuesOf = valuesOf;
    this.#faults = faults;
  }

  /** Number of rows that the COPY was to send. */
  get length(): number {
    return this.#rows?.length ?? this.items.length;
  }

  wholeBatch(): SentRows {
    return new SentRows(this.layout, this.items, undefined, this.#valuesOf);
  }

  /** Returns a row's place in the batch. @param place the row's place in the COPY */
  rowAt(place: number): number {
    return this.#rows === undefined ? place : this.#rows[place]!;
  }

  itemOf(row: number): unknown {
    return this.items[row];
  }

  /** Returns one column of a row as the server reads it, or the row's line. @param row its place in the batch */
  textOf(row: number, column: string | undefined): string {
    const item = this.items[row];
    if (this.#valuesOf === undefined) return sentText(this.layout, item, column);
    // A column that the server refuses because it is NULL need not be among those that are loaded.
    const place = column === undefined ? -1 : this.layout.names.indexOf(column);
    return sentText(this.layout, this.#valuesOf(item, place === -1 ? undefined : place, row), column);
  }

  /** The same; `undefined` if the row cannot be read any more, such as by a getter that throws at the second look. */
  readableTextOf(row: number, column: string | undefined): string | undefined {
    try {
      return this.textOf(row, column);
    } catch {
      return undefined;
    }
  }

  /** Returns the row that the server names, by its place in the batch. @param where CONTEXT of the server's error */
  positionOf(where: unknown): ErrorPosition | undefined {
    const found = findErrorPosition(
      typeof where === 'string' ? where : undefined,
      this.layout.plan.copiedTable,
      this.layout.names,
      this.length - this.#faults.length,
      (line, column) => this.readableTextOf(this.#rowOfLine(line), column),
    );
    return found && { ...found, row: this.#rowOfLine(found.row) };
  }

  /** Returns the row of a line. Rows that could not be sent have no line. */
  #rowOfLine(line: number): number {
    let place = line;
    for (const { row } of this.#faults) if (row <= place) place += 1;
    return this.rowAt(place);
  }
}

/** Returns how one row was sent: its line, or one column's text before escaping. */
function sentText(layout: RowLayout, values: unknown, column: string | undefined): string {
  if (column === undefined) {
    const writer = new RowWriter(layout);
    writer.fill([values], 0);
    return writer.take().toString('utf8').slice(0, -1);
  }
  const index = layout.names.indexOf(column);
  const value: unknown = Array.isArray(values) ? values[index] : (values as Record<string, unknown>)[column];
  if (value === undefined && layout.absent?.hasDefault[index] === true) return DEFAULT_MARKER;
  const text = value === null || value === undefined ? null : layout.columns[index]!.encoder.toText(value);
  return text ?? '\\N';
}
