import type { Clock } from '../common/clock.js';
import { refuse } from '../guards/validate.js';

const CLOCK_METHODS = ['now', 'setTimeout', 'clearTimeout'] as const;

/** What holds of all options: `undefined` leaves one out, `null` does not. */
export function checkGiven(given: unknown): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    refuse('options', 'an object', given);
  refuseNull(given);
  const { clock } = given as { clock?: Partial<Clock> };
  if (clock !== undefined && !CLOCK_METHODS.every((name) => typeof clock[name] === 'function'))
    refuse('clock', `a Clock, with ${CLOCK_METHODS.join(', ')}`, clock);
}

function refuseNull(given: object): void {
  for (const [name, value] of Object.entries(given))
    if (value === null) refuse(name, 'left out or have a value', value);
}
