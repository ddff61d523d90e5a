/** `--atomic`: one connection and one transaction for the whole load. Its batches are savepoints. */

import { messageOf, toError } from '../../common/thrown.js';
import { ClientLease } from '../../postgres/connection/client-lease.js';
import { requestCancel } from '../../postgres/connection/cancel-request.js';
import { Commit } from '../../postgres/connection/commit.js';
import { expectOtherStatements } from '../../postgres/protocol/own-query.js';
import { CopyError } from '../../postgres/errors/copy-error.js';
import {
  AbortFault,
  TIMED_OUT,
  AnswerDeadline,
  unlessAborted,
} from '../../postgres/connection/answer-deadline.js';
import type { CopyClient, CopyPool } from '../../postgres/protocol/pool.js';
import { runStatement } from '../../postgres/sql/statement.js';
import { OWN_TRANSACTION } from '../../postgres/sql/transaction-scope.js';
import { CliError, ExitCode, oneLine } from '../common/errors.js';
import { inTime } from '../server/answer-time.js';

/** Time for the answer to ROLLBACK; after it, the connection is cut. */
const ROLLBACK_LIMIT_MS = 5_000;
/** Time for the answer to COMMIT after a stop signal and a cancel request. */
const STOP_LIMIT_MS = 5_000;

export class AtomicLoad {
  /** A pool of this one connection. If it is lost, so is the load. */
  readonly pool: CopyPool;
  readonly #lease: ClientLease<CopyClient>;
  readonly #commitment: Commit;
  #lost: Error | undefined;
  #isCommitted = false;

  private constructor(lease: ClientLease<CopyClient>) {
    this.#lease = lease;
    this.#commitment = new Commit(lease);
    this.pool = { connect: () => this.#lend(), options: { max: 1 } };
  }

  static async begin(pool: CopyPool): Promise<AtomicLoad> {
    const lease = await ClientLease.take(pool, new AbortController().signal);
    try {
      await inTime(runStatement(lease.client, OWN_TRANSACTION.begin));
      expectOtherStatements(lease.client);
    } catch (error) {
      lease.discard(toError(error));
      throw new CliError(oneLine(messageOf(error)), ExitCode.FAILED, error);
    }
    return new AtomicLoad(lease);
  }

  get isCommitted(): boolean {
    return this.#isCommitted;
  }

  /** COMMIT was sent, and its outcome is unknown. */
  get isCommitOpen(): boolean {
    return this.#commitment.isOpen;
  }

  /** It was committed, but the server has not waited for its standby to confirm that. */
  get isUnconfirmed(): boolean {
    return this.#isCommitted && this.#lease.watch.isCommittedLocally;
  }

  /**
   * @param stopping fires when the load is to stop: then the server is asked to cancel, and has a few seconds more to answer
   * @throws {CliError} if nothing was committed, or the outcome is unknown
   */
  async commit(stopping: AbortSignal): Promise<void> {
    try {
      if (this.#lost !== undefined) throw this.#lost;
      const { command } = await this.#commitment.run(() => this.#commitOrCancel(stopping));
      // COMMIT of a failed transaction returns ROLLBACK, and no error.
      if (command === 'ROLLBACK') throw new CliError('the server rolled the load back');
      this.#isCommitted = true;
    } catch (thrown) {
      const error = this.#lease.reasonOf(toError(thrown));
      const outcome = this.#commitment.isOpen ? 'COMMIT was sent and not answered: ' : '';
      throw new CliError(oneLine(`${outcome}${error.message}`), ExitCode.FAILED, error);
    }
  }

  async #commitOrCancel(stopping: AbortSignal): Promise<{ command: string }> {
    const { client } = this.#lease;
    const answer = runStatement(client, OWN_TRANSACTION.commit);
    try {
      return await unlessAborted(stopping, answer);
    } catch (error) {
      if (!(error instanceof AbortFault)) throw error;
      // A server that waits for its standby then commits; one that still checks constraints rolls back. Both answer.
      requestCancel(client);
      const answered = await new AnswerDeadline(new AbortController().signal).wait(answer, STOP_LIMIT_MS);
      if (answered === TIMED_OUT)
        throw new Error('the load was stopped while it waited for the answer', { cause: error });
      return answered;
    }
  }

  /** Ends the transaction: rolls back what is not committed. */
  async end(): Promise<void> {
    const lease = this.#lease;
    if (this.#isCommitted) {
      lease.release();
      return;
    }
    if (this.#commitment.isOpen) {
      // The server would not answer another statement before the COMMIT.
      lease.discard(new Error('COMMIT was not answered'));
      return;
    }
    const answerDeadline = new AnswerDeadline(new AbortController().signal);
    const answer = await answerDeadline
      .wait(runStatement(lease.client, OWN_TRANSACTION.rollback), ROLLBACK_LIMIT_MS)
      .catch((error: unknown) => toError(error));
    answerDeadline.end();
    if (answer === TIMED_OUT || answer instanceof Error)
      lease.discard(new Error('ROLLBACK was not answered'));
    else lease.release();
  }

  #lend(): Promise<CopyClient> {
    if (this.#lost !== undefined) {
      return Promise.reject(
        new CopyError(`the connection was lost, and with it the transaction: ${this.#lost.message}`, {
          failureClass: 'setup',
          cause: this.#lost,
        }),
      );
    }
    const { client } = this.#lease;
    const lent = {
      connection: (client as { connection?: unknown }).connection,
      query: client.query.bind(client),
      on: client.on.bind(client),
      removeListener: client.removeListener.bind(client),
      release: (error?: Error | boolean) => {
        if (error === undefined || error === false) return;
        this.#lost ??= error === true ? new Error('the connection was given up') : error;
        // Statements that are still on it must have no effect.
        this.#lease.discard(this.#lost);
      },
    };
    return Promise.resolve(lent);
  }
}
