/**
 * Dates and times as ISO 8601 writes them, read as PostgreSQL reads them whatever its settings: years of four digits, everything in its
 * place. What is written in any other way, or is no date at all, is NaN here, and the server's to read. Pure.
 */

const DASH = 45;
const COLON = 58;
const DATE_LENGTH = 10;
const TIME_LENGTH = 8;
const MOST_FRACTION_DIGITS = 6;

/** `YYYY-MM-DD` alone: the day's number since 1970-01-01. */
export function isoDay(text: string): number {
  return text.length === DATE_LENGTH ? dayAt(text) : NaN;
}

/**
 * `YYYY-MM-DD`, `T` or a space, `HH:MM:SS`, up to six digits of a fraction, and `Z` or `+00`: microseconds since 1970, exact; NaN, too, where
 * they cannot be.
 *
 * @param needsZone without one it depends on the session's time zone
 */
export function isoMicroseconds(text: string, needsZone: boolean): number {
  const separator = text.charCodeAt(DATE_LENGTH);
  if (separator !== 84 && separator !== 32) return NaN;
  let at = DATE_LENGTH + 1;
  if (text.charCodeAt(at + 2) !== COLON || text.charCodeAt(at + 5) !== COLON) return NaN;
  const hours = pair(text, at);
  const minutes = pair(text, at + 3);
  const seconds = pair(text, at + 6);
  // 24:00 and leap seconds are the server's. Not for NaN either.
  if (!(hours < 24 && minutes < 60 && seconds < 60)) return NaN;
  at += TIME_LENGTH;
  let fraction = 0;
  if (text.charCodeAt(at) === 46) {
    const start = (at += 1);
    for (let scale = 100_000; isDigit(text.charCodeAt(at)); at += 1, scale /= 10) {
      if (at - start === MOST_FRACTION_DIGITS) return NaN;
      fraction += scale * (text.charCodeAt(at) - 48);
    }
    if (at === start) return NaN;
  }
  const zone = text.length - at;
  if (zone === 0 ? needsZone : !(zone === 1 && text.endsWith('Z')) && !(zone === 3 && text.endsWith('+00'))) {
    return NaN;
  }
  const total = (((dayAt(text) * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000_000;
  // Whole seconds are exact in all years.
  if (fraction === 0) return total;
  return Number.isSafeInteger(total + fraction) ? total + fraction : NaN;
}

/** The day that the text begins with. */
function dayAt(text: string): number {
  if (text.charCodeAt(4) !== DASH || text.charCodeAt(7) !== DASH) return NaN;
  const year = pair(text, 0) * 100 + pair(text, 2);
  const month = pair(text, 5);
  const day = pair(text, 8);
  if (!(year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month))) return NaN;
  return daysBefore(year, month) + day - 1;
}

function daysIn(year: number, month: number): number {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
}

/** Days from 1970-01-01 to the first of a month of the Gregorian calendar: years count from March, so that a leap day is their last. */
function daysBefore(year: number, month: number): number {
  const years = month > 2 ? year : year - 1;
  const months = month > 2 ? month - 3 : month + 9;
  const leapDays = Math.floor(years / 4) - Math.floor(years / 100) + Math.floor(years / 400);
  return 365 * years + leapDays + Math.floor((153 * months + 2) / 5) - 719_468;
}

function pair(text: string, at: number): number {
  const tens = text.charCodeAt(at);
  const ones = text.charCodeAt(at + 1);
  return isDigit(tens) && isDigit(ones) ? 10 * (tens - 48) + ones - 48 : NaN;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}
