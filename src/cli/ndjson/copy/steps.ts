/**
 * What stands between the values of records, learned from them: a step is all bytes from the end of one value to the beginning of the next,
 * with the key and whatever white space, or to the end of the line. Records of one source have the same few steps, so that a record is
 * mostly compared, not parsed.
 */

import {
  BACKSLASH,
  CLOSING_BRACE,
  COLON,
  COMMA,
  LINE_FEED,
  SLOW_PATH,
  OPENING_BRACE,
  QUOTE,
  skipSpace,
  SPACE,
  startsWith,
} from './bytes.js';

/** In place of a column's place: the record has ended. */
export const END_OF_RECORD = -1;
/** Likewise: the key is one that is left out. */
export const IGNORED = -2;

/** Longer ones are not learned. */
const LONGEST_STEP_BYTES = 1024;
/** More of them than that are not remembered together. */
const MOST_STEPS = 4096;
/** That may come after the same step. */
const MOST_NEXT = 64;

export class Step {
  readonly bytes: Uint8Array;
  /** Of the column whose value comes next, or one of the above. */
  readonly place: number;
  /** What came last after this step. */
  next: Step | undefined;
  /** All that came after it. */
  readonly others: Step[] = [];

  constructor(bytes: Uint8Array, place: number) {
    this.bytes = bytes;
    this.place = place;
  }
}

export class Steps {
  /** Before a record. */
  readonly start = new Step(new Uint8Array(), END_OF_RECORD);
  readonly #places: ReadonlyMap<string, number>;
  readonly #ignoresOtherKeys: boolean;
  readonly #known = new Map<string, Step>();

  constructor(names: readonly string[], ignoresOtherKeys: boolean) {
    this.#places = new Map(names.map((name, place) => [name, place]));
    this.#ignoresOtherKeys = ignoresOtherKeys;
  }

  /** The step that `source` has at `at`, where another one came last; undefined where that is nothing for the fast path. */
  find(after: Step, source: Buffer, at: number): Step | undefined {
    const found =
      after.others.find(({ bytes }) => startsWith(source, at, bytes)) ?? this.#learn(after, source, at);
    after.next = found ?? after.next;
    return found;
  }

  #learn(after: Step, source: Buffer, at: number): Step | undefined {
    const scan = new StepScan(source, at);
    const key = scan.run(after === this.start);
    if (key === undefined || scan.at - at > LONGEST_STEP_BYTES) return undefined;
    const place = key === END_OF_RECORD ? END_OF_RECORD : this.#placeOf(key);
    if (place === undefined) return undefined;
    const text = source.toString('latin1', at, scan.at);
    let step = this.#known.get(text);
    if (step === undefined) {
      if (this.#known.size === MOST_STEPS) this.#forget();
      step = new Step(Uint8Array.from(source.subarray(at, scan.at)), place);
      this.#known.set(text, step);
    }
    if (after.others.length === MOST_NEXT) after.others.shift();
    after.others.push(step);
    return step;
  }

  #placeOf(key: string): number | undefined {
    return this.#places.get(key) ?? (this.#ignoresOtherKeys ? IGNORED : undefined);
  }

  #forget(): void {
    this.#known.clear();
    this.start.next = undefined;
    this.start.others.length = 0;
  }
}

/** Reads a step as JSON has it. */
class StepScan {
  at: number;
  readonly #source: Buffer;

  constructor(source: Buffer, at: number) {
    this.#source = source;
    this.at = at;
  }

  /** The key, or that the record has ended; undefined for anything else. */
  run(isFirst: boolean): string | typeof END_OF_RECORD | undefined {
    this.#skipSpace();
    if (isFirst) {
      if (!this.#skip(OPENING_BRACE)) return undefined;
      this.#skipSpace();
      if (this.#skip(CLOSING_BRACE)) return this.#end();
    } else {
      if (this.#skip(CLOSING_BRACE)) return this.#end();
      if (!this.#skip(COMMA)) return undefined;
      this.#skipSpace();
    }
    const key = this.#key();
    this.#skipSpace();
    if (key === undefined || !this.#skip(COLON)) return undefined;
    this.#skipSpace();
    return key;
  }

  #end(): typeof END_OF_RECORD | undefined {
    this.#skipSpace();
    return this.#skip(LINE_FEED) ? END_OF_RECORD : undefined;
  }

  #key(): string | undefined {
    if (!this.#skip(QUOTE)) return undefined;
    const start = this.at;
    for (;;) {
      const byte = this.#source[this.at]!;
      if (byte === QUOTE) break;
      // An escaped key would have to be read.
      if (byte === BACKSLASH || byte < SPACE) return undefined;
      this.at += 1;
    }
    this.at += 1;
    return this.#source.toString('utf8', start, this.at - 1);
  }

  #skip(byte: number): boolean {
    if (this.#source[this.at] !== byte) return false;
    this.at += 1;
    return true;
  }

  #skipSpace(): void {
    this.at = skipSpace(this.#source, this.at);
  }
}

/** Past the line feed of a line that has nothing but white space, or `LONG_WAY`. */
export function skipBlankLine(source: Uint8Array, at: number): number {
  const end = skipSpace(source, at);
  return source[end] === LINE_FEED ? end + 1 : SLOW_PATH;
}
