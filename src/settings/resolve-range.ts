import { checkDuration, conflict, optional } from '../guards/validate.js';

/** A least and a greatest duration. */
type Range<Value> = readonly [min: Value, max: Value];

/**
 * Returns a range of which the user gave both bounds, one or none. If it was one, the other keeps out of its way.
 *
 * @param options the names of both, for errors
 * @param beneath what counts if the user gave nothing
 * @throws InvalidOptionError for a bound that is below `least`, and for two that contradict each other
 */
export function resolveRange(
  options: Range<string>,
  given: Range<number | undefined>,
  beneath: Range<number>,
  least: number,
): Range<number> {
  const min = optional(options[0], given[0], checkDuration, least);
  const max = optional(options[1], given[1], checkDuration, least);
  if (min !== undefined && max !== undefined && min > max) conflict(options[0], min, options[1], max);
  const low = min ?? Math.min(checkDuration(options[0], beneath[0], least), max ?? Infinity);
  return [low, max ?? Math.max(checkDuration(options[1], beneath[1], least), low)];
}
