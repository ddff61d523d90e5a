/** Runs short transactions of the bookkeeping on a client of the pool. */

import { toError } from '../../common/thrown.js';
import { ClientLease } from '../connection/client-lease.js';
import { Commit } from '../connection/commit.js';
import { CopyError } from '../errors/copy-error.js';
import {
  AbortFault,
  CLEAN_UP_LIMIT_MS,
  TIMED_OUT,
  AnswerDeadline,
  unlessAborted,
} from '../connection/answer-deadline.js';
import type { CopyClient, CopyPool } from '../protocol/pool.js';
import { runStatement, statement, type Statement } from '../sql/statement.js';
import { leavesConnectionUsable } from '../errors/sqlstate.js';
import { OWN_TRANSACTION } from '../sql/transaction-scope.js';

/** How long the response to COMMIT may take. A server that waits for an absent standby never sends it. */
const COMMIT_LIMIT_MS = 60_000;

/** COMMIT was sent, and its outcome is unknown. `cause` says why its response did not come. */
export class OpenCommit extends Error {
  override readonly name = 'OpenCommit';
  override readonly cause: Error;

  constructor(cause: Error) {
    super(`COMMIT was sent and not answered: ${cause.message}`);
    this.cause = cause;
  }
}

/**
 * Commits what `work` has done, or nothing of it.
 *
 * @throws {OpenCommit} if the response to COMMIT does not come before the limit or the signal
 */
export async function inTransaction<Client extends CopyClient, Result>(
  pool: CopyPool<Client>,
  begin: Statement,
  signal: AbortSignal,
  work: (client: Client) => Promise<Result>,
  commitLimitMs = COMMIT_LIMIT_MS,
): Promise<Result> {
  const lease = await ClientLease.take(pool, signal);
  const { client } = lease;
  const commitment = new Commit(lease);
  try {
    const result = await unlessAborted(
      signal,
      (async () => {
        await runStatement(client, begin);
        return work(client);
      })(),
    );
    if (signal.aborted) throw new AbortFault(signal);
    await commitment.run(() => commit(client, signal, commitLimitMs));
    lease.release();
    return result;
  } catch (thrown) {
    const error = lease.reasonOf(toError(thrown));
    await rollBack(lease, error, signal);
    throw commitment.isOpen ? new OpenCommit(error) : error;
  }
}

const SET_LOCK_TIMEOUT = statement(
  "SELECT pg_catalog.current_setting('lock_timeout') AS before, pg_catalog.set_config('lock_timeout', $1, true)",
);

/** Limits the waits for locks in the transaction. @param limit milliseconds, or what it has returned @returns the limit before */
export async function limitLockWait(client: CopyClient, limit: number | string): Promise<string> {
  const { rows } = await runStatement(client, SET_LOCK_TIMEOUT, [String(limit)]);
  return (rows[0] as { before: string }).before;
}

async function commit(
  client: CopyClient,
  signal: AbortSignal,
  limitMs: number,
): Promise<{ command: string }> {
  const answerDeadline = new AnswerDeadline(new AbortController().signal);
  const answer = answerDeadline.wait(runStatement(client, OWN_TRANSACTION.commit), limitMs);
  const result = await unlessAborted(signal, answer).finally(() => answerDeadline.end());
  if (result === TIMED_OUT) throw new Error(`the server has not answered within ${limitMs / 1000} s`);
  return result;
}

async function rollBack(lease: ClientLease<CopyClient>, error: Error, signal: AbortSignal): Promise<void> {
  // An aborted statement may still be on the connection.
  const isUsable = error instanceof CopyError || leavesConnectionUsable(error);
  if (!isUsable || lease.isLost || signal.aborted) {
    lease.discard(error);
    return;
  }
  const answerDeadline = new AnswerDeadline(signal);
  try {
    const answer = await answerDeadline.wait(
      runStatement(lease.client, OWN_TRANSACTION.rollback),
      CLEAN_UP_LIMIT_MS,
    );
    if (answer === TIMED_OUT) lease.discard(error);
    else lease.release();
  } catch {
    lease.discard(error);
  } finally {
    answerDeadline.end();
  }
}
