/** Columns of a new table that got another type than the first records had, or another meaning of a text. */

import { placeOf } from '../common/errors.js';
import type { RecordPlace } from '../records/record-stream.js';

export interface Widening {
  /** The input's name of the column. */
  readonly column: string;
  readonly from: string;
  readonly to: string;
  /** Texts that have become NULL: markers that no record had before. */
  readonly nulls: readonly string[];
  /** The first value that did not fit, if it was met by the load itself. */
  readonly place: RecordPlace | undefined;
}

export interface WideningJson {
  readonly column: string;
  readonly from: string;
  readonly to: string;
  readonly nulls: readonly string[];
  readonly file: string | null;
  readonly line: number | null;
  /** In place of the line: JSON that is not one object a line. */
  readonly record?: number;
}

/** By column; of two widenings of one column, the later one goes on from the earlier. */
export class Widenings {
  readonly #byColumn = new Map<string, Widening>();
  /** How often the load started over. */
  restarts = 0;

  add(widening: Widening): void {
    const before = this.#byColumn.get(widening.column);
    const from = before?.from ?? widening.from;
    // In a text no marker is NULL.
    const nullsBefore = widening.to === 'text' ? [] : (before?.nulls ?? []);
    const nulls = [...new Set([...nullsBefore, ...widening.nulls])];
    this.#byColumn.set(widening.column, { ...widening, from, nulls, place: before?.place ?? widening.place });
  }

  /** Takes the widenings that a load has made when it starts over, which knows them from then on. */
  startOver(changes: readonly Widening[]): void {
    this.restarts += 1;
    for (const change of changes) this.add(change);
  }

  toJson(): WideningJson[] {
    return [...this.#byColumn.values()].map(({ place, ...widening }) => {
      const counts = place?.file.countsRecords === true;
      const record = counts ? { record: place.line } : {};
      return {
        ...widening,
        file: place?.file.name ?? null,
        line: counts ? null : (place?.line ?? null),
        ...record,
      };
    });
  }

  /** Returns a line for people, if there is something to say. */
  describe(): string | undefined {
    if (this.#byColumn.size === 0) return undefined;
    const parts = [...this.#byColumn.values()].map(describeOne);
    const times = this.restarts === 1 ? '' : ` ${this.restarts} times`;
    const end = this.restarts === 0 ? '' : `; the load started over${times}`;
    return `widened: ${parts.join('; ')}${end}`;
  }
}

function describeOne({ column, from, to, nulls, place }: Widening): string {
  const type = from === to ? [] : [`${from} → ${to}`];
  const markers = nulls.map((text) => `${JSON.stringify(text)} is NULL`);
  const at = place === undefined ? '' : ` at ${placeOf(place.file, place.line)}`;
  return `${column}: ${[...type, ...markers].join(', ')}${at}`;
}
