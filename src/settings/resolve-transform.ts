/** From the options of a transform to its settings. */

import { DEFAULTS, SINK_ONLY_NAMES, TRANSFORM_OPTIONS } from './defaults.js';
import type { MapFunction, TransformOptions } from '../api/options.js';
import { checkFunction, checkInteger, checkNames, optional, wrongOption } from '../guards/validate.js';
import { checkGiven } from './check-given.js';
import { resolveBuffer, type ResolvedBuffer } from './resolve-buffer.js';

const TRANSFORM_HINTS = Object.fromEntries(
  SINK_ONLY_NAMES.map((name) => [
    name,
    '; it is an option of BackpressureWritable, which has a destination to flush to',
  ]),
);

export interface ResolvedTransform<In> extends ResolvedBuffer<In> {
  map: MapFunction<In, unknown> | undefined;
  batchSize: number | undefined;
}

export function resolveTransform<In, Out>(given: TransformOptions<In, Out>): ResolvedTransform<In> {
  checkGiven(given);
  checkNames(given, TRANSFORM_OPTIONS, 'BackpressureTransform', TRANSFORM_HINTS);
  const batchSize = optional('batchSize', given.batchSize, checkInteger, 1);
  if (batchSize !== undefined && given.objectMode === false) {
    wrongOption('batchSize', "emits arrays, which byte mode ('objectMode: false') cannot");
  }
  const buffer = resolveBuffer<In>(given, {
    unsetBatchSize: 1,
    givenBatchSize: batchSize,
    concurrency: 1,
    sizeOf: given.sizeOf,
    maxBufferBytes: undefined,
    lowWatermark: DEFAULTS.lowWatermark,
    yieldEvery: DEFAULTS.yieldEvery,
  });
  return Object.assign(buffer, {
    map: optional('map', given.map, checkFunction),
    batchSize,
  });
}
