import { BackpressureError, type SinkMetrics } from '../../src/index.js';
import type { ItemBook } from './item-book.js';
import { positionOf, type Item } from './item.js';
import { show, type Journal } from './journal.js';
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

/** At the moment of the end: nothing is open, and what did not arrive has been returned. */
export function checkEnd(
  journal: Journal,
  end: Error | null,
  metrics: SinkMetrics,
  unsettled: readonly Item[],
): void {
  const { waiting, bufferSize, inFlight } = metrics;
  journal.check(waiting + bufferSize + inFlight === 0, () => `open at the end: ${show(metrics)}`);
  journal.check(
    end !== null || unsettled.length === 0,
    () => `a good end with ${unsettled.length} items returned`,
  );
  if (end instanceof BackpressureError)
    journal.check(
      end.items.length === unsettled.length && end.items.every((item, n) => item === unsettled[n]),
      () => `the error carries ${end.items.length} items, but ${unsettled.length} were returned`,
    );
}

/** Once the last late answer has come. */
export function checkTotals(journal: Journal, metrics: SinkMetrics, book: ItemBook): void {
  const check = (holds: boolean, tell: () => string) => journal.check(holds, tell);
  check(book.settledCount === book.offered, () => `${book.offered} offered, ${book.settledCount} settled`);
  check(book.oldestOpen === book.offered, () => `item ${book.oldestOpen} is open after the end`);
  const unheard = book.unheardFailures;
  check(unheard === 0, () => `${unheard} items failed, were taken by no handler and not returned`);
  const { certain, possible } = book.lateAnswers;
  check(
    metrics.lateResults >= certain && metrics.lateResults <= possible,
    () => `${metrics.lateResults} late results, but ${certain} to ${possible} answers were late`,
  );
  check(
    metrics.flushes + metrics.retries >= book.calls,
    () => `${metrics.flushes} flushes and ${metrics.retries} retries, but ${book.calls} calls`,
  );
}

export function checkGoodEnd(journal: Journal, plan: Plan, metrics: SinkMetrics, book: ItemBook): void {
  // Under `sample` the kept items stand for all that were offered; else each stands for itself.
  const { dropsByReason, unrepresented, eventsOffered, eventsAccepted, committedPosition } = metrics;
  const expected =
    plan.options.strategy === 'sample'
      ? eventsOffered - unrepresented - dropsByReason.shed
      : eventsAccepted - dropsByReason.evicted;
  journal.check(
    book.represented === expected,
    () => `batches stand for ${book.represented} items, not for ${expected}`,
  );
  if (plan.positions === 0 || book.lastBegun < 0) return;
  const last = positionOf(book.lastBegun, plan.positions);
  journal.check(
    committedPosition !== undefined && committedPosition >= last,
    () => `committed up to ${committedPosition} at the end, but ${last} has settled`,
  );
}
