/**
 * Column types for `--create`, from a sample of the input. Pure.
 *
 * A type is chosen only where it gives every value of the sample back as it was: `007` stays text, and decimals become `numeric`, which
 * keeps every digit that comes later. Types are widened as values come: bigint or double precision → numeric, date → timestamp, and
 * whatever has nothing in common → text (or jsonb, beside objects and arrays).
 */

import { LosslessNumber } from 'lossless-json';

export type InferredType =
  | 'boolean'
  | 'bigint'
  | 'numeric'
  | 'double precision'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'uuid'
  | 'jsonb'
  | 'text';

/** Gathers the values of one column. */
export class TypeInference {
  #type: InferredType | undefined;

  /** A field of a text format: everything is written as text, NULL apart. */
  addText(value: string | null): void {
    if (value === null || this.#type === 'text') return;
    this.#widen(typeOfText(value));
  }

  /** A value of JSON, where text and number are told apart. */
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

const NUMBERS: readonly InferredType[] = ['bigint', 'numeric', 'double precision'];

function common(a: InferredType, b: InferredType): InferredType {
  if (a === b) return a;
  if (a === 'jsonb' || b === 'jsonb') return 'jsonb';
  if (NUMBERS.includes(a) && NUMBERS.includes(b)) {
    // Double precision has too few digits for the others; numeric keeps the digits of all.
    return 'numeric';
  }
  const dates: readonly InferredType[] = ['date', 'timestamp'];
  return dates.includes(a) && dates.includes(b) ? 'timestamp' : 'text';
}

function typeOfText(value: string): InferredType {
  if (/^(?:true|false)$/i.test(value)) return 'boolean';
  return typeOfNumber(value) ?? typeOfString(value);
}

function typeOfJson(value: unknown): InferredType {
  if (typeof value === 'boolean') return 'boolean';
  if (typeof value === 'number') return typeOfNumber(String(value)) ?? 'double precision';
  if (typeof value === 'string') return typeOfString(value);
  return value instanceof LosslessNumber ? (typeOfNumber(value.value) ?? 'numeric') : 'jsonb';
}

const LARGEST_BIGINT = 2n ** 63n - 1n;

/** A leading zero or plus would be lost, and with it what tells 007 from 7: then it is no number. */
function typeOfNumber(text: string): InferredType | undefined {
  if (/^(?:0|-?[1-9]\d*)$/.test(text)) {
    if (text.length <= 18) return 'bigint';
    const value = BigInt(text);
    return value <= LARGEST_BIGINT && value >= -LARGEST_BIGINT - 1n ? 'bigint' : 'numeric';
  }
  if (/^-?(?:0|[1-9]\d*)\.\d+$/.test(text)) return 'numeric';
  return /^-?(?:0|[1-9]\d*)(?:\.\d+)?[eE][+-]?\d{1,3}$/.test(text) && Number.isFinite(Number(text))
    ? 'double precision'
    : undefined;
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
