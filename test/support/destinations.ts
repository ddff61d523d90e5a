/** Destinations for tests: by a script, answered by the test, or collecting. */

import type { Clock } from '../../src/common/clock.js';
import { ItemError } from '../../src/api/errors.js';
import type { FlushContext, FlushFunction, FlushResult } from '../../src/api/flush-function.js';
import { turn } from './stream.js';

/** What a destination does with one call. */
export type Behaviour =
  | { kind: 'ok' }
  | { kind: 'slow'; ms: number }
  | { kind: 'throws' }
  | { kind: 'rejects'; ms: number; retryable?: boolean }
  /** Bit n of `mask`: item n fails; of `retryable`: and is worth another call. `unnamed` more fail without a name. */
  | { kind: 'partial'; ms: number; mask: number; retryable: number; unnamed: number }
  | { kind: 'invalid'; variant: InvalidVariant }
  /** Answers to its signal. */
  | { kind: 'stops-on-signal' }
  /** Ignores its signal, and answers (or fails) after `ms`; `Infinity` for never. */
  | { kind: 'deaf'; ms: number; fails: boolean };

export const INVALID_VARIANTS = [
  'null',
  'sum',
  'negative',
  'no errors',
  'index',
  'twice',
  'too many',
] as const;
export type InvalidVariant = (typeof INVALID_VARIANTS)[number];

/** One call that a destination has had. */
export interface ScriptedCall<T> {
  items: readonly T[];
  context: FlushContext;
  behaviour: Behaviour;
  at: number;
}

/** A destination that behaves as told, call by call; well once `heal` was called or the script has ended. */
export class ScriptedDestination<T> {
  readonly calls: ScriptedCall<T>[] = [];
  readonly #clock: Clock;
  #script: Behaviour[];
  readonly #onCall: (call: ScriptedCall<T>) => void;

  constructor(
    clock: Clock,
    script: readonly Behaviour[] = [],
    onCall: (call: ScriptedCall<T>) => void = () => undefined,
  ) {
    this.#clock = clock;
    this.#script = [...script];
    this.#onCall = onCall;
  }

  /** The batches, in the order of their calls. */
  get batches(): T[][] {
    return this.calls.map(({ items }) => [...items]);
  }

  heal(): void {
    this.#script = [];
  }

  readonly flush: FlushFunction<T> = (items, context) => {
    const behaviour = this.#script.shift() ?? { kind: 'ok' };
    const call = { items: [...items], context, behaviour, at: this.#clock.now() };
    this.calls.push(call);
    this.#onCall(call);
    return this.#behave(behaviour, items.length, context);
  };

  // eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- as FlushFunction has it
  async #behave(behaviour: Behaviour, length: number, context: FlushContext): Promise<FlushResult | void> {
    switch (behaviour.kind) {
      case 'ok':
        return;
      case 'slow':
        return this.#wait(behaviour.ms);
      case 'throws':
        throw new Error('destination threw');
      case 'rejects': {
        await this.#wait(behaviour.ms);
        throw Object.assign(new Error('destination failed'), { retryable: behaviour.retryable ?? true });
      }
      case 'partial':
        await this.#wait(behaviour.ms);
        return partialResult(behaviour, length);
      case 'invalid':
        return invalidResult(behaviour.variant, length);
      case 'stops-on-signal':
        return new Promise((_resolve, reject) => {
          const stop = () => reject(context.signal.reason);
          if (context.signal.aborted) stop();
          else context.signal.addEventListener('abort', stop);
        });
      case 'deaf':
        await this.#wait(behaviour.ms);
        if (behaviour.fails) throw new Error('destination failed late');
        return;
      default:
        return behaviour satisfies never;
    }
  }

  #wait(ms: number): Promise<void> {
    if (ms === 0) return Promise.resolve();
    return new Promise((resolve) => {
      if (ms !== Infinity) this.#clock.setTimeout(resolve, ms);
    });
  }
}

function partialResult(behaviour: Behaviour & { kind: 'partial' }, length: number): FlushResult {
  const errors: Error[] = [];
  for (let index = 0; index < length; index++) {
    const bit = 1 << (index % 31);
    if ((behaviour.mask & bit) === 0) continue;
    errors.push(
      new ItemError(index, { retryable: (behaviour.retryable & bit) !== 0, message: `item ${index}` }),
    );
  }
  const unnamed = Math.min(behaviour.unnamed, length - errors.length);
  const failed = errors.length + unnamed;
  if (unnamed > 0) errors.push(new Error('some failed'));
  return { success: length - failed, failed, errors };
}

function invalidResult(variant: InvalidVariant, length: number): FlushResult {
  switch (variant) {
    case 'null':
      return null as never;
    case 'sum':
      return { success: length + 1, failed: 0, errors: [] };
    case 'negative':
      return { success: length + 1, failed: -1, errors: [] };
    case 'no errors':
      return { success: length, failed: 0 } as never;
    case 'index':
      return { success: length - 1, failed: 1, errors: [new ItemError(length)] };
    case 'twice':
      return { success: length - 1, failed: 1, errors: [new ItemError(0), new ItemError(0)] };
    case 'too many':
      return { success: length, failed: 0, errors: [new ItemError(0)] };
  }
}

/** One call of a flush function, answered by the test. */
export interface ManualCall<T> {
  readonly items: T[];
  readonly context: FlushContext;
  readonly resolve: (answer?: FlushResult) => void;
  readonly reject: (error: unknown) => void;
}

/** A destination that answers when the test says so, and remembers each call. */
export class ManualDestination<T> {
  readonly calls: ManualCall<T>[] = [];
  /** Calls that are not answered, oldest first. */
  readonly open: ManualCall<T>[] = [];

  readonly flush = (items: T[], context: FlushContext): Promise<FlushResult | undefined> =>
    new Promise((resolve, reject) => {
      const leave = () => {
        const place = this.open.indexOf(call);
        if (place >= 0) this.open.splice(place, 1);
      };
      const call: ManualCall<T> = {
        items,
        context,
        resolve: (answer) => {
          leave();
          resolve(answer);
        },
        reject: (error) => {
          leave();
          reject(error);
        },
      };
      this.calls.push(call);
      this.open.push(call);
    });

  /** Answers the oldest open call, and lets what follows from it happen. */
  async answer(result?: FlushResult): Promise<void> {
    this.open[0]!.resolve(result);
    await turn();
  }

  async fail(error: unknown): Promise<void> {
    this.open[0]!.reject(error);
    await turn();
  }

  /** Answers everything until nothing more comes. */
  async answerAll(): Promise<void> {
    while (this.open.length > 0) await this.answer();
  }

  /** Every item that was passed to a call, in the order of the calls. */
  get items(): T[] {
    return this.calls.flatMap(({ items }) => items);
  }
}

/** Collects what it gets, at once. */
export class CollectingDestination<T> {
  readonly batches: T[][] = [];

  readonly flush = async (items: T[]): Promise<void> => {
    this.batches.push(items);
  };

  get items(): T[] {
    return this.batches.flat();
  }
}
