/**
 * Cuts a file's bytes into blocks of whole records, without parsing them: a record ends at a line feed, in CSV at one outside quotes.
 * Later steps then see whole records only, wherever the chunks of the input were cut.
 */

const LINE_FEED = 0x0a;
const QUOTE = 0x22;

/** What stands for "too long": the bytes gathered so far of a record that goes on. */
export class Oversized {
  readonly beginning: Buffer;

  constructor(beginning: Buffer) {
    this.beginning = beginning;
  }
}

export class RecordSplitter {
  readonly #quotes: boolean;
  readonly #maxRecordBytes: number;
  /** The beginning of a record that has not ended yet, in pieces. */
  #pieces: Buffer[] = [];
  #pieceBytes = 0;
  /** Whether the bytes so far end within quotes. Counting quotes is enough: a doubled one closes and opens again. */
  #quoted = false;

  /** `quotes`: whether a line feed within double quotes belongs to the record. */
  constructor(quotes: boolean, maxRecordBytes: number) {
    this.#quotes = quotes;
    this.#maxRecordBytes = maxRecordBytes;
  }

  /** Takes a chunk; answers all whole records so far, or nothing as long as none has ended. */
  add(chunk: Buffer): Buffer | Oversized | undefined {
    const end = this.#endOfLastRecord(chunk);
    if (end === 0) {
      this.#keep(chunk);
      // Two more: the line break that may follow does not belong to the record.
      return this.#pieceBytes > this.#maxRecordBytes + 2 ? new Oversized(this.#join()) : undefined;
    }
    const whole = chunk.subarray(0, end);
    const block = this.#pieceBytes === 0 ? whole : Buffer.concat([...this.#pieces, whole]);
    this.#pieces = [];
    this.#pieceBytes = 0;
    this.#keep(chunk.subarray(end));
    return block;
  }

  /** What is left at the end of the file: a last record without a line break, or nothing. */
  end(): Buffer | undefined {
    const rest = this.#pieceBytes === 0 ? undefined : this.#join();
    this.#pieces = [];
    this.#pieceBytes = 0;
    this.#quoted = false;
    return rest;
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#pieces.push(bytes);
    this.#pieceBytes += bytes.length;
  }

  #join(): Buffer {
    return this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
  }

  /** The offset after the last line feed that ends a record; 0 where none does. */
  #endOfLastRecord(chunk: Buffer): number {
    const firstQuote = this.#quotes ? chunk.indexOf(QUOTE) : -1;
    if (firstQuote === -1) return this.#quoted ? 0 : chunk.lastIndexOf(LINE_FEED) + 1;
    let quoted = this.#quoted;
    let end = quoted ? 0 : chunk.lastIndexOf(LINE_FEED, firstQuote) + 1;
    for (let i = firstQuote; i < chunk.length; i += 1) {
      const byte = chunk[i];
      if (byte === QUOTE) quoted = !quoted;
      else if (byte === LINE_FEED && !quoted) end = i + 1;
    }
    this.#quoted = quoted;
    return end;
  }
}
