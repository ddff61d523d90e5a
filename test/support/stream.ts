import { finished, type Writable } from 'node:stream';
import { expect } from 'vitest';
import type { BufferMetrics, SinkMetrics } from '../../src/index.js';

/** Lets every promise job and tick that is under way run, and those that follow from it: real turns of the event loop, no time. */
export async function turn(turns = 2): Promise<void> {
  for (let count = 0; count < turns; count++) await new Promise((resolve) => setImmediate(resolve));
}

interface Measured {
  getMetrics(): BufferMetrics;
}

/** Both equations of the ledger, and the bounds of its counts. Answers with the metrics. */
export function expectLedger<M extends BufferMetrics>(stream: { getMetrics(): M }): M {
  const metrics = stream.getMetrics();
  const {
    eventsOffered,
    waiting,
    bufferSize,
    inFlight,
    eventsFlushed,
    eventsFailed,
    eventsDropped,
    dropsByReason,
  } = metrics;
  const dropped = Object.values(dropsByReason).reduce((sum, count) => sum + count, 0);
  const { eventsAccepted } = metrics;
  // Not the whole: the last error may be one that cannot be read.
  const told = JSON.stringify({
    ...{
      eventsOffered,
      eventsAccepted,
      waiting,
      bufferSize,
      inFlight,
      eventsFlushed,
      eventsFailed,
      eventsDropped,
    },
    dropsByReason,
  });
  if (eventsDropped !== dropped) expect.fail(`eventsDropped is not the sum of dropsByReason: ${told}`);
  if (eventsOffered !== waiting + bufferSize + inFlight + eventsFlushed + eventsFailed + eventsDropped)
    expect.fail(`the first equation does not hold: ${told}`);
  if (eventsAccepted !== bufferSize + inFlight + eventsFlushed + eventsFailed + dropsByReason.evicted)
    expect.fail(`the second equation does not hold: ${told}`);
  for (const count of [waiting, bufferSize, inFlight, metrics.bufferBytes ?? 0, metrics.inFlightBytes ?? 0])
    if (!(count >= 0)) expect.fail(`a count below 0: ${told}`);
  return metrics;
}

/** Checks the ledger inside each of the stream's events from now on. */
export function watchLedger(stream: Writable & Measured, events: readonly string[]): void {
  for (const event of events) {
    stream.on(event, () => {
      try {
        expectLedger(stream);
      } catch (thrown) {
        // Not to the stream, which would take it for a listener's failure and go on: it is to fail the run.
        process.nextTick(() => {
          throw new Error(`inside '${event}'`, { cause: thrown });
        });
      }
    });
  }
}

/** Node's events and ours. */
export const ALL_EVENTS = [
  'state', 'drop', 'flush', 'retry', 'failed', 'drain', 'finish', 'end', 'close', 'error',
] as const; // prettier-ignore

/** How a stream ended, by `stream.finished`: `undefined` for a success. */
export function endOf(stream: Writable): Promise<Error | undefined> {
  return new Promise((resolve) => finished(stream, (error) => resolve(error ?? undefined)));
}

export async function closed(stream: Writable): Promise<void> {
  // Not events.once(), which rejects where 'error' comes first.
  if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve));
  // Node sets `closed` a tick before it emits 'close'.
  await turn(1);
}

/** Queued plus in flight: what the bound measures. */
export function loadOf(metrics: BufferMetrics | SinkMetrics): number {
  return metrics.bufferSize + metrics.inFlight;
}

/** Records a stream's events as they come, by name. */
export function record(stream: Writable, events: readonly string[]): string[] {
  const seen: string[] = [];
  for (const event of events) stream.on(event, () => void seen.push(event));
  return seen;
}
