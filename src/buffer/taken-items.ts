import type { RingBuffer } from './ring-buffer.js';

/** Items that were taken out together and are now in flight. */
export interface TakenItems<T> {
  items: T[];
  /** Ordinal of the first one among all admitted items, counted from 0. */
  first: number;
  /** When each was admitted. */
  times: Float64Array;
  sizes: Float64Array | undefined;
  weights: Float64Array | undefined;
  bytes: number;
}

/** Takes the `count` oldest items out, with the numbers that belong to them. */
export function takeItems<T>(ring: RingBuffer<T>, first: number, count: number): TakenItems<T> {
  const times = ring.copyTimes(count)!;
  const sizes = ring.copyBytes(count);
  const weights = ring.copyWeights(count);
  let bytes = 0;
  if (sizes !== undefined) for (const size of sizes) bytes += size;
  return { items: ring.take(count), first, times, sizes, weights, bytes };
}
