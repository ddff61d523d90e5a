/** What is asked of the server about one stream, and what its failures mean. */

import {
  JetStreamApiError,
  jetstreamManager,
  type ConsumerInfo,
  type JetStreamManager,
  type NextMsgRequest,
  type SeqMsgRequest,
  type StreamInfo,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { messageOf } from '../common/thrown.js';
import { LogError } from '../log/log-error.js';
import type { MessagePlace } from '../log/log.js';

const NANOS_PER_MS = 1_000_000;
/** After so long without a request the server forgets a consumer: a worker that was killed leaves none behind. */
const INACTIVE_MS = 60_000;
/** A consumer that nothing is acknowledged to, and that leaves nothing behind. */
const OWN_CONSUMER = {
  description: 'spillway consumeLog',
  ack_policy: 'none',
  mem_storage: true,
  num_replicas: 1,
  inactive_threshold: INACTIVE_MS * NANOS_PER_MS,
} as const;
/** SQLSTATE-like numbers of JetStream's own errors. */
const STREAM_NOT_FOUND = 10059;
const FILTER_MATCHES_NOTHING = 10093;
const CLIENT_ERRORS = { first: 400, last: 499 };

export interface StreamName {
  readonly stream: string;
  readonly filter: string | undefined;
  readonly domain: string | undefined;
}

export class StreamApi {
  readonly nats: NatsConnection;
  readonly name: StreamName;
  readonly #manager: JetStreamManager;
  /** When the stream was made: another one by the same name has other messages. */
  readonly created: string;

  private constructor(nats: NatsConnection, name: StreamName, manager: JetStreamManager, created: string) {
    this.nats = nats;
    this.name = name;
    this.#manager = manager;
    this.created = created;
  }

  /** @throws {LogError} `setup`, if the stream's messages do not stay until its limits are reached */
  static async open(nats: NatsConnection, name: StreamName): Promise<StreamApi> {
    const { stream, domain } = name;
    try {
      const manager = await jetstreamManager(nats, {
        checkAPI: false,
        ...(domain !== undefined && { domain }),
      });
      const { config, created } = await manager.streams.info(stream);
      if (config.retention !== 'limits') {
        throw new LogError(
          'setup',
          `stream ${JSON.stringify(stream)} has the retention ${JSON.stringify(config.retention)}: its messages are deleted once a consumer has ` +
            'acknowledged them, so it cannot be read by position; store the subjects in a stream with the retention "limits", load that one, and let this one source it',
        );
      }
      await checkFilter(manager, name, config.subjects);
      return new StreamApi(nats, name, manager, created);
    } catch (error) {
      throw describe(error, nats, stream);
    }
  }

  get #stream(): string {
    return this.name.stream;
  }

  /** @throws {LogError} also if the stream was made again */
  async info(): Promise<StreamInfo> {
    let info: StreamInfo;
    try {
      info = await this.#manager.streams.info(this.#stream);
    } catch (error) {
      throw describe(error, this.nats, this.#stream);
    }
    if (info.created === this.created) return info;
    throw new LogError(
      'setup',
      `stream ${JSON.stringify(this.#stream)} was deleted and made again: its messages are others; load it under another import id`,
    );
  }

  /** Returns the first message that the filter wants, at or behind a position. */
  async find(from: number): Promise<MessagePlace | undefined> {
    // The server takes it since 2.9; the client's type has it for direct requests only.
    const next: NextMsgRequest = { seq: from, next_by_subj: this.name.filter ?? '>' };
    try {
      const found = await this.#manager.streams.getMessage(
        this.#stream,
        next as NextMsgRequest & SeqMsgRequest,
      );
      return found === null ? undefined : { position: found.seq, timestamp: found.time };
    } catch (error) {
      throw describe(error, this.nats, this.#stream);
    }
  }

  /** Returns the name of the stream that stores a subject. */
  async streamOf(subject: string): Promise<string | undefined> {
    try {
      return await this.#manager.streams.find(subject);
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND) return undefined;
      throw describe(error, this.nats, this.#stream);
    }
  }

  /** Returns the position of the first message that was stored at a time or later, or the one behind the last message. */
  async firstSince(time: Date): Promise<number> {
    try {
      const { name, delivered } = await this.#manager.consumers.add(this.#stream, {
        ...OWN_CONSUMER,
        deliver_policy: 'by_start_time',
        opt_start_time: time.toISOString(),
      });
      this.removeConsumer(name);
      // A new consumer counts all before its start as delivered.
      return delivered.stream_seq + 1;
    } catch (error) {
      throw describe(error, this.nats, this.#stream);
    }
  }

  /** Makes a consumer that nothing is acknowledged to. @returns its name */
  async addConsumer(from: number): Promise<string> {
    const { filter } = this.name;
    try {
      const { name } = await this.#manager.consumers.add(this.#stream, {
        ...OWN_CONSUMER,
        deliver_policy: 'by_start_sequence',
        opt_start_seq: from,
        ...(filter !== undefined && { filter_subject: filter }),
      });
      return name;
    } catch (error) {
      throw describe(error, this.nats, this.#stream);
    }
  }

  async consumerInfo(name: string): Promise<ConsumerInfo> {
    return this.#manager.consumers.info(this.#stream, name);
  }

  removeConsumer(name: string): void {
    if (this.nats.isClosed()) return;
    // If this fails, the server removes it in its own time.
    this.#manager.consumers.delete(this.#stream, name).catch(() => undefined);
  }

  /** Asks a consumer for messages. They come to `reply`. @throws {LogError} if the connection is closed */
  pull(consumer: string, reply: string, request: PullRequest): void {
    const { domain } = this.name;
    const prefix = domain === undefined ? '$JS.API' : `$JS.${domain}.API`;
    const subject = `${prefix}.CONSUMER.MSG.NEXT.${this.#stream}.${consumer}`;
    const { messages, bytes, expiresMs, heartbeatMs } = request;
    const body = {
      batch: messages,
      ...(bytes !== undefined && { max_bytes: bytes }),
      expires: expiresMs * NANOS_PER_MS,
      idle_heartbeat: heartbeatMs * NANOS_PER_MS,
    };
    try {
      this.nats.publish(subject, JSON.stringify(body), { reply });
    } catch (error) {
      throw describe(error, this.nats, this.#stream);
    }
  }
}

