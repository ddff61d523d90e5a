/**
 * Reads a lane ahead of the batches that are copied, and cuts batches.
 *
 *     log ──read──> queue ──take──> in flight ──settle──> room for more
 *
 * Queued and in flight are at most two batches in messages and three in bytes, except for a single message that is larger.
 */

import type { FlushReason } from '../../api/flush-function.js';
import { LogError } from '../../log/log-error.js';
import type { LaneReader, LogMessage, LogPosition, LogRead } from '../../log/log.js';
import { lostPositions } from '../../log/lost-positions.js';
import type { ConsumeCounts } from './consume-metrics.js';
import type { ConsumeSettings } from './consume-settings.js';
import { Wakeup } from './wait.js';

/** How long a read waits for messages before it says how far it has come without any. */
const READ_WAIT_MS = 1_000;
/** What may be queued and in flight, in batches. */
const MOST_BATCHES = 2;
const MOST_BYTES = 3;

export interface FeedBatch {
  readonly messages: readonly LogMessage[];
  readonly bytes: number;
  /** Why it was cut: `drain` at the end of its lane. */
  readonly reason: FlushReason;
  /** The first position that it stands for. */
  readonly from: LogPosition;
  /** Once the messages are loaded: the first position that is not. */
  readonly next: LogPosition;
}

export interface FedLane {
  readonly lane: number;
  readonly last: LogPosition;
  readonly next: LogPosition;
}

export class LaneFeed {
  readonly #reader: LaneReader;
  readonly #settings: ConsumeSettings;
  readonly #metrics: ConsumeCounts;
  readonly #lane: FedLane;
  readonly #forReading: Wakeup;
  readonly #forTaking: Wakeup;
  #queue: LogMessage[] = [];
  #queuedBytes = 0;
  /** Queued and in flight. */
  #heldMessages = 0;
  #heldBytes = 0;
  /** When the oldest message of the queue came. */
  #since = 0;
  /** The first position that has not been read. */
  #next: LogPosition;
  /** The first position that no batch has taken. */
  #taken: LogPosition;
  #failure: { readonly error: unknown } | undefined;
  #isClosed = false;

  constructor(reader: LaneReader, lane: FedLane, settings: ConsumeSettings, metrics: ConsumeCounts) {
    this.#reader = reader;
    this.#settings = settings;
    this.#metrics = metrics;
    this.#lane = lane;
    this.#next = lane.next;
    this.#taken = lane.next;
    this.#addRoom(1);
    this.#forReading = new Wakeup(settings.clock);
    this.#forTaking = new Wakeup(settings.clock);
    void this.#readAhead();
  }

