import type { Plan } from './plan.js';

/** Whether this run could have ended so. */
export function isExpected(error: Error | null, plan: Plan, wasAborted: boolean, isOutage: boolean): boolean {
  if (error === null) return true;
  const { options, onFailed, producer, surface } = plan;
  switch ((error as { code?: string }).code ?? '') {
    case 'ABORT_ERR':
      return wasAborted;
    case 'ERR_BACKPRESSURE_ABORTED':
      return wasAborted && plan.ending === 'abort';
    case 'ERR_BACKPRESSURE_HANDLER_FAILED':
      return onFailed === 'throws';
    case 'ERR_BACKPRESSURE_FLUSH_FAILED':
    case 'ERR_BACKPRESSURE_FLUSH_TIMEOUT':
    case 'ERR_BACKPRESSURE_INVALID_RESULT':
      return onFailed === 'none';
    case 'ERR_BACKPRESSURE_OUTAGE':
      return isOutage;
    case 'ERR_BACKPRESSURE_OVERFLOW':
      // A heedful producer never gets there.
      return surface === 'writable' && options.strategy === 'block' && producer === 'careless';
    case 'ERR_BACKPRESSURE_BLOCK_TIMEOUT':
      return surface === 'writable' && options.strategy === 'block' && options.maxBlockTimeMs !== undefined;
    default:
      return false;
  }
}
