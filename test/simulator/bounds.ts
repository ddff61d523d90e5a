import type { WritableOptions } from '../../src/index.js';
import { type Bounds } from '../support/model.js';
import type { Item } from './item.js';

/** What follows from the options that were given, worked out by the documentation's own words. */
export interface RunBounds extends Bounds {
  batchBytes: number;
  isByteMode: boolean;
  isAdaptive: boolean;
  sampleRate: number;
}

export function boundsOf(options: WritableOptions<Item>): RunBounds {
  const { maxBufferSize, highWaterMark, batchSize, highWatermark = 0.8, lowWatermark = 0.5 } = options;
  const isByteMode = options.objectMode === false;
  let concurrency = options.concurrency ?? 1;
  const slots = concurrency + 1;
  const roomFor = (items: number) => Math.ceil((slots * items) / lowWatermark);
  let capacity: number;
  if (isByteMode) capacity = Infinity;
  else if (maxBufferSize !== undefined) capacity = maxBufferSize;
  else if (highWaterMark === undefined) capacity = Math.max(10_000, roomFor(batchSize ?? 100));
  else
    capacity = Math.max(
      Math.ceil(highWaterMark / highWatermark),
      batchSize === undefined ? 1 : roomFor(batchSize),
    );
  const capacityBytes = options.maxBufferBytes ?? (isByteMode ? 16 * 1024 * 1024 : Infinity);
  const shareOf = (limit: number) => Math.max(1, Math.floor((limit * lowWatermark) / slots));
  let batchBytes =
    options.batchBytes ?? (isByteMode ? Math.min(1024 * 1024, shareOf(capacityBytes)) : Infinity);
  // Adaptive control is free to find it.
  const most = options.adaptive === true ? (isByteMode ? batchBytes : Infinity) : 100;
  let batchItems = Math.min(capacity, batchSize ?? Math.min(most, shareOf(capacity)));
  if (options.strategy === 'drop_oldest') {
    const half = Math.max(1, Math.floor(capacity / 2));
    concurrency = Math.min(concurrency, half);
    batchItems = Math.min(batchItems, Math.floor(half / concurrency));
    batchBytes = Math.min(batchBytes, Math.max(1, Math.floor(capacityBytes / 2 / concurrency)));
  }
  return {
    capacity,
    capacityBytes,
    lowWatermark,
    highWatermark,
    // In byte mode it counts bytes.
    maxWaiting: isByteMode ? Infinity : (options.maxWaiting ?? capacity),
    concurrency,
    batchSize: batchItems,
    batchBytes,
    isByteMode,
    isAdaptive: options.adaptive === true,
    sampleRate: options.sampleRate ?? 10,
  };
}
