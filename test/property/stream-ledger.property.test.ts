import type { EventEmitter } from 'node:events';
import { finished } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BackpressureTransform,
  BackpressureWritable,
  ItemError,
  type FlushContext,
  type FlushResult,
  type StrategyInput,
} from '../../src/index.js';
import { ManualClock } from '../support/manual-clock.js';
import { ALL_EVENTS, closed, expectLedger, loadOf, turn, watchLedger } from '../support/stream.js';
import { fastCheckRuns } from '../support/test-runs.js';

const STRATEGIES = ['block', 'drop_oldest', 'drop_newest', 'sample'] as const;

type Step =
  | { kind: 'write'; count: number; callback: boolean; bytes: number }
  | { kind: 'cork' | 'uncork' | 'end' | 'destroy' | 'destroyWithError' | 'flush' | 'turn' | 'toggle' }
  | { kind: 'endWith'; bytes: number }
  | { kind: 'advance'; ms: number }
  | { kind: 'answer'; how: 'well' | 'badly' | 'partly' };

const bytes = fc.integer({ min: 0, max: 40 });
const write: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('write' as const),
  count: fc.integer({ min: 1, max: 12 }),
  callback: fc.boolean(),
  bytes,
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: write },
  { weight: 4, arbitrary: fc.constantFrom<Step>({ kind: 'turn' }, { kind: 'toggle' }, { kind: 'flush' }) },
  { weight: 2, arbitrary: fc.constantFrom<Step>({ kind: 'cork' }, { kind: 'uncork' }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 300 }) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('answer' as const),
      how: fc.constantFrom('well' as const, 'well' as const, 'badly' as const, 'partly' as const),
    }),
  },
);
const last: fc.Arbitrary<Step> = fc.oneof(
  fc.constantFrom<Step>({ kind: 'end' }, { kind: 'destroy' }, { kind: 'destroyWithError' }),
  fc.record({ kind: fc.constant('endWith' as const), bytes }),
);
/** What comes before the end, the end, and what somebody does who has not noticed. */
const script = fc.tuple(
  fc.array(step, { maxLength: 25 }),
  last,
  fc.array(fc.oneof(step, last), { maxLength: 8 }),
);

const setting = fc.record({
  strategy: fc.constantFrom<StrategyInput>(...STRATEGIES),
  capacity: fc.integer({ min: 1, max: 20 }),
  maxWaiting: fc.option(fc.integer({ min: 0, max: 30 }), { nil: undefined }),
  batchSize: fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
  concurrency: fc.integer({ min: 1, max: 3 }),
  attempts: fc.integer({ min: 1, max: 2 }),
  byteMode: fc.boolean(),
  /** Items are measured, and their bytes bounded too. Not in byte mode. */
  measures: fc.boolean(),
  yieldEvery: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined }),
  handled: fc.boolean(),
  maxBlockTimeMs: fc.option(fc.constant(200), { nil: undefined }),
});
type Setting = typeof setting extends fc.Arbitrary<infer S> ? S : never;

type Streams = BackpressureWritable<unknown> | BackpressureTransform<unknown>;

