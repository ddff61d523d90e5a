/**
 * Finds out whether a transaction was committed whose response to COMMIT was lost.
 *
 *     in its transaction   pg_current_xact_id()                        → its id
 *     the response is lost
 *     on a new connection  same system, same timeline, no standby?     → pg_xact_status(id)
 *                          'in progress'                               → asked again
 *                          'committed', but after a crash              → unknown
 *
 * An id is valid only on the server that gave it, and not on one that was split off from it. So the system and its timeline must be the same.
 * Otherwise the outcome stays unknown.
 *
 * After a crash the server gives out again the ids whose WAL it had not written yet. Then 'committed' may be said of another transaction.
 * 'aborted' is true of ours in any case: a commit that is on disk keeps its id from being given out again.
 *
 * A server that has crashed begins its statistics again, also if only one of its backends was killed; a server that was stopped keeps them.
 * So the time of their reset shows a crash. If somebody resets them, the outcome is unknown, and no worse.
 *
 * The identity of the server is read once per connection. It gets out of date if somebody resets the statistics, or if a pooler such as
 * PgBouncer keeps the connection while the server behind it crashes or is replaced. Then the outcome of the batches whose responses are lost
 * next is unknown. After that the identity is read again on all connections.
 *
 * Source: PostgreSQL manual, "Transaction ID and Snapshot Information Functions" and "The Cumulative Statistics System".
 */

import { systemClock } from '../../common/clock.js';
import { toError } from '../../common/thrown.js';
import { ClientLease } from './client-lease.js';
import { AbortFault, TIMED_OUT, AnswerDeadline } from './answer-deadline.js';
import type { CopyClient, CopyPool } from '../protocol/pool.js';
import { runStatement, statement } from '../sql/statement.js';
import { leavesConnectionUsable } from '../errors/sqlstate.js';

export interface ServerIdentity {
  /** System and timeline: two servers with the same one have the same transactions. */
  readonly system: string;
  /** Changes when the server crashes. Undefined: it is not known. */
  readonly crashEpoch: string | undefined;
}

export interface TransactionIdentity {
  readonly id: string;
  readonly server: ServerIdentity;
}

/** `pending`: the transaction is in progress, or the server has not responded yet. `unknown`: asking again would not help. */
export type CommitOutcome = 'committed' | 'aborted' | 'pending' | 'unknown';

/** Sent behind a batch's first COPY, in the same message. */
export const TRANSACTION_ID = statement('SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text AS id');

const IDENTITY = `CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.concat((SELECT c.system_identifier FROM pg_catalog.pg_control_system() c), '/'::pg_catalog.text, pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8)) END`;
/** As a number: the text of a time depends on TimeZone and DateStyle, which may differ between two sessions. */
const CRASH_EPOCH = `pg_catalog.extract('epoch'::pg_catalog.text, pg_catalog.pg_stat_get_bgwriter_stat_reset_time())::pg_catalog.text`;
const SERVER_IDENTITY = statement(`SELECT ${IDENTITY} AS system, ${CRASH_EPOCH} AS epoch`);
const OUTCOME = statement(
  `SELECT ${IDENTITY} AS system, ${CRASH_EPOCH} AS epoch, CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_xact_status($1::pg_catalog.xid8) END AS status`,
);

/** How long a transaction that is still in progress is waited for, and how often the server is asked. */
const PROGRESS_LIMIT_MS = 5_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;
/** How long one response may take. */
const ANSWER_LIMIT_MS = 5_000;

let identities = new WeakMap<CopyClient, ServerIdentity | undefined>();

/**
 * Reads the identity once per connection, until an outcome is unknown.
 *
 * @returns undefined if it cannot be read: on a standby, or without the right to do so
 */
export async function identifyServer(
  client: CopyClient,
  answerDeadline: AnswerDeadline,
): Promise<ServerIdentity | undefined> {
  if (identities.has(client)) return identities.get(client);
  let server: ServerIdentity | undefined;
  try {
    const answer = await answerDeadline.wait(runStatement(client, SERVER_IDENTITY));
    if (answer === TIMED_OUT) return undefined;
    server = identityOf(answer.rows[0] as IdentityRow | undefined);
  } catch {
    // If the connection is lost, the next statement says so.
  }
  identities.set(client, server);
  return server;
}

/**
 * Asks the server on another connection.
 *
 * @throws what kept the server from being asked: no connection, or an `AbortFault`
 */
export async function findOutcome(
  pool: CopyPool,
  transaction: TransactionIdentity,
  signal: AbortSignal,
): Promise<CommitOutcome> {
  const lease = await ClientLease.take(pool, signal);
  const answerDeadline = new AnswerDeadline(signal);
  try {
    const outcome = await askUntilKnown(lease.client, transaction, answerDeadline);
    if (outcome === 'unknown') forgetIdentities();
    if (signal.aborted && outcome === 'pending') throw new AbortFault(signal);
    if (outcome === 'pending') lease.discard(new Error('the server has not answered in time'));
    else lease.release();
    return outcome;
  } catch (thrown) {
    const error = toError(thrown);
    const isLost = lease.isLost;
    lease.discard(error);
    // The server refuses the question itself, such as an id that it has not given out yet: it is another server, or it has crashed.
    if (isLost || !leavesConnectionUsable(error)) throw error;
    forgetIdentities();
    return 'unknown';
  } finally {
    answerDeadline.end();
  }
}

/** A pooler may have put another server behind any connection, and a reset of the statistics concerns all of them. */
function forgetIdentities(): void {
  identities = new WeakMap();
}

async function askUntilKnown(
  client: CopyClient,
  transaction: TransactionIdentity,
  answerDeadline: AnswerDeadline,
): Promise<CommitOutcome> {
  const deadline = systemClock.now() + PROGRESS_LIMIT_MS;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    const question = runStatement(client, OUTCOME, [transaction.id]);
    const answer = await answerDeadline.wait(question, ANSWER_LIMIT_MS);
    if (answer === TIMED_OUT) return 'pending';
    const outcome = judge(transaction, answer.rows[0] as OutcomeRow);
    if (outcome !== 'pending' || answerDeadline.isAborted || systemClock.now() >= deadline) return outcome;
    await answerDeadline.wait(new Promise(() => undefined), pauseMs);
  }
}

interface IdentityRow {
  system: string | null;
  epoch: string | null;
}

interface OutcomeRow extends IdentityRow {
  status: string | null;
}

function identityOf(row: IdentityRow | undefined): ServerIdentity | undefined {
  const system = row?.system ?? undefined;
  return system === undefined ? undefined : { system, crashEpoch: row?.epoch ?? undefined };
}

function judge({ server }: TransactionIdentity, row: OutcomeRow): CommitOutcome {
  const now = identityOf(row);
  // A standby may be about to take over.
  if (now === undefined) return 'pending';
  if (now.system !== server.system) return 'unknown';
  const hasCrashed = now.crashEpoch === undefined || now.crashEpoch !== server.crashEpoch;
  if (row.status === 'in progress') return 'pending';
  if (row.status === 'committed') return hasCrashed ? 'unknown' : 'committed';
  return row.status === 'aborted' ? 'aborted' : 'unknown';
}
