import { describe, expect, it } from 'vitest';
import { blockBounds } from '../../../../src/jetstream/jetstream-log.js';
import type { LogBounds, MessagePlace, OpenLog } from '../../../../src/log/log.js';
import { ImportProgress, unloaded } from '../../../../src/postgres/consume/consume-progress.js';
import type { LaneState } from '../../../../src/postgres/lanes/lane-state.js';
import { ManualClock } from '../../../support/manual-clock.js';

const open = (lane: number, next: number, isHeld = false) => ({ lane, first: 0, last: 0, next, isHeld });
const partitions: LogBounds = {
  firstLane: 0,
  lastLane: 2,
  lane: (lane) => ({ lane, first: 0, last: 1_000_000, oldest: 5, end: 20 + lane }),
};

describe('unloaded', () => {
  const gaps = (
    through: number | undefined,
    lanes: ReturnType<typeof open>[],
    log: LogBounds,
    hasOneOrder = true,
  ) => unloaded({ through, open: lanes }, log, hasOneOrder).map(({ next, end }) => [next, end]);

  it.each([
    ['nothing is made', undefined, [], [[1, 251]]],
    [
      'a lane is behind, and others are not made',
      0,
      [open(0, 40)],
      [
        [40, 101],
        [101, 251],
      ],
    ],
    ['a later lane is behind', 2, [open(0, 101), open(2, 210)], [[210, 251]]],
    ['all is loaded', 2, [open(2, 251)], []],
    ['another worker has seen more of the log', 3, [open(2, 251), open(3, 305)], []],
  ] as const)('of blocks, if %s', (_, through, lanes, expected) => {
    expect(gaps(through, [...lanes], blockBounds(1, 250, 100))).toEqual(expected);
  });

  it('begins with what the log still has', () => {
    expect(gaps(0, [open(0, 40)], blockBounds(150, 250, 100))).toEqual([[150, 251]]);
    expect(gaps(undefined, [], blockBounds(251, 250, 100))).toEqual([]);
  });

  it('takes each partition by itself', () => {
    expect(gaps(1, [open(0, 20), open(1, 7)], partitions, false)).toEqual([
      [7, 21],
      [5, 22],
    ]);
  });
});

describe('ImportProgress', () => {
  const state: LaneState = {
    through: 2,
    open: [open(0, 40, true), open(2, 210)],
    rows: 7,
    deadLetters: 2,
    finished: 1,
  };
  const place = (position: number): MessagePlace => ({ position, timestamp: new Date(Date.now() - 5_000) });

  /** @param found where the log finds a message, by the position from which it looks */
  function progressOf(found: (from: number) => MessagePlace | undefined): {
    progress: ImportProgress;
    looks: number[];
    clock: ManualClock;
  } {
    const looks: number[] = [];
    const log: Pick<OpenLog, 'hasOneOrder' | 'bounds' | 'find'> = {
      hasOneOrder: true,
      bounds: () => Promise.resolve(blockBounds(1, 250, 100)),
      find: (_, from) => {
        looks.push(from);
        return Promise.resolve(found(from));
      },
    };
    const clock = new ManualClock();
    const ledger = { state: () => Promise.resolve(state) };
    return { progress: new ImportProgress(log, ledger, clock, () => 1), looks, clock };
  }
  const ask = (progress: ImportProgress) => progress.get((work) => work(new AbortController().signal));

  it.each([
    ['at the first position', (from: number) => place(from), [40], 61 + 41],
    ['further behind', (from: number) => place(Math.max(from, 90)), [40], 11 + 41],
    [
      'in a lane that is loaded, and behind it',
      (from: number) => place(from < 150 ? 150 : 230),
      [40, 210],
      21,
    ],
    ['only behind all that is not loaded', () => place(500), [40], 0],
    ['nowhere', () => undefined, [40], 0],
  ])('counts from the first message that is not loaded: %s', async (_, find, looked, lag) => {
    const { progress, looks } = progressOf(find);
    const { lagMessages, lagMs } = await ask(progress);
    expect(lagMessages).toBe(lag);
    expect(looks).toEqual(looked);
    if (lag === 0) expect(lagMs).toBe(0);
    else expect(lagMs).toBeGreaterThanOrEqual(5_000);
  });

  it('shares a look within a second, and does not keep a failure', async () => {
    let isOut = false;
    const { progress, looks, clock } = progressOf((from) => {
      if (isOut) throw new Error('out of reach');
      return place(from);
    });
    expect(await ask(progress)).toBe(await ask(progress));
    expect(looks).toHaveLength(1);
    await clock.advance(1_000);
    isOut = true;
    await expect(ask(progress)).rejects.toThrow('out of reach');
    isOut = false;
    expect(await ask(progress)).toMatchObject({
      lanesHeldHere: 1,
      lanesHeldElsewhere: 0,
      lanesFree: 1,
      rowsLoaded: 7,
    });
  });
});
