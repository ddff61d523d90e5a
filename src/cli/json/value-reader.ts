/** Reads values one after another: to the output at once, or kept as long as they are short. */

import { ByteOutput } from './byte-output.js';
import { ValueScanner } from './value-scanner.js';

export interface ValueUse {
  /** The value is kept up to this length. 0: not at all. */
  readonly mostKeptBytes: number;
  /** What is not kept is written. */
  readonly isWritten: boolean;
}

export class ValueReader {
  /** Line on which the value begins. */
  firstLine = 1;
  /** The value so far is in `kept`. */
  isKept = false;
  readonly #scanner: ValueScanner;
  readonly #kept = new ByteOutput();
  #use: ValueUse = { mostKeptBytes: 0, isWritten: false };

  constructor(file: string) {
    this.#scanner = new ValueScanner(file);
  }

  /** Line of the next byte. */
  get line(): number {
    return this.#scanner.line;
  }

  set line(line: number) {
    this.#scanner.line = line;
  }

  get isWhole(): boolean {
    return this.#scanner.isWhole;
  }

  get kept(): Buffer {
    return this.#kept.written;
  }

  /** @param prefix a bracket that was read before */
  begin(use: ValueUse, firstByte: number, prefix?: number): void {
    this.#use = use;
    this.firstLine = this.line;
    this.isKept = use.mostKeptBytes > 0;
    this.#kept.clear();
    if (prefix !== undefined) this.#kept.appendByte(prefix);
    this.#scanner.begin(firstByte, prefix === undefined ? 0 : 1);
  }

  /** Returns the offset behind the value, or the length if it goes on. */
  read(input: Buffer, start: number, output: ByteOutput): number {
    const { mostKeptBytes, isWritten } = this.#use;
    const end = this.#scanner.scan(input, start, isWritten && !this.isKept ? output : this.#kept);
    if (this.isKept && this.#kept.length > mostKeptBytes) {
      this.isKept = false;
      if (isWritten) output.append(this.#kept.written);
    }
    if (!this.isKept) this.#kept.clear();
    return end;
  }
}
