/**
 * Long records of JSON. Objects and arrays in them stay text: as values they would take up to 40 times as much memory, and too much time at
 * once. Pure.
 */

import { JsonScan } from './json-scan.js';
import { Pieces } from './pieces.js';
import { numberAsWritten } from './written-number.js';

/** In characters. Shorter ones can do no harm. */
export const LONG_RECORD = 64 * 1024;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPENING_BRACKET = 0x5b;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACKET = 0x5d;
const CLOSING_BRACE = 0x7d;

/** An object or array, as JSON without white space. Its keys stay in their order, and stay all of them if one comes twice. */
export class WrittenJson {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  get isArray(): boolean {
    return this.text.charCodeAt(0) === OPENING_BRACKET;
  }
}

/**
 * Like `JSON.parse`, but numbers are as they are written, and objects and arrays in an object are {@link WrittenJson}.
 *
 * @throws {JsonFault}
 */
export function parseLongRecord(line: string): unknown {
  const scan = new JsonScan(line);
  scan.skipSpace();
  const value = scan.next === OPENING_BRACE ? readMembers(scan) : readValue(scan);
  scan.skipSpace();
  if (scan.at < line.length) throw scan.fault();
  return value;
}

function readMembers(scan: JsonScan): unknown {
  // Any key may come, __proto__ too.
  const record = Object.create(null) as Record<string, unknown>;
  scan.at += 1;
  scan.skipSpace();
  if (scan.next === CLOSING_BRACE) {
    scan.at += 1;
    return record;
  }
  for (;;) {
    const key = readString(scan);
    scan.pass(COLON);
    record[key] = readValue(scan);
    scan.skipSpace();
    const { next } = scan;
    if (next !== COMMA && next !== CLOSING_BRACE) throw scan.fault();
    scan.at += 1;
    if (next === CLOSING_BRACE) return record;
    scan.skipSpace();
  }
}

function readString(scan: JsonScan): string {
  const start = scan.at;
  const isCompact = !hasEscapes(scan);
  return stringOf(scan.text.slice(start, scan.at), isCompact);
}

/** Passes a string. */
function hasEscapes(scan: JsonScan): boolean {
  scan.isCompact = true;
  scan.skipString();
  return !scan.isCompact;
}

function readValue(scan: JsonScan): unknown {
  const start = scan.at;
  scan.isCompact = true;
  scan.skipValue();
  return valueOf(scan.text.slice(start, scan.at), scan.isCompact);
}

function stringOf(text: string, isCompact: boolean): string {
  return isCompact ? text.slice(1, -1) : (JSON.parse(text) as string);
}

/** @param text a value of JSON @param isCompact whether it has neither white space nor escapes */
function valueOf(text: string, isCompact: boolean): unknown {
  switch (text.charCodeAt(0)) {
    case QUOTE:
      return stringOf(text, isCompact);
    case OPENING_BRACE:
    case OPENING_BRACKET:
      return new WrittenJson(isCompact ? text : compact(text));
    case 0x74:
      return true;
    case 0x66:
      return false;
    case 0x6e:
      return null;
    default:
      return numberAsWritten(text);
  }
}

/** The values of an array, one after another. @param text JSON without white space */
export function eachElement(text: string, use: (value: unknown) => void): void {
  const scan = new JsonScan(text);
  scan.at = 1;
  while (scan.next !== CLOSING_BRACKET) {
    use(readElement(scan));
    if (scan.next === COMMA) scan.at += 1;
  }
}

/** Escapes that are left are those that JSON's writer makes. */
function readElement(scan: JsonScan): unknown {
  const { text, at } = scan;
  scan.isCompact = true;
  scan.skipValue();
  const value = text.slice(at, scan.at);
  return text.charCodeAt(at) === QUOTE ? stringOf(value, scan.isCompact) : valueOf(value, true);
}

/** Without white space, and with no more escapes than JSON's writer makes. */
function compact(text: string): string {
  const pieces = new Pieces();
  let from = 0;
  const scan = new JsonScan(text);
  while (scan.at < text.length) {
    const { at, next } = scan;
    if (next === QUOTE) {
      if (!hasEscapes(scan)) continue;
      pieces.add(text.slice(from, at));
      pieces.add(JSON.stringify(JSON.parse(text.slice(at, scan.at))));
      from = scan.at;
    } else if (next <= 0x20) {
      pieces.add(text.slice(from, at));
      scan.skipSpace();
      from = scan.at;
    } else scan.at += 1;
  }
  pieces.add(text.slice(from));
  return pieces.text;
}
