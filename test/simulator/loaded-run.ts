/** A sink under a steady load, before a destination that is disturbed for a while: how its flush interval, ages and backlog come back. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { BackpressureController, type WritableOptions } from '../../src/index.js';
import { SeededRandom } from '../support/seeded-random.js';
import { SimulatedClock } from '../support/simulated-clock.js';
import { SimulatedDestination, type DestinationModel } from './destination.js';

export interface LoadedRun {
  model: DestinationModel;
  options: Omit<WritableOptions<number>, 'clock' | 'random'>;
  /** Items a second. */
  rate: number;
  /** So many items more, all at once, and when. */
  burst?: { items: number; at: number };
  durationMs: number;
  seed: number;
}

/** A call of the flush function that has begun, as seen from outside. */
export interface CallSeen {
  at: number;
  /** Of its oldest item. */
  ageMs: number;
  items: number;
  /** What was in the sink, this batch included. */
  load: number;
}

/** A call that has ended. */
export interface EndSeen {
  startedAt: number;
  at: number;
  intervalMs: number;
  isKept: boolean;
}

export interface LoadedTrace {
  calls: CallSeen[];
  ends: EndSeen[];
  /** What the sink ended with; `undefined` if it is alive. */
  failure: Error | undefined;
}

/** Items come in beats of so many milliseconds at the least. */
const BEAT_MS = 20;

export async function runLoaded(run: LoadedRun): Promise<LoadedTrace> {
  const { model, options, rate, burst, durationMs, seed } = run;
  const clock = new SimulatedClock();
  const random = new SeededRandom(seed);
  const destination = new SimulatedDestination<number>(clock, model, random.fork());
  const calls: CallSeen[] = [];
  const ends: EndSeen[] = [];
  const controller = new BackpressureController<number>(
    (items, context) => {
      const { bufferSize, inFlight } = controller.getMetrics();
      const at = clock.now();
      calls.push({ at, ageMs: at - items[0]!, items: items.length, load: bufferSize + inFlight });
      return destination.flush(items, context);
    },
    { ...options, clock, random: random.next, onFailed: () => undefined },
  );
  controller.on('flush', ({ latencyMs, success }) => {
    const { currentFlushIntervalMs } = controller.getMetrics();
    const at = clock.now();
    ends.push({ startedAt: at - latencyMs, at, intervalMs: currentFlushIntervalMs, isKept: success > 0 });
  });
  let failure: Error | undefined;
  const push = (count: number) => {
    if (failure !== undefined) return;
    try {
      for (let n = 0; n < count; n++) controller.tryPush(clock.now());
    } catch (error) {
      failure = error as Error;
    }
  };
  const beatMs = Math.max(BEAT_MS, 1000 / rate);
  const expected = (rate * beatMs) / 1000;
  let owed = 0;
  const beat = () => {
    owed += expected;
    const whole = Math.floor(owed);
    owed -= whole;
    push(whole);
    clock.after(beatMs, beat);
  };
  clock.after(random.next() * beatMs, beat);
  if (burst !== undefined) clock.after(burst.at, () => push(burst.items));
  controller.start();
  while (clock.nextAt < durationMs) {
    clock.step();
    await nextTurn();
  }
  controller.stop();
  return { calls, ends, failure };
}
