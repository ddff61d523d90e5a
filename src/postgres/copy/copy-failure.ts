/** Makes a `CopyError` of whatever went wrong with a batch. Pure. */

import type { BatchFailure } from './batch.js';
import { DEFAULT_MARKER, MOST_COLUMNS } from '../merge/absent-values.js';
import type { TimeLimit } from './statement-size.js';
import { firstOf, messageOf as messageOfAny } from '../../common/thrown.js';
import { CopyError, type CopyFailureClass } from '../errors/copy-error.js';
import type { ErrorPosition } from '../rows/error-position.js';
import { AbortFault } from '../connection/answer-deadline.js';
import type { RowLayout } from '../rows/row-layout.js';
import { RowFault } from '../rows/row-fault.js';
import type { SentRows } from '../rows/sent-rows.js';
import { classify, isSaidOfValues, isSqlState } from '../errors/sqlstate.js';

const LONGEST_MESSAGE = 500;

/** The fields of node-postgres' `DatabaseError` that are used here. */
interface ServerError extends Error {
  code?: unknown;
  severity?: unknown;
  where?: unknown;
  table?: unknown;
  column?: unknown;
  constraint?: unknown;
  routine?: unknown;
  internalQuery?: unknown;
}

/** Failures before there is a layout: no connection, no such table, no such column. */
export function describeSetupFailure(error: Error, table: string): CopyError {
  if (error instanceof CopyError) return error;
  if (error instanceof AbortFault) return aborted(error, table, false);
  return new CopyError(`cannot look up table ${JSON.stringify(table)}: ${messageOf(error)}`, {
    failureClass: classOf(error, undefined),
    sqlState: sqlStateOf(error),
    table,
    cause: error,
  });
}

export function describeBatchFailure(
  {
    stage,
    cause: error,
    isCommitOpen = false,
  }: Pick<BatchFailure, 'stage' | 'cause'> & Partial<BatchFailure>,
  layout: RowLayout,
  sent: SentRows,
): CopyError {
  const { table } = layout;
  if (error instanceof CopyError) return error;
  if (error instanceof AbortFault) return aborted(error, table, isCommitOpen);
  if (error instanceof RowFault) {
    const row = sent.rowAt(error.row);
    return describeRowFault(error, layout, row, sent.itemOf(row));
  }
  const server = error as ServerError;
  const found = sent.positionOf(server.where);
  const failureClass = classOf(server, found, layout, sent);
  // A backend that is terminated names the row that it was at, too: that row has no fault.
  const position = failureClass === 'row' ? found : undefined;
  const isAmbiguous = isCommitOpen;
  const column = position?.column ?? textOr(server.column);
  return new CopyError(
    [
      `COPY into ${target(layout)} failed`,
      stage === 'beforeCommit' ? ' in beforeCommit' : '',
      place(position?.row, column),
      isAmbiguous ? ' after COMMIT was sent, so the batch may have arrived or not' : '',
      `: ${ofTable(messageOf(server), layout)}`,
    ].join(''),
    {
      failureClass,
      ambiguous: isAmbiguous,
      sqlState: sqlStateOf(server),
      table,
      column,
      constraint: textOr(server.constraint),
      row: position?.row,
      cause: server,
      items: position === undefined ? sent.items : [sent.itemOf(position.row)],
    },
  );
}

const TIME_LIMIT_ADVICE = {
  statement_timeout:
    'one row by itself takes longer than that: give the role a longer one (ALTER ROLE … SET statement_timeout), or look for a slow trigger',
  transaction_timeout:
    'a batch takes longer than that: give the role a longer one (ALTER ROLE … SET transaction_timeout), or lower batchSize (--batch-size)',
};

/** For rows that leave something out: the temporary table that they need has no room for the list of it. */
export function describeTooManyColumns(layout: RowLayout): CopyError {
  const count = layout.names.length.toLocaleString('en-US');
  return new CopyError(
    `COPY into ${target(layout)} failed: a row leaves out a column that has a default; with onConflict or row-level security that needs a ` +
      `temporary table of one column more than the ${count} columns that are loaded, and a table has at most ${MOST_COLUMNS.toLocaleString('en-US')}: ` +
      "give every row a value for each column (null is one), or load fewer columns (option 'columns', --columns)",
    { failureClass: 'setup', sqlState: '54011', table: layout.table },
  );
}

/** A time limit that smaller statements do not help against: another attempt would end alike. */
export function describeTimeLimit(error: CopyError, { setting, ms }: TimeLimit): CopyError {
  const { sqlState, table, row, cause, items } = error;
  const value = ms === undefined ? '' : ` of ${ms} ms`;
  const message = `${error.message} (${setting}${value}; ${TIME_LIMIT_ADVICE[setting]})`;
  return new CopyError(message, { failureClass: 'setup', sqlState, table, row, cause, items });
}

