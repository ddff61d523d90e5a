import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BackpressureWritable, type BackpressureError } from '../../src/index.js';
import { ManualClock } from '../support/manual-clock.js';
import { ManualDestination } from '../support/destinations.js';
import { closed, expectLedger, turn } from '../support/stream.js';
import { fastCheckRuns } from '../support/test-runs.js';
import { range } from '../support/range.js';

type Step =
  | { kind: 'write'; count: number }
  | { kind: 'drain'; timeoutMs: number | undefined }
  | { kind: 'advance'; ms: number }
  | { kind: 'answer' | 'fail' | 'turn' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('write' as const), count: fc.integer({ min: 1, max: 6 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('drain' as const),
      timeoutMs: fc.option(fc.integer({ min: 0, max: 300 }), { nil: undefined }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 200 }) }),
  },
  {
    weight: 8,
    arbitrary: fc.constantFrom<Step>(
      { kind: 'answer' },
      { kind: 'answer' },
      { kind: 'fail' },
      { kind: 'turn' },
    ),
  },
);

const setting = fc.record({
  strategy: fc.constantFrom('block' as const, 'block' as const, 'drop_oldest' as const, 'sample' as const),
  maxBufferSize: fc.integer({ min: 1, max: 12 }),
  batchSize: fc.integer({ min: 1, max: 4 }),
  concurrency: fc.integer({ min: 1, max: 3 }),
});
type Setting = typeof setting extends fc.Arbitrary<infer S> ? S : never;

interface Drain {
  /** Items written before it. */
  mark: number;
  deadline: number;
  end: 'open' | 'resolved' | 'late';
}

class Run {
  readonly clock = new ManualClock();
  readonly destination = new ManualDestination<number>();
  readonly stream: BackpressureWritable<number>;
  readonly #blocks: boolean;
  readonly #drains: Drain[] = [];
  readonly #outcomes = new Map<number, string>();
  readonly #violations: string[] = [];
  #written = 0;

  constructor({ maxBufferSize, batchSize, ...rest }: Setting) {
    this.#blocks = rest.strategy === 'block';
    this.stream = new BackpressureWritable<number>(
      (items, context) => {
        this.#onCall(items);
        return this.destination.flush(items, context);
      },
      {
        ...rest,
        maxBufferSize,
        batchSize: Math.min(batchSize, maxBufferSize),
        maxWaiting: 10_000,
        retry: { attempts: 2, minDelayMs: 40 },
        clock: this.clock,
        random: () => 0.5,
        flushTimeoutMs: Infinity,
        onFailed: () => undefined,
        onSettled: (settlements) => {
          for (const { item, outcome } of settlements) {
            if (this.#outcomes.has(item)) this.#violations.push(`item ${item} settled twice`);
            this.#outcomes.set(item, outcome);
          }
        },
      },
    );
  }

  /** Whatever was written after a drain began must not be flushed before that is over. */
  #onCall(items: number[]): void {
    for (const { mark, deadline } of this.#drains) {
      if (deadline <= this.clock.now() || this.#openBelow(mark).length === 0) continue;
      if (items.some((item) => item >= mark)) this.#violations.push(`flushed while what came before is open`);
    }
  }

  #openBelow(mark: number): number[] {
    return range(mark).filter((item) => !this.#outcomes.has(item));
  }

  #write(): void {
    const before = this.stream.getMetrics();
    const answer = this.stream.write(this.#written++);
    const after = expectLedger(this.stream);
    if (before.state !== 'draining') return;
    if (this.#blocks) expect([answer, after.waiting]).toEqual([false, before.waiting + 1]);
    else expect([answer, after.dropsByReason.rejected]).toEqual([true, before.dropsByReason.rejected + 1]);
  }

  #drain(timeoutMs: number | undefined): void {
    const deadline = this.clock.now() + (timeoutMs ?? Infinity);
    const drain: Drain = { mark: this.#written, deadline, end: 'open' };
    this.#drains.push(drain);
    this.stream.drain(timeoutMs === undefined ? {} : { timeoutMs }).then(
      () => {
        drain.end = 'resolved';
        const open = this.#openBelow(drain.mark);
        if (open.length > 0) this.#violations.push(`drained, and ${open.join()} are open`);
      },
      (error: unknown) => {
        const { code, items } = error as BackpressureError;
        drain.end = 'late';
        const open = this.#openBelow(drain.mark);
        const told = (items as number[]).toSorted((a, b) => a - b);
        if (code !== 'ERR_BACKPRESSURE_DRAIN_TIMEOUT') this.#violations.push(code);
        if (this.clock.now() !== deadline) this.#violations.push(`late at ${this.clock.now()}`);
        if (told.join() !== open.join() || open.length === 0)
          this.#violations.push(`open are ${open.join()}, told ${told.join()}`);
      },
    );
  }

  async do(action: Step): Promise<void> {
    if (action.kind === 'write') for (let count = 0; count < action.count; count++) this.#write();
    else if (action.kind === 'drain') this.#drain(action.timeoutMs);
    else if (action.kind === 'advance') await this.clock.advance(action.ms);
    else if (action.kind === 'turn' || this.destination.open.length === 0) await turn();
    else if (action.kind === 'answer') await this.destination.answer();
    else await this.destination.fail(new Error('refused'));
    if (action.kind === 'write' || action.kind === 'drain') this.#check();
    else this.#checkAtRest();
  }

  #check(): void {
    expect(this.#violations).toEqual([]);
    expectLedger(this.stream);
  }

  /** Once every promise has had its turn. */
  #checkAtRest(): void {
    this.#check();
    const isDraining = this.stream.writableEnded || this.#drains.some(({ end }) => end === 'open');
    expect(this.stream.getMetrics().state === 'draining').toBe(isDraining);
  }

  async finish(): Promise<void> {
    this.stream.end();
    for (let round = 0; round < 2_000 && !this.stream.closed; round++) {
      if (this.destination.open.length > 0) await this.do({ kind: 'answer' });
      else await this.do({ kind: 'advance', ms: 50 });
    }
    await closed(this.stream);
    await turn();
    this.#check();
    expect(this.stream.errored).toBeNull();
    expect(this.#drains.map(({ end }) => end)).not.toContain('open');
    expect(this.#openBelow(this.#written)).toEqual([]);
    expect(this.clock.pending).toBe(0);
    if (this.#blocks) expect([...this.#outcomes.values()]).not.toContain('dropped');
  }
}

it('whatever is written, drained and late, in whatever order: nothing is lost, and each drain is exact', async () => {
  await fc.assert(
    fc.asyncProperty(setting, fc.array(step, { maxLength: 40 }), async (given, steps) => {
      const run = new Run(given);
      for (const action of steps) await run.do(action);
      await run.finish();
    }),
    fastCheckRuns(500),
  );
}, 120_000);
