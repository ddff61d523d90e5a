/** Strings of JSON: their escapes, and the spelling that JSON's writer gives them. Pure. */

import { BACKSLASH, LETTER_U, NINE, QUOTE, SLASH, SPACE, ZERO } from '../../../common/bytes.js';

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

/** The character of each escape of one letter, by the letter; 0 for all others. */
export const ESCAPED_BYTES = new Uint8Array(256);
/** The letter after the backslash, by the character; 0 for all that a writer does not escape by a letter. */
const LETTERS = new Uint8Array(256);
for (const [letter, character] of [...Object.entries(ESCAPES), ['"', '"'], ['\\', '\\'], ['/', '/']]) {
  ESCAPED_BYTES[letter!.charCodeAt(0)] = character!.charCodeAt(0);
  if (letter !== '/') LETTERS[character!.charCodeAt(0)] = letter!.charCodeAt(0);
}

/** In characters. `JSON.parse` of a shorter text takes several times as long as a loop. */
const SHORT_TEXT = 64;

/** Returns the value of a valid JSON string. @param text with its quotes */
export function textOf(text: string): string {
  let at = text.indexOf('\\');
  if (at === -1) return text.slice(1, -1);
  if (text.length > SHORT_TEXT) return JSON.parse(text) as string;
  let value = '';
  let from = 1;
  for (; at !== -1; at = text.indexOf('\\', from)) {
    value += text.slice(from, at);
    const letter = text[at + 1]!;
    from = letter === 'u' ? at + 6 : at + 2;
    value +=
      letter === 'u'
        ? String.fromCharCode(Number.parseInt(text.slice(at + 2, from), 16))
        : (ESCAPES[letter] ?? letter);
  }
  return value + text.slice(from, -1);
}

/** Removes white space, and all escapes that JSON's writer would not make. In place: no spelling is shorter. @param text valid JSON */
export function compact(text: string): string {
  const bytes = Buffer.from(text);
  let to = 0;
  let isText = false;
  for (let at = 0; at < bytes.length;) {
    const byte = bytes[at]!;
    if (byte === BACKSLASH) {
      const letter = bytes[at + 1]!;
      if (letter === LETTER_U) {
        const code = codePointAt(bytes, at);
        to = writeCharacter(bytes, to, code);
        at += escapeLength(code);
        continue;
      }
      if (letter !== SLASH) bytes[to++] = BACKSLASH;
      bytes[to++] = letter;
      at += 2;
      continue;
    }
    if (byte === QUOTE) isText = !isText;
    if (isText || byte > SPACE) bytes[to++] = byte;
    at += 1;
  }
  return bytes.toString('utf8', 0, to);
}

/** Writes a character as within a JSON string. Returns where it ends. */
function writeCharacter(bytes: Buffer, to: number, code: number): number {
  const letter = code < 256 ? LETTERS[code]! : 0;
  if (letter !== 0) {
    bytes[to] = BACKSLASH;
    bytes[to + 1] = letter;
    return to + 2;
  }
  if (code >= SPACE && !isHalf(code)) return writeUtf8(bytes, to, code);
  return to + bytes.write(`\\u${code.toString(16).padStart(4, '0')}`, to);
}

/** Returns the character of the `\uXXXX` at an offset. Two halves of a surrogate pair are one character. */
export function codePointAt(bytes: Uint8Array, at: number): number {
  const unit = codeUnit(bytes, at + 2);
  if (unit >> 10 !== 0x36 || bytes[at + 6] !== BACKSLASH || bytes[at + 7] !== LETTER_U) return unit;
  const low = codeUnit(bytes, at + 8);
  return low >> 10 === 0x37 ? 0x1_0000 + ((unit & 0x3ff) << 10) + (low & 0x3ff) : unit;
}

/** Returns how many bytes the escape of a character takes, as {@link codePointAt} reads it. */
export function escapeLength(code: number): number {
  return code > 0xffff ? 12 : 6;
}

/** Returns whether it is half of a surrogate pair, alone. */
export function isHalf(code: number): boolean {
  return code >> 11 === 0x1b;
}

/** Returns the code unit of four hexadecimal digits, or a negative number. */
function codeUnit(source: Uint8Array, at: number): number {
  let code = 0;
  for (let index = at; index < at + 4; index += 1) {
    const byte = source[index]!;
    const letter = byte | 0x20;
    if (byte >= ZERO && byte <= NINE) code = 16 * code + byte - ZERO;
    else if (letter >= 0x61 && letter <= 0x66) code = 16 * code + letter - 0x57;
    else return -1;
  }
  return code;
}

/** Returns where it ends. @param code no half of a surrogate pair */
export function writeUtf8(bytes: Uint8Array, to: number, code: number): number {
  if (code < 0x80) {
    bytes[to] = code;
    return to + 1;
  }
  if (code < 0x800) {
    bytes[to] = 0xc0 | (code >> 6);
    bytes[to + 1] = 0x80 | (code & 0x3f);
    return to + 2;
  }
  if (code < 0x1_0000) {
    bytes[to] = 0xe0 | (code >> 12);
    bytes[to + 1] = 0x80 | ((code >> 6) & 0x3f);
    bytes[to + 2] = 0x80 | (code & 0x3f);
    return to + 3;
  }
  bytes[to] = 0xf0 | (code >> 18);
  bytes[to + 1] = 0x80 | ((code >> 12) & 0x3f);
  bytes[to + 2] = 0x80 | ((code >> 6) & 0x3f);
  bytes[to + 3] = 0x80 | (code & 0x3f);
  return to + 4;
}
