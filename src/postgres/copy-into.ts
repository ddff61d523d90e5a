/** `copyInto`: a flush function that writes its batches into a PostgreSQL table by COPY. */

import { forEachInTurns } from '../common/turn-budget.js';
import { ItemError } from '../api/errors.js';
import type { FlushContext, FlushDefaults, FlushResult, SizeOf } from '../api/flush-function.js';
import { BatchFailure, type FaultMemory, type RowFailures, type WrittenRows } from './copy/batch.js';
import { BatchCheckpoints, type CheckpointedBatch, type WrittenRange } from './batch-checkpoints.js';
import { copyBatch } from './batch/copy-batch.js';
import { OutageNotice } from './connection/outage-notice.js';
import { checkPool } from './connection/check-pool.js';
import { freshProbe } from './connection/probe-server.js';
import { AbsentRefusal, MissingColumn } from './merge/absent-values.js';
import { CopyError } from './errors/copy-error.js';
import {
  describeBatchFailure,
  describeSlowBatch,
  describeSlowRow,
  describeTimeLimit,
  describeTooManyColumns,
} from './copy/copy-failure.js';
import { StatementSize } from './copy/statement-size.js';
import { FormatChoice } from './rows/copy-format.js';
import { checkCopyOptions, conflictRuleOf, type CopyOptionFields, type CopyOptions } from './copy-options.js';
import type { WrittenLines } from './rows/encoded-rows.js';
import type { ImportLog } from './imports/import-log.js';
import type { CopyClient, CopyPool } from './protocol/pool.js';
import type { RowLayout } from './rows/row-layout.js';
import { firstRow, missingColumns } from './rows/row-keys.js';
import { rowMapper, rowReader } from './rows/row-source.js';
import { RowSizes } from './rows/row-size.js';
import type { ValuesOf } from './rows/row-writer.js';
import { SentRows } from './rows/sent-rows.js';
import { hintsAtChangedTable, leavesConnectionUsable } from './errors/sqlstate.js';
import { TableLayout } from './copy/table-layout.js';
import { OWN_TRANSACTION, type TransactionScope } from './sql/transaction-scope.js';

/** A flush function into a table, with the options that suit it. */
export interface CopyFunction<T> {
  (items: T[], context: FlushContext): Promise<FlushResult | undefined>;
  readonly defaults: FlushDefaults<T>;
}

/** A batch whose rows are written already. */
type WrittenBatch = WrittenRange & WrittenRows;

/** What only the command line uses. */
export type RowCopy<T> = CopyFunction<T> & {
  /**
   * Copies a batch of written rows, at its first attempt. Answers `false` where the server does not take it as it is: nothing of it has
   * landed then, and its rows, copied one by one as a further attempt at it, will tell why.
   *
   * @throws {CopyError} `transport`, `aborted`, or whatever has left it unknown whether the batch has landed
   */
  readonly copyWritten: (batch: WrittenBatch, signal: AbortSignal) => Promise<boolean>;
};

const MIB = 1024 * 1024;
/** Of node-postgres, where the pool does not tell. */
const POOL_SIZE = 10;

/**
 * Makes a flush function that copies each batch into a table: one batch, one COPY, one transaction.
 *
 * A batch arrives whole or not at all; where the stream has `onFailed`, whole but for the rows that the table refuses: these are found and
 * handed over, each as an `ItemError` whose `cause` is a {@link CopyError}, and the others land. When the connection is lost between COMMIT
 * and its answer, nobody knows whether the batch arrived: the error says so (`ambiguous`), and the attempt after it may write the batch a
 * second time. With `importId` it never does.
 *
 * Rows are objects (own keys are columns; `Map`s are refused) or arrays. `null` is NULL; what is absent or `undefined` gets the column's
 * default. A string is taken as the type's
 * own literal, as the server would read it: for `json` and `jsonb` it is JSON text, while any other value is turned into JSON; for arrays
 * `{…}`. A `Date` stores what node-postgres' INSERT stores: its local time in `date` and `timestamp` (see `dates`). Whatever the table cannot take fails with a {@link CopyError} that
 * names row and column; so does U+0000 or half a surrogate pair, which PostgreSQL would refuse or spoil.
 *
 * The pool stays the caller's: its size bounds the connections, and its own 'error' event (an idle client lost) needs the caller's
 * listener, as with any use of a `pg.Pool`.
 *
 * @param pool a `pg.Pool`
 * @throws {InvalidOptionError} a wrong option. The table itself is looked up by the first batch.
 */
