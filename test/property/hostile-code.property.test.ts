/**
 * Hostile user code: whatever callbacks, listeners and errors do, nothing becomes an unhandled rejection, an uncaught exception or a hang,
 * and every item is accounted for.
 */

import type { EventEmitter } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BackpressureController,
  BackpressureTransform,
  BackpressureWritable,
  drainAll,
  ItemError,
  type FlushFunction,
} from '../../src/index.js';
import {
  hostileValue,
  perform,
  script,
  VALUE_NAMES,
  watchForStray,
  type Act,
} from '../support/hostile-code.js';
import { ManualClock } from '../support/manual-clock.js';
import { expectLedger, turn } from '../support/stream.js';
import { fastCheckRuns } from '../support/test-runs.js';

const CALLBACKS = [
  'flush', 'onFailed', 'onSettled', 'shed', 'sizeOf', 'map', 'isRetryable', 'positionOf', 'random',
] as const; // prettier-ignore
type CallbackName = (typeof CALLBACKS)[number];
/** Not Node's own, whose listeners are the user's affair: one that throws there is uncaught, as with any stream. */
const EVENTS = ['state', 'drop', 'flush', 'retry', 'breaker', 'failed', 'drain'] as const;

type Step =
  | { kind: 'offer'; count: number; callback: Act | undefined }
  | { kind: 'destroy'; value: string }
  | { kind: 'end'; callback: Act | undefined }
  | {
      kind: 'flush' | 'drain' | 'drain in time' | 'whenBelow' | 'takeUnsettled' | 'turn' | 'read' | 'tryPush';
    }
  | { kind: 'advance'; ms: number }
  | { kind: 'listen'; event: (typeof EVENTS)[number]; acts: Act[] };

const optionalAct = fc.option(
  script.map((acts) => acts[0]),
  { nil: undefined },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('offer' as const),
      count: fc.integer({ min: 1, max: 8 }),
      callback: optionalAct,
    }),
  },
  {
    weight: 5,
    arbitrary: fc
      .constantFrom(
        'flush' as const,
        'drain' as const,
        'drain in time' as const,
        'whenBelow' as const,
        'takeUnsettled' as const,
        'turn' as const,
        'read' as const,
        'tryPush' as const,
      )
      .map((kind) => ({ kind })),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 500 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('listen' as const),
      event: fc.constantFrom(...EVENTS),
      acts: script,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('destroy' as const), value: fc.constantFrom(...VALUE_NAMES) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('end' as const), callback: optionalAct }) },
);

const plan = fc.record({
  strategy: fc.constantFrom(
    'block' as const,
    'drop_oldest' as const,
    'drop_newest' as const,
    'sample' as const,
  ),
  capacity: fc.integer({ min: 1, max: 12 }),
  concurrency: fc.integer({ min: 1, max: 3 }),
  attempts: fc.integer({ min: 1, max: 3 }),
  breaker: fc.boolean(),
  drainsAll: fc.boolean(),
  /** Which callbacks are given, and what they do. */
  callbacks: fc.record(
    Object.fromEntries(CALLBACKS.map((name) => [name, fc.option(script, { nil: undefined })])) as Record<
      CallbackName,
      fc.Arbitrary<Act[] | undefined>
    >,
  ),
  steps: fc.array(step, { minLength: 1, maxLength: 14 }),
});
type Plan = typeof plan extends fc.Arbitrary<infer P> ? P : never;
type Kind = 'writable' | 'transform' | 'controller';
type Subject = BackpressureWritable<number> | BackpressureTransform<number> | BackpressureController<number>;

class Run {
  readonly #clock = new ManualClock();
  readonly #plan: Plan;
  readonly #subject: Subject;
  readonly #open = new Set<string>();
  #next = 0;

  constructor(given: Plan, kind: Kind) {
    this.#plan = given;
    this.#subject = this.#create(kind);
    if (this.#subject instanceof BackpressureController) this.#subject.start();
    else this.#subject.on('error', () => undefined);
  }

  /** A callback that behaves as its script says. */
  #behave(acts: Act[], well: (...args: never[]) => unknown): (...args: never[]) => unknown {
    const left = [...acts];
    return (...args) => {
      const next = left.shift();
      return next === undefined
        ? well(...args)
        : perform(
            next,
            () => well(...args),
            () => this.#reenter(),
          );
    };
  }

