/** The signals that stop a load. */

import { ExitCode } from '../common/errors.js';

export type StopSignal = 'SIGINT' | 'SIGTERM';

export function exitCodeOf(signal: StopSignal): ExitCode {
  return signal === 'SIGINT' ? ExitCode.INTERRUPTED : ExitCode.TERMINATED;
}
