import { beforeEach, describe, expect, it } from 'vitest';
import { AdmissionQueue } from '../../../src/buffer/admission-queue.js';
import type { QueueSettings } from '../../../src/buffer/queue-settings.js';
import type { BackpressureState, DropReason } from '../../../src/api/states.js';
import { range } from '../../support/range.js';
import { ManualClock } from '../../support/manual-clock.js';

let drops: [number, DropReason][] = [];
let states: BackpressureState[] = [];
beforeEach(() => {
  drops = [];
  states = [];
});

/** A queue of numbers, each of which is as many bytes as it says. */
function queueOf(settings: Partial<QueueSettings<number>> = {}) {
  const queue = new AdmissionQueue<number>(
    {
      capacity: 10,
      capacityBytes: Infinity,
      marks: {
        pauseAt: 8,
        resumeAt: 5,
        pauseAtBytes: Infinity,
        resumeAtBytes: Infinity,
        highWaterMark: 8,
        yieldEvery: Infinity,
      },
      lowWatermark: 0.5,
      highWatermark: 0.8,
      strategy: 'block',
      sampleRate: 10,
      random: () => 0,
      sizeOf: undefined,
      shed: undefined,
      clock: new ManualClock(),
      ...settings,
    },
    {
      onState: (state) => states.push(state),
      onDrop: (item, reason) => drops.push([item, reason]),
      observesDrops: () => true,
    },
  );
  const offer = (item: number) => {
    queue.countArrival();
    return queue.admit(item, queue.judge(item));
  };
  return { queue, offer };
}

const sized = { sizeOf: (item: number) => item, capacityBytes: 10 };

describe('block', () => {
  it('leaves an item with its producer when full', () => {
    const { queue, offer } = queueOf({ capacity: 2 });
    expect([offer(1), offer(2), offer(3)]).toEqual(['admitted', 'admitted', 'full']);
    expect(queue.ledger).toMatchObject({ offered: 3, waiting: 1, queued: 2 });
    expect(drops).toEqual([]);
  });

  it('releases capacity by settlement, not by taking', () => {
    const { queue, offer } = queueOf({ capacity: 2 });
    offer(1);
    offer(2);
    queue.takeBatch(2);
    expect(offer(3)).toBe('full');
    queue.settle(1, 1, 0);
    expect(queue.admit(3, 0)).toBe('admitted');
  });

  it('admits an item larger than the budget alone, and nothing beside it', () => {
    const { queue, offer } = queueOf(sized);
    expect(offer(1)).toBe('admitted');
    expect(offer(25)).toBe('full');
    queue.takeBatch(1);
    expect(queue.admit(25, 25)).toBe('full');
    queue.settle(1, 0, 1);
    expect(queue.admit(25, 25)).toBe('admitted');
    expect(offer(0)).toBe('full');
  });
});

describe('drop_oldest', () => {
  it('keeps the newest of a burst', () => {
    const { queue, offer } = queueOf({ strategy: 'drop_oldest', capacity: 8 });
    for (const item of range(1_000, 1)) expect(offer(item)).toBe('admitted');
    expect(queue.queuedItems()).toEqual(range(8, 993));
    expect(drops).toEqual(range(992, 1).map((item) => [item, 'evicted']));
  });

  it('evicts as many as the new one needs bytes, and no more', () => {
    const { queue, offer } = queueOf({ strategy: 'drop_oldest', ...sized });
    for (const item of [2, 3, 4]) offer(item);
    offer(5);
    expect(queue.queuedItems()).toEqual([4, 5]);
  });

  it.each([
    ['larger than the whole budget', 11, 'oversized'],
    ['too large beside what is in flight', 7, 'rejected'],
  ] as const)('evicts nothing for an item that is %s', (_case, size, reason) => {
    const { queue, offer } = queueOf({ strategy: 'drop_oldest', ...sized });
    offer(4);
    queue.takeBatch(1);
    offer(5);
    expect(offer(size)).toBe('dropped');
    expect(queue.queuedItems()).toEqual([5]);
    expect(drops).toEqual([[size, reason]]);
  });
});

describe('drop_newest', () => {
  it('keeps the oldest of a burst', () => {
    const { queue, offer } = queueOf({ strategy: 'drop_newest', capacity: 8 });
    for (const item of range(20, 1)) offer(item);
    expect(queue.queuedItems()).toEqual(range(8, 1));
    expect(drops).toEqual(range(12, 9).map((item) => [item, 'rejected']));
  });

  it('says of an item that is larger than the budget that this is so', () => {
    const { offer } = queueOf({ strategy: 'drop_newest', ...sized });
    offer(11);
    expect(drops).toEqual([[11, 'oversized']]);
  });
});

