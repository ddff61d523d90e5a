/**
 * Writes values as the text that PostgreSQL reads as the same value. Pure.
 *
 * A value that no text of PostgreSQL can be is a `ValueFault`: nothing is rounded or cut.
 */

import { isUtf8 } from 'node:buffer';
import { HAS_NUL, type NulAction } from '../values/value-flags.js';
import {
  dateText,
  FIRST_PLAIN_DAY,
  LAST_PLAIN_DAY,
  plainDay,
} from '../../postgres/encoding/dates/date-text.js';

/** Why a value cannot be stored. */
export class ValueFault {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

export type Text = string | ValueFault;

/** What `INT32`, `INT64`, `BOOLEAN`, `FLOAT` and `DOUBLE` are read as: a number if it is exact, else a bigint. */
export type RawNumber = number | bigint;

const DAY_MS = 86_400_000;
/** Days that a `Date` knows. */
const MOST_DAYS = 100_000_000;

export function integerText(value: RawNumber): string {
  return String(value);
}

/** @returns a function for integers of so many bits that are written as signed ones */
export function unsignedText(bits: number): (value: RawNumber) => string {
  return (value) => String(value < 0 ? BigInt.asUintN(bits, BigInt(value)) : value);
}

export function booleanText(value: RawNumber): string {
  return value === 0 ? 'false' : 'true';
}

export function floatText(value: RawNumber): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

/** @param scale digits after the point */
export function decimalText(scale: number): (value: RawNumber) => string {
  if (scale === 0) return integerText;
  return (value) => {
    const isNegative = value < 0;
    const digits = String(isNegative ? -value : value).padStart(scale + 1, '0');
    const point = digits.length - scale;
    return `${isNegative ? '-' : ''}${digits.slice(0, point)}.${digits.slice(point)}`;
  };
}

/** A signed integer of any length, its highest byte first. */
export function bigEndian(bytes: Buffer, start: number, end: number): RawNumber {
  const length = end - start;
  if (length === 0) return 0;
  if (length <= 6) return bytes.readIntBE(start, length);
  return BigInt.asIntN(8 * length, BigInt(`0x${bytes.toString('hex', start, end)}`));
}

/** Half precision. */
export function halfFloat(bytes: Buffer, start: number): number {
  const bits = bytes.readUInt16LE(start);
  const sign = bits >> 15 === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * 2 ** -24 * fraction : sign * 2 ** (exponent - 25) * (1024 + fraction);
}

/** A day since 1970. `suffix` goes between the date and the era. */
function dayText(day: number, suffix: string): Text {
  if (day >= FIRST_PLAIN_DAY && day <= LAST_PLAIN_DAY) return plainDay(day) + suffix;
  if (Math.abs(day) > MOST_DAYS) return new ValueFault(`the day ${day} since 1970 is too far away`);
  const text = dateText(day * DAY_MS);
  return text.endsWith(' BC') ? `${text.slice(0, -3)}${suffix} BC` : text + suffix;
}

export function dateOf(value: RawNumber): Text {
  return dayText(Number(value), '');
}

export type TimeUnit = 'MILLIS' | 'MICROS' | 'NANOS';
const PER_SECOND: Readonly<Record<TimeUnit, number>> = { MILLIS: 1e3, MICROS: 1e6, NANOS: 1e9 };
const DIGITS: Readonly<Record<TimeUnit, number>> = { MILLIS: 3, MICROS: 6, NANOS: 9 };
const DAY_SECONDS = 86_400;

export interface TimeOptions {
  readonly unit: TimeUnit;
  /** Nanoseconds can be stored: in a text. Otherwise a value that has some is a fault. */
  readonly keepsNanos: boolean;
  /** After the time: `+00`, or nothing. */
  readonly zone: string;
}

/** @param seconds of a day @param fraction in units of `unit` */
function clockText(seconds: number, fraction: number, { unit, keepsNanos, zone }: TimeOptions): Text {
  const clock = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  if (fraction === 0) return clock + zone;
  const digits = String(fraction).padStart(DIGITS[unit], '0');
  if (unit !== 'NANOS') return `${clock}.${digits}${zone}`;
  if (digits.endsWith('000')) return `${clock}.${digits.slice(0, 6)}${zone}`;
  if (keepsNanos) return `${clock}.${digits}${zone}`;
  return new ValueFault(
    `the time ${clock}.${digits} has nanoseconds, which PostgreSQL's types do not keep; a column of texts does (--type COLUMN=text under --create)`,
  );
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}

/** Of a time of day. */
export function timeText(options: TimeOptions): (value: RawNumber) => Text {
  const perSecond = PER_SECOND[options.unit];
  return (value) => {
    const time = Number(value);
    if (time < 0 || time > DAY_SECONDS * perSecond) return new ValueFault(`${value} is no time of a day`);
    return clockText(Math.floor(time / perSecond), time % perSecond, options);
  };
}

/** Of a time since 1970. */
export function timestampText(options: TimeOptions): (value: RawNumber) => Text {
  const perSecond = PER_SECOND[options.unit];
  const bigPerSecond = BigInt(perSecond);
  return (value) => {
    let seconds: number;
    let fraction: number;
    if (typeof value === 'number') {
      seconds = Math.floor(value / perSecond);
      fraction = value - seconds * perSecond;
    } else {
      fraction = Number(value % bigPerSecond);
      if (fraction < 0) fraction += perSecond;
      seconds = Number((value - BigInt(fraction)) / bigPerSecond);
    }
    return placeText(seconds, fraction, options);
  };
}

function placeText(seconds: number, fraction: number, options: TimeOptions): Text {
  const day = Math.floor(seconds / DAY_SECONDS);
  const clock = clockText(seconds - day * DAY_SECONDS, fraction, options);
  return typeof clock === 'string' ? dayText(day, ` ${clock}`) : clock;
}

/** The day of 1970-01-01, counted as in `INT96`. */
const JULIAN_1970 = 2_440_588;

/** `INT96`: nanoseconds of a day, and its Julian number. */
export function int96Text(options: TimeOptions): (bytes: Buffer, start: number) => Text {
  return (bytes, start) => {
    const nanos = bytes.readBigInt64LE(start);
    const seconds = Number(nanos / 1_000_000_000n);
    const day = bytes.readInt32LE(start + 8) - JULIAN_1970;
    if (nanos < 0n || seconds > DAY_SECONDS) return new ValueFault(`${nanos} ns is no time of a day`);
    return placeText(day * DAY_SECONDS + seconds, Number(nanos % 1_000_000_000n), options);
  };
}

export function hexText(bytes: Buffer, start: number, end: number): string {
  return `\\x${bytes.toString('hex', start, end)}`;
}

export function uuidText(bytes: Buffer, start: number, end: number): string {
  return bytes.toString('hex', start, end).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** Months, days and milliseconds. */
export function intervalText(bytes: Buffer, start: number): string {
  const [months, days, millis] = [0, 4, 8].map((offset) => bytes.readUInt32LE(start + offset));
  return `${months} mons ${days} days ${millis} milliseconds`;
}

/** @param nul what becomes of U+0000; undefined: it is a fault */
export function stringText(nul: NulAction | undefined) {
  // Most values are short: a look at each byte of the page costs less than one at each value.
  return (bytes: Buffer, start: number, end: number, isPageAscii: boolean): Text => {
    const text = bytes.toString(isPageAscii ? 'latin1' : 'utf8', start, end);
    if (!isPageAscii && text.includes('\ufffd') && !isUtf8(bytes.subarray(start, end)))
      return new ValueFault('a text is not UTF-8');
    if (!text.includes('\0')) return text;
    return nul === undefined
      ? new ValueFault(`a text ${HAS_NUL}`)
      : text.replaceAll('\0', nul === 'strip' ? '' : '\ufffd');
  };
}
