/**
 * Random sequences of signals, exits, drains and time: what was accepted is delivered, reported or counted by one line; no repeated signal
 * but a second SIGINT after a second shortens the drain; and it takes no longer than it may.
 */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  BackpressureController,
  BackpressureTransform,
  BackpressureWritable,
  type DrainableSinks,
  type DrainReport,
} from '../../src/index.js';
import { drainAllOf } from '../../src/shutdown/drain-all.js';
import { listenForSignals } from '../../src/shutdown/drain-on-signals.js';
import { FakeProcess } from '../support/fake-process.js';
import { ManualClock } from '../support/manual-clock.js';
import { expectLedger, turn } from '../support/stream.js';
import { fastCheckRuns } from '../support/test-runs.js';

/** How long listeners that came late are waited for, at the least. */
const OTHERS_MS = 10_000;

type Step =
  | { kind: 'offer'; count: number }
  | { kind: 'advance'; ms: number }
  | { kind: 'signal'; name: 'SIGTERM' | 'SIGINT' | 'SIGHUP' }
  | { kind: 'drainAll'; timeoutMs: number }
  | { kind: 'exit' }
  | { kind: 'raises again' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('offer' as const), count: fc.integer({ min: 1, max: 7 }) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.constantFrom(0, 3, 20, 150, 400, 999, 1_000) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('signal' as const), name: fc.constantFrom('SIGTERM', 'SIGINT', 'SIGHUP') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drainAll' as const), timeoutMs: fc.constantFrom(0, 50, 5_000) }) },
  { weight: 1, arbitrary: fc.constantFrom<Step>({ kind: 'exit' }, { kind: 'raises again' }) },
); // prettier-ignore

const setting = fc.record({
  shape: fc.constantFrom('writable', 'controller', 'both', 'transform', 'map', 'two pipelines'),
  /** How long each flush takes; `Infinity` hangs. */
  flushMs: fc.array(fc.constantFrom(0, 5, 40, 300, Infinity), { minLength: 1, maxLength: 5 }),
  timeoutMs: fc.constantFrom(0, 100, 1_000, 3_000),
  beforeDrain: fc.constantFrom('none', 'quick', 'throws', 'hangs'),
  onDrained: fc.constantFrom('quick', 'throws', 'none'),
});
type Setting = typeof setting extends fc.Arbitrary<infer S> ? S : never;
type Member = BackpressureWritable<number> | BackpressureController<number> | BackpressureTransform<number>;

/** It dies of an exit, and of a signal that nobody listens for. */
class MortalProcess extends FakeProcess {
  isDead = false;
  onDeath: () => void = () => undefined;

  override kill(pid: number, signal: NodeJS.Signals): void {
    if (this.isDead) return;
    if (this.listenerCount(signal) === 0) this.#die();
    super.kill(pid, signal);
  }

  override signal(name: NodeJS.Signals): void {
    if (this.listenerCount(name) === 0) this.#die();
    super.signal(name);
  }

  override exit(code: number): void {
    if (this.isDead) return;
    this.onDeath();
    super.exit(code);
    this.isDead = true;
  }

  #die(): void {
    this.onDeath();
    this.isDead = true;
  }
}

class Run {
  readonly #clock = new ManualClock();
  readonly target = new MortalProcess();
  readonly #members: Member[];
  readonly #given: Setting;
  readonly #list: DrainableSinks;
  #flushes = 0;
  #offered = 0;
  #firstSignalAt: number | undefined;
  #firstInterruptAt: number | undefined;
  /** A listener came after the first signal: it gets the signal at the end, and time for what it does then. */
  #hasLateListener = false;
  /** The first report of any drain. */
  #report: { undelivered: unknown[] } | undefined;
  #bySignal: DrainReport | undefined;
  #flushesAtReport = Infinity;
  #leftAtDeath = 0;
  readonly #printed: number[] = [];

