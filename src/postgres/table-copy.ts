/**
 * Copies batches into one table. Per batch:
 *
 *     look up the table (cached) → open the batch's checkpoint → one transaction → its result
 *                ↑                                                      │
 *                └── again at once, if a failure shows that             ↓
 *                      a row has a column that earlier rows did not have: with that column
 *                      a statement took longer than the session allows:   with smaller statements
 *                      the table may have changed:                        once, after a new look-up
 *
 * Every other failure is thrown as a `CopyError`, and the sink decides whether to retry.
 */

import { forEachInTurns } from '../common/turn-budget.js';
import { ItemError } from '../api/errors.js';
import type { FlushContext, FlushResult, SizeOf } from '../api/flush-function.js';
import {
  BatchCheckpoints,
  type CheckpointedBatch,
  type CheckpointSettings,
  type WrittenRange,
} from './batch-checkpoints.js';
import { copyBatch } from './batch/copy-batch.js';
import { BatchFailure, type Batch, type RowFailures, type WrittenRows } from './copy/batch.js';
import {
  describeBatchFailure,
  describeSlowBatch,
  describeSlowRow,
  describeTimeLimit,
  describeTooManyColumns,
} from './copy/copy-failure.js';
import { StatementSize } from './copy/statement-size.js';
import { TableLayout } from './copy/table-layout.js';
import { conflictRuleOf, type CopyOptionFields } from './copy-options.js';
import type { CopyError } from './errors/copy-error.js';
import { hintsAtChangedTable, leavesConnectionUsable } from './errors/sqlstate.js';
import { AbsentRefusal, MissingColumn } from './merge/absent-values.js';
import type { CopyClient, CopyPool } from './protocol/pool.js';
import type { TableDescription } from './table/catalogue.js';
import { FormatChoice } from './rows/copy-format.js';
import type { WrittenLines } from './rows/encoded-rows.js';
import { firstRow, missingColumns } from './rows/row-keys.js';
import type { RowLayout } from './rows/row-layout.js';
import { RowSizes } from './rows/row-size.js';
import { rowMapper, rowReader, type RowSource } from './rows/row-source.js';
import type { ValuesOf } from './rows/row-writer.js';
import { SentRows } from './rows/sent-rows.js';
import { OWN_TRANSACTION, type TransactionScope } from './sql/transaction-scope.js';

/** A batch whose rows are written already. */
export type WrittenBatch = WrittenRange & WrittenRows;

/** What only the command line sets. */
export interface CopyInternals<T> extends CheckpointSettings<T> {
  /**
   * Returns the row that an item stands for. An error that it throws is a fault of that row. With `only`, just the value at that place is
   * needed. Requires the option `columns`.
   */
  valuesOf?: (item: T, only?: number) => unknown;
  /** Returns the value whose memory an item stands for. Default: the item itself. */
  sizedOf?: (item: T) => unknown;
  /** The table, looked up just now. */
  description?: TableDescription;
  /** Default: each batch has a transaction of its own. */
  scope?: TransactionScope;
  /** Returns `true` for an error of a row that is to fail the batch, although bad rows are left out. */
  failsBatch?: (error: CopyError) => boolean;
  /** Returns the rows that items stand for, if they are written already. */
  linesOf?: (items: readonly T[]) => WrittenLines | undefined;
}

/** How one transaction ended. With a failure, `leftOut` is set if the batch turned out to be committed by an earlier attempt. */
type Attempt =
  | { readonly failure: undefined; readonly leftOut: RowFailures }
  | { readonly failure: BatchFailure; readonly leftOut: RowFailures | undefined };

export class TableCopy<T extends object, Client extends CopyClient> {
  /** A batch that was committed is never written again. */
  readonly isExactlyOnce: boolean;
  /** Which of two rows with one key counts depends on their order: a batch begins when the one before it has settled, retries included. */
  readonly isOrdered: boolean;
  readonly sizeOf: SizeOf<unknown>;
  readonly #options: CopyOptionFields<T, Client>;
  readonly #internals: CopyInternals<T>;
  readonly #source: RowSource;
  readonly #tableLayout: TableLayout;
  readonly #checkpoints: BatchCheckpoints<T>;
  readonly #sizes = new RowSizes();
  /** What all batches of the table have in common. */
  readonly #shared: Pick<Batch<T, Client>, 'pool' | 'scope' | 'memory' | 'format' | 'statementSize'>;
  /** The last batch had rows that left out a column with a default. */
  #expectsAbsent = false;

