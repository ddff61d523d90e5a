/** What one call has made of its batch. Knows neither queue nor breaker; calls the user's `retry.isRetryable`. */

import type { StageErrors } from '../../api/errors.js';
import { fieldOf } from '../../common/thrown.js';
import { ignoreRejections, refusePromise } from '../../guards/user-callbacks.js';
import type { ResolvedRetry } from '../../settings/resolve-retry.js';
import type { CallOutcome } from './flush-call.js';
import { interpretResult, type InterpretedResult } from './flush-result.js';

/** The call failed for all of its items alike. */
export interface WholeFailure {
  kind: 'failed';
  error: Error;
  /** The items may have arrived all the same. */
  isAmbiguous: boolean;
  /** Another call may help. */
  isRetryable: boolean;
  /** It says something about the destination rather than about its items. */
  isTransportFailure: boolean;
}

export type PartialFailure = Extract<InterpretedResult, { kind: 'partial' }>;

type Assessment = Exclude<InterpretedResult, { kind: 'invalid' }> | WholeFailure;

/**
 * Assesses the outcome of a call:
 *
 *     outcome                          ambiguous            retryable                    transport failure
 *     returned, adds up                –                    by item (`ItemError`)        no
 *     returned, does not add up        yes                  no                           no
 *     rejected                         if it says so        by `retry.isRetryable`       if retryable
 *     rejected after its signal        unless `retryable`   or `retry.afterTimeout`      yes
 *     abandoned after the grace        yes                  by `retry.afterTimeout`      yes
 */
export function assessOutcome(
  outcome: CallOutcome,
  length: number,
  retry: ResolvedRetry,
  errors: StageErrors,
): Assessment {
  switch (outcome.kind) {
    case 'answered': {
      const result = interpretResult(outcome.answer, length, errors);
      if (result.kind !== 'invalid') return result;
      ignoreRejections(outcome.answer);
      return wholeFailure(result.error, true, false, false);
    }
    case 'rejected':
      return assessRejection(outcome.error, outcome.interrupted, retry, errors);
    case 'abandoned':
      return wholeFailure(outcome.error, true, retry.afterTimeout, true);
  }
}

function assessRejection(
  error: Error,
  wasInterrupted: boolean,
  retry: ResolvedRetry,
  errors: StageErrors,
): WholeFailure {
  if (wasInterrupted) {
    // Its signal had fired: what the call did until then is unknown, unless the destination knows.
    const isKnown = fieldOf(error, 'retryable') === true;
    return wholeFailure(error, !isKnown, isKnown || retry.afterTimeout, true);
  }
  let isRetryable: boolean;
  try {
    const returned: unknown = retry.isRetryable(error);
    refusePromise('retry.isRetryable', returned, errors);
    isRetryable = Boolean(returned);
  } catch (thrown) {
    return wholeFailure(errors.handlerFailed('retry.isRetryable', thrown), false, false, false);
  }
  return wholeFailure(error, fieldOf(error, 'ambiguous') === true, isRetryable, isRetryable);
}

function wholeFailure(
  error: Error,
  isAmbiguous: boolean,
  isRetryable: boolean,
  isTransportFailure: boolean,
): WholeFailure {
  return { kind: 'failed', error, isAmbiguous, isRetryable, isTransportFailure };
}
