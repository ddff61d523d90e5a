/** A client out of the pool, for the time of one batch: it goes back clean, or it is thrown away. */

import { AbortFault, unlessAborted } from './patience.js';
import type { CopyClient, CopyPool } from './pool.js';

const IGNORE = (): void => undefined;

export class ClientLease<Client extends CopyClient> {
  readonly client: Client;
  /** Told when the connection breaks. */
  onLost: (error: Error) => void = IGNORE;
  #lost: Error | undefined;
  #isOut = true;

  readonly #onError = (error: Error): void => {
    this.#lost ??= error;
    this.onLost(error);
  };

  private constructor(client: Client) {
    this.client = client;
    // While a client is out, nobody else listens: without a listener a lost connection would end the process.
    client.on('error', this.#onError);
  }

  /** @throws the pool's error, or an `AbortFault` */
  static async take<Client extends CopyClient>(
    pool: CopyPool<Client>,
    signal: AbortSignal,
  ): Promise<ClientLease<Client>> {
    if (signal.aborted) throw new AbortFault(signal);
    const pending = pool.connect();
    try {
      return new ClientLease(await unlessAborted(signal, pending));
    } catch (error) {
      // A client that comes too late goes straight back.
      pending.then((client) => {
        client.release();
      }, IGNORE);
      throw error;
    }
  }

  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  get isOut(): boolean {
    return this.#isOut;
  }

  /** Back into the pool, for the next. */
  release(): void {
    if (!this.#isOut) return;
    this.#isOut = false;
    this.client.removeListener('error', this.#onError);
    this.client.release();
  }

  /** Out of the pool, and the connection cut, whatever is still on it. */
  discard(error: Error): void {
    if (!this.#isOut) return;
    this.#isOut = false;
    const { client } = this;
    client.release(error);
    // The pool listens again by now, and would report as an error of its own what the caller is told anyway.
    (client as { removeAllListeners?: (event: string) => unknown }).removeAllListeners?.('error');
    client.on('error', IGNORE);
    // A farewell to a peer that does not answer would never end, and the pool would wait for it.
    const { connection } = client as { connection?: { stream?: { destroy?: () => unknown } } };
    connection?.stream?.destroy?.();
  }
}
