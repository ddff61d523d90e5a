/** Encodes a `Date` as text for `date`, `timestamp` and `timestamptz`. Strings are the type's literal. */

import { ValueFault } from './value-fault.js';
import { CLOCKS, isDate, type DateZone } from '../dates/date-clock.js';
import {
  dateText,
  dayOf,
  FIRST_PLAIN_DAY,
  LAST_PLAIN_DAY,
  plainDay,
  timeOfDay,
  timestampText,
  UTC_ZONE,
  zoneText,
} from '../dates/date-text.js';
import { encoder, writeLiteral, type Fallback, type ValueEncoder } from './value-encoder.js';

const DATE_OR_STRING = 'a Date or a string';

/** @throws {ValueFault} for an invalid date */
export function checkClock(clockMs: number, expected: string): number {
  if (Number.isNaN(clockMs)) throw new ValueFault('22007', `must be ${expected}; got an invalid Date`);
  return clockMs;
}

export function dateEncoder(zone: DateZone, fallback: Fallback): ValueEncoder {
  const clock = CLOCKS[zone];
  const toText = (value: unknown): string | null => {
    if (typeof value === 'string') return value;
    if (isDate(value)) return dateText(checkClock(clock.wallMs(value), DATE_OR_STRING));
    return fallback(value, DATE_OR_STRING, toText);
  };
  return encoder(toText, (writer, value) => {
    if (value instanceof Date) {
      const day = dayOf(clock.wallMs(value));
      // False for NaN, too.
      if (day >= FIRST_PLAIN_DAY && day <= LAST_PLAIN_DAY) {
        writer.writePlain(plainDay(day));
        return;
      }
    }
    writeLiteral(writer, toText(value));
  });
}

/**
 * Writes the zone, too, as node-postgres does. `timestamp` ignores it. A column that has become `timestamptz` meanwhile still stores the same
 * instant.
 */
export function timestampEncoder(zone: DateZone, fallback: Fallback): ValueEncoder {
  const clock = CLOCKS[zone];
  const toText = (value: unknown): string | null => {
    if (typeof value === 'string') return value;
    if (!isDate(value)) return fallback(value, DATE_OR_STRING, toText);
    const wallMs = checkClock(clock.wallMs(value), DATE_OR_STRING);
    return timestampText(wallMs, zoneText(wallMs - clock.instantMs(value)));
  };
  return encoder(toText, (writer, value) => {
    if (value instanceof Date) {
      const wallMs = clock.wallMs(value);
      const day = dayOf(wallMs);
      if (day >= FIRST_PLAIN_DAY && day <= LAST_PLAIN_DAY) {
        writer.writePlain(plainDay(day));
        writer.writePlain(' ');
        writer.writeTimeOfDay(timeOfDay(wallMs, day));
        writer.writePlain(zoneText(wallMs - clock.instantMs(value)));
        return;
      }
    }
    writeLiteral(writer, toText(value));
  });
}

/** Writes an instant, which needs no local time. */
export function timestamptzEncoder(zone: DateZone, fallback: Fallback): ValueEncoder {
  const clock = CLOCKS[zone];
  const toText = (value: unknown): string | null => {
    if (typeof value === 'string') return value;
    if (!isDate(value)) return fallback(value, DATE_OR_STRING, toText);
    return timestampText(checkClock(clock.instantMs(value), DATE_OR_STRING), UTC_ZONE);
  };
  return encoder(toText, (writer, value) => {
    if (value instanceof Date) {
      const instantMs = clock.instantMs(value);
      const day = dayOf(instantMs);
      if (day >= FIRST_PLAIN_DAY && day <= LAST_PLAIN_DAY) {
        writer.writePlain(plainDay(day));
        writer.writePlain(' ');
        writer.writeTimeOfDay(timeOfDay(instantMs, day));
        writer.writePlain(UTC_ZONE);
        return;
      }
    }
    writeLiteral(writer, toText(value));
  });
}
