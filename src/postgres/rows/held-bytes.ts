/**
 * Estimates the memory that a row holds, in bytes of V8 on a 64-bit machine.
 *
 *     object    header + one slot per key        string    header + 1 byte a character, 2 if one is beyond U+00FF
 *     array     header + one slot per element    number    in its slot, or a double of its own; in its slot if the array has numbers alone
 *     Date, Buffer, Map, Set, bigint             as measured with Node 20 to 26
 *
 * A string that several rows share counts in each of them: nothing in JavaScript shows that two strings are one.
 */

import { MIB } from '../../common/bytes.js';
import { FEWEST_KEYS, hashTableBytes } from './slow-objects.js';

const WORD = 8;
const OBJECT = 3 * WORD;
const ARRAY = 6 * WORD;
const DOUBLE = 2 * WORD;
const STRING = 2 * WORD;
const DATE = 14 * WORD;
const BIGINT = 3 * WORD;
/** The view, its ArrayBuffer, and what the allocator needs. */
const BUFFER = 208;
const MAP = 24 * WORD;
const MAP_ENTRY = 5 * WORD;
/** A function or a symbol belongs to the program. */
const OTHER = WORD;
const DIGIT_64 = 0xffff_ffff_ffff_ffffn;

/** What `JSON.parse` makes of an object with more keys is a hash table. */
const MOST_FIELDS = 128;
const DEEPEST = 16;
/** Of a longer array so many elements are looked at; the others count as their mean. */
const MOST_ELEMENTS = 64;
/** A row has at most so many values that are looked at, even if its objects refer to each other. */
const MOST_VALUES = 4096;
/** An object beyond that counts as the mean of those at its depth, and as a short string if there are none. */
const UNSEEN = 4 * WORD;
/** Up to this length a loop is quicker than the regular expression. */
const SHORT = 48;
/** Longer text is judged by its beginning. */
const MOST_SCANNED = MIB;
/** In binary. */
const FIELD_LENGTH = 4;
/** What a nested object holds, by the length of its JSON. */
const HELD_BY_JSON = 3;
const WIDE = /[^\0-\xff]/;

let valuesLeft = 0;
let scansText = false;
/** Objects that were not looked at. */
let unseen = 0;
/** By depth: objects that were looked at with all that they refer to. Others would count what they miss over and over. */
let deepest = 0;
const wholeObjects = new Float64Array(DEEPEST + 1);
const wholeBytes = new Float64Array(DEEPEST + 1);

/**
 * @param scans whether text is searched for wide characters. Without, each character counts as one byte.
 * @param isHashTable how V8 keeps the value, if it is an object of many keys
 * @returns bytes beside the slot that refers to the value. Throws what a getter of the user throws.
 */
export function heldBytes(value: unknown, scans: boolean, isHashTable = false): number {
  valuesLeft = MOST_VALUES;
  scansText = scans;
  unseen = 0;
  for (; deepest > 0; deepest -= 1) wholeObjects[deepest] = wholeBytes[deepest] = 0;
  if (typeof value !== 'object' || value === null) return bytesOf(value, 0);
  return objectBytes(value, 0, isHashTable ? FEWEST_KEYS - 1 : MOST_FIELDS);
}

function bytesOf(value: unknown, depth: number): number {
  switch (typeof value) {
    case 'string':
      return textBytes(value);
    case 'number':
      // Small integers lie in the slot itself.
      return (value | 0) === value ? 0 : DOUBLE;
    case 'object':
      if (value === null) return 0;
      return value instanceof Date ? DATE : objectBytes(value, depth, MOST_FIELDS);
    case 'bigint':
      return bigintBytes(value);
    case 'undefined':
    case 'boolean':
      return 0;
    case 'function':
    case 'symbol':
      return OTHER;
  }
}

function textBytes(text: string): number {
  const { length } = text;
  // V8 has one string for each single character of Latin-1.
  if (length <= 1) return 0;
  const bytes = scansText && isWide(text) ? 2 * length : length;
  return STRING + ((bytes + WORD - 1) & -WORD);
}

function isWide(text: string): boolean {
  const { length } = text;
  if (length > SHORT) return WIDE.test(length > MOST_SCANNED ? text.slice(0, MOST_SCANNED) : text);
  for (let at = 0; at < length; at += 1) if (text.charCodeAt(at) > 0xff) return true;
  return false;
}

function bigintBytes(value: bigint): number {
  if (value <= DIGIT_64 && value >= -DIGIT_64) return BIGINT;
  return BIGINT + Math.ceil(value.toString(16).length / 2);
}

/** @param mostFields an object with more keys is a hash table */
function objectBytes(value: object, depth: number, mostFields: number): number {
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return BUFFER + value.byteLength;
  if (valuesLeft <= 0 || depth > DEEPEST) return unseenBytes(depth);
  const unseenBefore = unseen;
  const bytes = Array.isArray(value) ? arrayBytes(value, depth) : fieldsBytes(value, depth, mostFields);
  if (depth > 0 && unseen === unseenBefore) {
    deepest = Math.max(deepest, depth);
    wholeObjects[depth]! += 1;
    wholeBytes[depth]! += bytes;
  }
  return bytes;
}

function unseenBytes(depth: number): number {
  unseen += 1;
  const objects = wholeObjects[depth] ?? 0;
  return objects === 0 ? UNSEEN : Math.ceil(wholeBytes[depth]! / objects);
}

function fieldsBytes(value: object, depth: number, mostFields: number): number {
  let bytes = OBJECT;
  if (value instanceof Map || value instanceof Set) bytes += entriesBytes(value, depth);
  let keys = 0;
  for (const key in value) {
    keys += 1;
    valuesLeft -= 1;
    bytes += bytesOf((value as Record<string, unknown>)[key], depth + 1);
  }
  return bytes + (keys > mostFields ? hashTableBytes(keys) : keys * WORD);
}

function arrayBytes(array: readonly unknown[], depth: number): number {
  const { length } = array;
  const looked = Math.min(length, MOST_ELEMENTS);
  valuesLeft -= looked;
  let bytes = 0;
  let numbers = 0;
  let doubles = 0;
  for (let look = 0; look < looked; look += 1) {
    const value = array[looked === length ? look : Math.floor((look * length) / looked)];
    if (typeof value === 'number') {
      numbers += 1;
      doubles += bytesOf(value, depth + 1);
    } else bytes += bytesOf(value, depth + 1);
  }
  // V8 keeps an array of numbers as a list of them.
  if (numbers < looked) bytes += doubles;
  return ARRAY + length * WORD + (looked === 0 ? 0 : Math.ceil((bytes * length) / looked));
}

function entriesBytes(entries: ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>, depth: number): number {
  let bytes = MAP + entries.size * MAP_ENTRY;
  let looked = 0;
  let seen = 0;
  for (const [key, value] of entries.entries()) {
    if (looked === MOST_ELEMENTS) break;
    looked += 1;
    seen += bytesOf(key, depth + 1) + bytesOf(value, depth + 1);
  }
  valuesLeft -= 2 * looked;
  if (looked > 0) bytes += Math.ceil((seen * entries.size) / looked);
  return bytes;
}

/** About how many bytes a row is sent as. Throws what a getter of the user throws. */
export function likelySentBytes(row: object): number {
  let bytes = 2;
  for (const key in row) bytes += FIELD_LENGTH + likelyValueBytes((row as Record<string, unknown>)[key]);
  return bytes;
}

function likelyValueBytes(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null || value instanceof Date) return WORD;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return value.byteLength;
  return Math.ceil(heldBytes(value, false) / HELD_BY_JSON);
}
