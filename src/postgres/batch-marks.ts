/**
 * Exactly once: which items of a batch still have to be written, and the mark in the batch's own transaction that says that they were.
 * Without an import there is nothing to it.
 */

import { forEachInTurns } from '../common/turn-budget.js';
import type { BatchStage, RowFailures } from './batch.js';
import { CopyError } from './copy-error.js';
import type { CopyOptionFields } from './copy-options.js';
import { AlreadyCommitted } from './import-errors.js';
import { ImportLog } from './import-log.js';
import { toPosition, type Position } from './import-positions.js';
import type { CopyClient, CopyPool } from './pool.js';
import type { RowLayout } from './row-layout.js';

const NO_FAILURES: RowFailures = new Map();

/** A batch, less what an earlier run or attempt has written. */
export interface MarkedBatch<T> {
  readonly items: readonly T[];
  /** Where none of them is left: what the attempt that wrote them had left out. */
  readonly failures: RowFailures;
  readonly mark: ((client: CopyClient, failures: RowFailures) => Promise<unknown>) | undefined;
  /** From a place in `items` to the place in the batch as it came. */
  indexOf(row: number): number;
  onCommitted(): void;
  /** What an earlier attempt had left out, where it turns out that it did commit. */
  onFailure(stage: BatchStage, cause: Error, signal: AbortSignal): Promise<RowFailures | undefined>;
}

export interface MarkSettings<T> {
  importLog?: ImportLog;
  rejectOf?: (item: T, error: CopyError) => unknown;
}

/** Where a batch of rows that are written already lies in the source. Nothing of it is committed. */
export interface WrittenRange {
  first: Position;
  last: Position;
  rows: number;
}

export abstract class BatchMarks<T> {
  abstract readonly areKept: boolean;
  /** Of each batch, before its first attempt. @throws {CopyError} where it is not further on in the source than those before it */
  abstract advance(items: readonly T[], table: string): void;
  abstract advanceTo(range: WrittenRange, table: string): void;
  abstract open(items: readonly T[], layout: RowLayout, signal: AbortSignal): Promise<MarkedBatch<T>>;
  abstract openRange(range: WrittenRange, layout: RowLayout, signal: AbortSignal): Promise<MarkedBatch<T>>;

  static create<T>(
    pool: CopyPool,
    { importId, positionOf }: Pick<CopyOptionFields<T, never>, 'importId' | 'positionOf'>,
    { importLog, rejectOf }: MarkSettings<T>,
  ): BatchMarks<T> {
    if (positionOf === undefined) return new NoMarks<T>();
    const open = (layout: RowLayout, signal: AbortSignal): Promise<ImportLog> =>
      importLog === undefined
        ? ImportLog.open(pool, { importId: importId!, schema: layout.schema, table: layout.table }, signal)
        : Promise.resolve(importLog);
    return new ImportMarks<T>(positionOf, open, rejectOf);
  }
}

class NoMarks<T> extends BatchMarks<T> {
  readonly areKept = false;

  override advance(): void {
    // Nothing is told of places.
  }

  override advanceTo(): void {
    // As above.
  }

  override openRange(): Promise<MarkedBatch<T>> {
    return this.open([]);
  }

  override open(items: readonly T[]): Promise<MarkedBatch<T>> {
    return Promise.resolve({
      items,
      failures: NO_FAILURES,
      mark: undefined,
      indexOf: (row) => row,
      onCommitted: () => undefined,
      onFailure: () => Promise.resolve(undefined),
    });
  }
}

class ImportMarks<T> extends BatchMarks<T> {
  readonly areKept = true;
  readonly #positionOf: (item: T) => Position;
  readonly #openLog: (layout: RowLayout, signal: AbortSignal) => Promise<ImportLog>;
  readonly #rejectOf: ((item: T, error: CopyError) => unknown) | undefined;
  #log: ImportLog | undefined;
  #opening: Promise<ImportLog> | undefined;
  /** The furthest that a batch has begun. */
  #reached: Position | undefined;
  /** Batches whose COMMIT was not answered, by their first positions, with what they had left out. */
  readonly #uncertain = new Map<Position, RowFailures>();

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
    // What lies behind would be taken for written, in silence: a source that begins again needs a function of its own.
    if (this.#reached !== undefined && first <= this.#reached) throw outOfOrder(first, this.#reached, table);
    this.#reached = last;
  }

