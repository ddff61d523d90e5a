/** The members of a JSON object, found in its bytes. */

import {
  BACKSLASH,
  CLOSING_BRACE,
  COLON,
  COMMA,
  OPENING_BRACE,
  OPENING_BRACKET,
  QUOTE,
  SPACE,
} from '../../common/bytes.js';
import { ByteOutput } from './byte-output.js';
import { endOfValue, isWhiteSpace, ValueScanner } from './value-scanner.js';

/** Receives the key, and where its value stands. */
export type OnMember = (key: string, start: number, end: number) => void;

/**
 * Returns whether the bytes are an object as far as its members go: values are not checked.
 *
 * @param bytes one value
 */
export function forEachMember(bytes: Buffer, onMember: OnMember): boolean {
  let at = afterSpace(bytes, 0);
  if (bytes[at] !== OPENING_BRACE) return false;
  at = afterSpace(bytes, at + 1);
  if (bytes[at] === CLOSING_BRACE) return true;
  for (;;) {
    if (bytes[at] !== QUOTE) return false;
    const keyEnd = endOfValue(bytes, at);
    const key = textOf(bytes.subarray(at, keyEnd));
    at = afterSpace(bytes, keyEnd);
    if (key === undefined || bytes[at] !== COLON) return false;
    const start = afterSpace(bytes, at + 1);
    const end = endOfValue(bytes, start);
    if (end === start) return false;
    onMember(key, start, end);
    at = afterSpace(bytes, end);
    if (bytes[at] === CLOSING_BRACE) return true;
    if (bytes[at] !== COMMA) return false;
    at = afterSpace(bytes, at + 1);
  }
}

/** Returns a JSON string's text; undefined if it is no string. */
export function textOf(json: Buffer): string | undefined {
  if (isPlainString(json)) return json.toString('utf8', 1, json.length - 1);
  try {
    const value: unknown = JSON.parse(json.toString('utf8'));
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Whether it is a string without escapes. */
function isPlainString(json: Buffer): boolean {
  const last = json.length - 1;
  if (last < 1 || json[0] !== QUOTE || json[last] !== QUOTE) return false;
  for (let at = 1; at < last; at += 1) {
    const byte = json[at]!;
    if (byte < SPACE || byte === QUOTE || byte === BACKSLASH) return false;
  }
  return true;
}

/** Returns whether a value is an array whose first element is an object. */
export function isListOfObjects(bytes: Buffer, start: number): boolean {
  return bytes[start] === OPENING_BRACKET && bytes[afterSpace(bytes, start + 1)] === OPENING_BRACE;
}

export function afterSpace(bytes: Buffer, start: number): number {
  let at = start;
  while (at < bytes.length && isWhiteSpace(bytes[at]!)) at += 1;
  return at;
}

/** Returns the whole values of a list that stand in these bytes. @param start behind the bracket */
export function* elementsIn(bytes: Buffer, start: number): Generator<Buffer, void> {
  const scanner = new ValueScanner('');
  const copy = new ByteOutput();
  let at = afterSpace(bytes, start);
  while (at < bytes.length) {
    scanner.begin(bytes[at]!);
    const end = scanner.scan(bytes, at, copy);
    if (!scanner.isWhole || end === at) return;
    yield Buffer.from(copy.written);
    copy.clear();
    // Behind the comma.
    at = afterSpace(bytes, afterSpace(bytes, end) + 1);
  }
}
