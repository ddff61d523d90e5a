/** What loading row by row and loading by blocks have in common. */

import type { FieldRules } from '../csv/field-rules.js';
import type { SinkMetrics } from '../../api/metrics.js';
import type { TableDescription } from '../../postgres/table/catalogue.js';
import { poolProbe } from '../../postgres/connection/probe-server.js';
import { createCopy, type RowCopy } from '../../postgres/copy-into.js';
import type { ImportLog } from '../../postgres/imports/import-log.js';
import type { CopyError } from '../../postgres/errors/copy-error.js';
import type { CopyPool } from '../../postgres/protocol/pool.js';
import type { FlushContext } from '../../api/flush-function.js';
import { NESTED_TRANSACTION } from '../../postgres/sql/transaction-scope.js';
import { writtenLines } from '../records/line-rows.js';
import type { LoadOptions } from '../args/options.js';
import type { SourceRow } from '../records/record-parser.js';
import type { RejectFile } from '../rejects/reject-file.js';
import type { RejectLine } from '../rejects/reject.js';
import type { LoadColumn } from '../table/table.js';
import type { ColumnWidener } from './column-widener.js';
import type { WaitingFor } from '../report/waiting-for.js';
import type { UnansweredCommits } from './unanswered-commits.js';

const MAX_OUTAGE_MS = 60_000;

export type RejectedRow = [SourceRow, CopyError];

export interface LoadTarget {
  readonly pool: CopyPool;
  readonly table: TableDescription;
  readonly columns: readonly LoadColumn[];
  /** How fields of CSV are read that are not as the server reads them. */
  readonly rules?: FieldRules | undefined;
  readonly key: readonly string[] | undefined;
  /** Receives rejected rows. Without it the first one ends the load. */
  readonly rejects: RejectFile | undefined;
  /** Counts them, if something is to be reported of them. */
  readonly onRejects?: ((rejected: readonly RejectedRow[]) => void) | undefined;
  readonly importLog: ImportLog | undefined;
  readonly unanswered: UnansweredCommits;
  /** Set if the types of the columns were inferred, and may be widened. */
  readonly widener?: ColumnWidener | undefined;
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
  { pool, table, columns, key, importLog, unanswered, widener }: LoadTarget,
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
      // A column that becomes wider would be another one than is described.
      ...(widener === undefined ? { description: table } : {}),
      valuesOf: (row, only) => valuesOf(row, only, widener),
      sizedOf: ({ values }) => values,
      linesOf: writtenLines,
      rejectOf: lineOf,
      keyOf: (row: SourceRow) => row.ordinal,
      onOutcome: (first, rows) => {
        unanswered.foundOut(first as number, rows);
      },
      ...(widener === undefined ? {} : { failsBatch: widener.isMisfit }),
      ...(importLog === undefined ? {} : { importLog }),
      ...(atomic ? { scope: NESTED_TRANSACTION } : {}),
    },
  );
  const watched = (rows: SourceRow[], context: FlushContext) =>
    unanswered.watch(rows[0]!.ordinal, rows.length, copyAndWiden(rows, context));
  const copyAndWiden = async (rows: SourceRow[], context: FlushContext) => {
    const widened = new Set<string>();
    for (let next = context; ; next = { ...next, attempt: next.attempt + 1 }) {
      try {
        return await copy(rows, next);
      } catch (error) {
        if (widener === undefined) throw error;
        await widener.makeRoomAfter(error, widened);
        forgetTable();
      }
    }
  };
  const { defaults, begin, copyWritten, forgetTable } = copy;
  return Object.assign(watched, {
    // A person waits for a load: an outage ends it sooner than a service.
    defaults: { ...defaults, breaker: { maxOutageMs: MAX_OUTAGE_MS, probe: poolProbe(pool) } },
    begin,
    forgetTable,
    copyWritten: (...[batch, signal]: Parameters<typeof copyWritten>) =>
      unanswered.watch(batch.first, batch.rows, copyWritten(batch, signal)),
  });
}

function valuesOf(row: SourceRow, only: number | undefined, widener: ColumnWidener | undefined): unknown {
  if (row.fault !== undefined) throw row.fault;
  if (only !== undefined) return row.valueAlone(only);
  const { values } = row;
  widener?.assertFit(row, values);
  return values;
}
