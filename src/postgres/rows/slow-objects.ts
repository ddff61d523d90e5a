/**
 * Finds out whether V8 keeps an object as a hash table ("dictionary mode"): five times as much memory as fields in a row.
 *
 * An object with more than some 16 keys that a loop has set (`row[name] = value`) becomes one, and so does one of which keys were deleted.
 * JavaScript has no function for it. But to enumerate the keys of such an object V8 makes a list of them each time, while other objects share
 * one list. The list shows in the size of the heap.
 *
 * V8 also makes a list if an object has numbers as keys, or a prototype with keys that can be enumerated. So an object is compared with a twin:
 * the same keys and prototype, kept as fields in a row. If both need a list, the way in which the object is kept stays unknown.
 */

import { types } from 'node:util';
import { getHeapStatistics } from 'node:v8';

/** With fewer keys no object becomes one, unless keys are deleted. */
export const FEWEST_KEYS = 17;
/** `JSON.parse` keeps so many keys as fields. An object of more counts as a hash table in any case. */
const MOST_KEYS = 128;
const LOOPS = 4;
const WORD = 8;
const ENTRY = 3 * WORD;
const HEADER = 8 * WORD;
/** Bun has another engine, whose heap says nothing of this. */
const IS_V8 = process.versions['bun'] === undefined;

/** Returns `false` if it stays unknown. Throws what a getter of the user throws. */
export function isHashTable(object: object): boolean {
  const keys = countKeys(object);
  if (!IS_V8 || keys < FEWEST_KEYS || types.isProxy(object)) return false;
  if (keys > MOST_KEYS) return true;
  return usualGrowth(object) > usualGrowth(twinOf(object)) + (LOOPS * keys * WORD) / 2;
}

/** Made of one text: V8 keeps it as fields in a row. */
function twinOf(object: object): object {
  const names = Object.keys(object).map((name) => `${JSON.stringify(name)}:0`);
  const twin = JSON.parse(`{${names.join(',')}}`) as object;
  return Object.setPrototypeOf(twin, Object.getPrototypeOf(object) as object | null) as object;
}

/** Code that runs for the first time allocates, and a collection frees: the middle one of three is right. */
function usualGrowth(object: object): number {
  const grown = [growth(object), growth(object), growth(object)];
  return Math.max(0, grown.sort((a, b) => a - b)[1]!);
}

/** Bytes by which the heap grows while the keys are enumerated. */
function growth(object: object): number {
  const before = getHeapStatistics().used_heap_size;
  let keys = 0;
  for (let loop = 0; loop < LOOPS; loop += 1) keys += countKeys(object);
  const after = getHeapStatistics().used_heap_size;
  // The count is part of the result, so that no bundler takes the loops for idle.
  return keys === Infinity ? 0 : after - before;
}

function countKeys(object: object): number {
  let keys = 0;
  for (const key in object) if (typeof key === 'string') keys += 1;
  return keys;
}

/** Bytes of the table, beside its keys and values: the next power of two of one and a half times the keys. */
export function hashTableBytes(keys: number): number {
  return HEADER + ENTRY * 2 ** Math.ceil(Math.log2(keys + (keys >> 1)));
}
