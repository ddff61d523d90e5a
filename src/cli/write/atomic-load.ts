/** `--atomic`: one connection, one transaction around the whole load. The batches in it are savepoints. */

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

/** How long an answer to ROLLBACK may take before the connection is cut instead. */
const ROLLBACK_LIMIT_MS = 5_000;
/** How long the answer to COMMIT may take once the load was told to stop, and the server asked to cancel. */
const STOP_LIMIT_MS = 5_000;

export class AtomicLoad {
  /** Lends the one connection, again and again. When it is lost, so is the load. */
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

  /** COMMIT was sent, and nobody knows what came of it. */
  get isCommitOpen(): boolean {
    return this.#commitment.isOpen;
  }

  /** The server has not waited for its standby to confirm what was committed. */
  get isUnconfirmed(): boolean {
    return this.#isCommitted && this.#lease.watch.isCommittedLocally;
  }

  /**
   * @param stopping fires when the load is to stop: the server is asked to cancel then, and its answer is waited for a moment longer
   * @throws {CliError} when nothing was committed, or nobody knows
   */
  async commit(stopping: AbortSignal): Promise<void> {
    try {
      if (this.#lost !== undefined) throw this.#lost;
      const { command } = await this.#commitment.run(() => this.#commitOrCancel(stopping));
      // A transaction that has failed answers so, and with no error.
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
      // A server that waits for its standby commits then, and one that still checks constraints rolls back: either way it answers.
      requestCancel(client);
      const answered = await new AnswerDeadline(new AbortController().signal).wait(answer, STOP_LIMIT_MS);
      if (answered === TIMED_OUT)
        throw new Error('the load was stopped while it waited for the answer', { cause: error });
      return answered;
    }
  }

  /** What is not committed is rolled back. */
  async end(): Promise<void> {
    const lease = this.#lease;
    if (this.#isCommitted) {
      lease.release();
      return;
    }
    if (this.#commitment.isOpen) {
      // Behind a COMMIT nothing else would be answered.
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
        // Whatever is still on it must not come to anything.
        this.#lease.discard(this.#lost);
      },
    };
    return Promise.resolve(lent);
  }
}
