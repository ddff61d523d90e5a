import type { SinkOptions } from '../../src/api/options.js';
import { BackpressureController } from '../../src/controller/backpressure-controller.js';
import { ScriptedDestination, type Behaviour } from './destinations.js';
import { ManualClock } from './manual-clock.js';

/** A started controller on a manual clock, with a scripted destination. */
export function startController<T = number>(options: SinkOptions<T> = {}, script: readonly Behaviour[] = []) {
  const clock = new ManualClock();
  const destination = new ScriptedDestination<T>(clock, script);
  const controller = new BackpressureController<T>(destination.flush, { clock, ...options });
  controller.start();
  return { clock, destination, controller };
}