  override async openRange(
    { first, last, rows }: WrittenRange,
    layout: RowLayout,
    signal: AbortSignal,
  ): Promise<MarkedBatch<T>> {
    const log = this.#log ?? (await this.#shareLog(layout, signal));
    return {
      items: [],
      failures: NO_FAILURES,
      indexOf: (row) => row,
      mark: (client) => log.mark(client, first, last, rows),
      ...this.#ending(log, first, last, () => NO_FAILURES),
    };
  }

  override async open(items: readonly T[], layout: RowLayout, signal: AbortSignal): Promise<MarkedBatch<T>> {
    const log = this.#log ?? (await this.#shareLog(layout, signal));
    const positions: Position[] = [];
    await forEachInTurns(items.length, (place) => {
      positions.push(toPosition(this.#positionOf(items[place]!)));
      checkOrder(positions, layout.table);
    });
    const first = positions[0]!;
    const earlier = this.#uncertain.get(first);
    if (earlier !== undefined) {
      await log.refresh(signal);
      if (!log.has(first)) this.#uncertain.delete(first);
    }
    const places: number[] = [];
    await forEachInTurns(positions.length, (place) => {
      if (!log.has(positions[place]!)) places.push(place);
    });
    if (places.length === 0) {
      this.#uncertain.delete(first);
      return this.#batch(log, [], [], places, earlier ?? NO_FAILURES);
    }
    const isWhole = places.length === items.length;
    return this.#batch(
      log,
      isWhole ? items : places.map((place) => items[place]!),
      isWhole ? positions : places.map((place) => positions[place]!),
      places,
      NO_FAILURES,
    );
  }

  /** Batches of several slots begin at the same time: one of them opens it. */
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
    items: readonly T[],
    positions: readonly Position[],
    places: readonly number[],
    failures: RowFailures,
  ): MarkedBatch<T> {
    const first = positions[0]!;
    const last = positions.at(-1)!;
    let leftOut = NO_FAILURES;
    return {
      items,
      failures,
      indexOf: (row) => (items.length === 0 ? row : places[row]!),
      mark: (client, found) => {
        leftOut = found;
        const rejects = [...found].map(([row, error]) => ({
          position: positions[row]!,
          reject: this.#rejectOf?.(items[row]!, error),
        }));
        return log.mark(client, first, last, items.length - found.size, rejects);
      },
      ...this.#ending(log, first, last, () => leftOut),
    };
  }

  /** @param leftOut what its last attempt has left out */
  #ending(
    log: ImportLog,
    first: Position,
    last: Position,
    leftOut: () => RowFailures,
  ): Pick<MarkedBatch<T>, 'onCommitted' | 'onFailure'> {
    return {
      onCommitted: () => {
        this.#uncertain.delete(first);
        log.confirm(first, last);
      },
      onFailure: async (stage, cause, signal) => {
        if (stage === 'mark' && cause instanceof AlreadyCommitted) {
          await log.refresh(signal);
          const told = this.#uncertain.get(first) ?? NO_FAILURES;
          this.#uncertain.delete(first);
          return told;
        }
        if (stage === 'commit') this.#uncertain.set(first, leftOut());
        return undefined;
      },
    };
  }
}

/** Of the last one. */
function checkOrder(positions: readonly Position[], table: string): void {
  if (positions.length < 2) return;
  const [before, position] = [positions.at(-2)!, positions.at(-1)!];
  if (position <= before) throw outOfOrder(position, before, table);
}

function outOfOrder(position: Position, before: Position, table: string): CopyError {
  return new CopyError(
    `positionOf must give each item a higher position than the one before: ${position} follows ${before}`,
    { failureClass: 'setup', table },
  );
}
