/** What all encoders share: their shape, and what is done with a value that a type does not know. Pure. */

import { show } from '../../../guards/validate.js';
import type { ChunkWriter } from './chunk-writer.js';
import { ValueFault } from './value-fault.js';
import { isDate, type DateZone } from '../dates/date-clock.js';
import { customLiteral, isCustomLiteral } from './insert-text.js';

export interface ValueEncoder {
  /** The type's literal, not yet escaped; `null`: the value stands for NULL. @throws {ValueFault} */
  toText(value: unknown): string | null;
  /** The same into a chunk, escaped. @throws {ValueFault} */
  write(writer: ChunkWriter, value: unknown): void;
  /**
   * Whether an element that is itself an array is a value in place of a further dimension: `'always'` of a domain over an array, `'mixed'`,
   * among other elements, of json.
   */
  readonly takesArrays: 'never' | 'mixed' | 'always';
}

export type ToText = ValueEncoder['toText'];

/** Reads what an encoder does not know itself. @param again the encoder @throws {ValueFault} saying what was `expected` */
export type Fallback = (value: unknown, expected: string, again: ToText) => string | null;

export function encoder(
  toText: ToText,
  write: ValueEncoder['write'] = (writer, value) => writeLiteral(writer, toText(value)),
  takesArrays: ValueEncoder['takesArrays'] = 'never',
): ValueEncoder {
  return { toText, write, takesArrays };
}

export function writeLiteral(writer: ChunkWriter, text: string | null): void {
  if (text === null) writer.writeNull();
  else writer.writeText(text);
}

/** Takes objects that know their literal, as node-postgres does (its own intervals, for one). Anything else is refused. */
export function fallbackFor(zone: DateZone): Fallback {
  return (value, expected, again) => {
    if (isCustomLiteral(value)) {
      const literal = customLiteral(value, zone);
      if (literal === null || literal === undefined) return null;
      if (!isCustomLiteral(literal)) return again(literal);
    }
    throw new ValueFault('22P02', `must be ${expected}; got ${showValue(value)}`);
  };
}

export function showValue(value: unknown): string {
  if (isDate(value)) return Number.isNaN(value.getTime()) ? 'an invalid Date' : 'a Date';
  if (ArrayBuffer.isView(value)) return 'bytes';
  if (typeof value === 'boolean') return `the boolean ${value}`;
  if (typeof value === 'number') return `the number ${value}`;
  if (typeof value === 'string') return `the string ${show(value)}`;
  if (typeof value === 'symbol') return 'a symbol';
  return show(value);
}
