/** A short transaction of the bookkeeping's own, on a client of the pool. */

import { toError } from '../common/thrown.js';
import { ClientLease } from './client-lease.js';
import { CopyError } from './copy-error.js';
import { LATE, Patience, unlessAborted } from './patience.js';
import type { CopyClient, CopyPool } from './pool.js';
import { runStatement, type Statement } from './sql/statement.js';
import { leavesConnectionUsable } from './sqlstate.js';
import { OWN_TRANSACTION } from './transaction-scope.js';

/** How long an answer to ROLLBACK may take before the connection is thrown away instead. */
const CLEAN_UP_LIMIT_MS = 5_000;

/** Commits what `work` has done, or nothing of it. */
export async function inTransaction<Client extends CopyClient, Result>(
  pool: CopyPool<Client>,
  begin: Statement,
  signal: AbortSignal,
  work: (client: Client) => Promise<Result>,
): Promise<Result> {
  const lease = await ClientLease.take(pool, signal);
  const { client } = lease;
  try {
    const result = await unlessAborted(
      signal,
      (async () => {
        await runStatement(client, begin);
        const answer = await work(client);
        await runStatement(client, OWN_TRANSACTION.commit);
        return answer;
      })(),
    );
    lease.release();
    return result;
  } catch (thrown) {
    const error = lease.reasonOf(toError(thrown));
    await rollBack(lease, error, signal);
    throw error;
  }
}

async function rollBack(lease: ClientLease<CopyClient>, error: Error, signal: AbortSignal): Promise<void> {
  // An aborted statement may still be on the connection.
  const isUsable = error instanceof CopyError || leavesConnectionUsable(error);
  if (!isUsable || lease.isLost || signal.aborted) {
    lease.discard(error);
    return;
  }
  const patience = new Patience(signal);
  try {
    const answer = await patience.wait(
      runStatement(lease.client, OWN_TRANSACTION.rollback),
      CLEAN_UP_LIMIT_MS,
    );
    if (answer === LATE) lease.discard(error);
    else lease.release();
  } catch {
    lease.discard(error);
  } finally {
    patience.end();
  }
}
