/** The types of a batch: its rows, how they are sent, and in which stage it may fail. */

import type { TransactionIdentity } from '../connection/commit-outcome.js';
import type { CopyError } from '../errors/copy-error.js';
import type { StatementSize, TimeLimit } from './statement-size.js';
import type { FormatChoice } from '../rows/copy-format.js';
import type { CopyFormat } from '../merge/copy-plan.js';
import type { WrittenLines } from '../rows/encoded-rows.js';
import type { ByKind } from '../isolation/refusal.js';
import type { TextLines } from '../encoding/binary/line-transcoder.js';
import type { CopyClient, CopyPool } from '../protocol/pool.js';
import type { RowLayout } from '../rows/row-layout.js';
import type { ValuesOf } from '../rows/row-writer.js';
import type { TransactionScope } from '../sql/transaction-scope.js';

export type BatchStage = 'connect' | 'copy' | 'merge' | 'beforeCommit' | 'checkpoint' | 'commit';

/** Why a batch failed, and in which stage. `cause` is what was thrown. */
export class BatchFailure extends Error {
  override readonly name = 'BatchFailure';
  readonly stage: BatchStage;
  override readonly cause: Error;
  /** COMMIT was sent, and its outcome is unknown. */
  readonly isCommitOpen: boolean;
  /** The transaction, if its COMMIT is open and the server can be asked about it. */
  readonly open: OpenTransaction | undefined;
  /** The time limit of the session that the batch has exceeded. */
  readonly limit: TimeLimit | undefined;

  constructor(
    stage: BatchStage,
    cause: Error,
    isCommitOpen = false,
    limit?: TimeLimit,
    open?: OpenTransaction,
  ) {
    super(cause.message);
    this.stage = stage;
    this.cause = cause;
    this.isCommitOpen = isCommitOpen;
    this.limit = limit;
    this.open = open;
  }
}

/** A transaction whose COMMIT was not answered, and what its batch had left out. */
export interface OpenTransaction {
  readonly identity: TransactionIdentity;
  readonly leftOut: RowFailures;
}

/** Rows at fault by their places in the batch, in order. */
export type RowFailures = ReadonlyMap<number, CopyError>;

/** Shared by the batches of a table: the faults of the last one that had many. The next one is then not tried as a whole first. */
export interface FaultMemory {
  /** Rows for each fault, if there were many. Undefined: there were few of each kind. */
  faultSpacing: ByKind<number | undefined> | undefined;
  /** Columns of a unique key that a row repeated. */
  repeatedKey: readonly string[] | undefined;
}

/** Rows that are written already, in either format. */
export interface WrittenRows {
  format: CopyFormat;
  chunks: readonly Buffer[];
  /** Set if the chunks are lines of text that can be read here, too. */
  textLines?: TextLines | undefined;
}

/**
 * What the rows of a batch are sent from: values of its items, encoded here; lines of its items, written before; or whole chunks, which stand
 * for `count` rows and no items. Of chunks all rows are inserted, or none.
 */
type BatchRows =
  | { readonly kind: 'values' }
  | { readonly kind: 'lines'; readonly lines: WrittenLines }
  | { readonly kind: 'written'; readonly written: WrittenRows; readonly count: number };

export interface Batch<T, Client extends CopyClient> {
  pool: CopyPool<Client>;
  layout: RowLayout;
  /** None if the rows are chunks. */
  items: readonly T[];
  rows: BatchRows;
  signal: AbortSignal;
  scope: TransactionScope;
  /** Returns the row that an item stands for. Undefined: the item itself. */
  valuesOf: ValuesOf | undefined;
  /** Rows at fault are found and left out. Otherwise the first one fails the batch. */
  isolates: boolean;
  /** Shared by the batches of a table, as `format` and `statementSize` are. */
  memory: FaultMemory;
  format: FormatChoice;
  statementSize: StatementSize;
  /** Learns how many bytes the rows have taken, and whether one left out a column that has a default. */
  onEncoded: (bytes: number, hasLeftOut: boolean) => Promise<void>;
  /** Called if the table may have changed since the layout was made. */
  onStaleLayout: () => void;
  beforeCommit: ((client: Client, items: readonly T[]) => Promise<unknown>) | undefined;
  /** A row that is refused with such an error fails the batch, although bad rows are left out. */
  failsBatch: ((error: CopyError) => boolean) | undefined;
  /** Writes the batch's checkpoint. Runs last in the transaction. */
  checkpoint: ((client: CopyClient, failures: RowFailures) => Promise<unknown>) | undefined;
}
