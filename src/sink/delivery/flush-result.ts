/** Reads what a flush function returned. Pure, and never throws: each field is read once, for its getters are the user's code. */

import { messageOf, toError } from '../../common/thrown.js';
import { ItemError, type BackpressureError, type StageErrors } from '../../api/errors.js';
import type { FlushResult } from '../../api/flush-function.js';
import { show } from '../../guards/validate.js';
import { findPartialFailure } from './partial-failure.js';

/** A failure that names its item. */
interface NamedFailure {
  error: ItemError;
  retryable: boolean;
}

/** What became of a batch. Indexes count the batch's items from 0. */
export type InterpretedResult =
  | { kind: 'succeeded' }
  | {
      kind: 'partial';
      /** The failures that name their item. */
      named: ReadonlyMap<number, NamedFailure>;
      /** How many more failed, which ones is not known. */
      unnamed: number;
      /** Why they failed. */
      unnamedError: Error | undefined;
    }
  | { kind: 'invalid'; error: BackpressureError };

/** The fields of a result that adds up. */
interface CheckedResult {
  failed: number;
  named: Map<number, NamedFailure>;
  others: Error[];
}

const SUCCEEDED: InterpretedResult = { kind: 'succeeded' };

/** Any of these makes a result one of ours, which must be whole. */
const RESULT_FIELDS = ['success', 'failed', 'errors'] as const;

const HOW_TO_MAP =
  'throw if no item arrived, or return { success, failed, errors }, with an ItemError for each item that failed';

/**
 * Judges what a flush function returned for a batch of `batchLength` items. A result that has none of `success`, `failed` and `errors` means
 * that all arrived, unless it looks like a partial failure of the destination.
 *
 * @param errors makes the errors that the result calls for
 */
export function interpretResult(
  answer: unknown,
  batchLength: number,
  errors: StageErrors,
): InterpretedResult {
  if (answer === undefined) return SUCCEEDED;
  let result: CheckedResult | string | undefined;
  try {
    result = isFlushResult(answer) ? readFlushResult(answer, batchLength) : signOfFailure(answer);
  } catch (error) {
    // A getter or a proxy may throw.
    return invalid(errors, `it cannot be read: ${messageOf(error)}`, { cause: error });
  }
  if (typeof result === 'string') return invalid(errors, result);
  if (result === undefined || result.failed === 0) return SUCCEEDED;
  const { failed, named, others } = result;
  const unnamed = failed - named.size;
  const unnamedError = unnamed > 0 ? describeUnnamed(others, unnamed, batchLength, errors) : undefined;
  return { kind: 'partial', named, unnamed, unnamedError };
}

function isFlushResult(answer: unknown): answer is Partial<FlushResult> {
  return typeof answer === 'object' && answer !== null && RESULT_FIELDS.some((field) => field in answer);
}

function signOfFailure(answer: unknown): string | undefined {
  const sign = findPartialFailure(answer);
  return sign && `it looks like a failure of the destination: ${sign}. For such a result ${HOW_TO_MAP}`;
}

function invalid(errors: StageErrors, fault: string, options: { cause?: unknown } = {}): InterpretedResult {
  const message = `the flush function's result is wrong: ${fault}`;
  return { kind: 'invalid', error: errors.create('ERR_BACKPRESSURE_INVALID_RESULT', message, options) };
}

function describeUnnamed(
  others: Error[],
  unnamed: number,
  batchLength: number,
  errors: StageErrors,
): BackpressureError {
  const cause = others.length > 1 ? new AggregateError(others, messageOf(others[0])) : others[0];
  const detail = cause === undefined ? '' : `: ${messageOf(cause)}`;
  const message = `${unnamed} of ${batchLength} items failed, unnamed${detail}`;
  return errors.create('ERR_BACKPRESSURE_FLUSH_FAILED', message, { cause });
}

/** Returns what is wrong with the result, if something is. */
function readFlushResult(answer: Partial<FlushResult>, batchLength: number): CheckedResult | string {
  const { success, failed, errors } = answer;
  if (!isCount(success)) return notACount('success', success);
  if (!isCount(failed)) return notACount('failed', failed);
  if (success + failed !== batchLength)
    return `success (${success}) + failed (${failed}) is not the batch's ${batchLength} items`;
  if (!Array.isArray(errors)) return `'errors' must be an array; got ${show(errors)}`;
  const named = new Map<number, NamedFailure>();
  const others: Error[] = [];
  for (const error of errors as unknown[]) {
    if (!(error instanceof ItemError)) {
      others.push(toError(error));
      continue;
    }
    const { index, retryable } = error;
    if (!Number.isInteger(index) || index < 0 || index >= batchLength)
      return `an ItemError names item ${show(index)} of ${batchLength}`;
    if (named.has(index)) return `two ItemErrors name item ${index}`;
    named.set(index, { error, retryable });
  }
  if (named.size > failed) return `${named.size} ItemErrors, but 'failed' is ${failed}`;
  return { failed, named, others };
}

function notACount(field: string, value: unknown): string {
  return `'${field}' must be a count; got ${show(value)}. To map a destination's own result, ${HOW_TO_MAP}`;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}
