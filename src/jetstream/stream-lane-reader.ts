/**
 * Reads a block of a stream's sequences by a consumer of its own, which nothing is acknowledged to.
 *
 *     none ──open──> open ──a message is missing, no heartbeat, the server has forgotten it──> none
 *
 * A consumer without acknowledgements delivers no message twice. If one gets lost on the way, the next one has a number too high: then the
 * consumer is made again from the last position that has come: it must be the same message, or the stream is another one. Messages come by a callback, which is twice as fast as an iterator. They
 * are bounded by what is asked for: one request at a time, for what there is room for.
 */

import { createInbox, type Msg, type Subscription } from '@nats-io/transport-node';
import { systemClock } from '../common/clock.js';
import { LogError } from '../log/log-error.js';
import type { LaneBounds, LaneReader, LogMessage, LogRead, ReadRoom } from '../log/log.js';
import { readDelivery, type Delivery } from './delivery.js';
import type { StreamApi } from './stream-api.js';
import { MessageKeeper } from './stream-message.js';

const EXPIRES_MS = 30_000;
const HEARTBEAT_MS = 2_000;
/** Two heartbeats and some time on the way. */
const SILENCE_MS = 5_000;
/** With a filter, a read brings what comes within this time: each read then asks what the stream still has. */
const GATHER_MS = 100;
const HEARTBEAT = 100;
/** Of a heartbeat: how many messages the consumer has sent. */
const LAST_COUNT = 'Nats-Last-Consumer';

interface OpenConsumer {
  readonly name: string;
  readonly inbox: string;
  readonly subscription: Subscription;
}

export class StreamLaneReader implements LaneReader {
  readonly #api: StreamApi;
  readonly #lane: LaneBounds;
  readonly #keeper: MessageKeeper;
  #consumer: OpenConsumer | undefined;
  /** Of the consumer. */
  #count = 0;
  /** Messages that the consumer still owes for the last request. */
  #asked = 0;
  /** Messages that the last request has brought. */
  #brought = 0;
  /** The next message is larger than what was asked for. */
  #isLarge = false;
  #heardAt = 0;
  #queue: LogMessage[] = [];
  #queuedSince = 0;
  /** The first position that has not come, and the first that no read has returned. */
  #next: number;
  #returned: number;
  /** The last message that has come. */
  #last: Delivery | undefined;
  #isComplete = false;
  #isClosed = false;
  #failure: LogError | undefined;
  #wake: (() => void) | undefined;

  constructor(api: StreamApi, lane: LaneBounds, from: number) {
    this.#api = api;
    this.#lane = lane;
    this.#keeper = new MessageKeeper(lane.lane);
    this.#next = from;
    this.#returned = from;
  }

