/**
 * A long ErrorResponse or NoticeResponse, shortened while it is received.
 *
 * The server quotes values in the length in which they were sent. Of a value of 16 MB, the message, the parser's text of it and the errors
 * made of that would be held at the same time.
 */

import { HEADER_BYTES } from './server-message.js';

/** The longest text of a report, with the byte that says which field it is. */
const LONGEST_TEXT_BYTES = 32 * 1024;
const FIRST_BYTES = 64 * 1024;
const END = Buffer.of(0);
const CUT_END = Buffer.from('…\0');
const SPACE = 0x20;

export class LongReport {
  readonly #length: number;
  #received = 0;
  #kept = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #keptBytes = 0;
  /** Received of the text that has not ended yet. Before the first text it stands for the header. */
  #textBytes = -HEADER_BYTES;

  /** @param length of the whole message, as its header announces it */
  constructor(length: number) {
    this.#length = length;
  }

  /** Takes the bytes of the message that stand in a chunk from `start` on. Returns the place behind them. */
  take(chunk: Buffer, start: number): number {
    const end = Math.min(chunk.length, start + this.#length - this.#received);
    this.#received += end - start;
    let at = start;
    if (this.#textBytes < 0) {
      // Its length may hold zeros, which end no text.
      at = Math.min(end, start - this.#textBytes);
      this.#keep(chunk.subarray(start, at));
      this.#textBytes += at - start;
    }
    this.#takeTexts(chunk.subarray(at, end));
    return end;
  }

  get isWhole(): boolean {
    return this.#received === this.#length;
  }

  /** The shortened message, once it is whole. Its texts are as many as received. */
  message(): Buffer {
    const message = this.#kept.subarray(0, this.#keptBytes);
    message.writeUInt32BE(message.length - 1, 1);
    return message;
  }

  /** What was received so far, in its full length and with the header that was received: spaces stand for what was cut. */
  beginning(): Buffer {
    const beginning = Buffer.alloc(this.#received, SPACE);
    this.#kept.copy(beginning, 0, 0, this.#keptBytes);
    return beginning;
  }

  #takeTexts(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      const zero = bytes.indexOf(0, at);
      const end = zero === -1 ? bytes.length : zero;
      const room = Math.max(0, LONGEST_TEXT_BYTES - this.#textBytes);
      this.#keep(bytes.subarray(at, Math.min(end, at + room)));
      this.#textBytes += end - at;
      if (zero !== -1) this.#endText();
      at = end + 1;
    }
  }

  #endText(): void {
    const isCut = this.#textBytes > LONGEST_TEXT_BYTES;
    if (isCut) this.#dropLastCharacter();
    this.#keep(isCut ? CUT_END : END);
    this.#textBytes = 0;
  }

  /** It may be cut. One byte of ASCII is always whole. */
  #dropLastCharacter(): void {
    let end = this.#keptBytes;
    while (this.#keptBytes - end < 3 && (this.#kept[end - 1]! & 0xc0) === 0x80) end -= 1;
    if (this.#kept[end - 1]! >= 0xc0) end -= 1;
    this.#keptBytes = end;
  }

  #keep(bytes: Buffer): void {
    const needed = this.#keptBytes + bytes.length;
    if (needed > this.#kept.length) {
      const larger = Buffer.allocUnsafeSlow(2 * needed);
      this.#kept.copy(larger, 0, 0, this.#keptBytes);
      this.#kept = larger;
    }
    bytes.copy(this.#kept, this.#keptBytes);
    this.#keptBytes = needed;
  }
}
