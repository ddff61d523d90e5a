/** Numbers of JSON, carried as they are written: `1.10`, `1E5`, 20 digits. Pure. */

import { LosslessNumber } from 'lossless-json';
import { ValueFault } from '../../../postgres/encoding/text/value-fault.js';

/** A number whose spelling a JavaScript number would lose. For a column it is its literal, and in JSON it stays a number. */
export class WrittenNumber extends LosslessNumber {
  toPostgres(): string {
    return this.value;
  }
}

/** A number for a column that takes none: its encoder rejects it, and the file of rejects shows it as it is written. */
export class RejectedNumber extends LosslessNumber {
  toPostgres(): number {
    return Number(this.value);
  }
}

/** Characters of a number that a message quotes. */
const QUOTED = 40;

/** A number that is too long for an integer column. Rejected here, so that millions of digits do not go to the server and back. */
export class OverlongNumber extends WrittenNumber {
  /** @throws {ValueFault} */
  override toPostgres(): never {
    const quoted = `${this.value.slice(0, QUOTED)}… (${this.value.length} characters)`;
    throw integerText(this.value) === undefined
      ? new ValueFault('22P02', `must be an integer; got ${quoted}`)
      : new ValueFault('22003', `is out of range: ${quoted}`);
  }
}

/** Returns a JavaScript number if it is spelled alike, else a `WrittenNumber`. */
export function numberAsWritten(text: string): unknown {
  const number = Number(text);
  const isKept = String(number) === text && (Number.isSafeInteger(number) || !Number.isInteger(number));
  return isKept ? number : new WrittenNumber(text);
}

/** Of a number of so many characters, JavaScript's value is exact if it is an integer. */
export const EXACT_CHARACTERS = 15;
const NUMBER = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;
/** An exponent that adds more zeros makes an integer that no type holds. */
const MOST_ZEROS = 40;

/** Returns the digits of an integer without point and exponent: `1.0` is 1, `1e2` is 100. Undefined for others and for huge ones. */
export function integerText(text: string): string | undefined {
  const number = text.length <= EXACT_CHARACTERS ? Number(text) : NaN;
  if (Number.isSafeInteger(number)) return String(number);
  const match = NUMBER.exec(text);
  if (match === null) return undefined;
  const [, sign, whole, fraction = '', exponent = '0'] = match;
  const shift = Number(exponent) - fraction.length;
  const digits = `${whole!}${fraction}`.replace(/^0+/, '');
  if (digits === '') return '0';
  if (shift >= 0) return shift > MOST_ZEROS ? undefined : `${sign!}${digits}${'0'.repeat(shift)}`;
  const end = digits.length + shift;
  if (end <= 0) return undefined;
  for (let index = end; index < digits.length; index += 1) if (digits[index] !== '0') return undefined;
  return `${sign!}${digits.slice(0, end)}`;
}
