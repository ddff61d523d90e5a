/** What the fast way from NDJSON to COPY may do with the values of a column. Asked of the ways that it stands in for, so that it cannot differ. */

import type { TableColumn } from '../postgres/catalogue.js';
import { escapeText } from '../postgres/chunk-writer.js';
import { compileEncoder } from '../postgres/text-encoders.js';
import { ValueFault } from '../postgres/value-fault.js';
import { fieldEncoder } from './ndjson-rows.js';

/** What stands for a value in COPY's text; undefined where the value has to go the long way. */
export interface CopyColumn {
  /** JSON goes into the column: texts keep their quotes. */
  readonly keepsQuotes: boolean;
  readonly truth: Uint8Array | undefined;
  readonly falsity: Uint8Array | undefined;
  /** Whether numbers with a fraction are taken. Where they are, so is every integer. */
  readonly takesFractions: boolean;
  /** The integers that are taken. Beyond 2^53 either all are or none. */
  readonly lowest: number;
  readonly highest: number;
  /** Integers of so many digits are in that range, whatever they are. */
  readonly freeDigits: number;
  readonly freeNegativeDigits: number;
}

/** Where the ranges of types end. */
const BOUNDS = [2 ** 15, 2 ** 31, 2 ** 32];

/** For a key that is left out: whatever is JSON passes. */
export const IGNORED_VALUE: CopyColumn = {
  keepsQuotes: false,
  truth: new Uint8Array(),
  falsity: new Uint8Array(),
  takesFractions: true,
  lowest: -Infinity,
  highest: Infinity,
  freeDigits: Infinity,
  freeNegativeDigits: Infinity,
};

export function copyColumn({ type }: Pick<TableColumn, 'type'>): CopyColumn {
  const toField = fieldEncoder(type);
  const encoder = compileEncoder(type);
  const textOf = (value: unknown): string | undefined => {
    try {
      return encoder.toText(toField(value));
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
    truth: bytesOf(true),
    falsity: bytesOf(false),
    takesFractions: takes(-0.5),
    lowest,
    highest,
    freeDigits: freeDigits(highest),
    freeNegativeDigits: freeDigits(-lowest),
  };
}

function freeDigits(bound: number): number {
  if (bound === Number.MAX_SAFE_INTEGER) return Infinity;
  return bound <= 0 ? 0 : String(bound).length - 1;
}
