/** Holds a client of the pool for one batch. It is returned clean, or its connection is closed. */

import { isErrorLike, toError } from '../../common/thrown.js';
import { GuardedSocket } from '../protocol/guarded-socket.js';
import { OutageNotice } from './outage-notice.js';
import { checkClient } from './check-pool.js';
import { SessionWatch } from './session-watch.js';
import { AbortFault, unlessAborted } from './answer-deadline.js';
import type { CopyClient, CopyPool } from '../protocol/pool.js';
import { classify, isSqlState } from '../errors/sqlstate.js';

const IGNORE = (): void => undefined;

/** What `connect` returns: a promise, or anything if it calls back. */
type Lent<Client> = { then?: Promise<Client | undefined>['then'] } | undefined;

export class ClientLease<Client extends CopyClient> {
  readonly client: Client;
  /** What the server sends beside its responses. */
  readonly watch: SessionWatch;
  /** Called when the connection breaks. */
  onLost: (error: Error) => void = IGNORE;
  #lost: Error | undefined;
  #isOut = true;
  readonly #guard: GuardedSocket | undefined;
  /** The guard is there for this lease alone. */
  readonly #isGuardOwn: boolean;

  readonly #onError = (error: Error): void => {
    this.#lost ??= error;
    this.onLost(error);
  };

  private constructor(client: Client) {
    this.client = client;
    // While a client is out, nobody else listens: without a listener a lost connection would end the process.
    client.on('error', this.#onError);
    this.watch = new SessionWatch(client);
    const stream = streamOf(client);
    const guard = GuardedSocket.of(stream);
    this.#isGuardOwn = guard === undefined;
    this.#guard = guard ?? (stream === undefined ? undefined : GuardedSocket.install(stream, 'foreign'));
    this.#guard?.countFromHere();
  }

  /** @throws the pool's error, or an `AbortFault` */
  static async take<Client extends CopyClient>(
    pool: CopyPool<Client>,
    signal: AbortSignal,
  ): Promise<ClientLease<Client>> {
    if (signal.aborted) throw new AbortFault(signal);
    const pending = ClientLease.#connect(pool);
    const taken = unlessAborted(signal, pending);
    try {
      return await (OutageNotice.of(pool)?.during(taken) ?? taken);
    } catch (error) {
      // A client that comes too late goes straight back.
      pending.then((lease) => {
        lease.release();
      }, IGNORE);
      throw error;
    }
  }

  /**
   * Uses the callback of a `pg.Pool`. It comes while the pool still reads from the socket, where the server's end of the session may be next.
   * Before a promise of the client settles, that would be an error without a listener.
   */
  static #connect<Client extends CopyClient>(pool: CopyPool<Client>): Promise<ClientLease<Client>> {
    return new Promise((resolve, reject) => {
      let lease: ClientLease<Client> | undefined;
      let isRefused = false;
      const lend = (client: Client): void => {
        // After an error during connecting, node-postgres calls back again if the server continues nevertheless.
        if (isRefused) {
          client.on('error', IGNORE);
          client.release(true);
          return;
        }
        try {
          checkClient(client);
          lease ??= new ClientLease(client);
          resolve(lease);
        } catch (thrown) {
          reject(toError(thrown));
        }
      };
      const onConnect = (error: Error | undefined, client: Client): void => {
        if (error) {
          isRefused = true;
          reject(error);
        } else lend(client);
      };
      const { connect } = pool as { connect: (callback?: typeof onConnect) => Lent<Client> };
      if (connect.length === 0) {
        // Other pools need not know of callbacks.
        Promise.resolve(connect.call(pool) as Promise<Client>).then(lend, reject);
        return;
      }
      // An async function around a pool that calls back returns a promise of nothing, perhaps before there is a client.
      connect.call(pool, onConnect)?.then?.((client) => {
        if (client !== undefined) lend(client);
      }, reject);
    });
  }

  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  get isOut(): boolean {
    return this.#isOut;
  }

  /**
   * Returns the server's own reason for the end of the connection, if it gave one and `error` is only a consequence of that end.
   */
  reasonOf(error: Error): Error {
    const { cause } = error;
    const isConsequence = [error, cause].some(
      (found) =>
        isErrorLike(found) &&
        !isSqlState((found as { code?: unknown }).code) &&
        classify(found) === 'transport',
    );
    const { farewell } = this.watch;
    if (isConsequence || error === this.#lost) return farewell ?? this.#lost ?? error;
    return error;
  }

  /** Returns the client to the pool. */
  release(): void {
    if (!this.#isOut) return;
    this.#isOut = false;
    this.client.removeListener('error', this.#onError);
    this.watch.end();
    if (this.#isGuardOwn) this.#guard?.remove();
    else this.#guard?.release();
    this.client.release();
  }

  /** Removes the client from the pool, and closes its connection, whatever is under way on it. */
  discard(error: Error): void {
    if (!this.#isOut) return;
    this.#isOut = false;
    const { client } = this;
    this.watch.end();
    client.release(error);
    // The pool listens again by now, and would report an error that the caller gets in any case.
    (client as { removeAllListeners?: (event: string) => unknown }).removeAllListeners?.('error');
    client.on('error', IGNORE);
    // An orderly end with a peer that does not respond would never come, and the pool would wait for it.
    streamOf(client)?.destroy?.();
  }
}

function streamOf(client: CopyClient): { destroy?: () => unknown } | undefined {
  return (client as { connection?: { stream?: { destroy?: () => unknown } } }).connection?.stream;
}
