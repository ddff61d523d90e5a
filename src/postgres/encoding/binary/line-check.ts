/**
 * Finds the fields of lines that the server may refuse to read. All others have a binary form, so that the server certainly reads their text.
 * Also finds numbers that a CHECK constraint probably refuses.
 *
 * Columns are checked from the first on, up to one whose type is not known here: the server reports the first field of a row that it cannot read.
 */

import { CARRIAGE_RETURN, LINE_FEED, MINUS, ZERO } from '../../../common/bytes.js';
import type { DateZone } from '../dates/date-clock.js';
import type { ColumnType, ValueEncoder } from '../text/text-encoders.js';
import { ValueFault } from '../text/value-fault.js';
import { BinaryChunk, BinaryRefusal } from './binary-chunk.js';
import { compileBinaryEncoder, type BinaryEncoder } from './binary-encoders.js';

/** Numbers in `pg_type` of types whose fields are checked. A domain has another one, and may have checks of its own. */
const CHECKED = new Set(['16', '20', '21', '23', '26', '701', '1082', '1114', '1184', '1700', '2950']);
/** Any text is valid. */
const TEXT = '25';

/** A number that is not so is probably refused. */
export interface NumberBound {
  readonly operator: '<' | '<=' | '>' | '>=';
  readonly value: number;
}

export interface FieldCheck {
  /** The type as it is written in a statement. */
  readonly sqlType: string;
  /** Undefined: any text is valid. */
  readonly encoder: BinaryEncoder | undefined;
  /** Undefined: any number is valid. */
  readonly bounds?: readonly NumberBound[] | undefined;
}

interface CheckedColumn {
  readonly type: ColumnType;
  readonly typeOid?: string;
  readonly sqlType?: string;
  readonly bounds?: readonly NumberBound[] | undefined;
  readonly encoder: ValueEncoder;
}

/** Returns the checks of the first columns. */
export function planFieldChecks(columns: readonly CheckedColumn[], zone: DateZone): FieldCheck[] {
  const checks: FieldCheck[] = [];
  for (const { type, typeOid = '', sqlType = '', bounds, encoder } of columns) {
    const binary = CHECKED.has(typeOid) ? compileBinaryEncoder(type, encoder, zone) : undefined;
    // Of `numeric(5,2)`, a number that can be read may be too large.
    const isKnown =
      typeOid === TEXT || (binary !== undefined && !(typeOid === '1700' && sqlType.includes('(')));
    if (!isKnown) break;
    checks.push({ sqlType, encoder: binary, bounds });
  }
  return checks.some(({ encoder }) => encoder !== undefined) ? checks : [];
}

/** Whole lines in text format, without a backslash. */
export interface CheckedLines {
  readonly delimiter: string;
  /** The text of a field that is NULL. */
  readonly nullText: string;
}

/** A field that the server may refuse. */
export interface DoubtfulField {
  readonly column: number;
  readonly text: string;
}

export interface LineFindings {
  /** A field has no certain binary form. */
  onDoubt: (field: DoubtfulField) => void;
  /** A number is out of its bounds. Called once or more for a line. */
  onOutOfBounds: () => void;
}

export class LineCheck {
  readonly #checks: readonly FieldCheck[];
  readonly #delimiter: number;
  readonly #nullText: string;
  /** Is written to, and never read. */
  readonly #scratch = new BinaryChunk(1);
  readonly #empty = this.#scratch.length;

  constructor(checks: readonly FieldCheck[], { delimiter, nullText }: CheckedLines) {
    this.#checks = checks;
    this.#delimiter = delimiter.charCodeAt(0);
    this.#nullText = nullText;
  }

  /** The line ends with a line feed, before `end`. */
  check(source: Buffer, start: number, end: number, { onDoubt, onOutOfBounds }: LineFindings): void {
    const checks = this.#checks;
    const delimiter = this.#delimiter;
    let at = start;
    for (let column = 0; column < checks.length && at < end; column += 1) {
      const { encoder, bounds } = checks[column]!;
      const certain = encoder?.copyField?.(this.#scratch, source, at, delimiter) ?? at;
      if (certain > at && source[certain] === delimiter) {
        this.#scratch.rewind(this.#empty);
        if (bounds !== undefined && !isWithin(numberAt(source, at, certain), bounds)) onOutOfBounds();
        at = certain + 1;
        continue;
      }
      const next = source.indexOf(delimiter, at);
      const stop = next === -1 || next >= end ? end : next;
      if (encoder !== undefined) {
        const text = textOf(source, at, stop);
        if (text !== this.#nullText) {
          if (!this.#isCertain(encoder, text)) onDoubt({ column, text });
          else if (bounds !== undefined && !isWithin(Number(text), bounds)) onOutOfBounds();
        }
      }
      at = stop + 1;
    }
    this.#scratch.rewind(this.#empty);
  }

  #isCertain(encoder: BinaryEncoder, text: string): boolean {
    this.#scratch.rewind(this.#empty);
    try {
      encoder.write(this.#scratch, text);
      return true;
    } catch (error) {
      if (error instanceof BinaryRefusal || error instanceof ValueFault) return false;
      throw error;
    }
  }
}

/** Short integers are most numbers, and need no text. */
function numberAt(source: Buffer, start: number, end: number): number {
  const isNegative = source[start] === MINUS;
  let number = 0;
  for (let at = isNegative ? start + 1 : start; at < end; at += 1) {
    const digit = source[at]! - ZERO;
    if (digit < 0 || digit > 9) return Number(source.toString('latin1', start, end));
    number = 10 * number + digit;
  }
  return isNegative ? -number : number;
}

/** What is no number here may be one for the server. */
function isWithin(number: number, bounds: readonly NumberBound[]): boolean {
  return !bounds.some(({ operator, value }) => {
    if (operator === '<') return number >= value;
    if (operator === '<=') return number > value;
    return operator === '>' ? number <= value : number < value;
  });
}

/** Returns a field without the line break behind it. */
function textOf(source: Buffer, start: number, stop: number): string {
  let end = stop;
  if (source[end - 1] === LINE_FEED) end -= source[end - 2] === CARRIAGE_RETURN && end - 2 >= start ? 2 : 1;
  return source.toString('utf8', start, end);
}
