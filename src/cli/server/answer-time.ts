/** How long the command line waits for a server that says nothing. Batches have the sink's own limits. */

import { AbortFault, LATE, Patience } from '../../postgres/connection/answer-deadline.js';
import { CliError } from '../common/errors.js';

/** For a look-up, or a statement that may have to wait for a lock: as long as a batch may take. */
export const ANSWER_LIMIT_MS = 60_000;
/** For the farewell of all connections. */
const FAREWELL_LIMIT_MS = 2_000;

/** @throws {CliError} without an answer within the limit */
export async function inTime<Answer>(work: Promise<Answer>, limitMs = ANSWER_LIMIT_MS): Promise<Answer> {
  const patience = new Patience(new AbortController().signal);
  const answer = await patience.wait(work, limitMs);
  patience.end();
  if (answer === LATE) throw new CliError(`the server has not answered within ${limitMs / 1000} s`);
  return answer;
}

/** Ends soon after the signal, whether the server has answered or not. @throws {AbortFault} without an answer by then */
export async function untilStopped<Answer>(signal: AbortSignal, work: Promise<Answer>): Promise<Answer> {
  const patience = new Patience(signal);
  const answer = await patience.wait(work).finally(() => patience.end());
  if (answer === LATE) throw new AbortFault(signal);
  return answer;
}

/** A server that is silent never closes a connection; the process ends without it. */
export async function farewell(end: Promise<unknown>): Promise<void> {
  const patience = new Patience(new AbortController().signal);
  await patience.wait(end, FAREWELL_LIMIT_MS).finally(() => patience.end());
}
