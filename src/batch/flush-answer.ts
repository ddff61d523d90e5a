/** Reads what a flush function answered. Pure. */

import { BackpressureError, ItemError, toError } from '../errors.js';
import type { FlushResult } from '../types.js';
import { show } from '../validate.js';

/** What became of a batch. Indexes count the batch's items from 0. */
export type FlushAnswer =
  | { kind: 'succeeded' }
  | {
      kind: 'partial';
      /** The failures that name their item. */
      named: ReadonlyMap<number, ItemError>;
      /** How many more failed, which ones is not known. */
      unnamed: number;
      /** What is told of them. */
      unnamedError: Error | undefined;
    }
  | { kind: 'invalid'; error: BackpressureError };

const SUCCEEDED: FlushAnswer = { kind: 'succeeded' };

export function readFlushAnswer(answer: unknown, batchLength: number): FlushAnswer {
  if (answer === undefined) return SUCCEEDED;
  const fault = faultOf(answer, batchLength);
  if (fault !== undefined) {
    const message = `the flush function's answer is wrong: ${fault}`;
    return { kind: 'invalid', error: new BackpressureError('ERR_BACKPRESSURE_INVALID_RESULT', message) };
  }
  const { failed, errors } = answer as FlushResult;
  if (failed === 0) return SUCCEEDED;
  const named = new Map<number, ItemError>();
  const others: Error[] = [];
  for (const error of errors) {
    if (error instanceof ItemError) named.set(error.index, error);
    else others.push(toError(error));
  }
  const unnamed = failed - named.size;
  return {
    kind: 'partial',
    named,
    unnamed,
    unnamedError: unnamed > 0 ? describeUnnamed(others, unnamed, batchLength) : undefined,
  };
}

function describeUnnamed(errors: Error[], unnamed: number, batchLength: number): Error {
  const told = errors.length > 1 ? new AggregateError(errors, errors[0]!.message) : errors[0];
  const detail = told === undefined ? '' : `: ${told.message}`;
  return new BackpressureError(
    'ERR_BACKPRESSURE_FLUSH_FAILED',
    `${unnamed} of ${batchLength} items failed, unnamed${detail}`,
    {
      cause: told,
    },
  );
}

function faultOf(answer: unknown, batchLength: number): string | undefined {
  if (typeof answer !== 'object' || answer === null) {
    return `it must be undefined or { success, failed, errors }; got ${show(answer)}`;
  }
  const { success, failed, errors } = answer as Partial<FlushResult>;
  if (!isCount(success)) return `'success' must be a count; got ${show(success)}`;
  if (!isCount(failed)) return `'failed' must be a count; got ${show(failed)}`;
  if (success + failed !== batchLength)
    return `success (${success}) + failed (${failed}) is not the batch's ${batchLength} items`;
  if (!Array.isArray(errors)) return `'errors' must be an array; got ${show(errors)}`;
  const indexes = new Set<number>();
  for (const error of errors) {
    if (!(error instanceof ItemError)) continue;
    const { index } = error;
    if (!Number.isInteger(index) || index < 0 || index >= batchLength)
      return `an ItemError names item ${index} of ${batchLength}`;
    if (indexes.has(index)) return `two ItemErrors name item ${index}`;
    indexes.add(index);
  }
  if (indexes.size > failed) return `${indexes.size} ItemErrors, but 'failed' is ${failed}`;
  return undefined;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}
