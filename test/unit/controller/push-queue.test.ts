import { describe, expect, it } from 'vitest';
import { PushQueue } from '../../../src/controller/push-queue.js';
import { range } from '../../support/range.js';
import { startController } from '../../support/start-controller.js';
import { ManualClock, settle } from '../../support/manual-clock.js';

function makeQueue(maxBlockTimeMs = 100) {
  const clock = new ManualClock();
  const timedOut: number[] = [];
  return {
    clock,
    timedOut,
    queue: new PushQueue<number>(clock, maxBlockTimeMs, (item) => timedOut.push(item)),
  };
}

describe('the queue of waiting pushes', () => {
  it('lets in first come first served, as long as there is room', async () => {
    const { queue: waiting } = makeQueue();
    const answers = range(5, 1).map((item) => waiting.enqueue(item, 0));
    const admitted: number[] = [];
    waiting.admitWaiting((item) => admitted.length < 3 && admitted.push(item) > 0);
    expect(admitted).toEqual([1, 2, 3]);
    expect(await Promise.all(answers.slice(0, 3))).toEqual([true, true, true]);
    expect(waiting.items()).toEqual([4, 5]);
  });

  it('leaves no timer once everybody has been let in', () => {
    const { clock, queue: waiting } = makeQueue();
    for (const item of range(3, 1)) void waiting.enqueue(item, 0);
    expect(clock.pending).toBe(1);
    waiting.admitWaiting(() => true);
    expect(clock.pending).toBe(0);
  });

  it('keeps its order over thousands, let in a few at a time', () => {
    const { queue: waiting } = makeQueue();
    const admitted: number[] = [];
    let next = 0;
    while (admitted.length < 5_000) {
      for (let n = 0; n < 7 && next < 5_000; n++) void waiting.enqueue(next++, 0);
      let room = 1 + (admitted.length % 9);
      waiting.admitWaiting((item) => room-- > 0 && admitted.push(item) > 0);
    }
    expect(admitted).toEqual(range(5_000));
    expect(waiting.length).toBe(0);
  });

  it('answers false after maxBlockTimeMs, to the one who has waited so long and to no other', async () => {
    const { clock, queue: waiting, timedOut } = makeQueue(100);
    const first = waiting.enqueue(1, 0);
    await clock.advance(60);
    void waiting.enqueue(2, 0);
    await clock.advance(39);
    expect(timedOut).toEqual([]);
    await clock.advance(1);
    expect(timedOut).toEqual([1]);
    expect(await first).toBe(false);
    expect(waiting.items()).toEqual([2]);
    await clock.advance(60);
    expect(timedOut).toEqual([1, 2]);
    expect(clock.pending).toBe(0);
  });

  it('waits without a timer where there is no limit', async () => {
    const { clock, queue: waiting } = makeQueue(Infinity);
    void waiting.enqueue(1, 0);
    expect(clock.pending).toBe(0);
    await clock.advance(1e9);
    expect(waiting.length).toBe(1);
  });

  it('rejects everybody, answers with their items, and leaves no timer', async () => {
    const { clock, queue: waiting } = makeQueue();
    const answers = [waiting.enqueue(1, 0), waiting.enqueue(2, 0)];
    expect(waiting.rejectAll(new Error('over'))).toEqual([1, 2]);
    await Promise.all(answers.map((answer) => expect(answer).rejects.toThrow('over')));
    expect(waiting.length).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('does not reject the one who is being let in, when a listener ends everything at that moment', async () => {
    const { queue: waiting } = makeQueue();
    const answers = [waiting.enqueue(1, 0), waiting.enqueue(2, 0), waiting.enqueue(3, 0)];
    for (const answer of answers) answer.catch(() => undefined);
    let rejected: number[] = [];
    waiting.admitWaiting(() => {
      rejected = waiting.rejectAll(new Error('over'));
      return true;
    });
    expect(rejected).toEqual([2, 3]);
    expect(waiting.length).toBe(0);
    expect(await answers[0]).toBe(true);
  });

  it('admits each item by the size that it was offered with', () => {
    const { queue: waiting } = makeQueue();
    for (const item of range(3, 1)) void waiting.enqueue(item, 10 * item);
    const admitted: number[] = [];
    waiting.admitWaiting((_item, bytes) => bytes < 30 && admitted.push(bytes) > 0);
    expect(admitted).toEqual([10, 20]);
    expect(waiting.items()).toEqual([3]);
  });
});

describe('push() that waits', () => {
  it('settles each item once when a state listener aborts while waiting items are let in', async () => {
    const abort = new AbortController();
    const outcomes: [number, string][] = [];
    const { clock, controller } = startController(
      {
        maxBufferSize: 4,
        batchSize: 2,
        signal: abort.signal,
        onSettled: (settlements) =>
          outcomes.push(...settlements.map(({ item, outcome }) => [item, outcome] as [number, string])),
      },
      [{ kind: 'slow', ms: 10 }],
    );
    for (const item of range(8, 1)) controller.push(item).catch(() => undefined);
    await settle();
    controller.on('state', (state, previous) => {
      if (state === 'blocked' && previous !== 'blocked') abort.abort();
    });
    await clock.advance(10_000);
    expect(abort.signal.aborted).toBe(true);
    expect(outcomes.map(([item]) => item).toSorted((a, b) => a - b)).toEqual(range(8, 1));
    expect(controller.getMetrics()).toMatchObject({ waiting: 0, bufferSize: 0, inFlight: 0 });
  });

  it('lets the next one in when the first, who was too large, has given up', async () => {
    const { clock, controller } = startController({
      maxBufferBytes: 10,
      sizeOf: (item) => item,
      maxBlockTimeMs: 100,
    });
    controller.stop();
    void controller.push(6);
    const large = controller.push(9);
    await clock.advance(50);
    const small = controller.push(4);
    await clock.advance(50);
    expect(await large).toBe(false);
    expect(await small).toBe(true);
  });
});