describe('sample', () => {
  it('keeps everything in NORMAL, then one of each window', () => {
    const { queue, offer } = queueOf({ strategy: 'sample', sampleRate: 4 });
    for (const item of range(5 + 12, 1)) offer(item);
    // `random` is 0: the first of each window of four.
    expect(queue.queuedItems()).toEqual([1, 2, 3, 4, 5, 6, 10, 14]);
    expect(drops.every(([, reason]) => reason === 'sampled')).toBe(true);
  });

  it.each([
    [0, [6, 10, 14]],
    [0.5, [8, 12, 16]],
    [0.999, [9, 13, 17]],
  ])('keeps the place of the window that chance (%d) picks', (chance, kept) => {
    const { queue, offer } = queueOf({ strategy: 'sample', sampleRate: 4, random: () => chance });
    for (const item of range(5 + 12, 1)) offer(item);
    expect(queue.queuedItems().slice(5)).toEqual(kept);
  });

  it('finishes a window in which the pressure ends, then keeps every item', () => {
    const { queue, offer } = queueOf({ strategy: 'sample', sampleRate: 4, random: () => 0.999 });
    for (const item of range(7, 1)) offer(item);
    queue.takeBatch(5);
    queue.settle(5, 0, 0);
    expect(queue.state).toBe('normal');
    for (const item of range(4, 8)) offer(item);
    // 6 to 9 are one window.
    expect(queue.queuedItems()).toEqual([9, 10, 11]);
    expect([...queue.takeBatch(3).weights!]).toEqual([4, 1, 1]);
    expect(queue.unrepresented).toBe(0);
  });

  it.each([
    [0, 0, -3],
    [0.5, 2, -1],
    [0.999, 3, 0],
  ])('with chance %d the kept item at place %d of a window of 4 weighs 4', (chance, place, after) => {
    const { queue, offer } = queueOf({ strategy: 'sample', sampleRate: 4, random: () => chance });
    for (const item of range(5 + place, 1)) offer(item);
    expect(queue.unrepresented).toBe(place);
    offer(6 + place);
    expect(queue.unrepresented).toBe(after);
    expect([...queue.takeBatch(6).weights!]).toEqual([1, 1, 1, 1, 1, 4]);
    for (const item of range(3 - place, 7 + place)) offer(item);
    expect(queue.unrepresented).toBe(0);
  });

  it('leaves shed items out of windows and weights', () => {
    const { queue, offer } = queueOf({
      strategy: 'sample',
      sampleRate: 4,
      random: () => 0.999,
      shed: (item) => item === 7,
    });
    for (const item of range(10, 1)) offer(item);
    // In the window 6, 8, 9, 10 the last is kept.
    expect(queue.queuedItems()).toEqual([1, 2, 3, 4, 5, 10]);
    expect([...queue.takeBatch(6).weights!]).toEqual([1, 1, 1, 1, 1, 4]);
    expect(queue.unrepresented).toBe(0);
  });

  it('lets the next kept item stand for a window whose chosen item found no room', () => {
    const { queue, offer } = queueOf({ strategy: 'sample', sampleRate: 3, capacity: 4, random: () => 0 });
    // 1 and 2 in NORMAL; 3 and 6 of their windows; 9 is rejected, 10 and 11 belong to its window.
    for (const item of range(10, 1)) offer(item);
    expect(queue.queuedItems()).toEqual([1, 2, 3, 6]);
    expect(drops.filter(([, reason]) => reason === 'rejected')).toEqual([[9, 'rejected']]);
    expect(queue.unrepresented).toBe(2);
    expect([...queue.takeBatch(4).weights!]).toEqual([1, 1, 3, 3]);
    queue.settle(4, 0, 0);
    for (const item of range(2, 11)) offer(item);
    expect([...queue.takeBatch(1).weights!]).toEqual([4]);
    expect(queue.unrepresented).toBe(0);
  });

  it('counts what it rejects when full as unrepresented', () => {
    const { queue, offer } = queueOf({ strategy: 'sample', sampleRate: 1, capacity: 4 });
    for (const item of range(6, 1)) offer(item);
    expect(queue.unrepresented).toBe(2);
    queue.takeBatch(4);
    queue.settle(4, 0, 0);
    offer(7);
    expect([...queue.takeBatch(1).weights!]).toEqual([3]);
  });

  it('in byte mode lets the next kept item stand for those whose bytes did not fit', () => {
    const { queue, offer } = queueOf({
      ...{ strategy: 'sample', sampleRate: 2, random: () => 0 },
      ...{ capacity: Infinity, sizeOf: (item) => item, capacityBytes: 10 },
    });
    // 6 raises the state; 11 and 5 do not fit; each of them has one beside it in its window.
    for (const bytes of [6, 11, 1, 5, 1, 4, 1]) offer(bytes);
    expect(drops.map(([item, reason]) => [item, reason])).toEqual([
      [11, 'oversized'],
      [1, 'sampled'],
      [5, 'rejected'],
      [1, 'sampled'],
      [1, 'sampled'],
    ]);
    expect([...queue.takeBatch(2).weights!]).toEqual([1, 6]);
    expect(queue.unrepresented).toBe(0);
  });

  it('keeps 1 in sampleRate over 100 000 items, and represents all', () => {
    const { queue, offer } = queueOf({ strategy: 'sample', capacity: 100_000, random: Math.random });
    for (const item of range(50_000, 1)) offer(item);
    for (const item of range(100_000, 1)) offer(item);
    const kept = queue.ledger.queued - 50_000;
    expect(Math.abs(kept - 10_000)).toBeLessThanOrEqual(200);
    const represented = queue
      .takeBatch(queue.ledger.queued)
      .weights!.reduce((sum, weight) => sum + weight, 0);
    expect(represented + queue.unrepresented).toBe(150_000);
  });
});

