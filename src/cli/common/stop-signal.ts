/** The signals that stop a command. */

import { systemClock } from '../../common/clock.js';
import { SignalRule } from '../../shutdown/signal-rule.js';
import { statusOf } from '../../shutdown/signal-target.js';
import { writeLineNow } from '../../shutdown/standard-error.js';
import { ExitCode } from './errors.js';

export type StopSignal = 'SIGINT' | 'SIGTERM';

export function exitCodeOf(signal: StopSignal): ExitCode {
  return signal === 'SIGINT' ? ExitCode.INTERRUPTED : ExitCode.TERMINATED;
}

/**
 * Calls `stop` at the first SIGINT or SIGTERM. A second SIGINT, a second or more later, ends the process at once.
 *
 * @param lastWords is called before the process ends, and returns what is to be said of work in flight, or an empty text
 * @returns a function that removes the handlers
 */
export function onStopSignal(stop: (signal: StopSignal) => void, lastWords: () => string): () => void {
  const rule = new SignalRule(systemClock);
  const handle = (signal: StopSignal): void => {
    const action = rule.decide(signal);
    if (action === 'drain') stop(signal);
    else if (action === 'end') endNow(signal, lastWords());
  };
  process.on('SIGINT', handle).on('SIGTERM', handle);
  return () => {
    rule.close();
    process.off('SIGINT', handle).off('SIGTERM', handle);
  };
}

function endNow(signal: StopSignal, lastWords: string): never {
  writeLineNow(`spillway: ended at once by a second ${signal}${lastWords === '' ? '' : `; ${lastWords}`}`);
  process.exit(statusOf(signal));
}
