/** Reads what a flush function returned. Pure, and never throws. */

import { BackpressureError, ItemError, toError } from '../errors.js';
import type { FlushResult } from '../types.js';
import { show } from '../validate.js';
import { findPartialFailure } from './partial-failure.js';

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

/** Any of these makes a result one of ours, which must be whole. */
const RESULT_FIELDS = ['success', 'failed', 'errors'] as const;

const HOW_TO_MAP =
  'throw if no item arrived, or return { success, failed, errors }, with an ItemError for each item that failed';

/**
 * Judges what a flush function returned for a batch of `batchLength` items. A result that has none of `success`, `failed` and `errors` means
 * that all arrived, unless it looks like a partial failure of the destination.
 */
export function readFlushAnswer(answer: unknown, batchLength: number): FlushAnswer {
  if (answer === undefined) return SUCCEEDED;
  try {
    return isFlushResult(answer) ? readFlushResult(answer, batchLength) : readForeignResult(answer);
  } catch (error) {
    // A getter or a proxy may throw.
    return invalid(`it cannot be read: ${toError(error).message}`, error);
  }
}

function isFlushResult(answer: unknown): answer is Partial<FlushResult> {
  return typeof answer === 'object' && answer !== null && RESULT_FIELDS.some((field) => field in answer);
}

function readForeignResult(answer: unknown): FlushAnswer {
  const sign = findPartialFailure(answer);
  if (sign === undefined) return SUCCEEDED;
  return invalid(`it looks like a failure of the destination: ${sign}. For such a result ${HOW_TO_MAP}`);
}

function invalid(fault: string, cause?: unknown): FlushAnswer {
  const message = `the flush function's result is wrong: ${fault}`;
  const options = cause === undefined ? {} : { cause };
  return {
    kind: 'invalid',
    error: new BackpressureError('ERR_BACKPRESSURE_INVALID_RESULT', message, options),
  };
}

function readFlushResult(answer: Partial<FlushResult>, batchLength: number): FlushAnswer {
  const fault = faultOf(answer, batchLength);
  if (fault !== undefined) return invalid(fault);
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

function faultOf(answer: Partial<FlushResult>, batchLength: number): string | undefined {
  const { success, failed, errors } = answer;
  if (!isCount(success)) return notACount('success', success);
  if (!isCount(failed)) return notACount('failed', failed);
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

function notACount(field: string, value: unknown): string {
  return `'${field}' must be a count; got ${show(value)}. To map a destination's own result, ${HOW_TO_MAP}`;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}
