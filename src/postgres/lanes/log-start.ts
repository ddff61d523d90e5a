/** Where a new import begins. Pure. */

import { refuse } from '../../guards/validate.js';
import { LogError } from '../../log/log-error.js';
import type { LogBounds, LogPosition } from '../../log/log.js';

/**
 * `'first'`: at the oldest message that the log still has; `'last'`: at the messages that come from now on; a position; or a time, as a `Date` or as text
 * like `'2026-01-31T08:00:00Z'`: at the first message that the log has taken then or later.
 */
export type LogStart = LogPosition | Date | string;

/** A start, as it is kept with the import: times are in ISO 8601, in UTC. */
export type KeptStart = string | number;

const EXPECTED =
  "'first', 'last', a position, or a time in ISO 8601 with its zone and at most milliseconds, such as '2026-01-31T08:00:00Z'";
const TIME = /^(\d{4}-\d\d-\d\d)T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/;

/** @throws {InvalidOptionError} also for a time that is still to come: what arrives until then would be loaded nevertheless */
export function checkStart(value: unknown, now: number): KeptStart {
  if (value === 'first' || value === 'last') return value;
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) && value >= 0 ? value : refuse('from', EXPECTED, value);
  }
  const time = value instanceof Date ? value.getTime() : timeOf(value);
  if (!Number.isFinite(time)) return refuse('from', EXPECTED, value);
  if (time > now) return refuse('from', 'a time that has passed', new Date(time).toISOString());
  return new Date(Math.max(0, time)).toISOString();
}

function timeOf(value: unknown): number {
  const [, date] = (typeof value === 'string' && TIME.exec(value)) || [];
  if (date === undefined) return NaN;
  const midnight = new Date(`${date}T00:00Z`);
  // The 30th of February would be taken for one of March.
  const isDate = Number.isFinite(midnight.getTime()) && midnight.toISOString().startsWith(date);
  return isDate ? Date.parse(value as string) : NaN;
}

/** What the bounds of the log are to begin with. Undefined: they are taken as they are. */
export function boundsStart(start: KeptStart): Date | LogPosition | undefined {
  if (start === 'first' || start === 'last') return undefined;
  return typeof start === 'number' ? start : new Date(start);
}

/**
 * Returns how many positions the log has deleted that the import was to begin with.
 *
 * @throws {LogError} if the log has no such position yet, or no single one
 */
export function missingAtStart(start: KeptStart, bounds: LogBounds, hasOneOrder: boolean): number {
  if (typeof start !== 'number') return 0;
  if (!hasOneOrder) {
    const message =
      "each lane of this log has positions of its own: 'from' (--from) takes a time here, 'first' or 'last'";
    throw new LogError('setup', message);
  }
  const { end, oldest } = bounds.lane(bounds.lastLane);
  if (start > end) {
    const message = `the log ends before position ${end}, so the import cannot begin at ${start}; 'from' (--from) may be at most ${end}`;
    throw new LogError('setup', message);
  }
  return Math.max(0, oldest - Math.max(start, bounds.lane(0).first));
}
