/**
 * Reads dates and times of ISO 8601 as PostgreSQL reads them with any settings: years of four digits, everything in its place. Anything
 * else is left to the server.
 */

import { COLON, MINUS } from '../../../common/bytes.js';

const DATE_LENGTH = 10;
const TIME_LENGTH = 8;
const MOST_FRACTION_DIGITS = 6;
const NO_DATE = 0;
/** No day. Fields and results are small integers: V8 would make an object of each number that is none, such as NaN, for millions of rows. */
const NO_DAY = -(2 ** 29);
/** No two digits: as a part of a year, it is after the last one. */
const NO_PAIR = 10_000;

/** Reads from bytes. It keeps the last date, which only saves time. */
export class IsoReader {
  /** The end of what was read last. Valid only if that was a date or a moment, as the others. */
  end = 0;
  /** Since 1970-01-01. */
  dayNumber = NO_DAY;
  secondOfDay = 0;
  microsecond = 0;
  /** The date that was read last, as numbers of two characters each. The next row often has the same one. */
  readonly #pairs = new Int32Array(4).fill(NO_DATE);

  /** `YYYY-MM-DD`. Returns whether it is one. */
  readDay(bytes: Uint8Array, at: number): boolean {
    if (bytes[at + 4] !== MINUS || bytes[at + 7] !== MINUS) return false;
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
      this.dayNumber = dayAt(bytes, at);
    }
    return this.dayNumber !== NO_DAY;
  }

  /**
   * `YYYY-MM-DD`, `T` or a space, `HH:MM:SS`, up to six digits of a fraction, and `Z` or `+00`. Returns whether it is such a moment.
   *
   * @param needsZone refuses a text without a zone, whose meaning depends on the session's time zone
   */
  readMoment(bytes: Uint8Array, start: number, needsZone: boolean): boolean {
    let at = start + DATE_LENGTH;
    const separator = bytes[at];
    if (separator !== 84 && separator !== 32) return false;
    at += 1;
    if (bytes[at + 2] !== COLON || bytes[at + 5] !== COLON) return false;
    const hours = pair(bytes, at);
    const minutes = pair(bytes, at + 3);
    const seconds = pair(bytes, at + 6);
    // 24:00 and leap seconds are the server's.
    if (hours >= 24 || minutes >= 60 || seconds >= 60) return false;
    at += TIME_LENGTH;
    let fraction = 0;
    if (bytes[at] === 46) {
      const digits = (at += 1);
      for (let scale = 100_000; isDigit(bytes[at]!); at += 1, scale = (scale / 10) | 0) {
        if (at - digits === MOST_FRACTION_DIGITS) return false;
        fraction += scale * (bytes[at]! - 48);
      }
      if (at === digits) return false;
    }
    if (bytes[at] === 90) at += 1;
    else if (bytes[at] === 43 && bytes[at + 1] === 48 && bytes[at + 2] === 48) at += 3;
    else if (needsZone) return false;
    if (!this.readDay(bytes, start)) return false;
    this.secondOfDay = (hours * 60 + minutes) * 60 + seconds;
    this.microsecond = fraction;
    this.end = at;
    return true;
  }
}

const reader = new IsoReader();
/** Length of the buffer: longer than any text that is read here. What stands behind the text is not part of it. */
const scratch = new Uint8Array(64);

/** `YYYY-MM-DD` alone: the day's number since 1970-01-01. NaN for anything else. */
export function isoDay(text: string): number {
  return isInScratch(text) && reader.readDay(scratch, 0) && reader.end === text.length
    ? reader.dayNumber
    : NaN;
}

/** Reads what `IsoReader.readMoment` reads, and nothing behind it. Returns undefined for anything else; the result is valid up to the next call. */
export function isoMoment(
  text: string,
  needsZone: boolean,
): Pick<IsoReader, 'dayNumber' | 'secondOfDay' | 'microsecond'> | undefined {
  const isMoment = isInScratch(text) && reader.readMoment(scratch, 0, needsZone);
  return isMoment && reader.end === text.length ? reader : undefined;
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

/** Returns the day that is written at a place. */
function dayAt(bytes: Uint8Array, at: number): number {
  const year = pair(bytes, at) * 100 + pair(bytes, at + 2);
  const month = pair(bytes, at + 5);
  const day = pair(bytes, at + 8);
  const isDay =
    year >= 1 && year <= 9999 && month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month);
  return isDay ? daysBefore(year, month) + day - 1 : NO_DAY;
}

function daysIn(year: number, month: number): number {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
}

/** Returns the days from 1970-01-01 to the first of a month of the Gregorian calendar. Years begin in March, so that a leap day is their last. */
export function daysBefore(year: number, month: number): number {
  const years = month > 2 ? year : year - 1;
  const months = month > 2 ? month - 3 : month + 9;
  const leapDays = Math.floor(years / 4) - Math.floor(years / 100) + Math.floor(years / 400);
  return 365 * years + leapDays + Math.floor((153 * months + 2) / 5) - 719_468;
}

/** Returns a large number if these are no digits. */
function pair(bytes: Uint8Array, at: number): number {
  const tens = bytes[at]! - 48;
  const ones = bytes[at + 1]! - 48;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? 10 * tens + ones : NO_PAIR;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}
