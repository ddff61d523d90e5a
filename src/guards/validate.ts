/** Checks of single options. Each returns the value it was given, or throws an error that names option, range and value. */

import { types } from 'node:util';
import { InvalidOptionError } from '../api/errors.js';
import { LONGEST_DELAY_MS } from '../common/clock.js';

/** How a value looks in a message: short, and never the contents of an object. */
export function show(value: unknown): string {
  try {
    return shown(value);
  } catch {
    return 'something that cannot be read';
  }
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (typeof value === 'function') return types.isAsyncFunction(value) ? 'an async function' : 'a function';
  if (typeof value === 'bigint') return `${value}n`;
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  return String(value);
}

/** @throws InvalidOptionError that says `option 'NAME' FAULT` */
export function wrongOption(option: string, fault: string): never {
  throw new InvalidOptionError(option, `option '${option}' ${fault}`);
}

export function refuse(option: string, expected: string, value: unknown): never {
  return wrongOption(option, `must be ${expected}; got ${show(value)}`);
}

/** A whole number of items, attempts or bytes. */
export function checkInteger(
  option: string,
  value: unknown,
  min: number,
  max = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value;
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  return refuse(option, `an integer ${range}`, value);
}

/** A share of the capacity: above 0, at most 1. */
export function checkRatio(option: string, value: unknown): number {
  if (typeof value === 'number' && value > 0 && value <= 1) return value;
  return refuse(option, 'a ratio above 0 and at most 1', value);
}

/** Milliseconds that a timer can wait for; with `orInfinity`, also `Infinity` for no limit. */
export function checkDuration(option: string, value: unknown, min: number, orInfinity = false): number {
  if (typeof value === 'number' && value >= min && value <= LONGEST_DELAY_MS) return value;
  if (orInfinity && value === Infinity) return value;
  const infinity = orInfinity ? ', or Infinity' : '';
  return refuse(option, `a number of milliseconds from ${min} to ${LONGEST_DELAY_MS}${infinity}`, value);
}

export function checkFunction<F>(option: string, value: F): F {
  return typeof value === 'function' ? value : refuse(option, 'a function', value);
}

/** A function whose value is needed at once: a promise would be taken for `true`. */
export function checkSynchronous<F>(option: string, value: F): F {
  checkFunction(option, value);
  if (!types.isAsyncFunction(value)) return value;
  return refuse(option, 'a function that returns its value, not a promise', value);
}

export function checkBoolean(option: string, value: unknown): boolean {
  return typeof value === 'boolean' ? value : refuse(option, 'true or false', value);
}

/** Refuses names that are not options, so that a misspelt one is not silently without effect. */
export function checkNames(
  given: object,
  known: ReadonlySet<string>,
  owner: string,
  hints: Readonly<Record<string, string>> = {},
): void {
  for (const name of Object.keys(given)) {
    if (known.has(name) || (given as Record<string, unknown>)[name] === undefined) continue;
    const hint = hints[name] ?? closest(name, known);
    throw new InvalidOptionError(name, `${owner} has no option '${name}'${hint}`);
  }
}

function closest(name: string, known: ReadonlySet<string>): string {
  const plain = (text: string) => text.toLowerCase().replace(/[^a-z]/g, '');
  for (const candidate of known) {
    if (plain(candidate) === plain(name)) return `; did you mean '${candidate}'?`;
  }
  return '';
}

/** Two values that the user gave, and that exclude each other. */
export function conflict(option: string, value: number, limit: string, limitValue: number): never {
  return refuse(option, `at most '${limit}' (${limitValue})`, value);
}

/** Checks an option if it is given: `rest` goes to `check`. */
export function optional<V, R, Rest extends unknown[]>(
  option: string,
  value: V | undefined,
  check: (option: string, value: V, ...rest: Rest) => R,
  ...rest: Rest
): R | undefined {
  return value === undefined ? undefined : check(option, value, ...rest);
}
