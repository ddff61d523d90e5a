/**
 * Parses long JSON records. Objects and arrays in them stay text: as values they would take up to 40 times as much memory, and too much time
 * in one turn. Pure.
 */

import { CLOSING_BRACE, COLON, COMMA, OPENING_BRACE, OPENING_BRACKET, QUOTE } from '../../../common/bytes.js';
import { JsonScan } from './json-scan.js';
import { TextBuilder } from './text-builder.js';
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

const ALL_KEYS: SelectedKeys = { names: new Set(), mostOthers: Infinity };

/**
 * Like `JSON.parse`, but numbers are as they are written, and objects and arrays in an object are {@link WrittenJson}.
 *
 * @throws {JsonFault}
 */
export function parseLongRecord(line: string, kept = ALL_KEYS): unknown {
  const scan = new JsonScan(line);
  scan.skipSpace();
  const value = scan.next === OPENING_BRACE ? readMembers(scan, kept) : readValue(scan);
  scan.skipSpace();
  if (scan.at < line.length) throw scan.fault();
  return value;
}

function readMembers(scan: JsonScan, { names, mostOthers }: SelectedKeys): unknown {
  // No prototype: a key may be `__proto__`.
  const record = Object.create(null) as Record<string, unknown>;
  const others = new Set<string>();
  scan.at += 1;
  scan.skipSpace();
  if (scan.next === CLOSING_BRACE) {
    scan.at += 1;
    return record;
  }
  for (;;) {
    const key = readString(scan);
    scan.pass(COLON);
    const isNamed = names.has(key);
    if (!isNamed && others.size < mostOthers) others.add(key);
    // Of equal keys, the last value counts.
    if (isNamed || others.has(key)) record[key] = readValue(scan);
    else scan.skipValue();
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
  scan.hasEscapes = false;
  scan.skipString();
  return stringOf(scan.text.slice(start, scan.at), scan.hasEscapes);
}

function readValue(scan: JsonScan): unknown {
  const start = scan.at;
  scan.isCompact = true;
  scan.hasEscapes = false;
  scan.skipValue();
  return valueOf(scan.text.slice(start, scan.at), scan.hasEscapes, scan.isCompact);
}

function stringOf(text: string, hasEscapes: boolean): string {
  return hasEscapes ? (JSON.parse(text) as string) : text.slice(1, -1);
}

/** @param text a value of JSON @param isCompact as JsonScan says it */
function valueOf(text: string, hasEscapes: boolean, isCompact: boolean): unknown {
  switch (text.charCodeAt(0)) {
    case QUOTE:
      return stringOf(text, hasEscapes);
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

/** Reads the next element of an array without white space, whose escapes are those of JSON's writer. */
export function readElement(scan: JsonScan): unknown {
  const { at } = scan;
  scan.hasEscapes = false;
  scan.skipValue();
  return valueOf(scan.text.slice(at, scan.at), scan.hasEscapes, true);
}

function passesCompactString(scan: JsonScan): boolean {
  scan.isCompact = true;
  scan.skipString();
  return scan.isCompact;
}

/** Removes white space, and all escapes that JSON's writer would not make. */
function compact(text: string): string {
  const builder = new TextBuilder();
  let from = 0;
  const scan = new JsonScan(text);
  while (scan.at < text.length) {
    const { at, next } = scan;
    if (next === QUOTE) {
      if (passesCompactString(scan)) continue;
      builder.append(text.slice(from, at));
      builder.append(JSON.stringify(JSON.parse(text.slice(at, scan.at))));
      from = scan.at;
    } else if (next <= 0x20) {
      builder.append(text.slice(from, at));
      scan.skipSpace();
      from = scan.at;
    } else scan.at += 1;
  }
  builder.append(text.slice(from));
  return builder.text;
}