  async read(room: ReadRoom, waitMs: number): Promise<LogRead> {
    const deadline = systemClock.now() + waitMs;
    while (!this.#isClosed) {
      if (this.#isDue(room)) return this.#cut(room);
      if (this.#isComplete) return this.#nothing(this.#lane.last);
      if (this.#failure !== undefined) throw this.#failure;
      const now = systemClock.now();
      if (this.#consumer !== undefined && now - this.#heardAt > SILENCE_MS && this.#asked > 0) this.#drop();
      if (this.#consumer === undefined) await this.#open();
      else if (this.#asked === 0) this.#pull(room);
      else if (now >= deadline && this.#queue.length === 0) return this.#idle();
      else await this.#wait(this.#queue.length > 0 ? GATHER_MS : deadline - now);
    }
    return this.#nothing(this.#returned - 1);
  }

  close(): void {
    this.#isClosed = true;
    this.#drop();
    this.#wake?.();
  }

  #isDue(room: ReadRoom): boolean {
    const { length } = this.#queue;
    if (length === 0) return false;
    if (this.#api.name.filter === undefined || this.#asked === 0 || this.#isComplete) return true;
    return length >= room.messages || systemClock.now() - this.#queuedSince >= GATHER_MS;
  }

  /** What has come, within the room. */
  async #cut(room: ReadRoom): Promise<LogRead> {
    let bytes = 0;
    let count = 0;
    for (const message of this.#queue) {
      bytes += message.bytes.length;
      if (count > 0 && (count >= room.messages || bytes > room.bytes)) break;
      count += 1;
    }
    const isWhole = count === this.#queue.length;
    const messages = isWhole ? this.#queue : this.#queue.slice(0, count);
    this.#queue = isWhole ? [] : this.#queue.slice(count);
    const reached = isWhole && this.#isComplete ? this.#lane.last : messages.at(-1)!.position;
    const hasGap = reached - this.#returned + 1 > messages.length;
    this.#returned = reached + 1;
    return { messages, reached, oldest: hasGap ? await this.#oldest() : undefined };
  }

  async #nothing(reached: number): Promise<LogRead> {
    const hasGap = reached >= this.#returned;
    this.#returned = Math.max(this.#returned, reached + 1);
    return { messages: [], reached, oldest: hasGap ? await this.#oldest() : undefined };
  }

  async #oldest(): Promise<number> {
    return (await this.#api.info()).state.first_seq;
  }

  /**
   * No message has come for a while. If the stream has grown by messages that the filter does not want, or has lost some, the reader has come
   * further nevertheless.
   */
  async #idle(): Promise<LogRead> {
    const consumer = this.#consumer!;
    const { state } = await this.#api.info();
    this.#checkEnd(state.last_seq);
    // Messages may have come meanwhile.
    if (state.last_seq < this.#next || this.#queue.length > 0) return this.#nothing(this.#returned - 1);
    const info = await this.#api.consumerInfo(consumer.name).catch(() => undefined);
    const hasAll = info?.num_pending === 0 && info.delivered.consumer_seq === this.#count;
    if (!hasAll || this.#queue.length > 0) return this.#nothing(this.#returned - 1);
    const reached = Math.min(state.last_seq, this.#lane.last);
    this.#next = reached + 1;
    this.#isComplete = reached === this.#lane.last;
    return this.#nothing(reached);
  }

  async #open(): Promise<void> {
    const name = await this.#api.addConsumer(this.#last?.position ?? this.#next);
    try {
      // Asked afterwards: now the consumer is one of the stream that was seen before, and not of another one by its name.
      const { state } = await this.#api.info();
      this.#checkEnd(state.last_seq);
    } catch (error) {
      this.#api.removeConsumer(name);
      throw error;
    }
    if (this.#isClosed) {
      this.#api.removeConsumer(name);
      return;
    }
    const inbox = createInbox();
    const subscription = this.#api.nats.subscribe(inbox, {
      callback: (error, message) => {
        if (this.#consumer?.inbox !== inbox) return;
        if (error === null) this.#receive(message);
        else this.#fail(`its messages may not be received: ${error.message}`);
      },
    });
    this.#consumer = { name, inbox, subscription };
    this.#count = 0;
    this.#asked = 0;
    this.#heardAt = systemClock.now();
  }

  /** A server that has lost its last messages gives their sequences to others. @throws {LogError} */
  #checkEnd(last: number): void {
    if (last + 1 < this.#next) throw this.#error(this.#isOther(`it ends at sequence ${last}`));
  }

  #isOther(reason: string): string {
    return `${reason}, and was read up to ${this.#next - 1}: it has lost its last messages, or is another one`;
  }

  #pull(room: ReadRoom): void {
    const rest = this.#lane.last - this.#next + 1;
    const bytes = Math.max(1, room.bytes);
    // A new consumer begins with a message that is known.
    const known = this.#last === undefined || this.#count > 0 ? 0 : 1;
    const messages = this.#isLarge ? 1 : Math.max(1, Math.min(room.messages, rest)) + known;
    this.#asked = messages;
    this.#brought = 0;
    this.#heardAt = systemClock.now();
    const request = { messages, expiresMs: EXPIRES_MS, heartbeatMs: HEARTBEAT_MS };
    const { name, inbox } = this.#consumer!;
    this.#api.pull(name, inbox, { ...request, bytes: this.#isLarge ? undefined : bytes });
  }

  #receive(message: Msg): void {
    this.#heardAt = systemClock.now();
    const delivery = readDelivery(message.reply);
    if (delivery === undefined) {
      this.#receiveStatus(message);
      return;
    }
    const { position, count } = delivery;
    if (count !== this.#count + 1) {
      // Some have got lost. They are delivered to the next consumer.
      this.#drop();
    } else {
      this.#count = count;
      this.#asked -= 1;
      this.#brought += 1;
      this.#isLarge = false;
      if (position >= this.#next) this.#add(message, delivery);
      else if (!this.#isKnown(delivery)) this.#fail(this.#isOther(`sequence ${position} is another message`));
      if (position >= this.#lane.last) {
        this.#isComplete = true;
        this.#drop();
      }
    }
    this.#wake?.();
  }

  #isKnown({ position, timestampMs }: Delivery): boolean {
    return position === this.#last?.position && timestampMs === this.#last.timestampMs;
  }

  #add(message: Msg, delivery: Delivery): void {
    const { position } = delivery;
    this.#last = delivery;
    if (position > this.#lane.last) return;
    if (this.#queue.length === 0) this.#queuedSince = this.#heardAt;
    this.#queue.push(this.#keeper.keep(message, delivery));
    this.#next = position + 1;
  }

  /** The end of a request, or a heartbeat. */
  #receiveStatus(message: Msg): void {
    const { code = 0, description = '' } = message.headers ?? {};
    if (code === HEARTBEAT) {
      // It comes behind all messages: some have got lost, perhaps with a connection that was replaced.
      if (Number(message.headers?.get(LAST_COUNT) ?? 0) > this.#count) this.#drop();
      this.#wake?.();
      return;
    }
    this.#asked = 0;
    if (code === 400) this.#fail(`the server has refused a request: ${description}`);
    const isTooSmall = code === 409 && /maxbytes/i.test(description);
    if (isTooSmall) this.#isLarge = this.#brought === 0;
    // Without a request that has run out of time, or enough bytes, the consumer is gone or about to go.
    else if (code !== 408 && code !== 404) this.#drop();
    this.#wake?.();
  }

  #fail(reason: string): void {
    this.#failure ??= this.#error(reason);
    this.#drop();
    this.#wake?.();
  }

  #error(reason: string): LogError {
    return new LogError('setup', `cannot read stream ${JSON.stringify(this.#api.name.stream)}: ${reason}`);
  }

  #drop(): void {
    const consumer = this.#consumer;
    if (consumer === undefined) return;
    this.#consumer = undefined;
    this.#asked = 0;
    consumer.subscription.unsubscribe();
    this.#api.removeConsumer(consumer.name);
  }

  #wait(limitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        systemClock.clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
      const timer = systemClock.setTimeout(end, Math.max(0, limitMs));
      this.#wake = end;
    });
  }
}
