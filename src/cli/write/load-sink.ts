/** What loading row by row and loading by blocks have in common. */

import type { FieldRules } from '../csv/field-rules.js';
import { messageOf } from '../../common/thrown.js';
import type { SinkMetrics } from '../../api/metrics.js';
import type { TableDescription } from '../../postgres/table/catalogue.js';
import { CopyError } from '../../postgres/errors/copy-error.js';
import { poolProbe } from '../../postgres/connection/probe-server.js';
import { createCopy, type RowCopy } from '../../postgres/copy-into.js';
import type { ImportLog } from '../../postgres/imports/import-log.js';
import type { CopyPool } from '../../postgres/protocol/pool.js';
import type { FlushContext } from '../../api/flush-function.js';
import { NESTED_TRANSACTION } from '../../postgres/sql/transaction-scope.js';
import { causesOf, CliError, ExitCode, oneLine, placeOf } from '../common/errors.js';
import { writtenLines } from '../records/line-rows.js';
import type { LoadOptions } from '../args/options.js';
import { SourceRow } from '../records/record-parser.js';
import type { RejectFile } from '../rejects/reject-file.js';
import { messageFor, type RejectLine } from '../rejects/reject.js';
import type { LoadColumn } from '../table/table.js';
import type { WaitingFor } from '../report/waiting-for.js';
import type { UnansweredCommits } from './unanswered-commits.js';

const MAX_OUTAGE_MS = 60_000;

export interface LoadTarget {
  readonly pool: CopyPool;
  readonly table: TableDescription;
  readonly columns: readonly LoadColumn[];
  /** How fields of CSV are read that are not as the server reads them. */
  readonly rules?: FieldRules | undefined;
  readonly key: readonly string[] | undefined;
  /** Receives rejected rows. Without it the first one ends the load. */
  readonly rejects: RejectFile | undefined;
  readonly importLog: ImportLog | undefined;
  readonly unanswered: UnansweredCommits;
}

export interface LoadSink {
  readonly stream: NodeJS.WritableStream;
  /** The stream's metrics, counted in rows. */
  metrics(): SinkMetrics;
  /** What it waits for, if the last call has failed. */
  readonly waitingFor: WaitingFor;
  /** Resolves when the last flush has ended, also after the stream was destroyed. */
  ended(): Promise<void>;
}

/** The flushes that have not ended: they may still have rejects to write. */
export class OpenFlushes {
  readonly #open = new Set<Promise<unknown>>();

  add<Result>(flushing: Promise<Result>): Promise<Result> {
    const ended = flushing.finally(() => this.#open.delete(ended));
    this.#open.add(ended);
    ended.catch(() => undefined);
    return flushing;
  }

  async ended(): Promise<void> {
    await Promise.allSettled([...this.#open]);
  }
}

export function createRowCopy(
  { pool, table, columns, key, importLog, unanswered }: LoadTarget,
  { onConflict, atomic }: LoadOptions,
  lineOf: RejectLine,
): RowCopy<SourceRow> {
  const copy = createCopy<SourceRow>(
    pool,
    {
      schema: table.schema,
      table: table.table,
      columns: columns.map(({ columnName }) => columnName),
      onConflict,
      key,
      ...(importLog === undefined
        ? {}
        : { importId: importLog.importId, positionOf: (row: SourceRow) => row.ordinal }),
    },
    {
      valuesOf,
      sizedOf: ({ values }) => values,
      linesOf: writtenLines,
      rejectOf: lineOf,
      keyOf: (row: SourceRow) => row.ordinal,
      onOutcome: (first, rows) => {
        unanswered.foundOut(first as number, rows);
      },
      ...(importLog === undefined ? {} : { importLog }),
      ...(atomic ? { scope: NESTED_TRANSACTION } : {}),
    },
  );
  const watched = (rows: SourceRow[], context: FlushContext) =>
    unanswered.watch(rows[0]!.ordinal, rows.length, copy(rows, context));
  const { defaults, copyWritten } = copy;
  return Object.assign(watched, {
    // A person waits for a load: an outage ends it sooner than a service.
    defaults: { ...defaults, breaker: { maxOutageMs: MAX_OUTAGE_MS, probe: poolProbe(pool) } },
    copyWritten: (...[batch, signal]: Parameters<typeof copyWritten>) =>
      unanswered.watch(batch.first, batch.rows, copyWritten(batch, signal)),
  });
}

function valuesOf(row: SourceRow, only?: number): unknown {
  if (row.fault !== undefined) throw row.fault;
  return only === undefined ? row.values : row.valueAlone(only);
}

/** Turns a failure into one line that names the place in the input, as far as it is known. */
export function describeLoadFailure(error: unknown): CliError {
  const chain = causesOf(error);
  const own = chain.find((cause) => cause instanceof CliError);
  if (own !== undefined) return own;
  const copyError = chain.find((cause) => cause instanceof CopyError);
  if (copyError === undefined) return new CliError(oneLine(messageOf(error)), ExitCode.FAILED, error);
  const places = copyError.items.filter((item) => item instanceof SourceRow);
  const [first, last] = [places[0], places.at(-1)];
  // Only a fault of a row has a place in the input.
  if (first === undefined || last === undefined || copyError.failureClass !== 'row') {
    return new CliError(oneLine(copyError.message), ExitCode.FAILED, error);
  }
  const place =
    copyError.row !== undefined || first === last
      ? placeOf(first.file, first.line)
      : `a row from ${placeOf(first.file, first.line)} to ${placeOf(last.file, last.line)}`;
  const message = oneLine(messageFor(copyError));
  const column = copyError.column === undefined ? '' : `column ${JSON.stringify(copyError.column)}`;
  // Our own message begins with the column; the server's does not name it.
  const named = column === '' || message.startsWith(`${column} `) ? message : `${column}: ${message}`;
  return new CliError(`${place}: ${named}`, ExitCode.FAILED, error);
}
