/**
 * Writes a value as node-postgres does for a parameter. Needed if that text is what is stored: for a `Date` in a text column, and for what a
 * `toPostgres` method asks for. Pure, except for the process's time zone.
 */

import { isDate, type DateZone } from '../dates/date-clock.js';

/** Returns `2024-05-17T10:20:30.123+02:00`, with ` BC` behind it for a year before 1. */
export function dateParameter(date: Date, zone: DateZone): string {
  return zone === 'utc'
    ? joined(
        date.getUTCFullYear(),
        [date.getUTCMonth() + 1, date.getUTCDate()],
        [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()],
        date.getUTCMilliseconds(),
        0,
      )
    : joined(
        date.getFullYear(),
        [date.getMonth() + 1, date.getDate()],
        [date.getHours(), date.getMinutes(), date.getSeconds()],
        date.getMilliseconds(),
        -date.getTimezoneOffset(),
      );
}

function joined(
  year: number,
  monthAndDay: readonly number[],
  time: readonly number[],
  fraction: number,
  offset: number,
): string {
  const day = [pad(year < 1 ? 1 - year : year, 4), ...monthAndDay.map((part) => pad(part, 2))].join('-');
  const clock = `${time.map((part) => pad(part, 2)).join(':')}.${pad(fraction, 3)}`;
  const minutes = Math.abs(offset);
  const zone = `${offset < 0 ? '-' : '+'}${pad(Math.floor(minutes / 60), 2)}:${pad(minutes % 60, 2)}`;
  return `${day}T${clock}${zone}${year < 1 ? ' BC' : ''}`;
}

function pad(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}

/** An object that has its own literal: node-postgres calls the method in place of `JSON.stringify`. */
export interface CustomLiteral {
  toPostgres(prepare: (inner: unknown) => unknown): unknown;
}

export function isCustomLiteral(value: unknown): value is CustomLiteral {
  return (
    typeof value === 'object' && value !== null && typeof (value as CustomLiteral).toPostgres === 'function'
  );
}

/** Returns the value that an object stands for; `undefined` and `null` stand for NULL. @throws {Error} for a circle, or what the method throws */
export function customLiteral(value: CustomLiteral, zone: DateZone): unknown {
  const seen = new Set<unknown>();
  let literal: unknown = value;
  while (isCustomLiteral(literal) && isAsked(literal)) {
    if (seen.has(literal)) throw new Error('toPostgres returns its own object');
    seen.add(literal);
    literal = literal.toPostgres((inner) => parameter(inner, zone));
  }
  return literal;
}

/** True for objects on which node-postgres does not look for the method. */
function isAsked(value: object): boolean {
  return !ArrayBuffer.isView(value) && !isDate(value) && !Array.isArray(value);
}

/** Returns what `toPostgres` gets for a value that it passes to its argument. */
function parameter(value: unknown, zone: DateZone): unknown {
  if (value === null || value === undefined) return null;
  if (typeof value !== 'object') return (value as { toString(): string }).toString();
  if (ArrayBuffer.isView(value)) return bytesOf(value);
  if (isDate(value)) return dateParameter(value, zone);
  if (Array.isArray(value)) return arrayParameter(value, zone);
  return isCustomLiteral(value) ? parameter(customLiteral(value, zone), zone) : JSON.stringify(value);
}

function arrayParameter(values: readonly unknown[], zone: DateZone): string {
  const elements = Array.from(values, (value) => {
    if (value === null || value === undefined) return 'NULL';
    if (Array.isArray(value)) return arrayParameter(value, zone);
    if (ArrayBuffer.isView(value)) return `\\\\x${bytesOf(value).toString('hex')}`;
    const text = parameter(value, zone);
    if (typeof text !== 'string') throw new TypeError('an element of an array has no text');
    return `"${text.replace(/["\\]/g, '\\$&')}"`;
  });
  return `{${elements.join(',')}}`;
}

function bytesOf(view: ArrayBufferView): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}
