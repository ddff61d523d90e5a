/** What a signal means for a program that drains at the first one: one rule for the library and the command line. */

import { Alarm } from '../common/alarm.js';
import { afterIO, unrefClock, type Clock } from '../common/clock.js';

/** Begin the drain, go on with the one under way, or end the process at once. */
export type SignalAction = 'drain' | 'wait' | 'end';

export type SignalState = 'idle' | 'draining' | 'interrupted' | 'armed';

/** A SIGINT that comes sooner after the first is a copy of it: npm and other parents forward what the terminal has sent already. */
const SECOND_SIGINT_AFTER_MS = 1_000;

/**
 * The next state, and what to do.
 *
 *     idle ──SIGINT──> interrupted ──1 s──> armed ──SIGINT──> end
 *     idle ──other signal──> draining ──SIGINT──> interrupted
 *
 * Every other signal changes nothing: a repeated SIGTERM never shortens a drain.
 */
export function decideSignal(
  state: SignalState,
  signal: NodeJS.Signals,
): { state: SignalState; action: SignalAction } {
  const isInterrupt = signal === 'SIGINT';
  if (state === 'idle') return { state: isInterrupt ? 'interrupted' : 'draining', action: 'drain' };
  if (state === 'draining' && isInterrupt) return { state: 'interrupted', action: 'wait' };
  if (state === 'armed' && isInterrupt) return { state, action: 'end' };
  return { state, action: 'wait' };
}

/** The decider with its clock. */
export class SignalRule {
  #state: SignalState = 'idle';
  readonly #alarm: Alarm;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = unrefClock(clock);
    // A copy that arrived while the event loop was blocked is handled before the rule is armed, however long that was.
    this.#alarm = new Alarm(this.#clock, () => afterIO(() => this.#arm()));
  }

  decide(signal: NodeJS.Signals): SignalAction {
    const before = this.#state;
    const { state, action } = decideSignal(before, signal);
    this.#state = state;
    if (state === 'interrupted' && before !== state)
      this.#alarm.set(this.#clock.now() + SECOND_SIGINT_AFTER_MS);
    return action;
  }

  /** Lets go of the timer. */
  close(): void {
    this.#alarm.clear();
  }

  #arm(): void {
    if (this.#state === 'interrupted') this.#state = 'armed';
  }
}
