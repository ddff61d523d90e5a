import { expect, test } from 'vitest';
import { TurnBudget } from '../../../../src/common/turn-budget.js';
import { YieldSchedule } from '../../../../src/stream/write/yield-schedule.js';
import { ManualTurns } from '../../../support/turn-source.js';

/** Offers items, each of which takes `itemMs`, until the producer is to yield; at most `most`. Returns how many. */
function produce(
  turns: YieldSchedule,
  ledger: { offered: number },
  source: ManualTurns,
  itemMs: number,
  most: number,
): number {
  for (let count = 1; count <= most; count += 1) {
    source.nowMs += itemMs;
    ledger.offered += 1;
    if (turns.itemsUntilCheck < 0 && turns.checkAfterOffer()) return count;
  }
  return most;
}

test.each([
  { itemMs: 0.0001, least: 10_000, most: 10_000 },
  { itemMs: 0.005, least: 700, most: 1_100 },
  { itemMs: 0.1, least: 30, most: 100 },
])('items of $itemMs ms: the producer yields after $least to $most', async ({ itemMs, least, most }) => {
  const source = new ManualTurns();
  const ledger = { offered: 0 };
  let drains = 0;
  const turns = new YieldSchedule(10_000, ledger, () => (drains += 1), new TurnBudget(source));
  for (let round = 1; round <= 5; round += 1) {
    const made = produce(turns, ledger, source, itemMs, 20_000);
    expect(made).toBeGreaterThanOrEqual(least);
    expect(made).toBeLessThanOrEqual(most);
    expect(drains).toBe(round - 1);
    await source.all();
    expect(drains).toBe(round);
  }
});

test('a turn that an encoder has spent: the producer yields at its first look at the clock', () => {
  const source = new ManualTurns();
  const budget = new TurnBudget(source);
  const ledger = { offered: 0 };
  const turns = new YieldSchedule(10_000, ledger, () => undefined, budget);
  expect(budget.isSpent).toBe(false);
  source.nowMs += 5;
  expect(produce(turns, ledger, source, 0, 10_000)).toBe(32);
});

test('a producer of a few items a turn is not asked to yield, nor looked at more often', async () => {
  const source = new ManualTurns();
  const budget = new TurnBudget(source);
  const ledger = { offered: 0 };
  const turns = new YieldSchedule(10_000, ledger, () => undefined, budget);
  let calls = 0;
  for (let round = 0; round < 1_000; round += 1) {
    ledger.offered += 1;
    if (turns.itemsUntilCheck < 0) {
      calls += 1;
      expect(turns.checkAfterOffer()).toBe(false);
    }
    source.nowMs += 10;
    await source.all();
  }
  expect(calls).toBeLessThanOrEqual(1_000 / 32);
});

test('without `yieldEvery` the clock is never looked at', () => {
  const source = new ManualTurns();
  const ledger = { offered: 1e9 };
  const turns = new YieldSchedule(Infinity, ledger, () => undefined, new TurnBudget(source));
  expect(turns.itemsUntilCheck).toBe(Infinity);
  expect(turns.checkAfterOffer()).toBe(false);
  expect(source.isAwaited).toBe(false);
});
