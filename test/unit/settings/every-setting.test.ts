/** `resolveSink` sets what a sink adds to the settings of its buffer one by one, which the compiler does not count. */

import { expect, it } from 'vitest';
import type { ResolvedBuffer } from '../../../src/settings/resolve-buffer.js';
import { resolveSink, type ResolvedSink } from '../../../src/settings/resolve-sink.js';

/** The compiler keeps this list complete. */
const ADDED: Record<Exclude<keyof ResolvedSink<unknown>, keyof ResolvedBuffer<unknown>>, true> = {
  batchSize: true,
  batchBytes: true,
  batchHeldBytes: true,
  concurrency: true,
  adaptive: true,
  firstBatchSize: true,
  minFlushIntervalMs: true,
  maxFlushIntervalMs: true,
  targetLatencyMs: true,
  flushTimeoutMs: true,
  abortGraceMs: true,
  retry: true,
  breaker: true,
  onFailed: true,
  onSettled: true,
  positionOf: true,
};

it.each([undefined, { batchSize: 10 }])('sets every setting of a sink that is given %o', (given) => {
  const settings = Object.keys(resolveSink(async () => undefined, given, 'BackpressureWritable'));
  expect(settings).toEqual(expect.arrayContaining(Object.keys(ADDED)));
});
