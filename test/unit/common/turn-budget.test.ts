import { expect, test } from 'vitest';
import { forEachInTurns, TurnBudget, WorkPacer } from '../../../src/common/turn-budget.js';
import { ManualTurns } from '../../support/turn-source.js';

test('work of one millisecond a piece: no turn has more than five of them and the one that goes over', async () => {
  const turns = new ManualTurns();
  const inTurn = [0];
  const work = forEachInTurns(
    100,
    () => {
      turns.nowMs += 1;
      inTurn[inTurn.length - 1]! += 1;
    },
    new WorkPacer(new TurnBudget(turns)),
  );
  while (turns.isAwaited) {
    inTurn.push(0);
    await turns.next();
  }
  await work;
  expect(inTurn.reduce((sum, count) => sum + count)).toBe(100);
  expect(Math.max(...inTurn)).toBeLessThanOrEqual(6);
});

test('several loops share a turn: each goes on in a turn of its own, the one that waits longest first', async () => {
  const turns = new ManualTurns();
  const budget = new TurnBudget(turns);
  const log: string[] = [];
  const loops = ['a', 'b', 'c'].map((name) =>
    forEachInTurns(
      20,
      () => {
        turns.nowMs += 1;
        log.push(name);
      },
      new WorkPacer(budget),
    ),
  );
  let longest = 0;
  let names = '';
  let before = log.length;
  while (turns.isAwaited) {
    await turns.next();
    const made = log.slice(before);
    before = log.length;
    longest = Math.max(longest, made.length);
    expect(new Set(made).size).toBeLessThanOrEqual(1);
    names += made[0] ?? '';
  }
  await Promise.all(loops);
  expect(longest).toBeLessThanOrEqual(6);
  expect(names).toMatch(/^(abc)+/);
  expect(log).toHaveLength(60);
});

test('what begins in a turn that is spent already makes one step, and waits for the next turn', async () => {
  const turns = new ManualTurns();
  const budget = new TurnBudget(turns);
  expect(budget.isSpent).toBe(false);
  turns.nowMs += 5;
  let steps = 0;
  const work = forEachInTurns(3, () => (steps += 1), new WorkPacer(budget));
  expect(steps).toBe(1);
  await turns.next();
  await work;
  expect(steps).toBe(3);
});

test('without work, nothing is asked of the event loop', async () => {
  const turns = new ManualTurns();
  const budget = new TurnBudget(turns);
  expect(budget.isSpent).toBe(false);
  await turns.all();
  expect(turns.isAwaited).toBe(false);
});

test.each([
  { ms: 0.001, least: 1 / 400, most: 1 / 64 },
  { ms: 2, least: 0.9, most: 1 },
])('a piece of $ms ms: the clock is looked at for $least to $most of the pieces', ({ ms, least, most }) => {
  const turns = new ManualTurns();
  let looks = 0;
  const pacer = new WorkPacer(
    new TurnBudget({ now: () => ((looks += 1), turns.now()), onNextTurn: () => undefined }),
  );
  for (let piece = 0; piece < 2_000; piece += 1) {
    turns.nowMs += ms;
    pacer.isTurnSpent();
  }
  expect(looks / 2_000).toBeGreaterThanOrEqual(least);
  expect(looks / 2_000).toBeLessThanOrEqual(most);
});

test('pieces that become slow: within a few looks each of them is followed by one', () => {
  const turns = new ManualTurns();
  const pacer = new WorkPacer(new TurnBudget(turns));
  for (let piece = 0; piece < 1_000; piece += 1) {
    turns.nowMs += 0.001;
    pacer.isTurnSpent();
  }
  let unseen = 0;
  for (let piece = 0; piece < 300; piece += 1) {
    turns.nowMs += 2;
    unseen = pacer.isTurnSpent() ? 0 : unseen + 1;
  }
  expect(unseen).toBe(0);
});