  /**
   * Returns a batch once it is due: full, of age, or at the end of the lane. Without messages if the reader has come further without any. Undefined after
   * `waitMs`, or if the feed was closed.
   *
   * @throws what the log has failed with, behind the messages that came before
   */
  async take(waitMs: number): Promise<FeedBatch | undefined> {
    const { clock, maxFlushIntervalMs } = this.#settings;
    const deadline = clock.now() + waitMs;
    for (;;) {
      if (this.#isClosed) return undefined;
      const now = clock.now();
      const dueIn = this.#queue.length === 0 ? Infinity : this.#since + maxFlushIntervalMs - now;
      const reason = this.#fullBy() ?? (dueIn <= 0 ? 'interval' : undefined);
      if (reason !== undefined) return this.#cut(reason);
      if (this.#failure !== undefined && this.#queue.length === 0) throw this.#failure.error;
      if (this.#queue.length === 0 && this.#next > this.#taken) return this.#cut('drain');
      if (now >= deadline) return undefined;
      await this.#forTaking.wait(Math.min(dueIn, deadline - now));
    }
  }

  /** A batch is loaded, or given up: its messages hold no memory any more. */
  settle({ messages, bytes }: Pick<FeedBatch, 'messages' | 'bytes'>): void {
    this.#heldMessages -= messages.length;
    this.#heldBytes -= bytes;
    this.#metrics.messagesInFlight -= messages.length;
    this.#metrics.bytesHeld -= bytes;
    this.#forReading.wake();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#reader.close();
    this.#metrics.messagesQueued -= this.#queue.length;
    this.#metrics.bytesHeld -= this.#queuedBytes;
    this.#addRoom(-1);
    this.#forReading.wake();
    this.#forTaking.wake();
  }

  #addRoom(sign: 1 | -1): void {
    const { batchSize, batchBytes } = this.#settings;
    this.#metrics.roomMessages += sign * MOST_BATCHES * batchSize;
    this.#metrics.roomBytes += sign * MOST_BYTES * batchBytes;
  }

  #fullBy(): FlushReason | undefined {
    if (this.#queue.length === 0) return undefined;
    if (this.#queue.length >= this.#settings.batchSize) return 'size';
    if (this.#queuedBytes >= this.#settings.batchBytes) return 'bytes';
    return this.#next > this.#lane.last || this.#failure !== undefined ? 'drain' : undefined;
  }

  #cut(reason: FlushReason): FeedBatch {
    const { batchSize, batchBytes } = this.#settings;
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length && count < batchSize) {
      const size = this.#queue[count]!.bytes.length;
      if (count > 0 && bytes + size > batchBytes) break;
      bytes += size;
      count += 1;
    }
    const isWhole = count === this.#queue.length;
    const messages = isWhole ? this.#queue : this.#queue.slice(0, count);
    this.#queue = isWhole ? [] : this.#queue.slice(count);
    this.#queuedBytes -= bytes;
    const from = this.#taken;
    this.#taken = isWhole ? this.#next : messages.at(-1)!.position + 1;
    this.#metrics.messagesQueued -= count;
    this.#metrics.messagesInFlight += count;
    return { messages, bytes, reason, from, next: this.#taken };
  }

  async #readAhead(): Promise<void> {
    const { batchSize, batchBytes } = this.#settings;
    try {
      while (!this.#isClosed && this.#next <= this.#lane.last) {
        const messages = Math.min(batchSize, MOST_BATCHES * batchSize - this.#heldMessages);
        const bytes = Math.min(batchBytes, MOST_BYTES * batchBytes - this.#heldBytes);
        if (messages <= 0 || bytes <= 0) {
          await this.#forReading.wait(READ_WAIT_MS);
          continue;
        }
        this.#add(await this.#reader.read({ messages, bytes }, READ_WAIT_MS));
      }
    } catch (error) {
      this.#failure = { error };
      this.#forTaking.wake();
    }
  }

  #add(read: LogRead): void {
    if (this.#isClosed) return;
    this.#checkLoss(read);
    if (this.#queue.length === 0) this.#since = this.#settings.clock.now();
    let bytes = 0;
    for (const message of read.messages) {
      this.#queue.push(message);
      bytes += message.bytes.length;
    }
    this.#queuedBytes += bytes;
    this.#heldBytes += bytes;
    this.#metrics.bytesRead += bytes;
    this.#metrics.bytesHeld += bytes;
    this.#heldMessages += read.messages.length;
    this.#metrics.messagesQueued += read.messages.length;
    this.#metrics.messagesRead += read.messages.length;
    this.#next = Math.max(this.#next, Math.min(read.reached, this.#lane.last) + 1);
    this.#forTaking.wake();
  }

  /** @throws {LogError} `loss`, unless gaps are allowed */
  #checkLoss(read: LogRead): void {
    const lost = lostPositions(this.#next, read);
    if (lost === undefined) return;
    const { first, last } = lost;
    if (this.#settings.allowGaps) {
      this.#metrics.positionsLost += last - first + 1;
      return;
    }
    throw new LogError(
      'loss',
      `the log has deleted positions ${first} to ${last} of lane ${this.#lane.lane} before they were loaded; ` +
        "to go on without them, set 'allowGaps' (--allow-gaps); to lose no more, keep messages for longer, or add workers",
    );
  }
}
