import { ItemError, type FlushContext, type FlushFunction, type FlushResult } from '../../src/index.js';
import type { SeededRandom } from '../support/seeded-random.js';
import type { SimulatedClock } from '../support/simulated-clock.js';
import { Accounts } from './accounts.js';
import type { Capacity } from './capacity.js';
import type { Fate, Faults } from './faults.js';

export interface DestinationModel {
  capacity: Capacity;
  faults: Faults;
  /** A call whose signal fires stops and knows that nothing was kept; stops and does not know; or does not listen. */
  onSignal: 'stops' | 'unsure' | 'deaf';
}

/** One call of the flush function. */
export interface DestinationCall<T> {
  readonly number: number;
  readonly items: readonly T[];
  readonly context: FlushContext;
  readonly at: number;
  readonly fate: Fate;
  /** When the signal fired; Infinity while it has not. */
  signalledAt: number;
  /** When the promise settled; Infinity while it has not. */
  answeredAt: number;
  /** The caller was not told what was kept. */
  isUncertain: boolean;
}

export interface DestinationObserver<T> {
  onCall?(call: DestinationCall<T>): void;
  /** The destination has stored an item. */
  onKept?(item: T, call: DestinationCall<T>): void;
  /** The promise of a call is about to settle. */
  onAnswer?(call: DestinationCall<T>, answer: string): void;
}

type Answer = FlushResult | undefined;

/** A destination in virtual time: a flush function in front of a model. Knows of each item whether it was kept. */
export class SimulatedDestination<T> {
  readonly accounts = new Accounts();
  readonly #clock: SimulatedClock;
  readonly #model: DestinationModel;
  readonly #random: SeededRandom;
  readonly #observer: DestinationObserver<T>;
  readonly #sizeOf: (item: T) => number;

  constructor(
    clock: SimulatedClock,
    model: DestinationModel,
    random: SeededRandom,
    observer: DestinationObserver<T> = {},
    sizeOf: (item: T) => number = () => 0,
  ) {
    this.#clock = clock;
    this.#model = model;
    this.#random = random;
    this.#observer = observer;
    this.#sizeOf = sizeOf;
  }

  readonly flush: FlushFunction<T> = (items, context) => {
    const { accounts } = this;
    const at = this.#clock.now();
    let bytes = 0;
    for (const item of items) bytes += this.#sizeOf(item);
    const busy = { calls: accounts.openCalls, items: accounts.openItems };
    const fate = this.#model.faults(at, items.length);
    const call: DestinationCall<T> = {
      number: accounts.calls,
      items,
      context,
      at,
      fate,
      signalledAt: Infinity,
      answeredAt: Infinity,
      isUncertain: fate.kind === 'hangs',
    };
    accounts.begin(at, items.length);
    this.#observer.onCall?.(call);
    if (fate.kind === 'throws') {
      this.#answer(call, 'throws');
      throw new Error('destination threw');
    }
    // What is refused at the door takes no time of the servers'.
    const isRefused = fate.kind === 'refused' || fate.kind === 'hangs';
    const takesMs = isRefused ? 0 : this.#model.capacity.serve(at, { items: items.length, bytes }, busy);
    return new Promise<Answer>((resolve, reject) => this.#await(call, takesMs, resolve, reject));
  };

  #await(
    call: DestinationCall<T>,
    takesMs: number,
    resolve: (answer: Answer) => void,
    reject: (error: Error) => void,
  ): void {
    const { fate } = call;
    const isDeaf = fate.kind === 'deaf' || (fate.kind === 'hangs' && !fate.listens);
    const stopsOnSignal = !isDeaf && this.#model.onSignal !== 'deaf';
    const fail = (error: Error, answer: string) => {
      this.#answer(call, answer);
      reject(error);
    };
    const onSignal = () => {
      call.signalledAt = this.#clock.now();
      if (!stopsOnSignal) {
        call.isUncertain = true;
      } else if (this.#model.onSignal === 'stops') {
        call.isUncertain = false;
        fail(failure('stopped by its signal', { retryable: true }), 'stops');
      } else {
        call.isUncertain = true;
        if (fate.kind === 'kept' && this.#random.chance(0.5)) this.#keep(call, call.items);
        fail(new Error('connection given up'), 'gives up');
      }
    };
    call.context.signal.addEventListener('abort', onSignal, { once: true });
    if (fate.kind === 'hangs') return;
    let afterMs = takesMs;
    if (fate.kind === 'refused') afterMs = fate.afterMs;
    else if (fate.kind === 'deaf') afterMs += fate.lateMs;
    this.#clock.after(afterMs, () => {
      if (call.answeredAt === Infinity) this.#conclude(call, resolve, fail);
    });
  }

  /** The time of a call has come. */
  #conclude(
    call: DestinationCall<T>,
    resolve: (answer: Answer) => void,
    fail: (error: Error, answer: string) => void,
  ): void {
    const { fate, items } = call;
    switch (fate.kind) {
      case 'refused':
        return fail(failure('connection refused', refusal(fate)), 'refuses');
      case 'answer lost':
        call.isUncertain = true;
        this.#keep(call, items.slice(0, Math.ceil(fate.share * items.length)));
        return fail(failure('connection lost', { ambiguous: true }), 'loses its answer');
      case 'deaf':
        this.#keep(call, items);
        if (!fate.fails) break;
        call.isUncertain = true;
        return fail(failure('failed late', { ambiguous: true }), 'fails late');
      case 'miscounts':
        this.#keep(call, items);
        call.isUncertain = true;
        this.#answer(call, 'miscounts');
        return resolve({ success: items.length, failed: 1, errors: [] });
      case 'partial':
        return resolve(this.#keepPart(call, fate));
      case 'kept':
      case 'throws':
      case 'hangs':
        this.#keep(call, items);
    }
    this.#answer(call, 'keeps all');
    // Both ways to say the same.
    resolve(call.number % 2 === 0 ? undefined : { success: items.length, failed: 0, errors: [] });
  }

  #keepPart(call: DestinationCall<T>, fate: Fate & { kind: 'partial' }): Answer {
    const lost = new Set(fate.lost);
    this.#keep(
      call,
      call.items.filter((_, index) => !lost.has(index)),
    );
    const errors: Error[] = fate.lost
      .slice(0, fate.named)
      .map((index, n) => new ItemError(index, { retryable: n % fate.retryEvery === 0, message: 'bad item' }));
    if (fate.named < fate.lost.length) call.isUncertain = true;
    this.#answer(call, `keeps all but ${fate.lost.length}, names ${fate.named}`);
    return { success: call.items.length - lost.size, failed: lost.size, errors };
  }

  #keep(call: DestinationCall<T>, items: readonly T[]): void {
    const { accounts } = this;
    accounts.keptItems += items.length;
    for (const item of items) {
      accounts.keptBytes += this.#sizeOf(item);
      this.#observer.onKept?.(item, call);
    }
  }

  #answer(call: DestinationCall<T>, answer: string): void {
    call.answeredAt = this.#clock.now();
    this.accounts.end(call.answeredAt, call.items.length, call.at);
    this.#observer.onAnswer?.(call, answer);
  }
}

function refusal({ retryable, retryAfterMs }: Fate & { kind: 'refused' }) {
  return { retryable, ...(retryAfterMs !== undefined && { retryAfterMs }) };
}

function failure(
  message: string,
  more: { retryable?: boolean; ambiguous?: boolean; retryAfterMs?: number },
): Error {
  return Object.assign(new Error(message), more);
}