  #reenter(): void {
    const subject = this.#subject;
    if (subject instanceof BackpressureController) {
      void subject.flush();
      void subject.push(this.#next++);
    } else {
      if (subject.writable) subject.write(this.#next++);
      if (subject instanceof BackpressureWritable) void subject.flush();
    }
  }

  #create(kind: Kind): Subject {
    const { strategy, capacity, concurrency, attempts, breaker, callbacks } = this.#plan;
    const given = (name: CallbackName, well: (...args: never[]) => unknown) =>
      callbacks[name] === undefined ? {} : { [name]: this.#behave(callbacks[name], well) };
    const buffer = {
      strategy,
      clock: this.#clock,
      maxBufferSize: capacity,
      maxBlockTimeMs: 2_000,
      ...given('shed', () => false),
      ...given('sizeOf', () => 1),
      ...given('random', () => 0.5),
    };
    if (kind === 'transform')
      return new BackpressureTransform<number>({ ...buffer, ...given('map', (item: number) => item) });
    const flush = this.#behave(callbacks.flush ?? [], (items: number[]) => {
      if (items.some((item) => item % 7 === 3))
        return { success: items.length - 1, failed: 1, errors: [new ItemError(0, { retryable: true })] };
      return Promise.resolve();
    }) as FlushFunction<number>;
    const options = {
      ...buffer,
      concurrency,
      batchSize: Math.min(3, capacity),
      flushTimeoutMs: 1_000,
      abortGraceMs: 100,
      retry: { attempts, minDelayMs: 50, maxElapsedMs: 5_000, ...given('isRetryable', () => true) },
      breaker: breaker ? { failures: 2, maxOutageMs: 3_000 } : (false as const),
      ...given('onFailed', () => undefined),
      ...given('onSettled', () => undefined),
      ...given('positionOf', (item: number) => item),
    };
    return kind === 'controller'
      ? new BackpressureController<number>(flush, options)
      : new BackpressureWritable<number>(flush, options);
  }

  /** It must settle by the end of the run; every second one is left alone, as users do. */
  #track(name: string, promise: Promise<unknown>): void {
    if (this.#next++ % 2 === 0) return;
    const key = `${name} ${this.#next}`;
    this.#open.add(key);
    promise.then(
      () => this.#open.delete(key),
      () => this.#open.delete(key),
    );
  }

  #listener(acts: Act[]): () => void {
    return this.#behave(acts, () => undefined);
  }

  #callback(given: Act | undefined): [] | [() => void] {
    return given === undefined ? [] : [this.#behave([given], () => undefined)];
  }

  async do(given: Step): Promise<void> {
    const subject = this.#subject;
    switch (given.kind) {
      case 'offer':
        for (let count = 0; count < given.count; count++) this.#offer(given.callback);
        break;
      case 'destroy':
        if (!(subject instanceof BackpressureController)) subject.destroy(hostileValue(given.value) as Error);
        break;
      case 'end':
        this.#end(given.callback);
        break;
      case 'flush':
        if (!(subject instanceof BackpressureTransform)) this.#track('flush', subject.flush());
        break;
      case 'drain':
        if (!(subject instanceof BackpressureTransform)) this.#track('drain', subject.drain());
        break;
      case 'drain in time':
        if (!(subject instanceof BackpressureTransform))
          this.#track('drain', subject.drain({ timeoutMs: 10 }));
        break;
      case 'whenBelow':
        if (!(subject instanceof BackpressureTransform)) this.#track('whenBelow', subject.whenBelow(1));
        break;
      case 'takeUnsettled':
        subject.takeUnsettled();
        break;
      case 'tryPush':
        this.#tryPush();
        break;
      case 'read':
        if (subject instanceof BackpressureTransform) subject.read();
        break;
      case 'turn':
        await turn(1);
        break;
      case 'advance':
        await this.#clock.advance(given.ms);
        break;
      case 'listen':
        (subject as EventEmitter).on(given.event, this.#listener(given.acts));
        break;
      default:
        given satisfies never;
    }
    expectLedger(subject);
  }

  #offer(callback: Act | undefined): void {
    const subject = this.#subject;
    if (subject instanceof BackpressureController) this.#track('push', subject.push(this.#next++));
    else if (subject.writable) subject.write(this.#next++, ...this.#callback(callback));
  }

  #tryPush(): void {
    const subject = this.#subject;
    if (!(subject instanceof BackpressureController)) return;
    try {
      subject.tryPush(this.#next++);
    } catch (thrown) {
      // Documented: only the error that ended the controller is thrown.
      expect(subject.getMetrics().isFailed, String(thrown)).toBe(true);
    }
  }

  #end(callback: Act | undefined): void {
    const subject = this.#subject;
    if (subject instanceof BackpressureController) this.#track('drain', subject.drain());
    else if (!subject.writableEnded) subject.end(...this.#callback(callback));
  }

  /** Lets everything come to its end: what has not by then hangs. */
  async finish(): Promise<void> {
    const subject = this.#subject;
    this.#end(undefined);
    if (subject instanceof BackpressureTransform) subject.resume();
    if (this.#plan.drainsAll) this.#track('drainAll', drainAll([subject], { timeoutMs: 60_000 }));
    for (let round = 0; round < 60 && !this.#isOver; round++) {
      await this.#clock.advance(1_000);
      await turn(1);
      expectLedger(subject);
    }
    await turn(3);
    expect([...this.#open], 'promises that never settle').toEqual([]);
    if (!(subject instanceof BackpressureController)) expect(subject.closed, 'it never closes').toBe(true);
    const metrics = expectLedger(subject);
    expect(metrics).toMatchObject({ waiting: 0, bufferSize: 0, inFlight: 0 });
    if (subject instanceof BackpressureController) subject.stop();
    expect(this.#clock.pending, 'timers').toBe(0);
  }

  get #isOver(): boolean {
    const subject = this.#subject;
    const { waiting, bufferSize, inFlight } = subject.getMetrics();
    const isSettled = waiting + bufferSize + inFlight === 0 && this.#open.size === 0;
    return isSettled && (subject instanceof BackpressureController || subject.closed);
  }
}

describe.each<Kind>(['writable', 'transform', 'controller'])('hostile code around a %s', (kind) => {
  it('leaves no stray rejection, no hang and no item unaccounted for', async () => {
    const stray = watchForStray();
    try {
      await fc.assert(
        fc.asyncProperty(plan, async (given) => {
          const run = new Run(given, kind);
          for (const one of given.steps) await run.do(one);
          await run.finish();
          expect(stray.found.splice(0), 'stray rejections or exceptions').toEqual([]);
        }),
        fastCheckRuns(150),
      );
    } finally {
      stray.stop();
    }
  });
});