export function copyInto<T extends object = Record<string, unknown>, Client extends CopyClient = CopyClient>(
  pool: CopyPool<Client>,
  options: CopyOptions<T, Client>,
): CopyFunction<T> {
  const { copy, defaults } = buildCopy<T, Client>(pool, options);
  OutageNotice.watch(pool);
  return Object.assign(copy, { defaults });
}

/** What only the command line sets. */
export interface CopyInternals<T> {
  /**
   * The row that an item stands for; what it throws is a fault of that row. With `only`, of its values just the one at that place is asked
   * for. Needs the option `columns`.
   */
  valuesOf?: (item: T, only?: number) => unknown;
  /** What `sizeOf` is asked about of an item, if that is not the item. */
  sizedOf?: (item: T) => unknown;
  scope?: TransactionScope;
  /** An import that has been opened already. Needs the option `positionOf`. */
  importLog?: ImportLog;
  /** The rows that items stand for, where they are written already. */
  linesOf?: (items: readonly T[]) => WrittenLines | undefined;
  /** By what a batch is known for the same when it is tried again, from its first item. Default: the item itself. */
  keyOf?: (item: T) => unknown;
  /** Another attempt has found out what became of the batch with that key. */
  onOutcome?: (key: unknown, rows: number) => void;
  /** What the import keeps of an item that was left out, as JSON. Default: nothing. */
  rejectOf?: (item: T, error: CopyError) => unknown;
}

export function createCopy<T extends object, Client extends CopyClient = CopyClient>(
  pool: CopyPool<Client>,
  options: CopyOptionFields<T, Client>,
  internals: CopyInternals<T> = {},
): RowCopy<T> {
  const { copy, defaults, copyWritten } = buildCopy(pool, options, internals);
  return Object.assign(copy, { defaults, copyWritten });
}

