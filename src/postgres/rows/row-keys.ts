/** The keys of a batch's rows, which may become columns. */

import { forEachInTurns, WorkPacer } from '../../common/turn-budget.js';
import type { RowLayout } from './row-layout.js';
import type { ValuesOf } from './row-writer.js';

/**
 * Returns the row whose keys become the columns: the first row, or the first with keys if bad rows are taken out.
 *
 * @returns the row in an object of its own: a promise would look for a `then` in the row, which may throw
 */
export async function firstRow(
  items: readonly unknown[],
  takesFailures: boolean,
  rowOf: ValuesOf | undefined,
): Promise<{ readonly row: unknown }> {
  const first = { row: tryRow(items[0], rowOf) };
  if (!takesFailures) return first;
  const pacer = new WorkPacer();
  for (const item of items) {
    const row = tryRow(item, rowOf);
    if (namesColumns(row)) return { row };
    if (pacer.isTurnSpent()) await pacer.nextTurn();
  }
  return first;
}

/** True for an array, and for an object that has keys. */
function namesColumns(row: unknown): boolean {
  if (typeof row !== 'object' || row === null) return false;
  try {
    return Array.isArray(row) || (!ArrayBuffer.isView(row) && Object.keys(row).length > 0);
  } catch {
    // It cannot be read. That is reported when the row is written.
    return false;
  }
}

/** Returns columns that are not loaded, and that rows of the batch have a value for. */
export async function missingColumns(
  items: readonly unknown[],
  { addable }: RowLayout,
  rowOf: ValuesOf | undefined,
): Promise<string[]> {
  const missing = new Set<string>();
  await forEachInTurns(items.length, (index) => {
    const row = tryRow(items[index], rowOf);
    if (typeof row !== 'object' || row === null) return;
    try {
      if (Array.isArray(row)) return;
      for (const key of Object.keys(row)) {
        if (addable.has(key) && (row as Record<string, unknown>)[key] !== undefined) missing.add(key);
      }
    } catch {
      // As above.
    }
  });
  return [...missing];
}

/** Returns `undefined` if the function throws: its error is reported when the row is written. */
function tryRow(item: unknown, rowOf: ValuesOf | undefined): unknown {
  try {
    return rowOf === undefined ? item : rowOf(item);
  } catch {
    return undefined;
  }
}
