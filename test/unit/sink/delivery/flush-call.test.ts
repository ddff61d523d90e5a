/** One call of the flush function: its outcome, its time limit and its context. */

import { describe, expect, it, vi } from 'vitest';
import { StageErrors } from '../../../../src/api/errors.js';
import type { FlushContext, FlushFunction } from '../../../../src/api/flush-function.js';
import type { ResolvedSink } from '../../../../src/settings/resolve-sink.js';
import { FlushCall, type CallContext, type CallOutcome } from '../../../../src/sink/delivery/flush-call.js';
import { ManualDestination } from '../../../support/destinations.js';
import { ManualClock, settle } from '../../../support/manual-clock.js';

interface Setting {
  flush?: FlushFunction<number>;
  flushTimeoutMs?: number;
  context?: Partial<CallContext>;
  onFailed?: () => void;
}

function start({ flush, flushTimeoutMs = 100, context, onFailed }: Setting = {}) {
  const clock = new ManualClock();
  const destination = new ManualDestination<number>();
  const onLateResult = vi.fn();
  const items = [1, 2, 3];
  const call = new FlushCall<number>(
    flush ?? destination.flush,
    items,
    { attempt: 1, reason: 'size', weights: undefined, startedAt: clock.now(), ...context },
    { clock, flushTimeoutMs, abortGraceMs: 20, onFailed } as Partial<
      ResolvedSink<number>
    > as ResolvedSink<number>,
    { errors: new StageErrors(), onLateResult },
  );
  let outcome: CallOutcome | undefined;
  void call.outcome.then((result) => (outcome = result));
  return { clock, destination, call, items, onLateResult, outcome: () => outcome };
}

describe('the outcome of a call', () => {
  it('a call that returns has its result and latency as outcome, and no timer is left', async () => {
    const { clock, destination, outcome } = start();
    await clock.advance(30);
    await destination.answer({ success: 3, failed: 0, errors: [] });
    expect(outcome()).toEqual({
      kind: 'answered',
      answer: { success: 3, failed: 0, errors: [] },
      latencyMs: 30,
    });
    expect(clock.pending).toBe(0);
  });

  it.each<[string, FlushFunction<number>]>([
    [
      'throws',
      () => {
        throw new Error('down');
      },
    ],
    ['rejects', () => Promise.reject(new Error('down'))],
    ['rejects without an Error', () => Promise.reject('down')],
  ])('the outcome of a flush function that %s is a rejection with an Error', async (_how, flush) => {
    const { clock, outcome } = start({ flush });
    await settle();
    expect(outcome()).toMatchObject({
      kind: 'rejected',
      interrupted: false,
      error: expect.any(Error) as Error,
    });
    expect(clock.pending).toBe(0);
  });

  it('a call that takes longer than flushTimeoutMs keeps its own outcome if it comes within abortGraceMs', async () => {
    const { clock, destination, outcome } = start();
    await clock.advance(100);
    expect(destination.calls[0]!.context.signal.reason).toMatchObject({
      code: 'ERR_BACKPRESSURE_FLUSH_TIMEOUT',
    });
    expect(outcome()).toBeUndefined();
    await clock.advance(19);
    await destination.fail(new Error('interrupted'));
    expect(outcome()).toMatchObject({ kind: 'rejected', interrupted: true, latencyMs: 119 });
    expect(clock.pending).toBe(0);
  });

  it('a call without an outcome within abortGraceMs is "abandoned"; the late result is reported once, and changes nothing', async () => {
    const { clock, destination, outcome, onLateResult } = start();
    await clock.advance(120);
    expect(outcome()).toMatchObject({
      kind: 'abandoned',
      error: { code: 'ERR_BACKPRESSURE_FLUSH_TIMEOUT' },
      latencyMs: 120,
    });
    expect(onLateResult).not.toHaveBeenCalled();
    await destination.answer();
    expect(onLateResult).toHaveBeenCalledOnce();
    expect(outcome()).toMatchObject({ kind: 'abandoned' });
    expect(clock.pending).toBe(0);
  });

  it('a call that is interrupted twice keeps the first reason, and its grace is not prolonged', async () => {
    const { clock, call, destination, outcome } = start();
    const first = new Error('first');
    call.interrupt(first);
    await clock.advance(15);
    call.interrupt(new Error('second'));
    expect(destination.calls[0]!.context.signal.reason).toBe(first);
    await clock.advance(5);
    expect(outcome()).toEqual({ kind: 'abandoned', error: first, latencyMs: 20 });
  });

  it('a call that is interrupted after its end keeps its outcome, and its signal does not fire', async () => {
    const { clock, call, destination, outcome } = start();
    await destination.answer();
    call.interrupt(new Error('late'));
    await clock.advance(1_000);
    expect(outcome()).toMatchObject({ kind: 'answered' });
    expect(destination.calls[0]!.context.signal.aborted).toBe(false);
  });

  it('without flushTimeoutMs is waited for, and a timer holds the process meanwhile', async () => {
    const { clock, destination, outcome } = start({ flushTimeoutMs: Infinity });
    await clock.advance(3_600_000);
    expect(outcome()).toBeUndefined();
    expect(clock.pending).toBe(1);
    await destination.answer();
    expect(outcome()).toMatchObject({ kind: 'answered', latencyMs: 3_600_000 });
    expect(clock.pending).toBe(0);
  });
});

describe('what a call is given', () => {
  it('is a copy of the items: a flush function that empties it leaves the batch as it was', async () => {
    const { items } = start({ flush: async (given) => void given.splice(0) });
    await settle();
    expect(items).toEqual([1, 2, 3]);
  });

  it('without sampling is a weight of 1 for each item', () => {
    const { destination } = start();
    expect(destination.calls[0]!.context).toMatchObject({ weights: [1, 1, 1], represents: 3 });
  });

  it('under sample is the weights of the queue, and their sum', () => {
    const { destination } = start({ context: { weights: Float64Array.of(1, 10, 4) } });
    expect(destination.calls[0]!.context).toMatchObject({ weights: [1, 10, 4], represents: 15 });
  });

  it.each([
    [true, () => undefined],
    [false, undefined],
  ])('is takesFailures %s if onFailed is %s', (takesFailures, onFailed) => {
    const { destination } = start(onFailed ? { onFailed } : {});
    expect(destination.calls[0]!.context.takesFailures).toBe(takesFailures);
  });

  it('is a signal that a copy of a declared context has, too', () => {
    const { destination } = start();
    expect({ ...destination.calls[0]!.context }.signal).toBeInstanceOf(AbortSignal);
  });

  it('is a signal that has fired already if it is first read after the interruption', async () => {
    let context: FlushContext | undefined;
    const flush = (...given: unknown[]) => {
      context = given[1] as FlushContext;
      return new Promise<void>(() => undefined);
    };
    const { call } = start({ flush });
    const reason = new Error('stop');
    call.interrupt(reason);
    await settle();
    expect(context!.signal).toMatchObject({ aborted: true, reason });
  });
});
