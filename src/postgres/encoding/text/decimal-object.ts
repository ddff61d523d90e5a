/** Reads decimals of the usual libraries: decimal.js (also Prisma's), big.js, bignumber.js. Pure. */

import { isCustomLiteral } from './insert-text.js';

const NUMERAL = /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|Infinity|NaN)$/;

/**
 * Returns the digits of an object whose JSON is a string and whose text is a number; undefined for anything else. node-postgres would send
 * the JSON with its quotes, which no numeric type reads.
 */
export function decimalText(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || isCustomLiteral(value)) return undefined;
  const { toJSON } = value as { toJSON?: unknown; toString(): string };
  if (typeof toJSON !== 'function' || typeof toJSON.call(value, '') !== 'string') return undefined;
  const text = (value as { toString: () => string }).toString();
  return NUMERAL.test(text) ? text : undefined;
}