  constructor(given: Setting) {
    this.#given = given;
    this.#list = this.#build(given.shape);
    this.#members = (this.#list as (Member | Member[])[]).flat();
    this.target.onDeath = () => (this.#leftAtDeath = this.#undelivered());
    const { timeoutMs, beforeDrain, onDrained } = given;
    listenForSignals(
      this.target,
      this.#clock,
      this.#list,
      {
        timeoutMs,
        ...(beforeDrain !== 'none' && { beforeDrain: () => this.#callback(beforeDrain) }),
        ...(onDrained !== 'none' && {
          onDrained: (report) => {
            this.#bySignal = report;
            this.#onReport(report);
            return this.#callback(onDrained);
          },
        }),
      },
      (line) => this.#onLine(line),
    );
  }

  async do(action: Step): Promise<void> {
    const { target } = this;
    if (target.isDead) return;
    if (action.kind === 'advance') await this.#clock.advance(action.ms);
    else if (action.kind === 'offer') this.#offer(action.count);
    else if (action.kind === 'signal') await this.#signal(action.name);
    else if (action.kind === 'exit') target.exit(9);
    else if (action.kind === 'raises again') {
      this.#hasLateListener ||= this.#firstSignalAt !== undefined;
      target.once('SIGTERM', () => target.kill(4711, 'SIGTERM'));
    } else {
      const { timeoutMs } = action;
      void drainAllOf(target, this.#clock, this.#list, { timeoutMs }, (line) => this.#onLine(line)).then(
        (report) => {
          if (!target.isDead) this.#onReport(report);
        },
      );
    }
    for (const member of this.#members) expectLedger(member);
  }

  async finish(): Promise<void> {
    if (!this.target.isDead && this.#firstSignalAt === undefined) await this.#signal('SIGTERM');
    for (const ms of [this.#given.timeoutMs + 1_001, 10_000, 0]) {
      if (!this.target.isDead) await this.#clock.advance(ms);
      // Between two stages real turns of the event loop go by.
      await turn(10);
    }
    expect(this.target.isDead).toBe(true);
    expect(this.#printed.length).toBeLessThanOrEqual(1);
    const isDealtWith = this.#bySignal !== undefined && this.#given.onDrained === 'quick';
    const left = this.#report?.undelivered.length ?? this.#leftAtDeath;
    // Without onDrained the line itself is the report, and the sinks have ended since.
    const isKnown = this.#given.onDrained !== 'none' || this.#printed.length === 0;
    if (!isDealtWith && isKnown) expect(this.#printed).toEqual(left > 0 ? [left] : []);
  }

  #build(shape: Setting['shape']): DrainableSinks {
    const options = {
      clock: this.#clock,
      batchSize: 3,
      maxBufferSize: 6,
      flushTimeoutMs: Infinity,
      abortGraceMs: 0,
    };
    const flush = () => this.#flush();
    const writable = () => new BackpressureWritable<number>(flush, options).on('error', () => undefined);
    const pipeline = (map?: (item: number) => Promise<number>) => {
      const transform = new BackpressureTransform<number>({
        clock: this.#clock,
        maxBufferSize: 4,
        ...(map && { map }),
      });
      const sink = writable();
      transform.on('error', () => undefined).pipe(sink);
      return [transform, sink];
    };
    const controller = () => {
      const sink = new BackpressureController<number>(flush, { ...options, maxBlockTimeMs: Infinity });
      sink.start();
      return sink;
    };
    if (shape === 'writable') return [writable()];
    if (shape === 'controller') return [controller()];
    if (shape === 'both') return [writable(), controller()];
    if (shape === 'transform') return pipeline();
    if (shape === 'map') return pipeline((item) => Promise.resolve(item));
    return [pipeline(), pipeline((item) => Promise.resolve(item))];
  }

  #flush(): Promise<void> {
    const { flushMs } = this.#given;
    const ms = flushMs[this.#flushes++ % flushMs.length]!;
    // Once it is reported, nothing is flushed.
    expect(this.#flushes).toBeLessThanOrEqual(this.#flushesAtReport);
    return new Promise((resolve) => {
      if (ms !== Infinity) this.#clock.setTimeout(resolve, ms);
    });
  }

  #callback(how: 'quick' | 'throws' | 'hangs' | 'none'): unknown {
    if (how === 'throws') throw new Error('no');
    return how === 'hangs' ? new Promise(() => undefined) : undefined;
  }

  #offer(count: number): void {
    const first = this.#members.filter((_member, place) => place % 2 === 0 || this.#given.shape === 'both');
    for (let n = 0; n < count; n++) {
      const member = first[this.#offered++ % first.length]!;
      if (member instanceof BackpressureController) void member.push(this.#offered);
      else if (!member.destroyed && !member.writableNeedDrain) member.write(this.#offered);
    }
  }

  async #signal(name: 'SIGTERM' | 'SIGINT' | 'SIGHUP'): Promise<void> {
    // Not listened for: it would end the process, and so would it without us.
    if (name === 'SIGHUP') return;
    const now = this.#clock.now();
    const mustEnd =
      name === 'SIGINT' && this.#firstInterruptAt !== undefined && now - this.#firstInterruptAt >= 1_000;
    this.#firstSignalAt ??= now;
    if (name === 'SIGINT') this.#firstInterruptAt ??= now;
    // Without onDrained nothing tells when it is over.
    const isDraining =
      this.#firstSignalAt < now && this.#report === undefined && this.#given.onDrained !== 'none';
    this.target.signal(name);
    if (mustEnd) await turn();
    if (mustEnd) expect(this.target.isDead).toBe(true);
    else if (isDraining) expect(this.target.isDead).toBe(false);
    this.#checkTime();
  }

  #checkTime(): void {
    if (this.#firstSignalAt === undefined || this.target.isDead) return;
    const { timeoutMs } = this.#given;
    const othersMs = this.#hasLateListener ? Math.max(OTHERS_MS, timeoutMs) : 0;
    expect(this.#clock.now() - this.#firstSignalAt).toBeLessThanOrEqual(timeoutMs + 1_001 + othersMs);
  }

  /** What the sinks themselves know to be undelivered. */
  #undelivered(): number {
    return this.#members.reduce((sum, member) => {
      const { eventsOffered, eventsFlushed, eventsDropped, dropsByReason } = member.getMetrics();
      return sum + eventsOffered - eventsFlushed - (eventsDropped - dropsByReason.aborted);
    }, 0);
  }

  #onReport(report: DrainReport): void {
    if (this.#report !== undefined) {
      expect(report.undelivered).toEqual(this.#report.undelivered);
      return;
    }
    this.#report = report;
    this.#flushesAtReport = this.#flushes;
    expect(report.undelivered).toHaveLength(this.#undelivered());
    expect(new Set(report.undelivered).size).toBe(report.undelivered.length);
  }

  #onLine(line: string): void {
    expect(this.target.isDead).toBe(false);
    const count = Number(/^spillway: (\d+) items? w/.exec(line)![1]);
    this.#printed.push(count);
    if (this.#report === undefined && this.#given.onDrained !== 'none')
      expect(count).toBe(this.#undelivered());
  }
}

it('signals, exits and drains in any order: everything is delivered, reported or counted', async () => {
  await fc.assert(
    fc.asyncProperty(setting, fc.array(step, { minLength: 1, maxLength: 25 }), async (given, steps) => {
      const run = new Run(given);
      for (const action of steps) await run.do(action);
      await run.finish();
    }),
    fastCheckRuns(150),
  );
}, 600_000);
