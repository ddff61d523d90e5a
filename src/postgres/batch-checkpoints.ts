/**
 * Exactly once: finds the items of a batch that still have to be written, and writes a checkpoint in the batch's own transaction.
 *
 * Without an import there is no checkpoint. Then only a batch whose COMMIT was not answered is looked up, by its transaction's id.
 */

import { describeOutOfOrder, type Position } from '../common/position.js';
import { toError } from '../common/thrown.js';
import { forEachInTurns } from '../common/turn-budget.js';
import { BatchFailure, type BatchStage, type OpenTransaction, type RowFailures } from './copy/batch.js';
import { findOutcome, type CommitOutcome } from './connection/commit-outcome.js';
import { CopyError } from './errors/copy-error.js';
import type { CopyOptionFields } from './copy-options.js';
import { AlreadyCommitted } from './imports/import-errors.js';
import { ImportLog } from './imports/import-log.js';
import { toPosition } from './imports/import-positions.js';
import type { CopyClient, CopyPool } from './protocol/pool.js';
import type { RowLayout } from './rows/row-layout.js';

const NO_FAILURES: RowFailures = new Map();
/** Open batches that are remembered: far more than there are connections. */
const MOST_OPEN = 1_000;

/** A batch without the items that an earlier run or attempt has written. */
export interface CheckpointedBatch<T> {
  readonly items: readonly T[];
  /** If no item is left: the rows that the attempt which wrote them had left out. */
  readonly failures: RowFailures;
  readonly checkpoint: ((client: CopyClient, failures: RowFailures) => Promise<unknown>) | undefined;
  /** Returns the place in the original batch. @param row a place in `items` */
  indexOf(row: number): number;
  onCommitted(): void;
  /** Returns the rows that an earlier attempt had left out, if it turns out that it did commit. */
  onFailure(
    stage: BatchStage,
    cause: Error,
    signal: AbortSignal,
    open?: OpenTransaction,
  ): Promise<RowFailures | undefined>;
}

export interface CheckpointSettings<T> {
  /** Takes the place of all that follows. */
  checkpoints?: BatchCheckpoints<T>;
  /** An import that has been opened already. Requires the option `positionOf`. */
  importLog?: ImportLog;
  /** Returns what the import keeps of an item that was left out, as JSON. Default: nothing. */
  rejectOf?: (item: T, error: CopyError) => unknown;
  /** Returns a key by which a retry of a batch is recognised, from its first item. Default: the item itself. */
  keyOf?: (item: T) => unknown;
  /** Called when a retry has found out what became of the batch with that key. */
  onOutcome?: (key: unknown, rows: number) => void;
}

/** The place in the source of a batch whose rows are written already. Nothing of it is committed. */
export interface WrittenRange {
  first: Position;
  last: Position;
  rows: number;
}

export abstract class BatchCheckpoints<T> {
  abstract readonly isExactlyOnce: boolean;
  /** Called for each batch before its first attempt. @throws {CopyError} if it is not behind the batches before it in the source */
  abstract advance(items: readonly T[], table: string): void;
  abstract advanceTo(range: WrittenRange, table: string): void;
  abstract open(items: readonly T[], layout: RowLayout, signal: AbortSignal): Promise<CheckpointedBatch<T>>;
  abstract openRange(
    range: WrittenRange,
    layout: RowLayout,
    signal: AbortSignal,
  ): Promise<CheckpointedBatch<T>>;

  static create<T>(
    pool: CopyPool,
    { importId, positionOf }: Pick<CopyOptionFields<T, never>, 'importId' | 'positionOf'>,
    { importLog, rejectOf, keyOf = (item) => item, onOutcome = () => undefined }: CheckpointSettings<T>,
  ): BatchCheckpoints<T> {
    if (positionOf === undefined) return new CommitOutcomes<T>(pool, keyOf, onOutcome);
    const open = (layout: RowLayout, signal: AbortSignal): Promise<ImportLog> =>
      importLog === undefined
        ? ImportLog.open(pool, { importId: importId!, schema: layout.schema, table: layout.table }, signal)
        : Promise.resolve(importLog);
    return new ImportCheckpoints<T>(positionOf, open, rejectOf);
  }
}

interface OpenBatch extends OpenTransaction {
  rows: number;
}

/** Without an import: asks the server for the outcome of a batch whose COMMIT had no response. */
class CommitOutcomes<T> extends BatchCheckpoints<T> {
  readonly isExactlyOnce = false;
  readonly #pool: CopyPool;
  readonly #keyOf: (item: T) => unknown;
  readonly #onOutcome: (key: unknown, rows: number) => void;
  /** Batches whose COMMIT was not answered, by their first items. */
  readonly #open = new Map<unknown, OpenBatch>();