function buildCopy<T extends object, Client extends CopyClient>(
  pool: CopyPool<Client>,
  options: CopyOptionFields<T, Client>,
  internals: CopyInternals<T> = {},
) {
  checkPool(pool);
  const checked = checkCopyOptions(options);
  const { table, schema, columns, format = 'auto', dates, row: mapRow, weightColumn } = checked;
  const conflict = conflictRuleOf(checked);
  // Which of two rows with one key counts depends on their order: a batch begins when the one before it has settled, retries included.
  const isUpsert = conflict.onConflict !== 'error';
  const tableLayout = new TableLayout(pool, schema, table, columns, conflict, format, dates, weightColumn);
  const { valuesOf = mapRow && rowMapper(mapRow) } = internals;
  const source = { rowOf: valuesOf as ValuesOf | undefined, weightColumn };
  const formatChoice = new FormatChoice(format);
  const sizes = new RowSizes();
  const checkpoints = BatchCheckpoints.create<T>(pool, checked, internals);
  const memory: FaultMemory = { faultSpacing: undefined };
  const statementSize = new StatementSize();

  /** The last batch had rows that left out a column with a default. */
  let expectsAbsent = false;

  const copyWith = async (
    layout: RowLayout,
    batch: CheckpointedBatch<T>,
    isolates: boolean,
    context: FlushContext,
  ): Promise<RowFailures> => {
    const { signal } = context;
    const readRow = rowReader(source, layout, (row) => context.weights[batch.indexOf(row)] ?? 1);
    const { listing } = layout;
    if (listing === undefined || !expectsAbsent) {
      try {
        return await copyBy(layout, layout, batch, isolates, signal, readRow);
      } catch (error) {
        if (!(error instanceof AbsentRefusal)) throw error;
        if (listing === undefined) throw describeTooManyColumns(layout);
        expectsAbsent = true;
      }
    }
    return copyBy(listing, layout, batch, isolates, signal, readRow);
  };

  /** @param known the layout that the look-up gave, of which `layout` may be a variant */
  const copyBy = async (
    layout: RowLayout,
    known: RowLayout,
    batch: CheckpointedBatch<T>,
    isolates: boolean,
    signal: AbortSignal,
    readRow: ValuesOf | undefined,
  ): Promise<RowFailures> => {
    const { items } = batch;
    const { scope = OWN_TRANSACTION } = internals;
    try {
      const failures = await copyBatch<T, Client>({
        pool,
        layout,
        items,
        // Lines know no list of what is left out.
        lines: layout === known ? internals.linesOf?.(items) : undefined,
        signal,
        scope,
        isolates,
        memory,
        format: formatChoice,
        statementSize,
        onEncoded: (bytes, hasLeftOut) => {
          if (layout !== known) expectsAbsent = hasLeftOut;
          return sizes.learn(items, bytes, internals.sizedOf);
        },
        onStaleLayout: () => tableLayout.forget(known),
        valuesOf: readRow,
        beforeCommit: checked.beforeCommit,
        checkpoint: batch.checkpoint,
      });
      batch.onCommitted();
      return failures;
    } catch (error) {
      if (!(error instanceof BatchFailure)) throw error;
      const { cause } = error;
      if (cause instanceof AbsentRefusal || cause instanceof MissingColumn) throw cause;
      const leftOut = await batch.onFailure(error.stage, cause, signal, error.open);
      if (leftOut !== undefined) return leftOut;
      const sent = new SentRows(layout, items, undefined, readRow);
      const failure = describeBatchFailure(error, layout, sent);
      const { limit } = error;
      if (failure.failureClass === 'aborted' && !failure.ambiguous && statementSize.limit !== undefined) {
        throw new StagedFailure(
          error.stage,
          describeSlowBatch(failure, statementSize.limit, statementSize.rows),
        );
      }
      if (limit === undefined || failure.ambiguous) throw new StagedFailure(error.stage, failure);
      // Of a smaller statement the place in the batch is not known here.
      const isWhole = statementSize.limit === undefined;
      const done = isWhole ? sent.positionOf((cause as { where?: unknown }).where)?.row : undefined;
      if (statementSize.tookTooLong(items.length, limit, done))
        throw new StagedFailure(error.stage, failure, true);
      const isRow = items.length === 1 && limit.setting === 'statement_timeout';
      const described = isRow ? describeSlowRow(cause, limit, sent) : describeTimeLimit(failure, limit);
      throw new StagedFailure(error.stage, described);
    }
  };

  const copyWritten = async (batch: WrittenBatch, signal: AbortSignal): Promise<boolean> => {
    checkpoints.advanceTo(batch, table);
    // Its rows, one by one, can be sent in smaller statements.
    if (batch.rows > statementSize.rows) return false;
    const layout = tableLayout.known ?? (await tableLayout.find(undefined, signal));
    const range = await checkpoints.openRange(batch, layout, signal);
    const { scope = OWN_TRANSACTION } = internals;
    const { checkpoint } = range;
    try {
      await copyBatch<T, Client>({
        pool,
        layout,
        items: [],
        written: batch,
        signal,
        scope,
        isolates: false,
        memory,
        format: formatChoice,
        statementSize,
        onEncoded: () => Promise.resolve(),
        onStaleLayout: () => tableLayout.forget(layout),
        valuesOf: undefined,
        beforeCommit: undefined,
        checkpoint,
      });
      range.onCommitted();
      return true;
    } catch (error) {
      if (!(error instanceof BatchFailure)) throw error;
      const { cause } = error;
      const leftOut = await range.onFailure(error.stage, cause, signal, error.open);
      const failure = describeBatchFailure(error, layout, new SentRows(layout, []));
      const { limit } = error;
      if (limit !== undefined && !failure.ambiguous && statementSize.tookTooLong(batch.rows, limit))
        return false;
      if (limit !== undefined && !failure.ambiguous) throw describeTimeLimit(failure, limit);
      if (failure.failureClass === 'transport' || failure.failureClass === 'aborted') throw failure;
      // Where the server has not answered, whatever ended the connection, nobody knows whether the batch has landed.
      if (leftOut === undefined && !leavesConnectionUsable(cause)) throw failure;
      return false;
    }
  };

  const copy = async (items: T[], context: FlushContext): Promise<FlushResult | undefined> => {
    if (items.length === 0) return undefined;
    const { signal, takesFailures, attempt } = context;
    if (attempt === 1) checkpoints.advance(items, table);
    for (;;) {
      const cached = tableLayout.known;
      const layout =
        cached ?? (await tableLayout.find(await firstRow(items, takesFailures, source.rowOf), signal));
      try {
        const batch = await checkpoints.open(items, layout, signal);
        const failures =
          batch.items.length === 0 ? batch.failures : await copyWith(layout, batch, takesFailures, context);
        return await resultOf(items.length, batch, failures);
      } catch (error) {
        if (error instanceof MissingColumn) {
          tableLayout.addColumns(layout, await missingColumns(items, layout, source.rowOf));
          continue;
        }
        // What became of an earlier attempt is not known yet.
        if (error instanceof BatchFailure)
          throw describeBatchFailure(error, layout, new SentRows(layout, []));
        if (!(error instanceof StagedFailure)) throw error;
        const { failure, stage, isTooLarge } = error;
        // At once, with smaller statements: nothing of it has landed.
        if (isTooLarge && !signal.aborted) continue;
        const isAtTable = stage === 'copy' || stage === 'merge';
        if (!isAtTable || !hintsAtChangedTable(failure.sqlState)) throw failure;
        // The table may have changed since it was looked up: then it is worth another look, once.
        tableLayout.forget(layout);
        if (cached === undefined) throw failure;
      }
    }
  };
  const defaults = {
    ...defaultsFor<T>(pool, checkpoints.isExactlyOnce, sizes.sizeOf),
    ...(isUpsert && { concurrency: 1, maxConcurrency: 1 }),
  };
  return { copy, defaults, copyWritten };
}

