import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BackpressureTransform, BackpressureWritable, type FlushResult } from '../../src/index.js';
import { ManualClock } from '../support/manual-clock.js';
import { turn } from '../support/stream.js';
import { fastCheckRuns } from '../support/test-runs.js';
import { range } from '../support/range.js';

const STRATEGIES = ['block', 'drop_oldest', 'drop_newest', 'sample'] as const;

type Step =
  | { kind: 'write'; count: number; how: 'sync' | 'microtask' | 'nextTick' }
  | { kind: 'writeNull' | 'cork' | 'uncork' | 'end' | 'endWithItem' | 'destroy' | 'flush' | 'turn' | 'tick' }
  | { kind: 'answer'; fails: boolean };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      count: fc.integer({ min: 1, max: 6 }),
      how: fc.constantFrom('sync' as const, 'microtask' as const, 'nextTick' as const),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom<Step>({ kind: 'turn' }, { kind: 'tick' }, { kind: 'flush' }),
  },
  { weight: 1, arbitrary: fc.constantFrom<Step>({ kind: 'cork' }, { kind: 'uncork' }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Step>(
      { kind: 'end' },
      { kind: 'endWithItem' },
      { kind: 'destroy' },
      { kind: 'writeNull' },
    ),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('answer' as const), fails: fc.boolean() }) },
);

const setting = fc.record({
  kind: fc.constantFrom('writable' as const, 'transform' as const),
  strategy: fc.constantFrom(...STRATEGIES),
  capacity: fc.integer({ min: 1, max: 6 }),
  maxWaiting: fc.constantFrom(0, 3, 100),
  yieldEvery: fc.constantFrom(1, 3, Infinity),
  answersAtOnce: fc.boolean(),
  /** Items that `shed` throws for, or writes within. */
  shedThrowsAt: fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined }),
  shedWritesAt: fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined }),
  sheds: fc.boolean(),
});
type Setting = typeof setting extends fc.Arbitrary<infer S> ? S : never;

class Run {
  readonly stream: BackpressureWritable<number> | BackpressureTransform<number>;
  /** Writes whose callbacks have been called, in that order; `end()` is numbered with them. */
  readonly called: number[] = [];
  ended: number | undefined;
  readonly calls: { resolve: (result?: FlushResult) => void; reject: (error: Error) => void }[] = [];
  #next = 0;

  constructor(given: Setting) {
    const { kind, strategy, capacity, maxWaiting, yieldEvery, answersAtOnce } = given;
    const usesShed = given.shedThrowsAt !== undefined || given.shedWritesAt !== undefined || given.sheds;
    const options = {
      strategy,
      maxBufferSize: capacity,
      maxWaiting,
      clock: new ManualClock(),
      ...(usesShed && { shed: (item: number) => this.#shed(item, given) }),
    };
    this.stream =
      kind === 'transform'
        ? new BackpressureTransform<number>(options)
        : new BackpressureWritable<number>(
            () =>
              answersAtOnce
                ? Promise.resolve()
                : new Promise((resolve, reject) => void this.calls.push({ resolve: resolve, reject })),
            {
              ...options,
              abortGraceMs: 0,
              ...(strategy === 'block' && { yieldEvery }),
            },
          );
    this.stream.on('error', () => undefined);
    if (this.stream instanceof BackpressureTransform && answersAtOnce)
      this.stream.on('data', () => undefined);
  }

  #shed(item: number, { shedThrowsAt, shedWritesAt, sheds }: Setting): boolean {
    if (item === shedWritesAt) this.write(2);
    if (item === shedThrowsAt) throw new Error('shed failed');
    return sheds && item % 3 === 0;
  }

  write(count: number): void {
    for (let n = 0; n < count; n++) {
      const id = this.#next++;
      this.stream.write(id, () => void this.called.push(id));
    }
  }

  async do(given: Step): Promise<void> {
    const { stream } = this;
    switch (given.kind) {
      case 'write':
        if (given.how === 'sync') this.write(given.count);
        else if (given.how === 'microtask') queueMicrotask(() => this.write(given.count));
        else process.nextTick(() => this.write(given.count));
        return;
      case 'writeNull':
        expect(() => stream.write(null as never, () => expect.fail('called'))).toThrow();
        return;
      case 'cork': {
        stream.cork();
        return;
      }
      case 'uncork': {
        stream.uncork();
        return;
      }
      case 'end':
      case 'endWithItem': {
        // Node itself may never call the callback of an end() that comes after the stream was destroyed.
        if (stream.writableEnded || stream.destroyed) return;
        const id = this.#next++;
        this.ended = id;
        const done = () => void this.called.push(id);
        if (given.kind === 'end') stream.end(done);
        else stream.end(id, done);
        return;
      }
      case 'destroy':
        stream.destroy();
        return;
      case 'flush':
        if (stream instanceof BackpressureWritable) stream.flush().catch(() => undefined);
        else stream.read();
        return;
      case 'turn':
        return turn(1);
      case 'tick':
        return Promise.resolve();
      case 'answer': {
        const call = this.calls.shift();
        if (given.fails && this.calls.length > 2) call?.reject(new Error('down'));
        else call?.resolve();
        if (stream instanceof BackpressureTransform) stream.read();
        return;
      }
    }
  }

  get written(): number {
    return this.#next;
  }
}

describe('write callbacks', () => {
  it('come once each and in the order of the writes, whatever becomes of them', async () => {
    await fc.assert(
      fc.asyncProperty(setting, fc.array(step, { maxLength: 30 }), async (given, steps) => {
        const run = new Run(given);
        for (const one of steps) await run.do(one);
        await turn();
        run.stream.destroy();
        for (const call of run.calls) call.resolve();
        await turn(4);
        const { called, ended } = run;
        const inOrder = range(run.written);
        expect(called.toSorted((a, b) => a - b)).toEqual(inOrder);
        expect(called.filter((id) => id !== ended)).toEqual(inOrder.filter((id) => id !== ended));
        // The callback of end() comes after those of all earlier writes; `shed` may write while it is asked for the last item.
        if (ended !== undefined) expect(called.indexOf(ended)).toBeGreaterThanOrEqual(ended);
      }),
      fastCheckRuns(400),
    );
  });
});