  constructor(pool: CopyPool, keyOf: (item: T) => unknown, onOutcome: (key: unknown, rows: number) => void) {
    super();
    this.#pool = pool;
    this.#keyOf = keyOf;
    this.#onOutcome = onOutcome;
  }

  override advance(): void {
    // Without an import, positions are not known.
  }

  override advanceTo(): void {
    // As above.
  }

  override openRange({ first, rows }: WrittenRange): Promise<CheckpointedBatch<T>> {
    return Promise.resolve(this.#batch([], NO_FAILURES, first, rows));
  }

  override async open(
    items: readonly T[],
    { table }: RowLayout,
    signal: AbortSignal,
  ): Promise<CheckpointedBatch<T>> {
    const key = this.#keyOf(items[0]!);
    const earlier = this.#open.get(key);
    if (earlier?.rows === items.length && (await this.#isCommitted(key, earlier, table, signal)))
      return this.#batch([], earlier.leftOut, key, 0);
    return this.#batch(items, NO_FAILURES, key, items.length);
  }

  /** @throws while it cannot be known: then nothing is written, and the next attempt asks again */
  async #isCommitted(key: unknown, open: OpenBatch, table: string, signal: AbortSignal): Promise<boolean> {
    let outcome: CommitOutcome;
    try {
      outcome = await findOutcome(this.#pool, open.identity, signal);
    } catch (error) {
      throw new BatchFailure('commit', toError(error), true, undefined, open);
    }
    if (outcome === 'pending') throw stillOpen(table);
    this.#open.delete(key);
    if (outcome !== 'unknown') this.#onOutcome(key, open.rows);
    return outcome === 'committed';
  }

  #batch(items: readonly T[], failures: RowFailures, key: unknown, rows: number): CheckpointedBatch<T> {
    return {
      items,
      failures,
      checkpoint: undefined,
      indexOf: (row) => row,
      onCommitted: () => undefined,
      onFailure: (_stage, _cause, _signal, open) => {
        if (open !== undefined) this.#remember(key, { ...open, rows });
        return Promise.resolve(undefined);
      },
    };
  }

  /** Keeps only the latest batches: one that is not retried is never looked up. */
  #remember(key: unknown, open: OpenBatch): void {
    this.#open.set(key, open);
    if (this.#open.size > MOST_OPEN) this.#open.delete(this.#open.keys().next().value);
  }
}

function stillOpen(table: string): CopyError {
  return new CopyError(
    `COPY into table ${JSON.stringify(table)}: the server does not say yet whether the batch was committed, whose answer to COMMIT was lost`,
    { failureClass: 'transport', ambiguous: true, table },
  );
}

/** A batch of an import whose COMMIT was not answered. */
interface UncertainBatch {
  /** Rows that it left out, by their places among the items that it was to write. */
  readonly leftOut: RowFailures;
  /** The places of these items in the whole batch. */
  readonly places: readonly number[];
}

const NOTHING_LEFT_OUT: UncertainBatch = { leftOut: NO_FAILURES, places: [] };

class ImportCheckpoints<T> extends BatchCheckpoints<T> {
  readonly isExactlyOnce = true;
  readonly #positionOf: (item: T) => Position;
  readonly #openLog: (layout: RowLayout, signal: AbortSignal) => Promise<ImportLog>;
  readonly #rejectOf: ((item: T, error: CopyError) => unknown) | undefined;
  #log: ImportLog | undefined;
  #opening: Promise<ImportLog> | undefined;
  /** The last position of the batches that have begun. */
  #reached: Position | undefined;
  /** By the first positions of whole batches, including items that were not to be written. */
  readonly #uncertain = new Map<Position, UncertainBatch>();

  constructor(
    positionOf: (item: T) => Position,
    openLog: (layout: RowLayout, signal: AbortSignal) => Promise<ImportLog>,
    rejectOf: ((item: T, error: CopyError) => unknown) | undefined,
  ) {
    super();
    this.#positionOf = positionOf;
    this.#openLog = openLog;
    this.#rejectOf = rejectOf;
  }

  override advance(items: readonly T[], table: string): void {
    const first = toPosition(this.#positionOf(items[0]!));
    this.#advance(first, toPosition(this.#positionOf(items.at(-1)!)), table);
  }

  override advanceTo({ first, last }: WrittenRange, table: string): void {
    this.#advance(first, last, table);
  }

  #advance(first: Position, last: Position, table: string): void {
    // Earlier positions would be taken for written, in silence. A source that begins again needs a function of its own.
    if (this.#reached !== undefined && first <= this.#reached) throw outOfOrder(first, this.#reached, table);
    this.#reached = last;
  }

  override async openRange(
    { first, last, rows }: WrittenRange,
    layout: RowLayout,
    signal: AbortSignal,
  ): Promise<CheckpointedBatch<T>> {
    const log = this.#log ?? (await this.#shareLog(layout, signal));
    return {
      items: [],
      failures: NO_FAILURES,
      indexOf: (row) => row,
      checkpoint: (client) => log.writeCheckpoint(client, first, last, rows),
      ...this.#ending(log, first, { first, last }, () => NOTHING_LEFT_OUT),
    };
  }

  override async open(
    items: readonly T[],
    layout: RowLayout,
    signal: AbortSignal,
  ): Promise<CheckpointedBatch<T>> {
    const log = this.#log ?? (await this.#shareLog(layout, signal));
    const positions: Position[] = [];
    await forEachInTurns(items.length, (place) => {
      positions.push(toPosition(this.#positionOf(items[place]!)));
      checkOrder(positions, layout.table);
    });
    const key = positions[0]!;
    const earlier = this.#uncertain.get(key);
    if (earlier !== undefined) await log.refresh(signal);
    const places: number[] = [];
    await forEachInTurns(positions.length, (place) => {
      if (!log.has(positions[place]!)) places.push(place);
    });
    if (places.length === 0) {
      this.#uncertain.delete(key);
      return this.#batch(log, key, [], [], earlier ?? NOTHING_LEFT_OUT);
    }
    const isWhole = places.length === items.length;
    return this.#batch(
      log,
      key,
      isWhole ? items : places.map((place) => items[place]!),
      isWhole ? positions : places.map((place) => positions[place]!),
      { leftOut: NO_FAILURES, places },
    );
  }

  /** Opens the log once, although several batches begin at the same time. */
  async #shareLog(layout: RowLayout, signal: AbortSignal): Promise<ImportLog> {
    this.#opening ??= this.#openLog(layout, signal).then((log) => (this.#log = log));
    try {
      return await this.#opening;
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }

  #batch(
    log: ImportLog,
    key: Position,
    items: readonly T[],
    positions: readonly Position[],
    { leftOut: failures, places }: UncertainBatch,
  ): CheckpointedBatch<T> {
    const first = positions[0]!;
    const last = positions.at(-1)!;
    let leftOut = NO_FAILURES;
    return {
      items,
      failures,
      indexOf: (row) => places[row]!,
      checkpoint: (client, found) => {
        leftOut = found;
        const rejects = [...found].map(([row, error]) => ({
          position: positions[row]!,
          reject: this.#rejectOf?.(items[row]!, error),
        }));
        return log.writeCheckpoint(client, first, last, items.length - found.size, rejects);
      },
      ...this.#ending(log, key, { first, last }, () => ({ leftOut, places })),
    };
  }

  /** @param uncertain returns the batch as the last attempt was to write it */
  #ending(
    log: ImportLog,
    key: Position,
    { first, last }: Pick<WrittenRange, 'first' | 'last'>,
    uncertain: () => UncertainBatch,
  ): Pick<CheckpointedBatch<T>, 'onCommitted' | 'onFailure'> {
    return {
      onCommitted: () => {
        this.#uncertain.delete(key);
        log.confirm(first, last);
      },
      onFailure: async (stage, cause, signal) => {
        if (stage === 'checkpoint' && cause instanceof AlreadyCommitted) {
          await log.refresh(signal);
          // It had the same items: commits of other batches do not change them.
          const earlier = this.#uncertain.get(key) ?? NOTHING_LEFT_OUT;
          this.#uncertain.delete(key);
          return earlier.leftOut;
        }
        if (stage === 'commit') this.#uncertain.set(key, uncertain());
        return undefined;
      },
    };
  }
}

/** Checks that the last position is higher than the one before. */
function checkOrder(positions: readonly Position[], table: string): void {
  if (positions.length < 2) return;
  const [before, position] = [positions.at(-2)!, positions.at(-1)!];
  if (position <= before) throw outOfOrder(position, before, table);
}

function outOfOrder(position: Position, before: Position, table: string): CopyError {
  return new CopyError(describeOutOfOrder(position, before, false), { failureClass: 'setup', table });
}
