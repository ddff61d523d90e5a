/** `--atomic`: one connection, one transaction around the whole load. The batches in it are savepoints. */

import { messageOf, toError } from '../errors.js';
import { ClientLease } from '../postgres/client-lease.js';
import { Commit } from '../postgres/connection/commit.js';
import { expectOtherStatements } from '../postgres/connection/own-query.js';
import { CopyError } from '../postgres/copy-error.js';
import { LATE, Patience } from '../postgres/patience.js';
import type { CopyClient, CopyPool } from '../postgres/pool.js';
import { runStatement } from '../postgres/sql/statement.js';
import { OWN_TRANSACTION } from '../postgres/transaction-scope.js';
import { CliError, ExitCode, oneLine } from './errors.js';

/** How long an answer to ROLLBACK may take before the connection is cut instead. */
const ROLLBACK_LIMIT_MS = 5_000;

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
      await runStatement(lease.client, OWN_TRANSACTION.begin);
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

  /** @throws {CliError} when nothing was committed, or nobody knows */
  async commit(): Promise<void> {
    try {
      if (this.#lost !== undefined) throw this.#lost;
      const { command } = await this.#commitment.run(() =>
        runStatement(this.#lease.client, OWN_TRANSACTION.commit),
      );
      // A transaction that has failed answers so, and with no error.
      if (command === 'ROLLBACK') throw new CliError('the server rolled the load back');
      this.#isCommitted = true;
    } catch (thrown) {
      const error = this.#lease.reasonOf(toError(thrown));
      const outcome = this.#commitment.isOpen
        ? 'the connection was lost after COMMIT was sent: all rows are in the table, or none: '
        : '';
      throw new CliError(oneLine(`${outcome}${error.message}`), ExitCode.FAILED, error);
    }
  }

  /** What is not committed is rolled back. */
  async end(): Promise<void> {
    const lease = this.#lease;
    if (this.#isCommitted) {
      lease.release();
      return;
    }
    const patience = new Patience(new AbortController().signal);
    const answer = await patience
      .wait(runStatement(lease.client, OWN_TRANSACTION.rollback), ROLLBACK_LIMIT_MS)
      .catch((error: unknown) => toError(error));
    patience.end();
    if (answer === LATE || answer instanceof Error) lease.discard(new Error('ROLLBACK was not answered'));
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