  constructor(
    pool: CopyPool<Client>,
    options: CopyOptionFields<T, Client>,
    internals: CopyInternals<T> = {},
  ) {
    const { table, schema, columns, format = 'auto', dates, row: mapRow, weightColumn } = options;
    const { valuesOf = mapRow && rowMapper(mapRow), scope = OWN_TRANSACTION } = internals;
    const conflict = conflictRuleOf(options);
    this.#options = options;
    this.#internals = internals;
    this.#source = { rowOf: valuesOf as ValuesOf | undefined, weightColumn };
    this.#tableLayout = new TableLayout(
      pool,
      schema,
      table,
      columns,
      conflict,
      format,
      dates,
      weightColumn,
      internals.description,
    );
    this.#checkpoints = internals.checkpoints ?? BatchCheckpoints.create<T>(pool, options, internals);
    this.#shared = {
      pool,
      scope,
      memory: { faultSpacing: undefined, repeatedKey: undefined },
      format: new FormatChoice(format),
      statementSize: new StatementSize(),
    };
    this.isExactlyOnce = this.#checkpoints.isExactlyOnce;
    this.isOrdered = conflict.onConflict !== 'error';
    this.sizeOf = this.#sizes.sizeOf;
  }

  /** The flush function. @throws {CopyError} why the batch failed as a whole */
  async copy(items: T[], context: FlushContext): Promise<FlushResult | undefined> {
    if (items.length === 0) return undefined;
    const { signal, attempt } = context;
    if (attempt === 1) this.#checkpoints.advance(items, this.#options.table);
    for (;;) {
      const cached = this.#tableLayout.known;
      const layout = cached ?? (await this.#findLayout(items, context));
      try {
        const batch = await this.#checkpoints.open(items, layout, signal);
        const failures =
          batch.items.length === 0 ? batch.failures : await this.#copyItems(layout, batch, context);
        return await resultOf(items.length, batch, failures);
      } catch (error) {
        await this.#prepareRepeat(error, layout, items, { signal, wasCached: cached !== undefined });
      }
    }
  }

  /** The next batch looks the table up again. */
  forgetTable(): void {
    const { known } = this.#tableLayout;
    if (known !== undefined) this.#tableLayout.forget(known);
  }

  /** Begins a batch that is then copied in parts, each as a further attempt. @throws {CopyError} as for any batch that is out of order */
  begin(range: WrittenRange): void {
    this.#checkpoints.advanceTo(range, this.#options.table);
  }

  async #findLayout(
    items: readonly T[],
    { takesFailures, signal }: Pick<FlushContext, 'takesFailures' | 'signal'>,
  ): Promise<RowLayout> {
    const { row } = await firstRow(items, takesFailures, this.#source.rowOf);
    return this.#tableLayout.find(row, signal);
  }

  /**
   * Copies a batch of written rows, at its first attempt. Returns `false` if the server does not take the batch as it is. Then none of its rows
   * is inserted, and `copy()` of them as items, as a further attempt, finds out why.
   *
   * @throws {CopyError} `transport`, `aborted`, or an error after which it is unknown whether the batch was inserted
   */
  async copyWritten(batch: WrittenBatch, signal: AbortSignal): Promise<boolean> {
    const { statementSize } = this.#shared;
    this.#checkpoints.advanceTo(batch, this.#options.table);
    // As items, its rows can be sent in smaller statements.
    if (batch.rows > statementSize.rows) return false;
    const layout = this.#tableLayout.known ?? (await this.#tableLayout.find(undefined, signal));
    const range = await this.#checkpoints.openRange(batch, layout, signal);
    const { failure: failed, leftOut } = await this.#attempt(range, {
      ...this.#shared,
      layout,
      items: [],
      rows: { kind: 'written', written: batch, count: batch.rows },
      signal,
      isolates: false,
      valuesOf: undefined,
      onEncoded: () => Promise.resolve(),
      onStaleLayout: () => this.#tableLayout.forget(layout),
      beforeCommit: undefined,
      failsBatch: undefined,
      checkpoint: range.checkpoint,
    });
    if (failed === undefined) return true;
    const failure = describeBatchFailure(failed, layout, new SentRows(layout, []));
    const { limit } = failed;
    if (limit !== undefined && !failure.ambiguous) {
      if (statementSize.tookTooLong(batch.rows, limit)) return false;
      throw describeTimeLimit(failure, limit);
    }
    if (failure.failureClass === 'transport' || failure.failureClass === 'aborted') throw failure;
    // The connection ended without a response: it is unknown whether the batch was inserted.
    if (leftOut === undefined && !leavesConnectionUsable(failed.cause)) throw failure;
    return false;
  }

  /** Copies items, by the variant of the layout for rows that leave out columns if the last batch needed it. */
  async #copyItems(
    layout: RowLayout,
    batch: CheckpointedBatch<T>,
    context: FlushContext,
  ): Promise<RowFailures> {
    const { listing } = layout;
    if (listing === undefined || !this.#expectsAbsent) {
      try {
        return await this.#copyBy(layout, layout, batch, context);
      } catch (error) {
        if (!(error instanceof AbsentRefusal)) throw error;
        if (listing === undefined) throw describeTooManyColumns(layout);
        this.#expectsAbsent = true;
      }
    }
    return this.#copyBy(listing, layout, batch, context);
  }

  /** @param known the layout that was looked up, of which `layout` may be a variant */
  async #copyBy(
    layout: RowLayout,
    known: RowLayout,
    batch: CheckpointedBatch<T>,
    context: FlushContext,
  ): Promise<RowFailures> {
    const { items } = batch;
    const { signal, takesFailures } = context;
    const valuesOf = rowReader(this.#source, known, (row) => context.weights[batch.indexOf(row)] ?? 1);
    // Written lines cannot list what a row leaves out.
    const lines = layout === known ? this.#internals.linesOf?.(items) : undefined;
    const { failure, leftOut } = await this.#attempt(batch, {
      ...this.#shared,
      layout,
      items,
      rows: lines === undefined ? { kind: 'values' } : { kind: 'lines', lines },
      signal,
      isolates: takesFailures,
      valuesOf,
      onEncoded: (bytes, hasLeftOut) => {
        if (layout !== known) this.#expectsAbsent = hasLeftOut;
        return this.#sizes.learn(items, bytes, this.#internals.sizedOf);
      },
      onStaleLayout: () => this.#tableLayout.forget(known),
      beforeCommit: this.#options.beforeCommit,
      failsBatch: this.#internals.failsBatch,
      checkpoint: batch.checkpoint,
    });
    if (failure === undefined) return leftOut;
    if (leftOut !== undefined) return leftOut;
    throw stagedFailure(
      failure,
      new SentRows(layout, items, undefined, valuesOf),
      this.#shared.statementSize,
    );
  }

  /** Runs one transaction. @throws {AbsentRefusal | MissingColumn} the rows need another layout */
  async #attempt(checkpointed: CheckpointedBatch<T>, batch: Batch<T, Client>): Promise<Attempt> {
    try {
      const leftOut = await copyBatch<T, Client>(batch);
      checkpointed.onCommitted();
      return { failure: undefined, leftOut };
    } catch (error) {
      if (!(error instanceof BatchFailure)) throw error;
      const { cause, stage, open } = error;
      if (cause instanceof AbsentRefusal || cause instanceof MissingColumn) throw cause;
      return { failure: error, leftOut: await checkpointed.onFailure(stage, cause, batch.signal, open) };
    }
  }

  /** Returns if the batch is worth another try at once. @throws the failure otherwise */
  async #prepareRepeat(
    error: unknown,
    layout: RowLayout,
    items: readonly T[],
    { signal, wasCached }: { signal: AbortSignal; wasCached: boolean },
  ): Promise<void> {
    if (error instanceof MissingColumn) {
      const missing = await missingColumns(items, layout, this.#source.rowOf);
      // Also if a getter returns nothing at the second look: each repeat must add a column.
      this.#tableLayout.addColumns(layout, [error.column, ...missing]);
      return;
    }
    // The outcome of an earlier attempt is not known yet.
    if (error instanceof BatchFailure) throw describeBatchFailure(error, layout, new SentRows(layout, []));
    if (!(error instanceof StagedFailure)) throw error;
    const { failure, stage, isTooLarge } = error;
    // With smaller statements: nothing of the batch is inserted.
    if (isTooLarge && !signal.aborted) return;
    const isAtTable = stage === 'copy' || stage === 'merge';
    if (!isAtTable || !hintsAtChangedTable(failure.sqlState)) throw failure;
    this.#tableLayout.forget(layout);
    if (!wasCached) throw failure;
  }
}

/** The failure of a batch, with the stage at which it came, until it is decided whether to try again at once. */
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

function stagedFailure(error: BatchFailure, sent: SentRows, statementSize: StatementSize): StagedFailure {
  const { stage, cause, limit } = error;
  const failure = describeBatchFailure(error, sent.layout, sent);
  if (failure.failureClass === 'aborted' && !failure.ambiguous && statementSize.limit !== undefined) {
    return new StagedFailure(stage, describeSlowBatch(failure, statementSize.limit, statementSize.rows));
  }
  if (limit === undefined || failure.ambiguous) return new StagedFailure(stage, failure);
  // If the batch was sent in several statements, the place within one says nothing of the place in the batch.
  const isWhole = statementSize.limit === undefined;
  const done = isWhole ? sent.positionOf((cause as { where?: unknown }).where)?.row : undefined;
  if (statementSize.tookTooLong(sent.length, limit, done)) return new StagedFailure(stage, failure, true);
  const isRow = sent.length === 1 && limit.setting === 'statement_timeout';
  const described = isRow ? describeSlowRow(cause, limit, sent) : describeTimeLimit(failure, limit);
  return new StagedFailure(stage, described);
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
