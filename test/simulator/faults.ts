/** What becomes of a call, apart from how long it takes. */

import type { SeededRandom } from '../support/seeded-random.js';
import { episodes } from './capacity.js';

export type Fate =
  /** Everything is kept. */
  | { kind: 'kept' }
  /** Rejects after `afterMs`, nothing is kept. */
  | { kind: 'refused'; afterMs: number; retryable: boolean; retryAfterMs?: number }
  | { kind: 'throws' }
  /** The items at `lost` are not kept: so many of them, from the first on, are named by an ItemError each, of which every n-th may be called again. */
  | { kind: 'partial'; lost: readonly number[]; named: number; retryEvery: number }
  /** Everything, or a share of it, is kept, but the answer is lost on the way: a rejection that says that it does not know. */
  | { kind: 'answer lost'; share: number }
  /** Keeps nothing and never answers; listens to its signal, or does not. */
  | { kind: 'hangs'; listens: boolean }
  /** Takes `lateMs` longer, whatever its signal says, then keeps everything and answers, or fails. */
  | { kind: 'deaf'; lateMs: number; fails: boolean }
  /** Keeps everything, and answers what does not add up. */
  | { kind: 'miscounts' };

export type Faults = (now: number, items: number) => Fate;

export const KEPT: Fate = { kind: 'kept' };

export const faultless: Faults = () => KEPT;

/** Up and down by turns; down, each call fails fast, or hangs until it is told to stop. */
export function outages(random: SeededRandom, upMs: number, downMs: number): Faults {
  const isDown = episodes(random, upMs, downMs);
  return (now) => {
    if (!isDown(now)) return KEPT;
    if (random.chance(0.2)) return { kind: 'hangs', listens: true };
    const told = random.chance(0.1) ? { retryAfterMs: random.logBetween(1, 5_000) } : {};
    return { kind: 'refused', afterMs: random.exponential(5), retryable: true, ...told };
  };
}

/** Each call with this probability. */
export function sometimes(random: SeededRandom, probability: number, fate: (items: number) => Fate): Faults {
  return (_now, items) => (random.chance(probability) ? fate(items) : KEPT);
}

/** Some items are bad, some are merely unlucky; and some answers name only a part of them. */
export function badItems(random: SeededRandom, share: number, unnamed: boolean): Faults {
  return (_now, items) => {
    const lost: number[] = [];
    for (let index = 0; index < items; index++) if (random.chance(share)) lost.push(index);
    if (lost.length === 0) return KEPT;
    const named = unnamed && random.chance(0.3) ? random.int(0, lost.length) : lost.length;
    return { kind: 'partial', lost, named, retryEvery: random.int(1, 3) };
  };
}

/** Whatever can go wrong, now and then. */
export function everything(random: SeededRandom, probability: number): Faults {
  const bad = badItems(random, 0.1, true);
  return (now, items) => {
    if (!random.chance(probability)) return KEPT;
    const kind = random.int(0, 8);
    if (kind === 0) return { kind: 'refused', afterMs: random.exponential(200), retryable: false };
    if (kind === 1) return { kind: 'refused', afterMs: random.exponential(200), retryable: true };
    if (kind === 2) return { kind: 'throws' };
    if (kind === 3) return { kind: 'answer lost', share: random.pick([1, 1, 0.5, 0]) };
    if (kind === 4) return { kind: 'hangs', listens: random.chance(0.5) };
    if (kind === 5)
      return { kind: 'deaf', lateMs: random.logBetween(100, 60_000), fails: random.chance(0.3) };
    if (kind === 6) return { kind: 'miscounts' };
    return bad(now, items);
  };
}
