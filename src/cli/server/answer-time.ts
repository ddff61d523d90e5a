/** Limits how long the command line waits for the server outside of batches, which have the sink's own limits. */

import { AbortFault, TIMED_OUT, AnswerDeadline } from '../../postgres/connection/answer-deadline.js';
import { CliError } from '../common/errors.js';

/** For a query, or a statement that may wait for a lock: as long as a batch may take. */
const ANSWER_LIMIT_MS = 60_000;
/** For closing all connections. */
const FAREWELL_LIMIT_MS = 2_000;

/** @throws {CliError} without an answer within the limit */
export async function inTime<Answer>(work: Promise<Answer>, limitMs = ANSWER_LIMIT_MS): Promise<Answer> {
  const answerDeadline = new AnswerDeadline(new AbortController().signal);
  const answer = await answerDeadline.wait(work, limitMs);
  answerDeadline.end();
  if (answer === TIMED_OUT) throw new CliError(`the server has not answered within ${limitMs / 1000} s`);
  return answer;
}

/** Waits for `work` until the signal fires. @throws {AbortFault} if there is no answer by then */
export async function untilStopped<Answer>(signal: AbortSignal, work: Promise<Answer>): Promise<Answer> {
  const answerDeadline = new AnswerDeadline(signal);
  const answer = await answerDeadline.wait(work).finally(() => answerDeadline.end());
  if (answer === TIMED_OUT) throw new AbortFault(signal);
  return answer;
}

/** Waits for connections to close, but not long: a silent server never closes one. */
export async function farewell(end: Promise<unknown>): Promise<void> {
  const answerDeadline = new AnswerDeadline(new AbortController().signal);
  await answerDeadline.wait(end, FAREWELL_LIMIT_MS).finally(() => answerDeadline.end());
}
