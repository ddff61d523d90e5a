/** The rows of one COPY: which of the batch they are, and how they were sent. Leads from the server's words back to a row. */

import { findErrorPosition, type ErrorPosition } from './error-position.js';
import type { RowLayout } from './row-layout.js';
import { sentText, type RowFault, type ValuesOf } from './row-writer.js';

export class SentRows {
  /** The items of the batch. */
  readonly items: readonly unknown[];
  readonly layout: RowLayout;
  readonly #rows: readonly number[] | undefined;
  readonly #valuesOf: ValuesOf | undefined;
  readonly #faults: readonly RowFault[];

  /**
   * @param rows places in the batch of those that the COPY was to send; undefined: all
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

  /** From a place in the COPY to the place in the batch. */
  rowAt(place: number): number {
    return this.#rows === undefined ? place : this.#rows[place]!;
  }

  itemOf(row: number): unknown {
    return this.items[row];
  }

  /** One column of a row as the server reads it, or the row's line. @param row its place in the batch */
  textOf(row: number, column: string | undefined): string {
    const item = this.items[row];
    if (this.#valuesOf === undefined) return sentText(this.layout, item, column);
    // A column that is refused for being NULL need not be among those that are loaded.
    const place = column === undefined ? -1 : this.layout.names.indexOf(column);
    return sentText(this.layout, this.#valuesOf(item, place === -1 ? undefined : place, row), column);
  }

  /** The row that the server blames, by its place in the batch. @param where CONTEXT of the server's error */
  positionOf(where: unknown): ErrorPosition | undefined {
    const found = findErrorPosition(
      typeof where === 'string' ? where : undefined,
      this.layout.plan.copiedTable,
      this.layout.names,
      this.length - this.#faults.length,
      (line, column) => this.textOf(this.#rowOfLine(line), column),
    );
    return found && { ...found, row: this.#rowOfLine(found.row) };
  }

  /** What could not be sent is no line. */
  #rowOfLine(line: number): number {
    let place = line;
    for (const { row } of this.#faults) if (row <= place) place += 1;
    return this.rowAt(place);
  }
}
