/**
 * Parses long JSON records. Objects and arrays in them stay text: as values they would take up to 40 times as much memory, and too much time
 * in one turn. Pure.
 */

import {
  CLOSING_BRACE,
  COLON,
  COMMA,
  LETTER_F,
  LETTER_N,
  LETTER_T,
  OPENING_BRACE,
  OPENING_BRACKET,
  QUOTE,
} from '../../../common/bytes.js';
import { JsonScan } from './json-scan.js';
import { compact, textOf } from './json-text.js';
import { numberAsWritten } from './written-number.js';

/** In characters. Shorter records can do no harm. */
export const LONG_RECORD = 64 * 1024;

/** An object or array, as JSON without white space. Its keys keep their order; of equal keys all stay. */
export class WrittenJson {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  get isArray(): boolean {
    return this.text.charCodeAt(0) === OPENING_BRACKET;
  }
}

/** Which keys of a long record are kept: an object of all of them may take a second to fill. */
export interface SelectedKeys {
  readonly names: ReadonlySet<string>;
  /** How many other keys are kept, the first ones: they become columns, or an error. */
  readonly mostOthers: number;
}

/** A value that has been skipped, and may be made later. */
interface WrittenValue {
  readonly start: number;
  readonly end: number;
  /** As of {@link JsonScan}. */
  readonly isCompact: boolean;
}

const ALL_KEYS: SelectedKeys = { names: new Set(), mostOthers: Infinity };

/**
 * Like `JSON.parse`, but numbers are as they are written, and objects and arrays in an object are {@link WrittenJson}.
 *
 * @throws {JsonFault}
 */
export function parseLongRecord(line: string, kept = ALL_KEYS): unknown {
  const scan = new JsonScan(line);
  scan.skipSpace();
  const value = scan.next === OPENING_BRACE ? readMembers(scan, kept) : valueOf(line, skipValue(scan));
  scan.skipSpace();
  if (scan.at < line.length) throw scan.fault();
  return value;
}

function readMembers(scan: JsonScan, { names, mostOthers }: SelectedKeys): unknown {
  // No prototype: a key may be `__proto__`.
  const record = Object.create(null) as Record<string, unknown>;
  /** Of equal keys, the last value counts: values are made at the end, so that the others cost nothing. */
  const values = new Map<string, WrittenValue>();
  let others = 0;
  scan.at += 1;
  scan.skipSpace();
  if (scan.next === CLOSING_BRACE) {
    scan.at += 1;
    return record;
  }
  for (;;) {
    const key = readKey(scan);
    scan.pass(COLON);
    const isNew = !values.has(key);
    const isOther = isNew && !names.has(key);
    if (isOther) others += 1;
    if (isOther && others > mostOthers) scan.skipValue();
    else values.set(key, skipValue(scan));
    scan.skipSpace();
    const { next } = scan;
    if (next !== COMMA && next !== CLOSING_BRACE) throw scan.fault();
    scan.at += 1;
    if (next === CLOSING_BRACE) break;
    scan.skipSpace();
  }
  for (const [key, value] of values) record[key] = valueOf(scan.text, value);
  return record;
}
function readKey(scan: JsonScan): string {
  const start = scan.at;
  scan.skipString();
  return textOf(scan.text.slice(start, scan.at));
}

function skipValue(scan: JsonScan): WrittenValue {
  const start = scan.at;
  scan.isCompact = true;
  scan.skipValue();
  return { start, end: scan.at, isCompact: scan.isCompact };
}

function valueOf(text: string, { start, end, isCompact }: WrittenValue): unknown {
  const value = text.slice(start, end);
  // White space and spelling change no text.
  return compactValue(isCompact || value.charCodeAt(0) === QUOTE ? value : compact(value));
}

/** Returns the value of a JSON text without white space, whose escapes are those of JSON's writer. */
export function compactValue(text: string): unknown {
  switch (text.charCodeAt(0)) {
    case QUOTE:
      return textOf(text);
    case OPENING_BRACE:
    case OPENING_BRACKET:
      return new WrittenJson(text);
    case LETTER_T:
      return true;
    case LETTER_F:
      return false;
    case LETTER_N:
      return null;
    default:
      return numberAsWritten(text);
  }
}
