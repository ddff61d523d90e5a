/**
 * A pool whose clients all go to one server: the first one that can be used, of all hosts and their addresses.
 *
 * The server is looked for at the first connection, and again when it can no longer be reached, so that a load follows a failover. While
 * one caller looks, the others wait.
 */

import type * as Pg from 'pg';
import { toError } from '../../common/thrown.js';
import type { ConnectionSettings } from './conninfo/settings.js';
import { ServerSearch } from './server-search.js';
import { encryptions, failureKind } from './session/attempts.js';
import { sessionClientClass, type Target } from './session/session-client.js';
import type { TlsMaterial } from './session/tls-material.js';

export interface ServerPool extends Pg.Pool {
  /** The server that clients go to; `undefined` before the first one. */
  readonly target: Target | undefined;
}

type CheckoutCallback = (error: Error | undefined, client?: Pg.PoolClient, release?: unknown) => void;

/** The callback form of `connect`, on which everything in node-postgres' pool is built. */
type CheckoutPool = new (options: object) => {
  connect(callback?: CheckoutCallback): Promise<Pg.PoolClient> | undefined;
};

export function createServerPool(
  pg: Pick<typeof Pg, 'Client' | 'Pool'>,
  settings: ConnectionSettings,
  material: TlsMaterial | undefined,
  options: { max: number; connectionTimeoutMillis: number },
): ServerPool {
  const servers = new ServerSearch(settings);
  const Client = sessionClientClass(pg.Client, settings, material, () => servers.target);
  const Base = pg.Pool as unknown as CheckoutPool;

  const Located = class extends Base {
    #search: Promise<unknown> | undefined;

    get target(): Target | undefined {
      return servers.found;
    }

    override connect(callback?: CheckoutCallback): Promise<Pg.PoolClient> | undefined {
      if (callback === undefined) return promised((done) => void this.connect(done));
      const known = servers.found;
      if (this.#search !== undefined) void this.#search.then(() => this.connect(callback));
      else if (known === undefined) this.#find(callback);
      else {
        void super.connect((error, client, release) => {
          if (error) {
            if (isWorthASearch(error, known, settings)) this.#find(callback);
            else callback(error, client, release);
          } else if (servers.isKnownSuitable(client!)) callback(error, client, release);
          else void this.#recheck(client!, callback);
        });
      }
      return undefined;
    }

    async #recheck(client: Pg.PoolClient, callback: CheckoutCallback): Promise<void> {
      if ((await servers.recheck(client)) === undefined) {
        callback(undefined, client, client.release.bind(client));
        return;
      }
      client.release(true);
      this.#find(callback);
    }

    #find(callback: CheckoutCallback): void {
      if (this.#search !== undefined) {
        void this.connect(callback);
        return;
      }
      const search = servers.locate(() => promised((done) => void super.connect(done)));
      this.#search = search
        .catch(() => undefined)
        .then(() => {
          this.#search = undefined;
        });
      search.then(
        (client) => callback(undefined, client, client.release.bind(client)),
        (error: unknown) => callback(toError(error)),
      );
    }
  };
  return new Located({ ...options, Client }) as unknown as ServerPool;
}

/** The callback form of `connect` as a promise. */
function promised(connect: (done: CheckoutCallback) => void): Promise<Pg.PoolClient> {
  return new Promise((resolve, reject) => {
    connect((error, client) => {
      if (error) reject(error);
      else resolve(client!);
    });
  });
}

/** `false` when another server would say the same, or a search would only repeat what has just failed. */
function isWorthASearch(error: Error, target: Target, { hosts, tls }: ConnectionSettings): boolean {
  // The pool has no free client; the server may be well.
  if (error.message === 'timeout exceeded when trying to connect') return false;
  const kind = failureKind(error, target.encryption);
  if (kind === 'refused' || kind === 'fatal') return false;
  const { host } = target;
  const isFixed = host.isSocket || host.address !== undefined;
  return hosts.length > 1 || encryptions(tls.mode, host.isSocket).length > 1 || !isFixed;
}
