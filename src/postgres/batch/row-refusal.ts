/** Decides what an error of the server means for the search for bad rows. Pure. */

import type { WorkPacer } from '../../common/turn-budget.js';
import type { BatchStage } from '../copy/batch.js';
import type { CopyError } from '../errors/copy-error.js';
import { blameRow, describeBatchFailure } from '../copy/copy-failure.js';
import type { Refusal } from '../isolation/refusal.js';
import type { RowLayout } from '../rows/row-layout.js';
import type { SentRows } from '../rows/sent-rows.js';
import { isSaidOfValues } from '../errors/sqlstate.js';
import { candidateRows, refusedKey, repeatedKeys } from '../isolation/candidates.js';

/** Returns `undefined` if no row is known to be at fault. @param sent the rows that were refused */
export function refusalOf(
  error: Error,
  stage: BatchStage,
  sent: SentRows,
  pacer: WorkPacer,
): Refusal<CopyError> | undefined {
  if (stage !== 'copy' && stage !== 'merge' && stage !== 'commit') return undefined;
  const { layout } = sent;
  const described = describeBatchFailure({ stage, cause: error }, layout, sent);
  if (described.failureClass !== 'row') return undefined;
  const key = refusedKey(error, sent);
  const alone = sent.length === 1 && described.row === undefined ? sent.rowAt(0) : undefined;
  return {
    error: alone === undefined ? described : blameRow(described, alone, sent.itemOf(alone)),
    row: described.row,
    candidates: () => candidateRows(error, sent, pacer),
    // Of the whole batch: what one slice says of a key holds for all.
    ...(key !== undefined && { pairs: () => repeatedKeys(key, sent.wholeBatch(), pacer) }),
    mayPassLater: mayPassLater(described.sqlState, layout),
    isOfValue: isOfValue(error, described, layout),
    isOnReading: described.row !== undefined && !isOfKey(described.sqlState),
  };
}

/** A unique key may be taken by a row that is at fault itself; a row may refer to one of the same table that comes later. */
function mayPassLater(sqlState: string | undefined, layout: RowLayout): boolean {
  return sqlState === '23503' ? layout.refersToItself : isOfKey(sqlState);
}

/** Unique, or excluding others: looked at when rows are put into the table, many of them together. */
function isOfKey(sqlState: string | undefined): boolean {
  return sqlState === '23505' || sqlState === '23P01';
}

/** Whether no other row has a part in it. Without triggers only unique keys, and foreign keys to the table itself, look at other rows. */
function isOfValue(error: Error, { sqlState, column }: CopyError, layout: RowLayout): boolean {
  if (sqlState === undefined) return false;
  // While a value is read, only the context names its column. What a trigger raises may name a column in the error itself.
  const isNamedByContext = column !== undefined && (error as { column?: unknown }).column === undefined;
  if (isNamedByContext && isSaidOfValues(sqlState)) return true;
  if (layout.hasTriggers) return false;
  // In its turn, the row may be one that is left out.
  if (sqlState === '23503') return !layout.refersToItself && !layout.plan.isOrdered;
  return sqlState.startsWith('22') || sqlState === '23502' || sqlState === '23514';
}