describe('state', () => {
  it('rises at ceil(ratio × capacity), falls with a margin, and is told once per change', () => {
    const { queue, offer } = queueOf();
    for (const item of range(10, 1)) offer(item);
    expect(states).toEqual(['elevated', 'critical', 'blocked']);
    for (let n = 0; n < 10; n++) {
      queue.takeBatch(1);
      queue.settle(1, 0, 0);
    }
    expect(states.slice(3)).toEqual(['critical', 'elevated', 'normal']);
  });

  it('measures what is in flight too', () => {
    const { queue, offer } = queueOf();
    for (const item of range(5, 1)) offer(item);
    queue.takeBatch(5);
    expect(queue.state).toBe('elevated');
    expect(queue.utilization).toBe(0.5);
  });

  it('follows the fuller of items and bytes', () => {
    const { queue, offer } = queueOf(sized);
    offer(9);
    expect(queue.state).toBe('critical');
    expect(queue.utilization).toBe(0.9);
  });

  it('draining shows DRAINING, and its end shows the state of the level', () => {
    const { queue, offer } = queueOf();
    queue.setDraining(true);
    for (const item of range(8, 1)) offer(item);
    queue.setDraining(false);
    expect(states).toEqual(['draining', 'critical']);
  });

  it('adds up the time in each state', async () => {
    const clock = new ManualClock();
    const { queue, offer } = queueOf({ clock });
    await clock.advance(7);
    for (const item of range(5, 1)) offer(item);
    await clock.advance(11);
    expect(queue.timeInStateMs()).toMatchObject({ normal: 7, elevated: 11, critical: 0 });
  });
});

describe('sizes', () => {
  it.each([NaN, -1, Infinity, '3', undefined, null])('refuses %s as a size', (size) => {
    const { offer } = queueOf({ ...sized, sizeOf: () => size as number });
    expect(() => offer(1)).toThrow(/sizeOf must return a number of bytes of at least 0; got/);
  });

  it('come back to exactly 0, fractions or not', () => {
    const { queue, offer } = queueOf({ ...sized, sizeOf: (item) => item / 10 });
    for (const item of range(3, 1)) offer(item);
    for (let n = 0; n < 3; n++) queue.settle(1, 0, queue.takeBatch(1).bytes);
    expect(queue.ledger.loadBytes).toBe(0);
  });

  it.each([
    [100, 100, 4],
    [2, 100, 2],
    [100, 6, 3],
    [100, 5, 2],
    [100, 1, 1],
  ])('a batch of at most %i items and %i bytes has %i items', (items, bytes, expected) => {
    const { queue, offer } = queueOf({ ...sized, capacityBytes: 100 });
    for (const item of [2, 2, 2, 8]) offer(item);
    expect(queue.batchLength(items, bytes)).toBe(expected);
  });
});

describe('a clock that throws', () => {
  const broken = () => {
    throw new Error('no time');
  };

  it.each([
    ['there is room', 'block', 0],
    ['the oldest item makes room', 'drop_oldest', 4],
  ] as const)('leaves all counts as they were, on credit, if %s', (_name, strategy, items) => {
    let now = () => 5;
    const clock = { now: () => now(), setTimeout: () => undefined, clearTimeout: () => undefined };
    const observer = { onState: () => undefined, onDrop: () => undefined, observesDrops: () => false };
    const { queue: model } = queueOf();
    const settings = { ...model.settings, capacity: 4, strategy, clock };
    const queue = new AdmissionQueue<number>(settings, observer);
    for (const item of range(items)) {
      queue.countArrival();
      queue.admit(item, 0);
    }
    queue.fastPath.grant(100, 100);
    const counts = structuredClone(queue.ledger);
    now = broken;
    expect(queue.fastPath.tryOffer(9)).toBe(false);
    expect(queue.ledger).toEqual(counts);
    queue.countArrival();
    expect(() => queue.fastPath.tryAdmit(9, 0)).toThrow('no time');
    queue.retractArrival();
    expect(queue.ledger).toEqual(counts);
    expect(queue.queuedItems()).toEqual(range(items));
    now = () => 6;
    expect(queue.fastPath.tryOffer(9)).toBe(true);
    expect(queue.ledger.offered).toBe(counts.offered + 1);
  });
});
