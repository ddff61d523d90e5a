/** What is not true of a sample of metrics: against themselves, against the service's own accounts, and against the sample before. Pure. */

import { BackpressureState, type SinkMetrics } from '../../src/index.js';
import type { SinkSample } from './protocol.js';

/** The defaults of `copyInto`. */
const LOW_WATERMARK = 0.75;
const HIGH_WATERMARK = 0.875;
/** A state is left this share of the capacity below where it was entered. */
const HYSTERESIS = 0.05;
/** Between two readings of a clock within one turn of the event loop. */
const CLOCK_SLACK_MS = 20;
/** The service offers an item before the sink stamps it. */
const OFFER_SLACK_MS = 500;

/** Counts that never go down. */
const COUNTS = [
  'eventsOffered', 'eventsAccepted', 'eventsDropped', 'eventsFlushed', 'eventsFailed', 'eventsReturned',
  'eventsAmbiguous', 'flushes', 'retries', 'lateResults', 'producerBlockedMs',
] as const; // prettier-ignore

/** Returns a line for each thing that is not true. */
export function findUntruths(sample: SinkSample, previous: SinkSample | undefined): string[] {
  const found: string[] = [];
  const claim = (isTrue: boolean, text: string) => {
    if (!isTrue) found.push(text);
  };
  checkLedger(sample, claim);
  checkBounds(sample, claim);
  checkAges(sample, claim);
  checkState(sample, claim);
  if (previous !== undefined) {
    for (const name of COUNTS) {
      const [before, after] = [previous.metrics[name], sample.metrics[name]];
      claim(after >= before, `${name} has gone down from ${before} to ${after}`);
    }
  }
  return found;
}

type Claim = (isTrue: boolean, text: string) => void;

/** Both equations of the ledger, and what the service has counted by itself. */
function checkLedger({ metrics, offered, flushed, failed, dropped, open }: SinkSample, claim: Claim): void {
  const { waiting, bufferSize, inFlight, eventsFlushed, eventsFailed, eventsDropped, dropsByReason } =
    metrics;
  const equal = (what: string, is: number, right: number) =>
    claim(is === right, `${what}: ${is}, should be ${right}`);
  equal(
    'eventsOffered = waiting + queued + in flight + flushed + failed + dropped',
    metrics.eventsOffered,
    waiting + bufferSize + inFlight + eventsFlushed + eventsFailed + eventsDropped,
  );
  equal(
    'eventsAccepted = queued + in flight + flushed + failed + evicted',
    metrics.eventsAccepted,
    bufferSize + inFlight + eventsFlushed + eventsFailed + dropsByReason.evicted,
  );
  equal(
    'eventsDropped = the sum of dropsByReason',
    eventsDropped,
    Object.values(dropsByReason).reduce((sum, count) => sum + count, 0),
  );
  equal('eventsOffered', metrics.eventsOffered, offered);
  equal('eventsFlushed', eventsFlushed, flushed);
  equal('eventsFailed', eventsFailed, failed);
  equal('eventsDropped', eventsDropped, dropped);
  equal('waiting + bufferSize + inFlight', waiting + bufferSize + inFlight, open);
}

function checkBounds({ metrics, limits }: SinkSample, claim: Claim): void {
  const {
    bufferSize,
    inFlight,
    bufferBytes = 0,
    inFlightBytes = 0,
    isFailed,
    breaker,
    nextProbeTime,
  } = metrics;
  const items = bufferSize + inFlight;
  claim(items <= limits.maxBufferSize, `holds ${items} items, more than ${limits.maxBufferSize}`);
  const bytes = bufferBytes + inFlightBytes;
  claim(bytes <= limits.maxBufferBytes, `holds ${bytes} bytes, more than ${limits.maxBufferBytes}`);
  claim(!isFailed, `has failed: ${metrics.lastErrorClass}`);
  claim(breaker === 'open' || nextProbeTime === undefined, `breaker ${breaker}, but a next probe is told`);
}

function checkAges({ metrics, oldestOpenMs, ageMs }: SinkSample, claim: Claim): void {
  const { oldestItemAgeMs, oldestInFlightAgeMs, bufferSize, inFlight, waiting, timeInStateMs } = metrics;
  const ages = `oldest item ${oldestItemAgeMs} ms, in flight ${oldestInFlightAgeMs} ms, by the service's own clock ${oldestOpenMs} ms`;
  claim(oldestInFlightAgeMs <= oldestItemAgeMs, ages);
  if (bufferSize + inFlight === 0) claim(oldestItemAgeMs === 0, ages);
  if (inFlight === 0) claim(oldestInFlightAgeMs === 0, ages);
  claim(oldestItemAgeMs <= oldestOpenMs + CLOCK_SLACK_MS, ages);
  // What had to wait is younger by the sink's clock, which begins with the admission.
  if (waiting === 0 && metrics.producerBlockedMs === 0)
    claim(oldestItemAgeMs >= oldestOpenMs - OFFER_SLACK_MS, ages);
  const inStates = Object.values(timeInStateMs).reduce((sum, ms) => sum + ms, 0);
  claim(Math.abs(inStates - ageMs) <= OFFER_SLACK_MS, `${inStates} ms in states, ${ageMs} ms of life`);
}

function checkState({ metrics }: SinkSample, claim: Claim): void {
  const { state, bufferUtilization: load } = metrics;
  const [least, most] = loadsOf(state);
  claim(load >= least && load <= most, `state ${state} with ${(100 * load).toFixed(1)} % of the capacity`);
}

/** Between which loads a state may be, as shares of the capacity. */
function loadsOf(state: SinkMetrics['state']): [least: number, most: number] {
  const rounding = 0.001;
  switch (state) {
    case BackpressureState.NORMAL:
      return [0, LOW_WATERMARK + rounding];
    case BackpressureState.ELEVATED:
      return [LOW_WATERMARK - HYSTERESIS - rounding, HIGH_WATERMARK + rounding];
    case BackpressureState.CRITICAL:
      return [HIGH_WATERMARK - HYSTERESIS - rounding, 1];
    case BackpressureState.BLOCKED:
      return [1 - HYSTERESIS - rounding, 1];
    case BackpressureState.DRAINING:
      return [0, 1];
  }
}
