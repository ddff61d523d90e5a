/** The defaults, and which names are options of what. */

import type { BufferOptions, SinkOptions, WritableOptions } from '../api/options.js';
import { BackpressureStrategy } from '../api/states.js';

/** The documented defaults. The table of options in `api/README.md` is compared with them by a test. */
export const DEFAULTS = {
  maxBufferSize: 10_000,
  highWatermark: 0.8,
  lowWatermark: 0.5,
  strategy: BackpressureStrategy.BLOCK,
  sampleRate: 10,
  /** Of `push()`; a stream waits without limit. */
  maxBlockTimeMs: 5_000,
  batchSize: 100,
  concurrency: 1,
  adaptive: false,
  minFlushIntervalMs: 100,
  maxFlushIntervalMs: 30_000,
  targetLatencyMs: 500,
  flushTimeoutMs: 30_000,
  abortGraceMs: 1_000,
  retry: { attempts: 1, minDelayMs: 200, maxDelayMs: 30_000, maxElapsedMs: 300_000, afterTimeout: false },
  /** Where there is one. */
  breaker: { failures: 5, minDelayMs: 500, maxDelayMs: 4_000, maxOutageMs: 300_000 },
  yieldEvery: Infinity,
  objectMode: true,
  unref: false,
  byteMode: { maxBufferBytes: 16 * 1024 * 1024, batchBytes: 1024 * 1024 },
} as const;

const BUFFER_NAMES = [
  'maxBufferSize', 'highWatermark', 'lowWatermark', 'strategy', 'sampleRate', 'shed', 'maxBufferBytes', 'sizeOf',
  'maxWaiting', 'maxBlockTimeMs', 'signal', 'unref', 'clock', 'random',
] as const satisfies readonly (keyof BufferOptions<unknown>)[]; // prettier-ignore
export const SINK_ONLY_NAMES = [
  'batchBytes', 'concurrency', 'adaptive', 'minFlushIntervalMs', 'maxFlushIntervalMs', 'targetLatencyMs', 'flushTimeoutMs', 'abortGraceMs',
  'retry', 'breaker', 'onFailed', 'onSettled', 'positionOf',
] as const satisfies readonly (keyof SinkOptions<unknown>)[]; // prettier-ignore
const STREAM_NAMES = [
  'highWaterMark',
  'objectMode',
] as const satisfies readonly (keyof WritableOptions<unknown>)[];

export const CONTROLLER_OPTIONS: ReadonlySet<string> = new Set([
  ...BUFFER_NAMES,
  ...SINK_ONLY_NAMES,
  'batchSize',
]);
export const WRITABLE_OPTIONS: ReadonlySet<string> = new Set([
  ...CONTROLLER_OPTIONS,
  ...STREAM_NAMES,
  'yieldEvery' satisfies keyof WritableOptions<unknown>,
]);
export const TRANSFORM_OPTIONS: ReadonlySet<string> = new Set([
  ...BUFFER_NAMES,
  ...STREAM_NAMES,
  'map',
  'batchSize',
]);
export const RETRY_OPTIONS: ReadonlySet<string> = new Set([
  'attempts',
  'minDelayMs',
  'maxDelayMs',
  'maxElapsedMs',
  'isRetryable',
  'afterTimeout',
]);
export const BREAKER_OPTIONS: ReadonlySet<string> = new Set([
  'failures',
  'minDelayMs',
  'maxDelayMs',
  'maxOutageMs',
  'probe',
]);