export interface PullRequest {
  readonly messages: number;
  /** Undefined: no limit, for a single message that may be of any size. */
  readonly bytes: number | undefined;
  readonly expiresMs: number;
  readonly heartbeatMs: number;
}

const MOST_SUBJECTS = 5;

/** Only the server knows, as subjects may be those of streams that this one sources. Before an import is begun, which would stand for this filter. */
async function checkFilter(
  manager: JetStreamManager,
  { stream, filter }: StreamName,
  subjects: readonly string[] = [],
): Promise<void> {
  if (filter === undefined) return;
  try {
    const config = { ...OWN_CONSUMER, deliver_policy: 'new', filter_subject: filter } as const;
    const { name } = await manager.consumers.add(stream, config);
    manager.consumers.delete(stream, name).catch(() => undefined);
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== FILTER_MATCHES_NOTHING) throw error;
    const shown = subjects.slice(0, MOST_SUBJECTS).map((subject) => JSON.stringify(subject));
    const list =
      shown.length === 0 ? '' : `: ${shown.join(', ')}${subjects.length > shown.length ? ' …' : ''}`;
    throw new LogError(
      'setup',
      `stream ${JSON.stringify(stream)} has no subjects that 'filter' ${JSON.stringify(filter)} (--filter) is a part of${list}`,
      { cause: error },
    );
  }
}

function describe(error: unknown, nats: NatsConnection, stream: string): LogError {
  if (error instanceof LogError) return error;
  const name = JSON.stringify(stream);
  if (nats.isClosed()) {
    const message =
      `cannot read stream ${name}: the connection to NATS is closed; ` +
      'to survive outages of any length, connect with maxReconnectAttempts: -1';
    return new LogError('setup', message, { cause: error });
  }
  if (error instanceof JetStreamApiError) {
    const { code, status } = error;
    if (code === STREAM_NOT_FOUND)
      return new LogError('setup', `there is no stream ${name}`, { cause: error });
    const isOurs = status >= CLIENT_ERRORS.first && status <= CLIENT_ERRORS.last;
    return new LogError(isOurs ? 'setup' : 'unreachable', `cannot read stream ${name}: ${error.message}`, {
      cause: error,
    });
  }
  return new LogError('unreachable', `cannot read stream ${name}: ${messageOf(error)}`, { cause: error });
}
