/** The options `retry` and `breaker`: each field is checked, and lies over the field of the flush function's defaults. */

import { BREAKER_OPTIONS, DEFAULTS, RETRY_OPTIONS } from './defaults.js';
import { fieldOf } from '../common/thrown.js';
import type { BreakerOptions, BreakerProbe, RetryOptions, SinkOptions } from '../api/options.js';
import {
  checkBoolean,
  checkDuration,
  checkFunction,
  checkInteger,
  checkNames,
  checkSynchronous,
  optional,
  refuse,
} from '../guards/validate.js';
import { resolveRange } from './resolve-range.js';

export interface ResolvedRetry {
  attempts: number;
  minDelayMs: number;
  maxDelayMs: number;
  maxElapsedMs: number;
  isRetryable: (error: Error) => boolean;
  afterTimeout: boolean;
}

type BreakerTimes = Required<Omit<BreakerOptions, 'probe'>>;

export interface ResolvedBreaker extends BreakerTimes {
  probe: BreakerProbe | undefined;
}

/** Most sinks have these: they share one object. */
const STANDARD_RETRY: ResolvedRetry = Object.freeze(mergeRetry(undefined, undefined));

export function resolveRetry(
  user: RetryOptions | undefined,
  standard: RetryOptions | undefined,
): ResolvedRetry {
  return user === undefined && standard === undefined ? STANDARD_RETRY : mergeRetry(user, standard);
}

function mergeRetry(user: RetryOptions | undefined, standard: RetryOptions | undefined): ResolvedRetry {
  const own = readFields('retry', user, RETRY_OPTIONS);
  const beneath = readFields('retry', standard, RETRY_OPTIONS);
  const given = { ...beneath, ...own };
  return {
    attempts: checkInteger('retry.attempts', given.attempts ?? DEFAULTS.retry.attempts, 1),
    ...resolveDelays('retry', own, { ...DEFAULTS.retry, ...beneath }, 0),
    maxElapsedMs: checkDuration(
      'retry.maxElapsedMs',
      given.maxElapsedMs ?? DEFAULTS.retry.maxElapsedMs,
      0,
      true,
    ),
    isRetryable:
      optional('retry.isRetryable', given.isRetryable, checkSynchronous) ?? isRetryableUnlessToldOtherwise,
    afterTimeout: checkBoolean('retry.afterTimeout', given.afterTimeout ?? DEFAULTS.retry.afterTimeout),
  };
}

export function resolveBreaker(
  given: SinkOptions<never>['breaker'],
  beneath: SinkOptions<never>['breaker'],
): ResolvedBreaker | undefined {
  if (given === false || (given === undefined && !beneath)) return undefined;
  const own = readFields('breaker', given, BREAKER_OPTIONS);
  const others = readFields('breaker', beneath || undefined, BREAKER_OPTIONS);
  const standard: BreakerTimes & BreakerOptions = { ...DEFAULTS.breaker, ...others };
  const fields: BreakerTimes & BreakerOptions = { ...standard, ...own };
  return {
    failures: checkInteger('breaker.failures', fields.failures, 1),
    ...resolveDelays('breaker', own, standard, 1),
    maxOutageMs: checkDuration('breaker.maxOutageMs', fields.maxOutageMs, 1, true),
    probe: optional('breaker.probe', fields.probe, checkFunction),
  };
}

/** A base and a cap. */
function resolveDelays(
  owner: 'retry' | 'breaker',
  given: { minDelayMs?: number; maxDelayMs?: number },
  beneath: { minDelayMs: number; maxDelayMs: number },
  least: number,
): { minDelayMs: number; maxDelayMs: number } {
  const [minDelayMs, maxDelayMs] = resolveRange(
    [`${owner}.minDelayMs`, `${owner}.maxDelayMs`],
    [given.minDelayMs, given.maxDelayMs],
    [beneath.minDelayMs, beneath.maxDelayMs],
    least,
  );
  return { minDelayMs, maxDelayMs };
}

function isRetryableUnlessToldOtherwise(error: Error): boolean {
  return fieldOf(error, 'retryable') !== false;
}

/**
 * The fields that are set, each read once: also getters and those that a class instance inherits. `{ retry: { attempts: undefined } }`
 * leaves the default alone.
 */
function readFields<O extends object>(
  option: string,
  given: O | undefined,
  names: ReadonlySet<string>,
): Partial<O> {
  if (given === undefined) return {};
  if (typeof given !== 'object' || (given as unknown) === null) refuse(option, 'an object', given);
  checkNames(given, names, `option '${option}'`);
  const fields: Record<string, unknown> = {};
  for (const name of names) {
    const value = (given as Record<string, unknown>)[name];
    if (value === null) refuse(`${option}.${name}`, 'left out or have a value', value);
    if (value !== undefined) fields[name] = value;
  }
  return fields as Partial<O>;
}
