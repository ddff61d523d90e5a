/** Writes arrays as PostgreSQL's literal: `{1,NULL,"a b",{…}}`. Pure. */

import type { ValueEncoder } from './value-encoder.js';

/** True for an array, and for a typed array of numbers. */
export function isSequence(value: unknown): value is ArrayLike<unknown> {
  return (
    Array.isArray(value) ||
    (ArrayBuffer.isView(value) && !(value instanceof DataView) && !Buffer.isBuffer(value))
  );
}

/** Matches elements that need no quotes in any type's array. */
const PLAIN = /^[A-Za-z0-9_.+:@/-]+$/;

/**
 * Nested arrays are further dimensions. The server checks that they have one length. For types with arrays as values (json), an array among
 * other elements is a value, because no dimension could hold both.
 */
export function arrayText(values: ArrayLike<unknown>, element: ValueEncoder, delimiter: string): string {
  const areValues =
    element.takesArrays === 'always' || (element.takesArrays === 'mixed' && !isOfArrays(values));
  let text = '{';
  for (let index = 0; index < values.length; index += 1) {
    if (index > 0) text += delimiter;
    const value = values[index];
    if (value === null || value === undefined) text += 'NULL';
    else if (!areValues && Array.isArray(value)) text += arrayText(value, element, delimiter);
    else text += quoteElement(element.toText(value));
  }
  return `${text}}`;
}

function isOfArrays(values: ArrayLike<unknown>): boolean {
  for (let index = 0; index < values.length; index += 1) if (!Array.isArray(values[index])) return false;
  return true;
}

/** Returns an element of an array's literal, in quotes if it needs them. `null` is NULL. */
export function quoteElement(text: string | null): string {
  if (text === null) return 'NULL';
  if (PLAIN.test(text) && !/^null$/i.test(text)) return text;
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
