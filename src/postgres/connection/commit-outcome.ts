/**
 * What became of a transaction whose answer to COMMIT was lost.
 *
 *     in its transaction   pg_current_xact_id()                        → its id
 *     the answer is lost
 *     on a new connection  same system, same timeline, no standby?     → pg_xact_status(id)
 *                          'in progress'                               → asked again
 *
 * The id means something on the server that gave it, and on none that was split off from it: so the system and its timeline must be the
 * same. Else the outcome stays unknown.
 *
 * Source: PostgreSQL manual, "Transaction ID and Snapshot Information Functions".
 */

import { systemClock } from '../../common/clock.js';
import { toError } from '../../common/thrown.js';
import { ClientLease } from './client-lease.js';
import { TIMED_OUT, AnswerDeadline } from './answer-deadline.js';
import type { CopyClient, CopyPool } from '../protocol/pool.js';
import { runStatement, statement } from '../sql/statement.js';
import { leavesConnectionUsable } from '../errors/sqlstate.js';

/** Two servers with the same one have the same transactions. */
export type ServerIdentity = string;

export interface TransactionIdentity {
  readonly id: string;
  readonly server: ServerIdentity;
}

export type CommitOutcome = 'committed' | 'aborted' | 'unknown';

/** Behind a batch's first COPY, in the same message. */
export const TRANSACTION_ID = statement('SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text AS id');

const IDENTITY = `CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.concat((SELECT c.system_identifier FROM pg_catalog.pg_control_system() c), '/'::pg_catalog.text, pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8)) END`;
const SERVER_IDENTITY = statement(`SELECT ${IDENTITY} AS server`);
const OUTCOME = statement(
  `SELECT ${IDENTITY} AS server, CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_xact_status($1::pg_catalog.xid8) END AS status`,
);

/** How long a transaction that is still in progress is waited for, and how often the server is asked. */
const PROGRESS_LIMIT_MS = 5_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;
/** How long one answer may take. */
const ANSWER_LIMIT_MS = 5_000;

const identities = new WeakMap<CopyClient, ServerIdentity | undefined>();

/** Asks once per connection. @returns undefined if the server does not say: on a standby, or without the right to ask */
export async function identifyServer(
  client: CopyClient,
  answerDeadline: AnswerDeadline,
): Promise<ServerIdentity | undefined> {
  if (identities.has(client)) return identities.get(client);
  let server: ServerIdentity | undefined;
  try {
    const answer = await answerDeadline.wait(runStatement(client, SERVER_IDENTITY));
    if (answer === TIMED_OUT) return undefined;
    server = (answer.rows[0] as { server: string | null } | undefined)?.server ?? undefined;
  } catch {
    // If the connection is lost, the next statement says so.
  }
  identities.set(client, server);
  return server;
}

/**
 * Asks the server on another connection.
 *
 * @throws what kept it from answering: no connection, a standby, a transaction that is still in progress, or an abort
 */
export async function findOutcome(
  pool: CopyPool,
  transaction: TransactionIdentity,
  signal: AbortSignal,
): Promise<CommitOutcome> {
  const answerDeadline = new AnswerDeadline(signal);
  const lease = await ClientLease.take(pool, signal);
  try {
    const deadline = systemClock.now() + PROGRESS_LIMIT_MS;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      const answer = await answerDeadline.wait(
        runStatement(lease.client, OUTCOME, [transaction.id]),
        ANSWER_LIMIT_MS,
      );
      if (answer === TIMED_OUT) throw new Error('the server does not tell what became of a transaction');
      const outcome = judge(transaction, answer.rows[0] as OutcomeRow);
      if (outcome === undefined && (signal.aborted || systemClock.now() >= deadline)) {
        throw new Error('the server does not know yet what became of a transaction');
      }
      if (outcome !== undefined) {
        lease.release();
        return outcome;
      }
      await answerDeadline.wait(new Promise(() => undefined), pauseMs);
    }
  } catch (thrown) {
    const error = toError(thrown);
    const isLost = lease.isLost;
    lease.discard(error);
    // The server's own word, such as an id that lies in its future: it is another server.
    if (!isLost && leavesConnectionUsable(error)) return 'unknown';
    throw error;
  } finally {
    answerDeadline.end();
  }
}

interface OutcomeRow {
  server: string | null;
  status: string | null;
}

/** A standby may be about to take over. */
function judge(transaction: TransactionIdentity, { server, status }: OutcomeRow): CommitOutcome | undefined {
  if (server === null || (server === transaction.server && status === 'in progress')) return undefined;
  if (server !== transaction.server) return 'unknown';
  return status === 'committed' || status === 'aborted' ? status : 'unknown';
}
