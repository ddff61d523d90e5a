/**
 * Decides for each column which values the fast path may copy.
 *
 * It asks the encoders of the slow path what they make of sample values, so that both paths cannot differ.
 */

import type { TableColumn } from '../../../postgres/table/catalogue.js';
import { escapeText } from '../../../postgres/encoding/text/chunk-writer.js';
import { compileEncoder } from '../../../postgres/encoding/text/text-encoders.js';
import { ValueFault } from '../../../postgres/encoding/text/value-fault.js';
import { numberAsWritten } from '../values/written-number.js';
import { fieldEncoder } from '../rows/ndjson-rows.js';

/** How the values of one column are written. Undefined bytes: the value takes the slow path. */
export interface CopyColumn {
  /** The column is JSON, so that strings keep their quotes. */
  readonly keepsQuotes: boolean;
  readonly nullity: Uint8Array;
  readonly truth: Uint8Array | undefined;
  readonly falsity: Uint8Array | undefined;
  /** Every number is written as it stands. */
  readonly takesAnyNumber: boolean;
  /** Otherwise the range of integers that are written. Beyond 2^53 all are, or none. */
  readonly lowest: number;
  readonly highest: number;
  /** Integers of at most so many digits are all within the range. */
  readonly freeDigits: number;
  readonly freeNegativeDigits: number;
  /** Objects, or arrays, are written as their JSON. */
  readonly takesObjects: boolean;
  readonly takesArrays: boolean;
}

const NULL = Buffer.from('\\N');

/** Bounds of the integer types. */
const BOUNDS = [2 ** 15, 2 ** 31, 2 ** 32];

const ANY_NUMBER = {
  takesAnyNumber: true,
  lowest: -Infinity,
  highest: Infinity,
  freeDigits: Infinity,
  freeNegativeDigits: Infinity,
};

/** For a value within an object or array: it stays JSON. Also for that of an ignored key, which is dropped. */
export const JSON_VALUE: CopyColumn = {
  ...ANY_NUMBER,
  keepsQuotes: true,
  nullity: Buffer.from('null'),
  truth: Buffer.from('true'),
  falsity: Buffer.from('false'),
  takesObjects: true,
  takesArrays: true,
};

export function copyColumn({ type }: Pick<TableColumn, 'type'>): CopyColumn {
  const toField = fieldEncoder(type);
  const encoder = compileEncoder(type);
  const textOf = (value: unknown): string | undefined => {
    try {
      return encoder.toText(toField(value)) ?? undefined;
    } catch (error) {
      if (error instanceof ValueFault) return undefined;
      throw error;
    }
  };
  const bytesOf = (value: unknown): Uint8Array | undefined => {
    const text = textOf(value);
    return text === undefined ? undefined : Buffer.from(escapeText(text));
  };
  const takes = (value: number): boolean => textOf(value) === String(value);
  const highest = [...BOUNDS.map((bound) => bound - 1), Number.MAX_SAFE_INTEGER].findLast(takes) ?? -1;
  const lowest = [...BOUNDS.map((bound) => -bound), -Number.MAX_SAFE_INTEGER].findLast(takes) ?? 0;
  return {
    keepsQuotes: textOf('a') === '"a"',
    nullity: NULL,
    truth: bytesOf(true),
    falsity: bytesOf(false),
    takesAnyNumber: textOf(numberAsWritten('-1.0')) === '-1.0',
    lowest,
    highest,
    freeDigits: freeDigits(highest),
    freeNegativeDigits: freeDigits(-lowest),
    takesObjects: textOf({ a: 1 }) === '{"a":1}',
    takesArrays: textOf([1]) === '[1]',
  };
}

function freeDigits(bound: number): number {
  if (bound === Number.MAX_SAFE_INTEGER) return Infinity;
  return bound <= 0 ? 0 : String(bound).length - 1;
}
