/** What users' code may throw, reject with or return, and how a callback of theirs may behave. */

import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { BackpressureError, ItemError } from '../../src/index.js';

const fails = (): never => {
  throw new Error('of a getter');
};

function withGetters(target: object, names: readonly string[]): object {
  for (const name of names) Object.defineProperty(target, name, { get: fails, configurable: true });
  return target;
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable(new Error('hidden'), {});
  revoke();
  return proxy;
}

const TRAPS = [
  'get', 'set', 'has', 'deleteProperty', 'ownKeys', 'getPrototypeOf', 'setPrototypeOf', 'isExtensible', 'preventExtensions',
  'getOwnPropertyDescriptor', 'defineProperty',
] as const; // prettier-ignore

/** By name, so that a failing run can be read. Functions, because no reporter may look at some of the values. */
const VALUES: Record<string, () => unknown> = {
  undefined: () => undefined,
  null: () => null,
  zero: () => 0,
  'an empty text': () => '',
  'a text': () => 'text',
  'a bigint': () => 1n,
  NaN: () => NaN,
  'a symbol': () => Symbol('s'),
  'a function': () => fails,
  'an error': () => new Error('plain'),
  'a frozen error': () => Object.freeze(new Error('frozen')),
  'an error with a cycle': () => {
    const error = new Error('cycle');
    return Object.assign(error, { cause: error, errors: [error] });
  },
  'an error without a text': () => new AggregateError([]),
  'an error whose getters throw': () =>
    withGetters(new Error('hidden'), [
      'stack',
      'message',
      'name',
      'code',
      'cause',
      'retryable',
      'retryAfterMs',
      'ambiguous',
      'errors',
      'then',
    ]),
  'an error whose stack throws': () => withGetters(new Error('no stack'), ['stack']),
  'an error with delays of all kinds': () =>
    Object.assign(new Error('later'), { retryAfterMs: Infinity, retryable: 'no', ambiguous: Symbol('a') }),
  'an error of another realm': () =>
    runInNewContext('Object.assign(new TypeError("realm"), { code: "E" })') as Error,
  'a plain object': () => ({ message: 'plain', code: 'E_PLAIN', retryable: false }),
  'an object without a prototype': () => Object.create(null) as object,
  'an object whose conversions throw': () => ({
    toString: fails,
    valueOf: fails,
    [Symbol.toPrimitive]: fails,
  }),
  'a DOMException': () => new DOMException('aborted', 'AbortError'),
  'a revoked proxy': revoked,
  'a proxy whose traps throw': () =>
    new Proxy(new Error('hidden'), Object.fromEntries(TRAPS.map((trap) => [trap, fails]))),
  'a BackpressureError that is frozen': () =>
    Object.freeze(
      new BackpressureError('ERR_BACKPRESSURE_FLUSH_TIMEOUT', 'of somebody else', { items: ['x'] }),
    ),
  'an ItemError whose getters throw': () =>
    withGetters(new ItemError(0), ['index', 'retryable', 'message', 'cause']),
  'an ItemError of no item': () => Object.assign(new ItemError(0), { index: { valueOf: fails } }),
  'a result whose getters throw': () => withGetters({}, ['success', 'failed', 'errors']),
  'a result of hostile errors': () => ({ success: 0, failed: 1, errors: [revoked(), Symbol('e'), null] }),
  'a result in a proxy': () =>
    new Proxy({ success: 1, failed: 0, errors: [] }, { has: () => true, get: fails }),
};

export const VALUE_NAMES = Object.keys(VALUES);

export function hostileValue(name: string): unknown {
  return VALUES[name]!();
}

/** One call of a callback. `reenter`: it uses the stream, and then throws. */
export interface Act {
  how:
    | 'well'
    | 'throws'
    | 'returns'
    | 'rejects'
    | 'rejects later'
    | 'rejects in another realm'
    | 'thenable throws'
    | 'then throws'
    | 'reenters';
  value: string;
}

export const act: fc.Arbitrary<Act> = fc.record({
  how: fc.constantFrom<Act['how']>(
    'well', 'well', 'throws', 'throws', 'returns', 'rejects', 'rejects later', 'rejects in another realm', 'thenable throws',
    'then throws', 'reenters',
  ), // prettier-ignore
  value: fc.constantFrom(...VALUE_NAMES),
});

/** Its calls in order; then all is well. */
export const script = fc.array(act, { maxLength: 3 });

/** What a callback does at one call; `well` and `reenter` are the run's. */
export function perform({ how, value }: Act, well: () => unknown, reenter: () => void): unknown {
  if (how === 'well') return well();
  const made = hostileValue(value);
  switch (how) {
    case 'throws':
      throw made;
    case 'returns':
      return made;
    case 'rejects':
      return Promise.reject(made);
    case 'rejects later':
      return Promise.resolve().then(() => Promise.reject(made));
    case 'rejects in another realm':
      return runInNewContext('Promise.reject(value)', { value: made });
    case 'thenable throws':
      return {
        then: () => {
          throw made;
        },
      };
    case 'then throws':
      return withGetters({}, ['then']);
    case 'reenters':
      reenter();
      throw made;
    default:
      return how satisfies never;
  }
}

/** Rejections and exceptions that nobody took, from now until `stop()`. Process warnings are not printed meanwhile. */
export function watchForStray(): { found: unknown[]; stop: () => void } {
  const found: unknown[] = [];
  const onStray = (thrown: unknown) => void found.push(thrown);
  const emitWarning = Object.getOwnPropertyDescriptor(process, 'emitWarning')!;
  process.emitWarning = () => undefined;
  process.on('unhandledRejection', onStray);
  process.on('uncaughtException', onStray);
  return {
    found,
    stop: () => {
      Object.defineProperty(process, 'emitWarning', emitWarning);
      process.off('unhandledRejection', onStray);
      process.off('uncaughtException', onStray);
    },
  };
}