/** What one run keeps an eye on. */
class Run {
  readonly clock = new ManualClock();
  readonly stream: Streams;
  readonly #setting: Setting;
  readonly #open: {
    items: unknown[];
    resolve: (answer?: FlushResult) => void;
    reject: (error: Error) => void;
  }[] = [];
  readonly delivered: unknown[] = [];
  readonly failed: unknown[] = [];
  readonly written: unknown[] = [];
  readonly #callbacks = new Map<number, number>();
  #next = 0;
  #reading = false;
  closedAt = -1;
  /** What `finished()` reports. */
  #ended: Error | null | undefined;

  constructor(given: Setting, kind: 'writable' | 'transform') {
    this.#setting = given;
    this.stream = kind === 'writable' ? this.#writable() : this.#transform();
    watchLedger(this.stream, ALL_EVENTS);
    (this.stream as EventEmitter).on('close', () => (this.closedAt = this.delivered.length));
    finished(this.stream, (error) => (this.#ended = error));
  }

  get #bound() {
    const { capacity, strategy, maxWaiting, byteMode, maxBlockTimeMs, measures } = this.#setting;
    return {
      strategy,
      clock: this.clock,
      random: () => 0.5,
      ...(byteMode ? { objectMode: false, maxBufferBytes: capacity * 10 } : { maxBufferSize: capacity }),
      ...(measures && !byteMode
        ? { sizeOf: (item: unknown) => Number(item) % 7, maxBufferBytes: capacity * 3 }
        : {}),
      ...(maxWaiting === undefined ? {} : { maxWaiting }),
      ...(maxBlockTimeMs === undefined ? {} : { maxBlockTimeMs }),
    };
  }

  #writable() {
    const { batchSize, capacity, concurrency, attempts, handled, byteMode } = this.#setting;
    const { strategy, yieldEvery } = this.#setting;
    return new BackpressureWritable<unknown>((items, context) => this.#flush(items, context), {
      ...this.#bound,
      ...(yieldEvery !== undefined && strategy === 'block' && !byteMode ? { yieldEvery } : {}),
      concurrency,
      ...(batchSize === undefined ? {} : { batchSize: byteMode ? batchSize : Math.min(batchSize, capacity) }),
      abortGraceMs: 50,
      flushTimeoutMs: 2_000,
      retry: { attempts, minDelayMs: 100 },
      ...(handled
        ? { onFailed: (failures) => void this.failed.push(...failures.map(({ item }) => item)) }
        : {}),
    });
  }

  #transform() {
    const { batchSize, capacity, byteMode } = this.#setting;
    return new BackpressureTransform<unknown>({
      ...this.#bound,
      ...(batchSize === undefined || byteMode ? {} : { batchSize: Math.min(batchSize, capacity) }),
    });
  }

  #flush(items: unknown[], { signal }: FlushContext): Promise<FlushResult | undefined> {
    expect(this.closedAt, 'a flush after close').toBe(-1);
    expect(signal.aborted).toBe(false);
    return new Promise((resolve, reject) => {
      this.#open.push({
        items,
        resolve: (answer) => {
          const bad = new Set(answer?.errors.map((error) => (error instanceof ItemError ? error.index : -1)));
          if (!signal.aborted) this.delivered.push(...items.filter((_, place) => !bad.has(place)));
          resolve(answer);
        },
        reject,
      });
    });
  }

  check(): void {
    const metrics = expectLedger(this.stream);
    const { capacity, byteMode, maxWaiting, measures, yieldEvery } = this.#setting;
    if (measures && !byteMode && metrics.bufferBytes! + metrics.inFlightBytes! > Math.max(capacity * 3, 6))
      expect.fail('over the bound of bytes');
    if (byteMode) {
      const bytes = metrics.bufferBytes! + metrics.inFlightBytes!;
      if (bytes > capacity * 10 && loadOf(metrics) > 1) expect.fail(`over the bound of bytes: ${bytes}`);
    } else {
      if (loadOf(metrics) > capacity) expect.fail('over the bound');
      if (this.stream.writableLength !== loadOf(metrics) + metrics.waiting)
        expect.fail('writableLength is wrong');
      // One for the listener of 'drain', one for what it may write when called, and the one that ends it.
      if (metrics.waiting > (maxWaiting ?? capacity) + 3) expect.fail('more than maxWaiting wait');
    }
    if (this.#setting.strategy !== 'block') {
      if (metrics.waiting > 0) expect.fail('something waits under a dropping strategy');
      if (this.stream.writableNeedDrain) expect.fail('asked to wait under a dropping strategy');
    }
    const refused = this.stream.writableNeedDrain;
    if (refused && metrics.waiting === 0 && loadOf(metrics) === 0 && yieldEvery === undefined)
      expect.fail('the producer waits for nothing');
  }

  #chunk(size: number): unknown {
    const id = this.#next++;
    return this.#setting.byteMode ? Buffer.alloc(size, id) : id;
  }

  #write({ count, callback, bytes: size }: { count: number; callback: boolean; bytes: number }): void {
    for (let index = 0; index < count; index++) {
      const open = this.stream.writable;
      const chunk = this.#chunk(size);
      const before = this.stream.getMetrics().eventsOffered;
      const id = this.#next;
      if (callback) this.#callbacks.set(id, 0);
      const mayGoOn = callback
        ? this.stream.write(chunk, () => this.#callbacks.set(id, this.#callbacks.get(id)! + 1))
        : this.stream.write(chunk);
      const offered = this.stream.getMetrics().eventsOffered - before;
      if (offered !== (open ? 1 : 0)) expect.fail(`a write ${open ? 'was not' : 'was'} counted as offered`);
      if (open) this.written.push(chunk);
      if (this.#setting.strategy !== 'block' && open && !mayGoOn)
        expect.fail('a dropping strategy answered false');
      this.check();
    }
  }

  async do(action: Step): Promise<void> {
    const { stream } = this;
    switch (action.kind) {
      case 'write':
        this.#write(action);
        break;
      case 'cork':
        stream.cork();
        break;
      case 'uncork':
        stream.uncork();
        break;
      case 'end':
        if (!stream.writableEnded) stream.end();
        break;
      case 'endWith': {
        const open = stream.writable;
        const chunk = this.#chunk(action.bytes);
        stream.end(chunk);
        if (open) this.written.push(chunk);
        break;
      }
      case 'destroy':
        stream.destroy();
        break;
      case 'destroyWithError':
        stream.destroy(new Error('destroyed'));
        break;
      case 'flush':
        if (stream instanceof BackpressureWritable) void stream.flush();
        break;
      case 'toggle':
        this.#toggle();
        break;
      case 'turn':
        await turn(1);
        break;
      case 'advance':
        await this.clock.advance(action.ms);
        break;
      case 'answer':
        this.#answer(action.how);
        await turn(1);
        break;
      default:
        action satisfies never;
    }
    this.check();
  }

  /** The transform's reader starts and stops. */
  #toggle(): void {
    if (!(this.stream instanceof BackpressureTransform)) return;
    this.#reading = !this.#reading;
    if (!this.#reading) return void this.stream.pause();
    if (this.stream.listenerCount('data') === 0)
      this.stream.on('data', (value: unknown) => this.#deliver(value));
    this.stream.resume();
  }

  #deliver(value: unknown): void {
    if (value !== null) this.delivered.push(...(Array.isArray(value) ? (value as unknown[]) : [value]));
  }

  #answer(how: 'well' | 'badly' | 'partly'): void {
    const call = this.#open.shift();
    if (call === undefined) return;
    if (how === 'well') call.resolve();
    else if (how === 'badly') call.reject(new Error('refused'));
    else {
      const error = new ItemError(call.items.length - 1);
      call.resolve({ success: call.items.length - 1, failed: 1, errors: [error] });
    }
  }

  /** Lets everything come to its end. */
  async finish(): Promise<void> {
    if (!this.#reading) this.#toggle();
    for (let round = 0; round < 2_000 && !this.stream.closed; round++) {
      this.check();
      if (this.#open.length > 0) this.#answer('well');
      else await this.clock.advance(50);
      await turn(1);
    }
    expect(this.stream.closed, 'it never closes').toBe(true);
    await closed(this.stream);
    await turn();
    this.check();
    this.#checkEnd();
  }

  #checkEnd(): void {
    const { stream, written } = this;
    const metrics = expectLedger(stream);
    expect(metrics).toMatchObject({ waiting: 0, bufferSize: 0, inFlight: 0, eventsOffered: written.length });
    for (const calls of this.#callbacks.values()) expect(calls, 'a write callback').toBe(1);
    const unsettled = stream.takeUnsettled();
    const failed = metrics.eventsFailed - this.failed.length;
    expect(unsettled).toHaveLength(failed + metrics.dropsByReason.aborted);
    expect(isSubsequence(unsettled, written), 'returned out of order').toBe(true);
    if (stream.errored !== null && 'items' in stream.errored) expect(stream.errored.items).toEqual(unsettled);
    const isStopped = stream instanceof BackpressureTransform && this.#ended instanceof Error;
    if (unsettled.length > 0 && !isStopped)
      expect(stream.errored, 'items are unsettled, and no error').not.toBeNull();
    if (this.#setting.concurrency === 1 && !this.#setting.byteMode)
      expect(isSubsequence(this.delivered, written), 'delivered out of order').toBe(true);
    if (
      stream.errored === null &&
      !isStopped &&
      this.#setting.strategy === 'block' &&
      stream.writableFinished &&
      !this.#setting.byteMode
    )
      expect(this.delivered.length + this.failed.length, 'block lost something').toBe(written.length);
    expect(this.clock.pending, 'timers').toBe(0);
  }
}

function isSubsequence(part: unknown[], whole: unknown[]): boolean {
  let place = 0;
  for (const item of whole) if (place < part.length && part[place] === item) place++;
  return place === part.length;
}

describe.each(['writable', 'transform'] as const)('%s', (kind) => {
  it('keeps its ledger, its bound and its order after every step and inside every event', async () => {
    await fc.assert(
      fc.asyncProperty(setting, script, async (given, [before, end, after]) => {
        const run = new Run(given, kind);
        run.check();
        for (const action of [...before, end, ...after]) await run.do(action);
        await run.finish();
      }),
      fastCheckRuns(600),
    );
  }, 120_000);
});
