/** Reads the values of an item's row: by the option `row`, with the weight that `weightColumn` stores. Pure. */

import { types } from 'node:util';
import { ignoreRejection } from '../../guards/user-callbacks.js';
import type { RowLayout } from './row-layout.js';
import type { ValuesOf } from './row-writer.js';

export interface RowSource {
  /** The option `row`, or what the command line has in its place. Undefined: items are rows. */
  readonly rowOf: ValuesOf | undefined;
  readonly weightColumn: string | undefined;
}

/** Wraps the option `row`. A promise is refused like any object that is not a row. Its rejection, which nobody awaits, is handled here. */
export function rowMapper<T>(mapRow: (item: T) => object): (item: T) => object {
  return (item) => {
    const row: unknown = mapRow(item);
    const isPlain =
      typeof row !== 'object' || row === null || Object.getPrototypeOf(row) === Object.prototype;
    if (!isPlain && types.isPromise(row)) ignoreRejection(row);
    return row as object;
  };
}

/**
 * How the rows of a batch are read. Undefined: items are rows, as they are.
 *
 * @param weightOf by the place of a row in the batch
 */
export function rowReader(
  { rowOf, weightColumn }: RowSource,
  layout: RowLayout,
  weightOf: (row: number) => number,
): ValuesOf | undefined {
  if (weightColumn === undefined) return rowOf;
  const place = layout.names.indexOf(weightColumn);
  return (item, only, row) => {
    const values = rowOf === undefined ? item : rowOf(item, only, row);
    const weight = row === undefined ? 1 : weightOf(row);
    if (Array.isArray(values)) return (values as unknown[]).toSpliced(place, 0, weight);
    return isRow(values, layout.names) ? withWeight(values, weightColumn, weight) : values;
  };
}

/** Anything else is refused when it is written. */
function isRow(values: unknown, names: readonly string[]): values is object {
  if (typeof values !== 'object' || values === null) return false;
  const prototype: unknown = Object.getPrototypeOf(values);
  return prototype === Object.prototype || prototype === null || names.some((name) => name in values);
}

function withWeight(values: object, weightColumn: string, weight: number): object {
  if (Object.hasOwn(values, weightColumn)) {
    throw new Error(`has the key ${JSON.stringify(weightColumn)}, which the option 'weightColumn' fills`);
  }
  const copy = Object.assign(Object.create(Object.getPrototypeOf(values) as object | null), values) as object;
  return Object.defineProperty(copy, weightColumn, { value: weight, enumerable: true });
}
