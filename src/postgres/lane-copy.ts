/** Copies batches of a lane into the table, each with its dead letters and the lane's new position in one transaction. */

import { messageOf } from '../common/thrown.js';
import type { FlushContext } from '../api/flush-function.js';
import type { FailedItem } from '../api/options.js';
import type { LogMessage } from '../log/log.js';
import { BatchCheckpoints, type CheckpointedBatch } from './batch-checkpoints.js';
import type { LaneBatch, LaneCopy } from './consume/lane-worker.js';
import type { RowFailures } from './copy/batch.js';
import type { CopyOptionFields } from './copy-options.js';
import { CopyError } from './errors/copy-error.js';
import { reasonOf } from './lanes/dead-letters.js';
import type { LaneLedger } from './lanes/lane-ledger.js';
import type { CopyClient, CopyPool } from './protocol/pool.js';
import { OWN_TRANSACTION, type TransactionScope } from './sql/transaction-scope.js';
import { TableCopy } from './table-copy.js';

const NO_FAILURES: RowFailures = new Map();

/** Writes the position of the batch that is under way. */
class LaneCheckpoints extends BatchCheckpoints<LogMessage> {
  readonly isExactlyOnce = true;
  /** Of the last batch. */
  deadLetters: FailedItem<LogMessage>[] = [];
  batch: LaneBatch | undefined;
  readonly #ledger: LaneLedger;

  constructor(ledger: LaneLedger) {
    super();
    this.#ledger = ledger;
  }

  override advance(): void {
    // The log gives its messages in order.
  }

  override advanceTo(): void {
    // As above.
  }

  override openRange(): Promise<CheckpointedBatch<LogMessage>> {
    return this.open([]);
  }

  override open(items: readonly LogMessage[]): Promise<CheckpointedBatch<LogMessage>> {
    const batch = this.batch!;
    const { claim, from, next, extraMs } = batch;
    return Promise.resolve({
      items,
      failures: NO_FAILURES,
      indexOf: (row) => row,
      checkpoint: (client, leftOut) => {
        const letters = [...leftOut].map(([row, error]) => ({ message: items[row]!, error }));
        this.deadLetters = letters.map(asFailure);
        const rows = items.length - letters.length;
        batch.onRecording();
        return this.#ledger.writeBatch(client, claim, { from, next, extraMs, rows, letters });
      },
      onCommitted: () => undefined,
      // The worker asks the lane itself what became of it.
      onFailure: () => Promise.resolve(undefined),
    });
  }
}

export class TableLaneCopy<Client extends CopyClient> implements LaneCopy {
  readonly #ledger: LaneLedger;
  readonly #options: CopyOptionFields<LogMessage, Client>;
  readonly #checkpoints: LaneCheckpoints;
  readonly #table: TableCopy<LogMessage, Client>;

  constructor(pool: CopyPool<Client>, options: CopyOptionFields<LogMessage, Client>, ledger: LaneLedger) {
    this.#ledger = ledger;
    this.#options = options;
    this.#checkpoints = new LaneCheckpoints(ledger);
    this.#table = new TableCopy(pool, options, {
      checkpoints: this.#checkpoints,
      scope: scopeOf(() => this.#scope()),
    });
  }

  get lastDeadLetters(): FailedItem<LogMessage>[] {
    return this.#checkpoints.deadLetters;
  }

  async copy(batch: LaneBatch, signal: AbortSignal): Promise<FailedItem<LogMessage>[]> {
    this.#checkpoints.batch = batch;
    this.#checkpoints.deadLetters = [];
    const context: FlushContext = {
      signal,
      attempt: 1,
      reason: 'size',
      weights: [],
      represents: batch.messages.length,
      takesFailures: true,
    };
    try {
      await this.#table.copy([...batch.messages], context);
      return this.lastDeadLetters;
    } catch (error) {
      if (!(error instanceof CopyError)) throw error;
      const [message] = batch.messages;
      if (batch.messages.length > 1 || error.failureClass !== 'row') throw placed(error, batch.messages);
      const letter = { message: message!, error: this.#reasonOf(message!, error) };
      this.#checkpoints.deadLetters = [asFailure(letter)];
      await this.#ledger.bury(batch.claim, batch, batch.extraMs, letter, signal);
      return this.lastDeadLetters;
    }
  }

  /** If `row` throws for a message before the columns are known, its error is the reason. */
  #reasonOf(message: LogMessage, error: CopyError): CopyError {
    try {
      this.#options.row?.(message);
      return error;
    } catch (thrown) {
      return new CopyError(messageOf(thrown), {
        failureClass: 'row',
        sqlState: error.sqlState,
        cause: thrown,
      });
    }
  }

  #scope(): TransactionScope {
    const { batch } = this.#checkpoints;
    return batch === undefined ? OWN_TRANSACTION : this.#ledger.scopeOf(batch.claim);
  }
}

/** Returns the error, which names a message by its position if it is about one: a row that takes longer than a time limit, say. */
function placed(error: CopyError, messages: readonly LogMessage[]): CopyError {
  const message = error.row === undefined ? undefined : messages[error.row];
  if (message !== undefined) error.message = reasonOf({ message, error });
  return error;
}

function asFailure({ message, error }: { message: LogMessage; error: CopyError }): FailedItem<LogMessage> {
  return { item: message, error, weight: 1 };
}

/** A scope that is another one for each lane. */
function scopeOf(current: () => TransactionScope): TransactionScope {
  return {
    isFinal: true,
    get begin() {
      return current().begin;
    },
    get check() {
      return current().check;
    },
    get restart() {
      return current().restart;
    },
    get commit() {
      return current().commit;
    },
    get rollback() {
      return current().rollback;
    },
  };
}
