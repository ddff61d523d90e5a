/** A signal at any moment of a sink's life: everything that was offered is delivered, taken, dropped by the strategy, or reported. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  BackpressureController,
  BackpressureWritable,
  type DrainReport,
  type FailedItem,
  type Settlement,
  type SinkOptions,
} from '../../src/index.js';
import { listenForSignals } from '../../src/shutdown/drain-on-signals.js';
import { type Behaviour, ScriptedDestination } from '../support/destinations.js';
import { expectLedger } from '../support/stream.js';
import { FakeProcess } from '../support/fake-process.js';
import { ManualClock } from '../support/manual-clock.js';
import { fastCheckRuns } from '../support/test-runs.js';

const behaviour: fc.Arbitrary<Behaviour> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Behaviour>({ kind: 'ok' }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('slow' as const), ms: fc.integer({ min: 1, max: 90 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('rejects' as const),
      ms: fc.integer({ min: 0, max: 20 }),
      retryable: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('partial' as const),
      ms: fc.integer({ min: 0, max: 20 }),
      mask: fc.nat(15),
      retryable: fc.nat(15),
      unnamed: fc.nat(1),
    }),
  },
  { weight: 1, arbitrary: fc.constant<Behaviour>({ kind: 'stops-on-signal' }) },
  { weight: 1, arbitrary: fc.constant<Behaviour>({ kind: 'deaf', ms: Infinity, fails: false }) },
);

type Step =
  | { kind: 'offer'; count: number }
  | { kind: 'advance'; ms: number }
  | { kind: 'drain'; timeoutMs: number }
  | { kind: 'flush' | 'stop' | 'start' | 'end' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('offer' as const), count: fc.integer({ min: 1, max: 6 }) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.integer({ min: 0, max: 80 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drain' as const), timeoutMs: fc.nat(100) }) },
  { weight: 2, arbitrary: fc.constantFrom<Step>({ kind: 'flush' }, { kind: 'stop' }, { kind: 'start' }) },
);

const setting = fc.record({
  surface: fc.constantFrom('writable' as const, 'controller' as const),
  onFailed: fc.constantFrom('none' as const, 'at once' as const, 'slow' as const),
  timeoutMs: fc.nat(400),
  options: fc.record({
    strategy: fc.constantFrom('block' as const, 'block' as const, 'drop_oldest' as const, 'sample' as const),
    maxBufferSize: fc.integer({ min: 4, max: 12 }),
    batchSize: fc.integer({ min: 1, max: 4 }),
    concurrency: fc.integer({ min: 1, max: 3 }),
    flushTimeoutMs: fc.constantFrom(30, Infinity),
    abortGraceMs: fc.constantFrom(0, 20),
    retry: fc.record({ attempts: fc.integer({ min: 1, max: 3 }), minDelayMs: fc.constantFrom(0, 30) }),
    breaker: fc.oneof(
      fc.constant(false as const),
      fc.record({
        failures: fc.integer({ min: 1, max: 3 }),
        minDelayMs: fc.constantFrom(10, 100),
        maxOutageMs: fc.constantFrom(150, Infinity),
      }),
    ),
  }),
});
type Setting = typeof setting extends fc.Arbitrary<infer S> ? S : never;

class Run {
  readonly #clock = new ManualClock();
  readonly #target = new FakeProcess();
  readonly #destination: ScriptedDestination<number>;
  readonly #sink: BackpressureWritable<number> | BackpressureController<number>;
  readonly #timeoutMs: number;
  readonly #settled = new Map<number, Settlement<number>['outcome']>();
  readonly #taken = new Set<number>();
  readonly #dropped = new Set<number>();
  #offered = 0;
  #signalledAt = Infinity;
  #report: DrainReport | undefined;
  #callsBefore = 0;
  #hadClosed = false;

  constructor({ surface, onFailed, timeoutMs, options }: Setting, script: readonly Behaviour[]) {
    this.#timeoutMs = timeoutMs;
    this.#destination = new ScriptedDestination(this.#clock, script);
    const settings: SinkOptions<number> = {
      ...options,
      clock: this.#clock,
      random: () => 0.5,
      maxWaiting: 1_000,
      positionOf: (item) => item,
      onSettled: (settlements) => this.#onSettled(settlements),
      ...(onFailed !== 'none' && { onFailed: (failures) => this.#onFailed(failures, onFailed === 'slow') }),
    };
    if (surface === 'writable') {
      this.#sink = new BackpressureWritable(this.#destination.flush, settings).on('error', () => undefined);
    } else {
      this.#sink = new BackpressureController(this.#destination.flush, settings);
      this.#sink.start();
    }
    const onDrop = (item: number) => void this.#dropped.add(item);
    if (this.#sink instanceof BackpressureController) this.#sink.on('drop', onDrop);
    else this.#sink.on('drop', onDrop);
    const onDrained = (report: DrainReport) => this.#onDrained(report);
    listenForSignals(
      this.#target,
      this.#clock,
      [this.#sink],
      { timeoutMs, onDrained },
      this.#target.writeLine,
    );
  }

  async do(action: Step): Promise<void> {
    const sink = this.#sink;
    if (action.kind === 'advance') await this.#clock.advance(action.ms);
    else if (action.kind === 'offer') this.#offer(action.count);
    else if (action.kind === 'drain') void sink.drain({ timeoutMs: action.timeoutMs });
    else if (action.kind === 'flush') void sink.flush();
    else if (sink instanceof BackpressureController) {
      if (action.kind === 'stop') sink.stop();
      else if (action.kind === 'start') sink.start();
    } else if (action.kind === 'end' && !sink.writableEnded) sink.end();
    expectLedger(sink);
  }

  signal(): void {
    this.#signalledAt = this.#clock.now();
    this.#hadClosed = this.#sink instanceof BackpressureWritable && this.#sink.closed;
    this.#target.signal();
  }

  async finish(): Promise<void> {
    await this.#clock.advance(5_000);
    expect(this.#target.done).toEqual(['kill 4711 SIGTERM', 'exit 143']);
    this.#checkNothingNewWasFlushed();
    const metrics = expectLedger(this.#sink);
    if (this.#sink instanceof BackpressureController) return;
    expect(this.#sink.closed).toBe(true);
    expect(this.#clock.pending).toBe(0);
    expect(this.#settled.size).toBe(metrics.eventsOffered);
  }

  #offer(count: number): void {
    const sink = this.#sink;
    for (let n = 0; n < count; n++) {
      if (sink instanceof BackpressureController) void sink.push(this.#offered++);
      else if (!sink.destroyed && !sink.writableEnded && !sink.writableNeedDrain) sink.write(this.#offered++);
    }
  }

  #onSettled(settlements: Settlement<number>[]): void {
    for (const { item, outcome } of settlements) {
      expect(this.#settled.has(item)).toBe(false);
      this.#settled.set(item, outcome);
    }
  }

  async #onFailed(failures: FailedItem<number>[], slowly: boolean): Promise<void> {
    for (const { item } of failures) this.#taken.add(item);
    if (slowly) await new Promise<void>((resolve) => void this.#clock.setTimeout(resolve, 25));
  }

  #onDrained(report: DrainReport): void {
    this.#report = report;
    this.#callsBefore = this.#destination.calls.length;
    expect(this.#clock.now() - this.#signalledAt).toBeLessThanOrEqual(this.#timeoutMs + 1);
    const undelivered = report.undelivered as number[];
    // One that has come to its end before has told so itself.
    if (this.#hadClosed) return expect(undelivered).toEqual([]);
    expect(undelivered).toEqual([...new Set(undelivered)].toSorted((a, b) => a - b));
    const open = new Set(undelivered);
    const { committedPosition = -1 } = this.#sink;
    for (let item = 0; item < this.#offered; item++) {
      const outcome = this.#settled.get(item);
      const arrived = outcome === 'flushed' || this.#taken.has(item);
      if (!arrived && !this.#dropped.has(item) && !open.has(item))
        expect.fail(`item ${item} (${outcome}) is not accounted for`);
      // What was in flight when time ran out may have arrived meanwhile.
      if (open.has(item) && !arrived && item <= committedPosition)
        expect.fail(`item ${item} is open, and committed`);
    }
    if (this.#sink instanceof BackpressureWritable && this.#sink.errored)
      expect(report.errors).toHaveLength(1);
  }

  /** Of what was queued nothing is flushed any more once it is reported: all later calls are of batches that had been called before. */
  #checkNothingNewWasFlushed(): void {
    expect(this.#report?.signal).toBe('SIGTERM');
    for (const { context } of this.#destination.calls.slice(this.#callsBefore))
      expect(context.attempt).toBeGreaterThan(1);
  }
}

it('a signal at any moment: nothing is lost in silence, and it takes no longer than it may', async () => {
  await fc.assert(
    fc.asyncProperty(
      setting,
      fc.array(behaviour, { maxLength: 20 }),
      fc.array(step, { maxLength: 25 }),
      fc.array(step, { maxLength: 8 }),
      async (given, script, before, meanwhile) => {
        const run = new Run(given, script);
        for (const action of before) await run.do(action);
        run.signal();
        for (const action of meanwhile) await run.do(action);
        await run.finish();
      },
    ),
    fastCheckRuns(400),
  );
}, 120_000);
