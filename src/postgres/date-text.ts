/** `Date` as PostgreSQL reads it, whatever its `DateStyle`. Always UTC: a `Date` is an instant. */

const DAY_MS = 86_400_000;
/** Days whose text is kept: their number is small in most data, and writing one costs more than all else of a row. */
const CACHED_DAYS = 4096;

const days = new Map<number, string>();

export interface CalendarDay {
  /** `YYYY-MM-DD`; years before 1 are counted from 1 BC backwards. */
  text: string;
  isBeforeChrist: boolean;
}

/** The day's number since 1970-01-01. */
export function dayOf(epochMs: number): number {
  return Math.floor(epochMs / DAY_MS);
}

export function timeOfDay(epochMs: number, day: number): number {
  return epochMs - day * DAY_MS;
}

/** Days outside these (year 1 to 9999) are written by `calendarDay` alone. */
export const FIRST_PLAIN_DAY = dayOf(Date.parse('0001-01-01T00:00:00Z'));
export const LAST_PLAIN_DAY = dayOf(Date.parse('9999-12-31T00:00:00Z'));

/** `YYYY-MM-DD` of a day of the years 1 to 9999. */
export function plainDay(day: number): string {
  let text = days.get(day);
  if (text === undefined) {
    if (days.size >= CACHED_DAYS) days.clear();
    text = calendarDay(day).text;
    days.set(day, text);
  }
  return text;
}

export function calendarDay(day: number): CalendarDay {
  const date = new Date(day * DAY_MS);
  const year = date.getUTCFullYear();
  const isBeforeChrist = year <= 0;
  const shown = isBeforeChrist ? 1 - year : year;
  const text = `${pad(shown, 4)}-${pad(date.getUTCMonth() + 1, 2)}-${pad(date.getUTCDate(), 2)}`;
  return { text, isBeforeChrist };
}

export function dateText(epochMs: number): string {
  const { text, isBeforeChrist } = calendarDay(dayOf(epochMs));
  return isBeforeChrist ? `${text} BC` : text;
}

/** Always with its zone: `timestamp` ignores it, and a column that has meanwhile become `timestamptz` still stores the same instant. */
export const ZONE = '+00';

export function timestampText(epochMs: number): string {
  const day = dayOf(epochMs);
  const { text, isBeforeChrist } = calendarDay(day);
  const rest = timeOfDay(epochMs, day);
  const seconds = Math.floor(rest / 1000);
  const fraction = rest % 1000;
  const clock = `${pad(Math.floor(seconds / 3600), 2)}:${pad(Math.floor(seconds / 60) % 60, 2)}:${pad(seconds % 60, 2)}`;
  return `${text} ${clock}${fraction === 0 ? '' : `.${pad(fraction, 3)}`}${ZONE}${isBeforeChrist ? ' BC' : ''}`;
}

function pad(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}
