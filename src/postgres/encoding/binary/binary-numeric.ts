/** Encodes `numeric` in binary: digits of base 10 000, their weight, the sign, and the number of decimal places that are shown. Pure. */

import { MINUS, POINT, ZERO } from '../../../common/bytes.js';
import { BinaryRefusal, type BinaryChunk } from './binary-chunk.js';
import { decimalText } from '../text/decimal-object.js';

const MOST_CHARACTERS = 64;
const NEGATIVE = 0x4000;
const HEADER = 4;
const GROUP_DIGITS = 4;
/** Holds one value at a time: header, then groups of digits. */
const parts = new Int16Array(HEADER + MOST_CHARACTERS / GROUP_DIGITS + 2);

/**
 * Takes a plain decimal: a number, a bigint, a string or a decimal object.
 *
 * @throws {BinaryRefusal} for anything else: exponents, NaN, more than 64 characters
 */
export function writeDecimal(chunk: BinaryChunk, value: unknown): void {
  const text =
    typeof value === 'number' || typeof value === 'string' || typeof value === 'bigint'
      ? String(value)
      : decimalText(value);
  if (text === undefined) throw refusal();
  if (text.length > MOST_CHARACTERS) throw refusal();
  const start = text.charCodeAt(0) === MINUS ? 1 : 0;
  const found = text.indexOf('.', start);
  const point = found < 0 ? text.length : found;
  const places = found < 0 ? 0 : text.length - found - 1;
  if (point === start || (found >= 0 && places === 0)) throw refusal();
  // Whole groups stand on both sides of the point. The server cuts the zeros at either end.
  const groupsBefore = Math.ceil((point - start) / GROUP_DIGITS);
  const groups = groupsBefore + Math.ceil(places / GROUP_DIGITS);
  parts[0] = groups;
  parts[1] = groupsBefore - 1;
  parts[2] = start === 1 ? NEGATIVE : 0;
  parts[3] = places;
  // Place of the digit in its group.
  let place = groupsBefore * GROUP_DIGITS - (point - start);
  let group = 0;
  let index = HEADER;
  for (let at = start; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === POINT && at === point) continue;
    const digit = code - ZERO;
    if (!(digit >= 0 && digit <= 9)) throw refusal();
    group = 10 * group + digit;
    place += 1;
    if (place === GROUP_DIGITS) {
      parts[index++] = group;
      group = 0;
      place = 0;
    }
  }
  if (place > 0) parts[index] = group * 10 ** (GROUP_DIGITS - place);
  chunk.writeInt16s(parts, HEADER + groups);
}

function refusal(): BinaryRefusal {
  return new BinaryRefusal('the value goes as text');
}
