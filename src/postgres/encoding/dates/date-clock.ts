/**
 * Reads a `Date` as node-postgres' INSERT does. `date` and `timestamp` get its wall clock. `timestamptz` gets the instant that the server
 * computes from that wall clock and its offset. Pure, except for the process's time zone.
 *
 * Both are milliseconds since 1970, of a clock without zones. NaN: an invalid date, or one whose methods return no whole numbers.
 */

import * as types from 'node:util/types';
import { daysBefore } from './iso-text.js';

/** Whose wall clock a `Date` is written by: that of the process, or UTC. */
export type DateZone = 'local' | 'utc';

export interface DateClock {
  readonly wallMs: (date: Date) => number;
  readonly instantMs: (date: Date) => number;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Since then the offsets of all time zones are whole minutes. The last other one was Liberia's, until 1972-01-07. */
const WHOLE_MINUTES_FROM = Date.UTC(1973, 0, 1);

/** True also for a date of another realm (`node:vm`, Jest); false for an object that only has the prototype. */
export function isDate(value: unknown): value is Date {
  return types.isDate(value);
}

/** False for a subclass, whose methods may return anything. Some carry a time zone of their own. */
function isPlain(date: Date): boolean {
  return Object.getPrototypeOf(date) === Date.prototype;
}

/** Does what `Date.UTC` does, except that the years 0 to 99 mean themselves. Returns NaN if a part is not an integer. */
function clockOf(
  year: number,
  month: number,
  day: number,
  hours: number,
  minutes: number,
  seconds: number,
  milliseconds: number,
): number {
  const days = daysBefore(year, month + 1) + day - 1;
  const clock = days * DAY_MS + ((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds;
  return Number.isSafeInteger(clock) ? clock : NaN;
}

function localFields(date: Date): number {
  return clockOf(
    date.getFullYear(),
    date.getMonth(),
    date.getDate(),
    date.getHours(),
    date.getMinutes(),
    date.getSeconds(),
    date.getMilliseconds(),
  );
}

function utcFields(date: Date): number {
  return clockOf(
    date.getUTCFullYear(),
    date.getUTCMonth(),
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
    date.getUTCMilliseconds(),
  );
}

const LOCAL: DateClock = {
  wallMs(date) {
    const epochMs = date.getTime();
    return epochMs >= WHOLE_MINUTES_FROM && isPlain(date)
      ? epochMs - date.getTimezoneOffset() * MINUTE_MS
      : localFields(date);
  },
  /** Returns the instant that INSERT stores. It differs if the offset has seconds, because node-postgres leaves them out. */
  instantMs(date) {
    const epochMs = date.getTime();
    return epochMs >= WHOLE_MINUTES_FROM && isPlain(date)
      ? epochMs
      : localFields(date) + date.getTimezoneOffset() * MINUTE_MS;
  },
};

const UTC: DateClock = {
  wallMs: (date) => (isPlain(date) ? date.getTime() : utcFields(date)),
  instantMs: (date) => (isPlain(date) ? date.getTime() : utcFields(date)),
};

export const CLOCKS: Readonly<Record<DateZone, DateClock>> = { local: LOCAL, utc: UTC };
