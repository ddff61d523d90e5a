/**
 * A message of a stream, in little memory: tens of thousands wait for their batch to be copied.
 *
 * What the client hands out is a view of what it has read from the socket, with views of subject and reply. Kept until its batch is loaded, it
 * costs four times the body, and the garbage collector moves it to old space.
 */

import { isUtf8 } from 'node:buffer';
import type { Msg } from '@nats-io/transport-node';
import type { LogMessage } from '../log/log.js';
import type { Delivery } from './delivery.js';

/** What bodies are copied into, many to a piece. */
const PIECE_BYTES = 65_536;
/** A larger body is most of what it keeps alive, and is not copied. */
const COPIED_BYTES = 4_096;
/** What is decoded in place of bytes that are not UTF-8. */
const REPLACEMENT = '\ufffd';

/** Makes messages of those that the client hands out, in the order in which they come. */
export class MessageKeeper {
  readonly #lane: number;
  #piece: Buffer | undefined;
  #used = 0;
  /** Of the last message: subjects repeat. */
  #subject = '';

  constructor(lane: number) {
    this.#lane = lane;
  }

  keep(message: Msg, delivery: Delivery): LogMessage {
    const { subject, data } = message;
    if (subject !== this.#subject) this.#subject = subject;
    const original = mayHaveHeaders(message, data.length) ? message : undefined;
    const { length } = data;
    if (length > COPIED_BYTES || original !== undefined) {
      const piece = Buffer.from(data.buffer, data.byteOffset, length);
      return new StreamMessage(piece, 0, length, delivery, this.#lane, this.#subject, original);
    }
    if (this.#piece === undefined || this.#used + length > PIECE_BYTES) {
      this.#piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
      this.#used = 0;
    }
    const start = this.#used;
    this.#piece.set(data, start);
    this.#used += length;
    return new StreamMessage(this.#piece, start, this.#used, delivery, this.#lane, this.#subject, undefined);
  }
}

/** False only if there are none. To ask the message itself would parse them. */
function mayHaveHeaders(message: Msg, bodyBytes: number): boolean {
  const { size } = message as { size?: () => number };
  // Characters beside ASCII make the subject longer: then there may be some, for all that is known here.
  const rest = message.subject.length + (message.reply?.length ?? 0) + bodyBytes;
  return typeof size !== 'function' || size.call(message) !== rest;
}

class StreamMessage implements LogMessage {
  readonly position: number;
  readonly lane: number;
  readonly subject: string;
  readonly #piece: Buffer;
  readonly #start: number;
  readonly #end: number;
  readonly #timestampMs: number;
  /** For its headers. */
  readonly #original: Msg | undefined;

  constructor(
    piece: Buffer,
    start: number,
    end: number,
    { position, timestampMs }: Delivery,
    lane: number,
    subject: string,
    original: Msg | undefined,
  ) {
    this.position = position;
    this.lane = lane;
    this.subject = subject;
    this.#piece = piece;
    this.#start = start;
    this.#end = end;
    this.#timestampMs = timestampMs;
    this.#original = original;
  }

  get bytes(): Uint8Array {
    return this.#piece.subarray(this.#start, this.#end);
  }

  json(): unknown {
    const text = this.#piece.toString('utf8', this.#start, this.#end);
    // Otherwise the bytes at fault would become U+FFFD in silence.
    if (text.includes(REPLACEMENT) && !isUtf8(this.bytes)) throw new Error('the message is not UTF-8');
    return JSON.parse(text) as unknown;
  }

  get timestamp(): Date {
    return new Date(this.#timestampMs);
  }

  get headers(): Readonly<Record<string, readonly string[]>> | undefined {
    const headers = this.#original?.headers;
    return headers === undefined ? undefined : Object.fromEntries(headers);
  }
}
