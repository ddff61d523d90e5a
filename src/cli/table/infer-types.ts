/**
 * Column types for `--create`, from a sample of the input. Pure.
 *
 * A type is chosen only if it returns every value of the sample as it was written, so that codes stay text. Only plain decimals are
 * numbers: `007`, `+1`, `12E4`, `0x1F` and `1_000` stay text. Decimals become `numeric`, which keeps all digits; `.5` becomes 0.5, and `5.` becomes 5.
 *
 * A type widens as values come:
 *
 * ```text
 *   bigint ──▶ numeric    date ──▶ timestamp    any two others ──▶ text, or jsonb if one of them is an object or array
 * ```
 */

import { LosslessNumber } from 'lossless-json';

export type InferredType =
  'boolean' | 'bigint' | 'numeric' | 'date' | 'timestamp' | 'timestamptz' | 'uuid' | 'jsonb' | 'text';

/** Gathers the values of one column. */
export class TypeInference {
  #type: InferredType | undefined;

  /** Adds a field of CSV. */
  addText(value: string | null): void {
    if (value === null || this.#type === 'text') return;
    this.#widen(typeOfText(value));
  }

  /** Adds a value of JSON, in which texts and numbers are distinct. */
  addJson(value: unknown): void {
    if (value === null || value === undefined || this.#type === 'jsonb') return;
    this.#widen(typeOfJson(value));
  }

  /** `text` for a column without any value. */
  get type(): InferredType {
    return this.#type ?? 'text';
  }

  #widen(type: InferredType): void {
    this.#type = this.#type === undefined ? type : common(this.#type, type);
  }
}

const NUMBERS: readonly InferredType[] = ['bigint', 'numeric'];

function common(a: InferredType, b: InferredType): InferredType {
  if (a === b) return a;
  if (a === 'jsonb' || b === 'jsonb') return 'jsonb';
  if (NUMBERS.includes(a) && NUMBERS.includes(b)) return 'numeric';
  const dates: readonly InferredType[] = ['date', 'timestamp'];
  return dates.includes(a) && dates.includes(b) ? 'timestamp' : 'text';
}

function typeOfText(value: string): InferredType {
  if (/^(?:true|false)$/i.test(value)) return 'boolean';
  return typeOfNumber(value) ?? typeOfString(value);
}

function typeOfJson(value: unknown): InferredType {
  if (typeof value === 'boolean') return 'boolean';
  if (typeof value === 'number') return typeOfNumber(String(value)) ?? 'text';
  if (typeof value === 'string') return typeOfString(value);
  return value instanceof LosslessNumber ? (typeOfNumber(value.value) ?? 'text') : 'jsonb';
}

const LARGEST_BIGINT = 2n ** 63n - 1n;
const BIGINT_DIGITS = 19;
/** What numeric holds, before and after the point. */
const MOST_DIGITS = 131_072;
const MOST_PLACES = 16_383;

/** Returns undefined for a leading zero, a plus or an exponent: as a number, its spelling would be lost. */
function typeOfNumber(text: string): InferredType | undefined {
  if (/^(?:0|-?[1-9]\d*)$/.test(text)) {
    if (text.length < BIGINT_DIGITS) return 'bigint';
    if (text.length > MOST_DIGITS) return undefined;
    if (text.length > BIGINT_DIGITS + 1) return 'numeric';
    const value = BigInt(text);
    return value <= LARGEST_BIGINT && value >= -LARGEST_BIGINT - 1n ? 'bigint' : 'numeric';
  }
  if (!/^-?(?:(?:0|[1-9]\d*)?\.\d+|(?:0|[1-9]\d*)\.)$/.test(text)) return undefined;
  const point = text.indexOf('.');
  return point <= MOST_DIGITS && text.length - point - 1 <= MOST_PLACES ? 'numeric' : undefined;
}

const TIMESTAMP =
  /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,6})?)?(Z|[+-]\d\d(?::?\d\d)?)?)?$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

function typeOfString(text: string): InferredType {
  const match = TIMESTAMP.exec(text);
  if (match === null) return UUID.test(text) ? 'uuid' : 'text';
  const [, day, hour, minute, second, zone] = match;
  if (!isDay(day!)) return 'text';
  if (hour === undefined) return 'date';
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second ?? 0) > 59) return 'text';
  return zone === undefined ? 'timestamp' : 'timestamptz';
}

function isDay(text: string): boolean {
  const date = new Date(`${text}T00:00:00Z`);
  // The 31st of a short month would be moved to the next one; the year 0 does not exist for PostgreSQL.
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text) && !text.startsWith('0000');
}
