/** A stream of NATS JetStream as a log: its lanes are blocks of sequences. */

import type { NatsConnection } from '@nats-io/transport-node';
import { checkInteger, checkNames, refuse } from '../guards/validate.js';
import type { Log, LogBounds, OpenLog } from '../log/log.js';
import { StreamApi, type StreamName } from './stream-api.js';
import { openPublisher } from './stream-publisher.js';
import { StreamLaneReader } from './stream-lane-reader.js';

export interface JetStreamLogOptions {
  /** The stream's name. Its retention must be `limits`. */
  stream: string;
  /** Loads only messages whose subjects match, such as `'orders.>'`. Default: all. */
  filter?: string | undefined;
  /** The JetStream domain. Default: that of the server. */
  domain?: string | undefined;
  /** Sequences of a lane, which one worker reads at a time. All runs of an import must agree. Default 50 000. */
  laneSize?: number | undefined;
}

/** A test compares the table in `jetstream/README.md` with them. */
export const JETSTREAM_OPTIONS: ReadonlySet<string> = new Set([
  'stream',
  'filter',
  'domain',
  'laneSize',
] satisfies (keyof JetStreamLogOptions)[]);
const LANE_SIZE = 50_000;

/** What a stream's name or a domain is made of: other characters would change the subject of a request. */
const NAME = /^[^\s.*>/\\\p{Cc}]+$/u;
/** A subject: tokens between dots, of which some may be wildcards. */
const SUBJECT = /^[^\s.\p{Cc}]+(\.[^\s.\p{Cc}]+)*$/u;

/**
 * Makes a log of a stream, for `consumeLog` of `spillway/postgres`. Nothing is acknowledged to the server, and nothing is deleted from the stream:
 * it only stores.
 *
 * @param nats a connection, as `connect` of `@nats-io/transport-node` makes it. It stays the caller's.
 * @throws {InvalidOptionError} for a wrong option. Whether there is such a stream is found out by `consumeLog`.
 */
export function jetStreamLog(nats: NatsConnection, options: JetStreamLogOptions): Log {
  const { isClosed, subscribe } = (nats as Partial<NatsConnection> | undefined) ?? {};
  if (typeof isClosed !== 'function' || typeof subscribe !== 'function') {
    refuse('nats', 'a connection, as connect() of @nats-io/transport-node makes it', nats);
  }
  if (typeof options !== 'object' || (options as unknown) === null) {
    refuse('options', "an object with 'stream'", options);
  }
  checkNames(options, JETSTREAM_OPTIONS, 'jetStreamLog');
  const { stream, filter, domain, laneSize = LANE_SIZE } = options;
  checkText('stream', stream, NAME, "a stream's name");
  if (filter !== undefined) checkText('filter', filter, SUBJECT, 'a subject, which may have wildcards');
  if (domain !== undefined) checkText('domain', domain, NAME, "a domain's name");
  checkInteger('laneSize', laneSize, 1);
  const name: StreamName = { stream, filter, domain };
  return { open: async () => openLog(await StreamApi.open(nats, name), laneSize) };
}

function checkText(option: string, value: unknown, form: RegExp, expected: string): void {
  if (typeof value !== 'string' || !form.test(value)) refuse(option, expected, value);
}

function openLog(api: StreamApi, laneSize: number): OpenLog {
  const { stream, filter, domain } = api.name;
  return {
    source: {
      log: 'jetstream',
      stream,
      created: api.created,
      filter: filter ?? null,
      domain: domain ?? null,
      laneSize,
    },
    hasOneOrder: true,
    bounds: async (_signal, start) => {
      const from = start instanceof Date ? await api.firstSince(start) : (start ?? 0);
      const { first_seq, last_seq } = (await api.info()).state;
      return blockBounds(Math.max(first_seq, Math.min(from, last_seq + 1)), last_seq, laneSize);
    },
    find: (_lane, from) => api.find(from),
    publisher: (subject) => openPublisher(api, subject),
    reader: (lane, from) => new StreamLaneReader(api, lane, from),
  };
}

/** Lane k holds the sequences from k × size + 1 to (k + 1) × size. Pure. */
export function blockBounds(firstSequence: number, lastSequence: number, size: number): LogBounds {
  // A stream that never had a message says 0.
  const oldest = Math.max(1, firstSequence);
  const end = Math.max(lastSequence + 1, oldest);
  const laneOf = (position: number): number => Math.floor((position - 1) / size);
  return {
    firstLane: laneOf(oldest),
    lastLane: laneOf(end),
    lane: (lane) => {
      const first = lane * size + 1;
      const last = first + size - 1;
      return { lane, first, last, oldest, end: Math.min(Math.max(end, first), last + 1) };
    },
  };
}
