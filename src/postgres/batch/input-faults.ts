/**
 * Finds rows with a value that the server cannot read, before they are sent: fields that may be such values are found here, and the server says
 * of all of them in one statement what is wrong. In COPY, each would cost a statement that fails, and the rows before it would be read again.
 * A row that probably violates a CHECK constraint is only predicted to be at fault: it is tried by itself.
 *
 * It is only a short cut. A row that is not found is refused by COPY, and one is blamed only with the server's own error.
 */

import type { Batch } from '../copy/batch.js';
import { LineCheck, type DoubtfulField } from '../encoding/binary/line-check.js';
import type { Prediction } from '../isolation/refusal.js';
import type { CopyClient } from '../protocol/pool.js';
import type { WrittenLines } from '../rows/encoded-rows.js';
import type { RowLayout } from '../rows/row-layout.js';
import { SentRows } from '../rows/sent-rows.js';
import { statement } from '../sql/statement.js';
import type { BatchTransaction } from './batch-transaction.js';

/** If a larger share of a column's fields is doubtful, they are of another form than the one that is known here, and most are valid. */
const MOST_DOUBTFUL = 1 / 8;
const MOST_DOUBTFUL_AT_LEAST = 64;

/** Only built-in types are asked about: their input functions report faults without an error. */
const EXPLAIN = statement(
  'SELECT f.message, f.detail, f.sql_error_code AS code ' +
    'FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) WITH ORDINALITY AS v(value, type, place), ' +
    'LATERAL pg_catalog.pg_input_error_info(v.value, v.type) AS f ORDER BY v.place',
);

interface Explanation {
  readonly message: string | null;
  readonly detail: string | null;
  readonly code: string | null;
}

interface Doubt extends DoubtfulField {
  readonly row: number;
}

/** Leaves out the rows that are found. Returns the rows that a CHECK constraint probably refuses. @param lines those of the batch's rows */
export async function leaveOutInputFaults<T, Client extends CopyClient>(
  batch: Batch<T, Client>,
  transaction: BatchTransaction<T, Client>,
  lines: WrittenLines,
): Promise<Prediction[]> {
  const { doubts, predictions } = await checkLines(batch.layout, lines, transaction);
  if (doubts.length > 0) await leaveOutDoubts(batch, transaction, doubts);
  return predictions.filter(([row]) => !transaction.failures.has(row!));
}

async function leaveOutDoubts<T, Client extends CopyClient>(
  { layout, items, valuesOf }: Batch<T, Client>,
  transaction: BatchTransaction<T, Client>,
  doubts: readonly Doubt[],
): Promise<void> {
  const types = doubts.map(({ column }) => layout.fieldChecks[column]!.sqlType);
  const found = await transaction.query(EXPLAIN, [doubts.map(({ text }) => text), types]);
  for (const [place, { row, column }] of doubts.entries()) {
    const { message, detail, code } = found.rows[place] as Explanation;
    // The first field of a row counts.
    if (message === null || transaction.failures.has(row)) continue;
    // As if COPY had read the row alone.
    const where = `COPY ${layout.plan.copiedTable}, line 1, column ${layout.names[column]!}: ""`;
    const error = Object.assign(new Error(message), { severity: 'ERROR', code, detail, where });
    const refusal = transaction.refusal(error, new SentRows(layout, items, [row], valuesOf));
    if (refusal?.row === row) transaction.failures.set(row, refusal.error);
  }
}

async function checkLines<T, Client extends CopyClient>(
  { fieldChecks, hasTriggers }: RowLayout,
  { delimiter, nullText, chunks, chunkOf, starts, ends }: WrittenLines,
  { copyContext: { pacer } }: BatchTransaction<T, Client>,
): Promise<{ doubts: readonly Doubt[]; predictions: readonly Prediction[] }> {
  if (nullText === undefined || fieldChecks.length === 0) return { doubts: [], predictions: [] };
  const check = new LineCheck(fieldChecks, { delimiter, nullText });
  const doubts: Doubt[] = [];
  const predictions = new Set<number>();
  const byColumn = new Array<number>(fieldChecks.length).fill(0);
  let row = 0;
  const onDoubt = (field: DoubtfulField): void => {
    byColumn[field.column]! += 1;
    doubts.push({ row, ...field });
  };
  // A trigger may set another value.
  const onOutOfBounds = (): void => {
    if (!hasTriggers) predictions.add(row);
  };
  const findings = { onDoubt, onOutOfBounds };
  for (; row < starts.length; row += 1) {
    if (ends[row] === starts[row]) continue;
    check.check(chunks[chunkOf[row]!]!, starts[row]!, ends[row]!, findings);
    if (pacer.isTurnSpent()) await pacer.nextTurn();
  }
  const most = Math.max(MOST_DOUBTFUL_AT_LEAST, starts.length * MOST_DOUBTFUL);
  const last = byColumn.findIndex((count) => count > most);
  return {
    doubts: last === -1 ? doubts : doubts.filter(({ column }) => column < last),
    predictions: [...predictions].map((row) => [row]),
  };
}