/** @param sent the one row that was sent, and took longer than the time limit */
export function describeSlowRow(error: Error, limit: TimeLimit, sent: SentRows): CopyError {
  const described = describeBatchFailure({ stage: 'copy', cause: error }, sent.layout, sent);
  const row = sent.rowAt(0);
  return describeTimeLimit(blameRow(described, row, sent.itemOf(row)), limit);
}

/** An abort while the time limit keeps statements small. @param rows about as many as a statement may have */
export function describeSlowBatch(error: CopyError, { setting, ms }: TimeLimit, rows: number): CopyError {
  const { failureClass, table, cause, retryable } = error;
  const message =
    `${error.message} (within the ${setting} of ${ms} ms a statement has time for about ${rows} rows; if the batch as a whole takes longer ` +
    'than flushTimeoutMs, lower batchSize (--batch-size), or raise flushTimeoutMs)';
  return new CopyError(message, { failureClass, retryable, table, cause });
}

/** Names a row that the server did not name: it was sent alone. */
export function blameRow(error: CopyError, row: number, item: unknown): CopyError {
  const { failureClass, sqlState, table, column, constraint, cause } = error;
  const message = error.message.replace(' failed', ` failed at row ${row} of the batch`);
  return new CopyError(message, {
    failureClass,
    sqlState,
    table,
    column,
    constraint,
    row,
    cause,
    items: [item],
  });
}

/** @param row the row's place in the batch */
export function describeRowFault(fault: RowFault, layout: RowLayout, row: number, item: unknown): CopyError {
  return new CopyError(`COPY into ${target(layout)} failed: row ${row} of the batch: ${fault.message}`, {
    failureClass: 'row',
    sqlState: fault.sqlState,
    table: layout.table,
    column: fault.column,
    row,
    cause: fault.cause ?? fault,
    items: [item],
  });
}

function aborted(fault: AbortFault, table: string, isAmbiguous: boolean): CopyError {
  const outcome = isAmbiguous
    ? 'after COMMIT was sent, so the batch may have arrived or not'
    : 'and rolled back';
  return new CopyError(`COPY into table ${JSON.stringify(table)} was aborted ${outcome}`, {
    failureClass: 'aborted',
    retryable: !isAmbiguous,
    ambiguous: isAmbiguous,
    table,
    cause: fault.cause,
  });
}

/** An unknown code is a row's fault if the server named the row (a trigger may have codes of its own), and otherwise the set-up's. */
function classOf(
  error: ServerError,
  position: ErrorPosition | undefined,
  layout?: RowLayout,
  sent?: SentRows,
): CopyFailureClass {
  if (layout !== undefined && lacksColumn(error, layout)) return 'setup';
  const found = classify(error);
  if (found === 'setup' && isSaidOfValues(error.code) && isOfValue(error, position, sent)) return 'row';
  if (found !== 'unknown') return found;
  return position === undefined ? 'setup' : 'row';
}

/** The server names a column beside the line only while the column's type reads the value, or while a default takes its place. */
function isOfValue(
  error: ServerError,
  position: ErrorPosition | undefined,
  sent: SentRows | undefined,
): boolean {
  if (position?.column === undefined) return false;
  if (!position.isFirst && !isOfTypeName(error)) return false;
  return sent?.readableTextOf(position.row, position.column) !== DEFAULT_MARKER;
}

/** True for a type's name: `regtype` reads it by the parser, which adds a line of context. For a function's statement it would quote that, too. */
function isOfTypeName({ code, routine, internalQuery }: ServerError): boolean {
  return code === '42601' && routine === 'scanner_yyerror' && internalQuery === undefined;
}

/** NOT NULL of a column that is not loaded: no row has a value for it. */
function lacksColumn({ code, table, column }: ServerError, layout: RowLayout): boolean {
  return (
    code === '23502' && table === layout.table && typeof column === 'string' && !layout.names.includes(column)
  );
}

function sqlStateOf(error: ServerError): string | undefined {
  return isSqlState(error.code) ? error.code : undefined;
}

function textOr(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Replaces the temporary table's name by the table's. */
function ofTable(message: string, { table, plan }: RowLayout): string {
  return plan.staging === undefined ? message : message.replaceAll(plan.copiedTable, () => table);
}

function target({ schema, table }: RowLayout): string {
  return `"${schema}"."${table}"`;
}

function place(row: number | undefined, column: string | undefined): string {
  const parts: string[] = [];
  if (row !== undefined) parts.push(`row ${row} of the batch`);
  if (column !== undefined) parts.push(`column ${JSON.stringify(column)}`);
  return parts.length === 0 ? '' : ` at ${parts.join(', ')}`;
}

/** A host with several addresses fails with an error that has no message and contains one error for each. */
function messageOf(error: Error): string {
  const message = messageOfAny(error.message !== '' ? error : firstOf(error));
  return message.length > LONGEST_MESSAGE ? `${message.slice(0, LONGEST_MESSAGE)}…` : message;
}
