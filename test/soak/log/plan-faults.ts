/** When which fault comes, by the number of messages that are loaded: how fast the machine is does not matter. Pure. */

import type { SeededRandom } from '../../support/seeded-random.js';

export type FaultKind = 'kill' | 'stop' | 'cut' | 'restart';
export type FaultCounts = Readonly<Record<FaultKind, number>>;

export interface Fault {
  readonly kind: FaultKind;
  /** Once so many messages are loaded. */
  readonly at: number;
}

/** The first fault comes a little after the start, and the last one before the end. */
export function planFaults(counts: FaultCounts, messages: number, random: SeededRandom): Fault[] {
  const kinds = Object.entries(counts).flatMap(([kind, count]) =>
    new Array<FaultKind>(count).fill(kind as FaultKind),
  );
  const shuffled = kinds.map((kind) => ({ kind, key: random.next() })).toSorted((a, b) => a.key - b.key);
  const share = (0.95 * messages) / Math.max(1, shuffled.length);
  return shuffled.map(({ kind }, index) => ({
    kind,
    at: Math.floor(share * (index + random.between(0.2, 0.8))),
  }));
}
