/** A message of a stream. */

import { isUtf8 } from 'node:buffer';
import type { Msg } from '@nats-io/transport-node';
import type { LogMessage } from '../log/log.js';
import type { Delivery } from './delivery.js';

export class StreamMessage implements LogMessage {
  readonly bytes: Uint8Array;
  readonly position: number;
  readonly lane: number;
  readonly #message: Msg;
  readonly #timestampMs: number;

  constructor(message: Msg, { position, timestampMs }: Delivery, lane: number) {
    this.#message = message;
    this.#timestampMs = timestampMs;
    this.bytes = message.data;
    this.position = position;
    this.lane = lane;
  }

  json(): unknown {
    const { buffer, byteOffset, length } = this.bytes;
    const bytes = Buffer.from(buffer, byteOffset, length);
    // Otherwise the bytes at fault would become U+FFFD in silence.
    if (!isUtf8(bytes)) throw new Error('the message is not UTF-8');
    return JSON.parse(bytes.toString()) as unknown;
  }

  get subject(): string {
    return this.#message.subject;
  }

  get timestamp(): Date {
    return new Date(this.#timestampMs);
  }

  get headers(): Readonly<Record<string, readonly string[]>> | undefined {
    const { headers } = this.#message;
    return headers === undefined ? undefined : Object.fromEntries(headers);
  }
}