/** Which part of a batch failed, until it is decided whether that is the end. */
class StagedFailure extends Error {
  readonly stage: string;
  readonly failure: CopyError;
  /** Smaller statements may stay within the time limit. */
  readonly isTooLarge: boolean;

  constructor(stage: string, failure: CopyError, isTooLarge = false) {
    super(failure.message);
    this.stage = stage;
    this.failure = failure;
    this.isTooLarge = isTooLarge;
  }
}

async function resultOf<T>(
  count: number,
  batch: CheckpointedBatch<T>,
  failures: RowFailures,
): Promise<FlushResult | undefined> {
  if (failures.size === 0) return undefined;
  const rows = [...failures];
  const errors: ItemError[] = [];
  await forEachInTurns(rows.length, (index) => {
    const [row, cause] = rows[index]!;
    errors.push(new ItemError(batch.indexOf(row), { retryable: false, cause }));
  });
  return { success: count - failures.size, failed: failures.size, errors };
}

/** Measured on two cores against PostgreSQL 18: see benchmarks. */
function defaultsFor<T>(pool: CopyPool, isIdempotent: boolean, sizeOf: SizeOf<T>): FlushDefaults<T> {
  const size = pool.options?.max ?? POOL_SIZE;
  return {
    batchSize: 40_000,
    batchBytes: 4 * MIB,
    maxBufferBytes: 64 * MIB,
    // A producer that is let in again writes in one go up to the high one: meanwhile no row is sent.
    lowWatermark: 0.75,
    // Rows in memory come without I/O: what the first batches wait for would have to wait until the buffer is full.
    yieldEvery: 10_000,
    sizeOf,
    // One connection is left for whatever else the pool serves.
    concurrency: Math.min(3, Math.max(1, size - 1)),
    minFlushIntervalMs: 100,
    maxFlushIntervalMs: 5_000,
    targetLatencyMs: 500,
    flushTimeoutMs: 60_000,
    // Longer than a failover, a restart with recovery or a small upgrade takes. To wait costs nothing that is not bounded: to fail, the sink.
    breaker: { maxOutageMs: 600_000, probe: freshProbe(pool) },
    retry: {
      attempts: 5,
      isRetryable: (error) =>
        error instanceof CopyError && (error.retryable || (isIdempotent && error.ambiguous)),
      afterTimeout: isIdempotent,
    },
  };
}
