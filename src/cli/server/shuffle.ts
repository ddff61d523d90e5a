import { randomInt } from 'node:crypto';

/** Returns the entries in a random order. */
export function shuffle<Entry>(entries: readonly Entry[]): Entry[] {
  const shuffled = [...entries];
  for (let last = shuffled.length - 1; last > 0; last -= 1) {
    const other = randomInt(last + 1);
    [shuffled[last], shuffled[other]] = [shuffled[other]!, shuffled[last]!];
  }
  return shuffled;
}
