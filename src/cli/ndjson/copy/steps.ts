/**
 * Learns the bytes between the values of records, so that records are compared and not parsed.
 *
 * A step is all bytes from the end of one value to the beginning of the next, or to the end of the line:
 *
 * ```text
 *   {"id": 17, "name": "x"}\n
 *   └──┬─┘   └───┬───┘   └┬─┘
 *   step to `id` │        end of the record
 *           step to `name`
 * ```
 *
 * Records of one source have the same few steps. Each step remembers which one followed it last time; if that one does not match, the
 * others that have followed it are compared, and at last the bytes are parsed and learned as a new step.
 */

import {
  BACKSLASH,
  CLOSING_BRACE,
  COLON,
  COMMA,
  LINE_FEED,
  OPENING_BRACE,
  QUOTE,
  SPACE,
} from '../../../common/bytes.js';
import { SLOW_PATH, skipSpace, startsWith } from './scans.js';

/** In place of a column's index: the record has ended. */
export const END_OF_RECORD = -1;
/** In place of a column's index: the key is ignored. */
export const IGNORED = -2;

/** Longer steps are not learned. */
const LONGEST_STEP_BYTES = 1024;
/** At this number, all learned steps are forgotten. */
const MOST_STEPS = 4096;
/** Most steps that are remembered after the same step. */
const MOST_NEXT = 64;

export class Step {
  readonly bytes: Uint8Array;
  /** Index of the column whose value comes next, or `END_OF_RECORD` or `IGNORED`. */
  readonly place: number;
  /** The step that came after this one last time: the guess for the next record. */
  next: Step | undefined;
  /** All steps that have come after this one. */
  readonly others: Step[] = [];

  constructor(bytes: Uint8Array, place: number) {
    this.bytes = bytes;
    this.place = place;
  }
}

export class Steps {
  /** The state before a record. */
  readonly start = new Step(new Uint8Array(), END_OF_RECORD);
  readonly #places: ReadonlyMap<string, number>;
  readonly #ignoresOtherKeys: boolean;
  readonly #known = new Map<string, Step>();

  constructor(names: readonly string[], ignoresOtherKeys: boolean) {
    this.#places = new Map(names.map((name, place) => [name, place]));
    this.#ignoresOtherKeys = ignoresOtherKeys;
  }

  /** Returns the step that stands at `at`, after the step `after`; undefined: the record takes the slow path. */
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

/** Parses one step by JSON's grammar. */
class StepScan {
  at: number;
  readonly #source: Buffer;

  constructor(source: Buffer, at: number) {
    this.#source = source;
    this.at = at;
  }

  /** Returns the key, or `END_OF_RECORD`; undefined for anything else. */
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
      // An escaped key has to be parsed.
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

/** Returns the offset after a line of white space only, or `SLOW_PATH`. */
export function skipBlankLine(source: Uint8Array, at: number): number {
  const end = skipSpace(source, at);
  return source[end] === LINE_FEED ? end + 1 : SLOW_PATH;
}
