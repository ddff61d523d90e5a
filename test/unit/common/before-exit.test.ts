import { EventEmitter } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { unrefClock, type Clock } from '../../../src/common/clock.js';
import { BeforeExit } from '../../../src/common/before-exit.js';
import {
  BackpressureController,
  BackpressureTransform,
  BackpressureWritable,
  type BufferOptions,
} from '../../../src/index.js';
import { ManualClock } from '../../support/manual-clock.js';
import { range } from '../../support/range.js';
import { turn } from '../../support/stream.js';

class FakeSink {
  isIdle = false;
  flushes = 0;

  flush(): Promise<void> {
    this.flushes++;
    return Promise.reject(new Error('down'));
  }
}

describe('before the process exits', () => {
  it('a sink with open items is flushed once, by one listener for all', () => {
    const target = new EventEmitter();
    const beforeExit = new BeforeExit(target);
    const sinks = range(20).map(() => new FakeSink());
    for (const sink of sinks) beforeExit.add(sink);
    expect(target.listenerCount('beforeExit')).toBe(1);
    target.emit('beforeExit');
    target.emit('beforeExit');
    expect(sinks.every(({ flushes }) => flushes === 1)).toBe(true);
    expect(target.listenerCount('beforeExit')).toBe(0);
  });

  it('a sink without open items keeps its one flush', () => {
    const target = new EventEmitter();
    const beforeExit = new BeforeExit(target);
    const sink = new FakeSink();
    beforeExit.add(sink);
    sink.isIdle = true;
    target.emit('beforeExit');
    expect(sink.flushes).toBe(0);
    sink.isIdle = false;
    target.emit('beforeExit');
    expect(sink.flushes).toBe(1);
  });

  it('a sink that was collected leaves nothing behind', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const target = new EventEmitter();
    const beforeExit = new BeforeExit(target);
    for (let round = 0; round < 1_000; round++) beforeExit.add(new FakeSink());
    for (let tries = 0; tries < 50 && target.listenerCount('beforeExit') > 0; tries++) {
      await turn();
      collect();
    }
    expect(target.listenerCount('beforeExit')).toBe(0);
  });
});

/** Its handles count whether they keep the process alive, as Node's do. */
class CountingClock implements Clock {
  readonly #clock = new ManualClock();
  refs = 0;
  unrefs = 0;

  now(): number {
    return this.#clock.now();
  }

  setTimeout(callback: () => void, delayMs: number): unknown {
    const id = this.#clock.setTimeout(callback, delayMs);
    this.refs++;
    return { id, unref: () => this.unrefs++ };
  }

  clearTimeout(handle: unknown): void {
    if (handle !== undefined) this.#clock.clearTimeout((handle as { id: number }).id);
  }

  advance(ms: number): Promise<void> {
    return this.#clock.advance(ms);
  }
}

describe('unref: true', () => {
  const attempts: ((clock: Clock) => BufferOptions<number> & object)[] = [
    (clock) => ({ clock, flushTimeoutMs: 5, abortGraceMs: 5 }),
    (clock) => ({ clock, flushTimeoutMs: Infinity }),
    (clock) => ({ clock, retry: { attempts: 3 } }),
    (clock) => ({ clock, retry: { attempts: 9 }, breaker: { failures: 1 } }),
    (clock) => ({ clock, maxBufferSize: 2, maxBlockTimeMs: 50 }),
  ];

  it.each(attempts.flatMap((options) => [[options, 'writable'] as const, [options, 'controller'] as const]))(
    'every timer of a sink is one that does not keep the process alive: %s, %s',
    async (options, kind) => {
      for (const unref of [false, true]) {
        const clock = new CountingClock();
        let calls = 0;
        const flush = () =>
          calls++ % 2 === 0 ? Promise.reject(new Error('down')) : new Promise<void>(() => undefined);
        const given = { ...options(clock), unref, random: () => 0.5 };
        if (kind === 'writable') {
          const sink = new BackpressureWritable<number>(flush, given);
          sink.on('error', () => undefined);
          for (const item of range(4)) sink.write(item);
        } else {
          const sink = new BackpressureController<number>(flush, given);
          sink.start();
          for (const item of range(4)) void sink.push(item);
        }
        await clock.advance(2_000);
        expect(clock.refs).toBeGreaterThan(1);
        expect(clock.unrefs).toBe(unref ? clock.refs : 0);
      }
    },
  );

  it('the timer of a transform is one, too', () => {
    const clock = new CountingClock();
    const transform = new BackpressureTransform<number>({
      clock,
      unref: true,
      maxBufferSize: 1,
      maxBlockTimeMs: 50,
    });
    for (const item of range(2)) transform.write(item);
    expect([clock.refs, clock.unrefs]).toEqual([1, 1]);
  });

  it('anything but true or false is refused', () => {
    expect(() => new BackpressureTransform({ unref: 1 as never })).toThrow(
      expect.objectContaining({ code: 'ERR_BACKPRESSURE_INVALID_OPTION', option: 'unref' }),
    );
  });

  it('leaves the other methods of a clock as they are', () => {
    const manual = new ManualClock();
    expect('turnNow' in unrefClock(manual)).toBe(false);
    expect(unrefClock({ ...unrefClock(manual), turnNow: () => 7 }).turnNow!()).toBe(7);
  });
});
