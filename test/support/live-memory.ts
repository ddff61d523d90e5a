/** What values hold in memory, measured by the heap. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function liveBytes(): number {
  // Once for the values, and once for what their finalizers let go.
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** @returns the bytes that are held more when `keep` has been called with `count` values which `make` makes */
export function measureHeld<T>(count: number, make: (index: number) => T, keep: (value: T) => void): number {
  // What the first calls leave behind (code, hidden classes) is not the values'.
  for (let index = 0; index < 200; index += 1) make(index);
  const before = liveBytes();
  for (let index = 0; index < count; index += 1) keep(make(index));
  return liveBytes() - before;
}
