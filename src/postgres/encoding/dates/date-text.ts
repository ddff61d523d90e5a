/** Writes dates so that PostgreSQL reads them with any `DateStyle`. Clocks are milliseconds since 1970 of a wall clock. Pure. */

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
/** Number of days whose text is kept. Most data has few days, and to write one costs more than the rest of a row. */
const CACHED_DAYS = 4096;

const days = new Map<number, string>();

interface CalendarDay {
  /** `YYYY-MM-DD`. Years before 1 are counted backwards from 1 BC. */
  text: string;
  isBeforeChrist: boolean;
}

/** Returns the number of days since 1970-01-01. */
export function dayOf(clockMs: number): number {
  return Math.floor(clockMs / DAY_MS);
}

export function timeOfDay(clockMs: number, day: number): number {
  return clockMs - day * DAY_MS;
}

/** Days of the years 1 to 9999. Only `calendarDay` writes others. */
export const FIRST_PLAIN_DAY = dayOf(Date.parse('0001-01-01T00:00:00Z'));
export const LAST_PLAIN_DAY = dayOf(Date.parse('9999-12-31T00:00:00Z'));

/** Returns `YYYY-MM-DD` for a day of the years 1 to 9999. */
export function plainDay(day: number): string {
  let text = days.get(day);
  if (text === undefined) {
    if (days.size >= CACHED_DAYS) days.clear();
    text = calendarDay(day).text;
    days.set(day, text);
  }
  return text;
}

function calendarDay(day: number): CalendarDay {
  const date = new Date(day * DAY_MS);
  const year = date.getUTCFullYear();
  const isBeforeChrist = year <= 0;
  const shown = isBeforeChrist ? 1 - year : year;
  const text = `${pad(shown, 4)}-${pad(date.getUTCMonth() + 1, 2)}-${pad(date.getUTCDate(), 2)}`;
  return { text, isBeforeChrist };
}

export function dateText(clockMs: number): string {
  const { text, isBeforeChrist } = calendarDay(dayOf(clockMs));
  return isBeforeChrist ? `${text} BC` : text;
}

/** @param zone as `zoneText` returns it */
export function timestampText(clockMs: number, zone: string): string {
  const day = dayOf(clockMs);
  const { text, isBeforeChrist } = calendarDay(day);
  const rest = timeOfDay(clockMs, day);
  const seconds = Math.floor(rest / 1000);
  const fraction = rest % 1000;
  const clock = `${pad(Math.floor(seconds / 3600), 2)}:${pad(Math.floor(seconds / 60) % 60, 2)}:${pad(seconds % 60, 2)}`;
  return `${text} ${clock}${fraction === 0 ? '' : `.${pad(fraction, 3)}`}${zone}${isBeforeChrist ? ' BC' : ''}`;
}

export const UTC_ZONE = '+00';

const zones = new Map<number, string>([[0, UTC_ZONE]]);

/** Returns how far a wall clock is ahead of UTC: `+02`, `-03:30`. @param offsetMs a whole number of minutes */
export function zoneText(offsetMs: number): string {
  let text = zones.get(offsetMs);
  if (text === undefined) {
    const minutes = Math.abs(offsetMs) / MINUTE_MS;
    const rest = minutes % 60;
    text = `${offsetMs < 0 ? '-' : '+'}${pad(Math.floor(minutes / 60), 2)}${rest === 0 ? '' : `:${pad(rest, 2)}`}`;
    zones.set(offsetMs, text);
  }
  return text;
}

function pad(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}
