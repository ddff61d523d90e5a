/** What the fast path from NDJSON to COPY may do with the values of a column. Asked of the ways that it stands in for, so that it cannot differ. */

import type { TableColumn } from '../../../postgres/table/catalogue.js';
import { escapeText } from '../../../postgres/encoding/text/chunk-writer.js';
import { compileEncoder } from '../../../postgres/encoding/text/text-encoders.js';
import { ValueFault } from '../../../postgres/encoding/text/value-fault.js';
import { numberAsWritten } from '../values/written-number.js';
import { fieldEncoder } from '../rows/ndjson-rows.js';

/** What stands for a value in COPY's text; undefined where the value has to take the slow path. */
export interface CopyColumn {
  /** JSON goes into the column: texts keep their quotes. */
  readonly keepsQuotes: boolean;
  readonly nullity: Uint8Array;
  readonly truth: Uint8Array | undefined;
  readonly falsity: Uint8Array | undefined;
  /** Whether every number is taken, as it is written. */
  readonly takesAnyNumber: boolean;
  /** Otherwise the integers that are taken. Beyond 2^53 either all are or none. */
  readonly lowest: number;
  readonly highest: number;
  /** Integers of so many digits are in that range, whatever they are. */
  readonly freeDigits: number;
  readonly freeNegativeDigits: number;
  /** Whether objects and arrays are given as their JSON. */
  readonly takesObjects: boolean;
  readonly takesArrays: boolean;
}

const NULL = Buffer.from('\\N');

/** Where the ranges of types end. */
const BOUNDS = [2 ** 15, 2 ** 31, 2 ** 32];

const ANY_NUMBER = {
  takesAnyNumber: true,
  lowest: -Infinity,
  highest: Infinity,
  freeDigits: Infinity,
  freeNegativeDigits: Infinity,
};

/** A value within an object or array, which stays JSON. */
export const JSON_VALUE: CopyColumn = {
  ...ANY_NUMBER,
  keepsQuotes: true,
  nullity: Buffer.from('null'),
  truth: Buffer.from('true'),
  falsity: Buffer.from('false'),
  takesObjects: true,
  takesArrays: true,
};

/** The value of a key that is left out. Nothing is kept of what is written. */
export const IGNORED_VALUE = JSON_VALUE;

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
