/**
 * Reads dates and times of ISO 8601 as PostgreSQL reads them with any settings: years of four digits, everything in its place. Returns NaN
 * for anything else, which is left to the server.
 */

import { COLON, MINUS } from '../../../common/bytes.js';

const DATE_LENGTH = 10;
const TIME_LENGTH = 8;
const MOST_FRACTION_DIGITS = 6;
const NO_DATE = 0;

/** Reads bytes. What it remembers only saves time. */
export class IsoReader {
  /** The end of what was read last. Not valid if that was NaN. */
  end = 0;
  /** The date that was read last, two characters a number: that of the next row is often the same. */
  readonly #pairs = new Int32Array(4).fill(NO_DATE);
  #day = NaN;

  /** `YYYY-MM-DD`: the day's number since 1970-01-01. */
  day(bytes: Uint8Array, at: number): number {
    if (bytes[at + 4] !== MINUS || bytes[at + 7] !== MINUS) return NaN;
    this.end = at + DATE_LENGTH;
    const pairs = this.#pairs;
    const century = (bytes[at]! << 8) | bytes[at + 1]!;
    const year = (bytes[at + 2]! << 8) | bytes[at + 3]!;
    const month = (bytes[at + 5]! << 8) | bytes[at + 6]!;
    const day = (bytes[at + 8]! << 8) | bytes[at + 9]!;
    if (pairs[3] !== day || pairs[2] !== month || pairs[1] !== year || pairs[0] !== century) {
      pairs[0] = century;
      pairs[1] = year;
      pairs[2] = month;
      pairs[3] = day;
      this.#day = dayAt(bytes, at);
    }
    return this.#day;
  }

  /**
   * `YYYY-MM-DD`, `T` or a space, `HH:MM:SS`, up to six digits of a fraction, and `Z` or `+00`: microseconds since 1970, exact; NaN, too,
   * where they cannot be.
   *
   * @param needsZone without one it depends on the session's time zone
   */
  microseconds(bytes: Uint8Array, start: number, needsZone: boolean): number {
    let at = start + DATE_LENGTH;
    const separator = bytes[at];
    if (separator !== 84 && separator !== 32) return NaN;
    at += 1;
    if (bytes[at + 2] !== COLON || bytes[at + 5] !== COLON) return NaN;
    const hours = pair(bytes, at);
    const minutes = pair(bytes, at + 3);
    const seconds = pair(bytes, at + 6);
    // 24:00 and leap seconds are the server's. Not for NaN either.
    if (!(hours < 24 && minutes < 60 && seconds < 60)) return NaN;
    at += TIME_LENGTH;
    let fraction = 0;
    if (bytes[at] === 46) {
      const digits = (at += 1);
      for (let scale = 100_000; isDigit(bytes[at]!); at += 1, scale /= 10) {
        if (at - digits === MOST_FRACTION_DIGITS) return NaN;
        fraction += scale * (bytes[at]! - 48);
      }
      if (at === digits) return NaN;
    }
    if (bytes[at] === 90) at += 1;
    else if (bytes[at] === 43 && bytes[at + 1] === 48 && bytes[at + 2] === 48) at += 3;
    else if (needsZone) return NaN;
    const total = (((this.day(bytes, start) * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000_000;
    this.end = at;
    // Whole seconds are exact in all years.
    if (fraction === 0) return total;
    return Number.isSafeInteger(total + fraction) ? total + fraction : NaN;
  }
}

const reader = new IsoReader();
/** Longer than any text that is read here; what follows the text does not belong to it. */
const scratch = new Uint8Array(64);

/** `YYYY-MM-DD` alone: the day's number since 1970-01-01. */
export function isoDay(text: string): number {
  if (!isInScratch(text)) return NaN;
  const day = reader.day(scratch, 0);
  return reader.end === text.length ? day : NaN;
}

/** As `IsoReader.microseconds`, and nothing behind it. */
export function isoMicroseconds(text: string, needsZone: boolean): number {
  if (!isInScratch(text)) return NaN;
  const microseconds = reader.microseconds(scratch, 0, needsZone);
  return reader.end === text.length ? microseconds : NaN;
}

function isInScratch(text: string): boolean {
  const { length } = text;
  if (length >= scratch.length) return false;
  for (let index = 0; index < length; index += 1) {
    const code = text.charCodeAt(index);
    if (code > 127) return false;
    scratch[index] = code;
  }
  scratch[length] = 0;
  return true;
}

/** The day that is written at a place. */
function dayAt(bytes: Uint8Array, at: number): number {
  const year = pair(bytes, at) * 100 + pair(bytes, at + 2);
  const month = pair(bytes, at + 5);
  const day = pair(bytes, at + 8);
  if (!(year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month))) return NaN;
  return daysBefore(year, month) + day - 1;
}

function daysIn(year: number, month: number): number {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
}

/** Days from 1970-01-01 to the first of a month of the Gregorian calendar: years count from March, so that a leap day is their last. */
export function daysBefore(year: number, month: number): number {
  const years = month > 2 ? year : year - 1;
  const months = month > 2 ? month - 3 : month + 9;
  const leapDays = Math.floor(years / 4) - Math.floor(years / 100) + Math.floor(years / 400);
  return 365 * years + leapDays + Math.floor((153 * months + 2) / 5) - 719_468;
}

function pair(bytes: Uint8Array, at: number): number {
  const tens = bytes[at]! - 48;
  const ones = bytes[at + 1]! - 48;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? 10 * tens + ones : NaN;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}
