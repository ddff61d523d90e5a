/** Numbers, durations and times as people read them. */

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits: 3 });
const precise = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 3 });

export const count = (value: number): string => whole.format(value);
/** For axes: `1.5K`. */
export const compact = (value: number): string => short.format(value);
export const share = (value: number): string => `${whole.format(100 * value)} %`;

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `0.42 ms`, `1.2 s`, `3 min 20 s`, `2 d 5 h`. */
export function duration(milliseconds: number): string {
  const ms = Math.max(0, milliseconds);
  // What would be rounded to the next unit is in that unit.
  if (ms < SECOND - 0.5) return `${ms < 10 ? precise.format(ms) : whole.format(ms)} ms`;
  if (ms < MINUTE - 50) return `${precise.format(ms / SECOND)} s`;
  if (ms < HOUR) return twoUnits(ms, MINUTE, 'min', SECOND, 's');
  if (ms < DAY) return twoUnits(ms, HOUR, 'h', MINUTE, 'min');
  return twoUnits(ms, DAY, 'd', HOUR, 'h');
}

function twoUnits(ms: number, large: number, largeName: string, small: number, smallName: string): string {
  const smalls = Math.round(ms / small);
  const inLarge = large / small;
  const rest = smalls % inLarge;
  return `${Math.floor(smalls / inLarge)} ${largeName}${rest === 0 ? '' : ` ${rest} ${smallName}`}`;
}

/** A time as ISO 8601 has it, without its fraction. */
export function time(date: Date): string {
  return `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
