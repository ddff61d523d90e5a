/** The keys of a batch's rows, which may become columns. */

import { forEachInTurns, WorkPacer } from '../../common/turn-budget.js';
import type { RowLayout } from './row-layout.js';
import type { ValuesOf } from './row-writer.js';

/** The row whose keys are to be the columns: where bad rows are taken, the first that has any. */
export async function firstRow(
  items: readonly unknown[],
  takesFailures: boolean,
  rowOf: ValuesOf | undefined,
): Promise<unknown> {
  const first = tryRow(items[0], rowOf);
  if (!takesFailures) return first;
  const pacer = new WorkPacer();
  for (const item of items) {
    const row = tryRow(item, rowOf);
    if (Array.isArray(row)) return row;
    if (typeof row === 'object' && row !== null && !ArrayBuffer.isView(row) && Object.keys(row).length > 0)
      return row;
    if (pacer.isTurnSpent()) await pacer.nextTurn();
  }
  return first;
}

/** Columns that rows of the batch have a value for, and that are not among those that are loaded. */
export async function missingColumns(
  items: readonly unknown[],
  { addable }: RowLayout,
  rowOf: ValuesOf | undefined,
): Promise<string[]> {
  const missing = new Set<string>();
  await forEachInTurns(items.length, (index) => {
    const row = tryRow(items[index], rowOf);
    if (typeof row !== 'object' || row === null || Array.isArray(row)) return;
    for (const [key, value] of Object.entries(row))
      if (value !== undefined && addable.has(key)) missing.add(key);
  });
  return [...missing];
}

/** What the function throws is told where the row is written. */
function tryRow(item: unknown, rowOf: ValuesOf | undefined): unknown {
  try {
    return rowOf === undefined ? item : rowOf(item);
  } catch {
    return undefined;
  }
}
