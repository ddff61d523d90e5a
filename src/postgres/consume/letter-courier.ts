/**
 * Copies the dead letters of an import to a subject of its log: those of this worker soon, and those that others have left behind within a while.
 */

import { LogError } from '../../log/log-error.js';
import type { LogPublisher, OpenLog } from '../../log/log.js';
import type { LaneLedger } from '../lanes/lane-ledger.js';
import { Outage, type ConsumeParts } from './outage.js';
import { limited, Wakeup } from './wait.js';

/** @throws {LogError} `setup` */
export async function publisherOf(log: OpenLog, subject: string, signal: AbortSignal): Promise<LogPublisher> {
  if (log.publisher !== undefined) return log.publisher(subject, signal);
  throw new LogError(
    'setup',
    "this log cannot copy dead letters: leave 'deadLetterSubject' out (--dead-letter-subject)",
  );
}

const POLL_MS = 5_000;
const COPY_LIMIT_MS = 30_000;

export class LetterCourier {
  readonly #ledger: Pick<LaneLedger, 'copyLetters'>;
  readonly #publish: LogPublisher;
  readonly #parts: ConsumeParts;
  readonly #wakeup: Wakeup;
  readonly #aborting: AbortSignal;

  constructor(
    ledger: Pick<LaneLedger, 'copyLetters'>,
    publish: LogPublisher,
    parts: ConsumeParts,
    aborting: AbortSignal,
  ) {
    this.#ledger = ledger;
    this.#publish = publish;
    this.#parts = parts;
    this.#aborting = aborting;
    this.#wakeup = new Wakeup(parts.settings.clock);
  }

  /** There may be something to copy. */
  wake(): void {
    this.#wakeup.wake();
  }

  /** Copies until the signal fires. @throws {LogError | CopyError} what does not pass */
  async run(draining: AbortSignal): Promise<void> {
    const onDrain = (): void => this.wake();
    draining.addEventListener('abort', onDrain, { once: true });
    while (!draining.aborted) {
      await this.copyAll(draining);
      // Not at all if it was woken meanwhile.
      await this.#wakeup.wait(POLL_MS);
    }
  }

  /** Copies all that is there, as soon as log and database can be reached. */
  async copyAll(draining: AbortSignal): Promise<void> {
    const outage = new Outage(this.#parts);
    while (!draining.aborted && (await outage.retry(draining, () => this.#copySome())));
  }

  /** One attempt to copy all that is there. What cannot be copied now is left to other workers. */
  async finish(): Promise<void> {
    try {
      while (!this.#aborting.aborted && (await this.#copySome()));
    } catch {
      // The letters say that they have to be copied.
    }
  }

  async #copySome(): Promise<boolean> {
    const attempt = async (signal: AbortSignal): Promise<boolean> => {
      const publish = this.#publish;
      const { copied, mayHaveMore, failure } = await this.#ledger.copyLetters(
        (copy) => publish(copy, signal),
        signal,
      );
      this.#parts.metrics.deadLettersCopied += copied;
      if (failure !== undefined) throw failure.reason;
      return mayHaveMore;
    };
    return limited(this.#parts.settings.clock, COPY_LIMIT_MS, this.#aborting, attempt);
  }
}
