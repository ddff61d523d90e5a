/** The interface of all encoders, and what they do with a value that their type does not take by itself. Pure. */

import { show } from '../../../guards/validate.js';
import type { ChunkWriter } from './chunk-writer.js';
import { ValueFault } from './value-fault.js';
import { isDate, type DateZone } from '../dates/date-clock.js';
import { customLiteral, isCustomLiteral } from './insert-text.js';

export interface ValueEncoder {
  /** Returns the type's literal, not yet escaped; `null` if the value stands for NULL. @throws {ValueFault} */
  toText(value: unknown): string | null;
  /** Writes the literal into a chunk, escaped. @throws {ValueFault} */
  write(writer: ChunkWriter, value: unknown): void;
  /**
   * Whether an element that is an array is a value, and no further dimension. `'always'`: of a domain over an array. `'mixed'`: of json, if it
   * stands among other elements.
   */
  readonly takesArrays: 'never' | 'mixed' | 'always';
}

export type ToText = ValueEncoder['toText'];

/** Encodes a value that an encoder does not take by itself. @param again the encoder @throws {ValueFault} that says what was `expected` */
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

/** Takes objects that have their own literal, as node-postgres does for its intervals. Anything else is refused. */
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
