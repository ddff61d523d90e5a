/** Publishes copies of dead letters to a subject that a stream stores. */

import { jetstream, JetStreamApiError } from '@nats-io/jetstream';
import { headers as makeHeaders, type MsgHdrs } from '@nats-io/transport-node';
import { messageOf } from '../common/thrown.js';
import { LogError } from '../log/log-error.js';
import type { LogCopy, LogPublisher } from '../log/log.js';
import type { StreamApi } from './stream-api.js';

const TIMEOUT_MS = 10_000;
/** A subject without wildcards. */
const LITERAL = /^[^\s.*>\p{Cc}]+(\.[^\s.*>\p{Cc}]+)*$/u;
/** What the protocol adds to a message: a line with two sizes, and one header of ours. */
const OVERHEAD_BYTES = 512;
/** They would end a header's line. */
const CONTROLS = /\p{Cc}+/gu;

/** @throws {LogError} `setup`, if nothing stores the subject, or the log would read the copies itself */
export async function openPublisher(api: StreamApi, subject: string): Promise<LogPublisher> {
  const shown = JSON.stringify(subject);
  if (!LITERAL.test(subject)) throw new LogError('setup', `${shown} is no subject that can be published to`);
  const stream = await api.streamOf(subject);
  if (stream === undefined) {
    throw new LogError(
      'setup',
      `no stream stores the subject ${shown}, so copies of dead letters would be lost: make one for it`,
    );
  }
  const { stream: own, filter, domain } = api.name;
  if (stream === own && (filter === undefined || matches(filter, subject))) {
    const helps = filter === undefined ? "or load with a 'filter' (--filter)" : 'or narrow the filter';
    throw new LogError(
      'setup',
      `stream ${JSON.stringify(stream)} would read copies of dead letters at ${shown} again, without an end: give another subject, ${helps}`,
    );
  }
  const client = jetstream(api.nats, { checkAPI: false, ...(domain !== undefined && { domain }) });
  return async ({ id, bytes, headers }) => {
    const message = fitting({ id, bytes, headers }, api.nats.info?.max_payload ?? Infinity);
    try {
      await client.publish(subject, message.bytes, {
        msgID: id,
        headers: message.headers,
        timeout: TIMEOUT_MS,
      });
    } catch (error) {
      const isOurs = error instanceof JetStreamApiError && error.status >= 400 && error.status <= 499;
      const text = `cannot copy a dead letter to ${shown}: ${messageOf(error)}`;
      throw new LogError(isOurs || api.nats.isClosed() ? 'setup' : 'unreachable', text, { cause: error });
    }
  };
}

/** With its headers the copy may be larger than a message may be. Then it goes without the body, which is in the table of dead letters. */
function fitting({ id, bytes, headers }: LogCopy, most: number): { bytes: Uint8Array; headers: MsgHdrs } {
  const result = makeHeaders();
  let size = bytes.length + Buffer.byteLength(id) + OVERHEAD_BYTES;
  for (const [name, values] of Object.entries(headers)) {
    // The server would act on them, as on an id or an expected sequence of the original.
    if (/^nats-/i.test(name)) continue;
    for (const value of values) {
      const line = value.replace(CONTROLS, ' ').trim();
      size += Buffer.byteLength(name) + Buffer.byteLength(line) + 4;
      result.append(name, line);
    }
  }
  if (size <= most) return { bytes, headers: result };
  result.set('Spillway-Body', 'omitted');
  return { bytes: new Uint8Array(), headers: result };
}

/** True if a filter, which may have wildcards, takes a subject. Pure. */
export function matches(filter: string, subject: string): boolean {
  const tokens = subject.split('.');
  const wanted = filter.split('.');
  const isOpen = wanted.at(-1) === '>';
  if (isOpen ? tokens.length < wanted.length : tokens.length !== wanted.length) return false;
  return wanted.every(
    (token, place) => token === '*' || token === tokens[place] || (isOpen && place === wanted.length - 1),
  );
}
