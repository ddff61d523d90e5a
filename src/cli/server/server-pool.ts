/**
 * A pool whose clients all go to one server: the first one that can be used, of all hosts and their addresses.
 *
 * The server is looked for at the first connection, and again when it can no longer be reached, so that a load follows a failover. While
 * one caller looks, the others wait.
 */

import { isIP } from 'node:net';
import type * as Pg from 'pg';
import { toError } from '../../common/thrown.js';
import { expectOtherStatements } from '../../postgres/protocol/own-query.js';
import { runStatement, statement } from '../../postgres/sql/statement.js';
import {
  afterFailure,
  encryptions,
  failureKind,
  passes,
  unsuitable,
  type NextStep,
} from './session/attempts.js';
import type { Host } from './conninfo/hosts.js';
import type { ConnectionSettings, SessionAttributes } from './conninfo/settings.js';
import { shuffle } from './shuffle.js';
import { sessionClientClass, type Target } from './session/session-client.js';
import type { TlsMaterial } from './session/tls-material.js';

const SESSION_STATE = statement(
  "SELECT pg_catalog.pg_is_in_recovery()::pg_catalog.text AS standby, pg_catalog.current_setting('transaction_read_only') AS readonly",
);

/** A server that was tried, and why it cannot be used. */
export interface FailedAttempt {
  readonly host: Host;
  readonly error: Error;
}

/** No host can be used. `code` is that of the last attempt. */
export class NoServerError extends Error {
  override readonly name = 'NoServerError';
  readonly attempts: readonly FailedAttempt[];
  readonly code: string | undefined;

  constructor(attempts: readonly FailedAttempt[]) {
    const { error } = attempts.at(-1)!;
    super(error.message, { cause: error });
    this.attempts = attempts;
    this.code = (error as NodeJS.ErrnoException).code;
  }
}

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
  let target: Target | undefined;
  let tried: Target | undefined;
  /** Clients whose session is known to be what `target_session_attrs` asks for. */
  const checked = new WeakSet<object>();
  const Client = sessionClientClass(pg.Client, settings, material, () => (tried ?? target)!);
  const Base = pg.Pool as unknown as CheckoutPool;

  const Located = class extends Base {
    #search: Promise<unknown> | undefined;

    get target(): Target | undefined {
      return target;
    }

    override connect(callback?: CheckoutCallback): Promise<Pg.PoolClient> | undefined {
      if (callback === undefined) {
        return new Promise((resolve, reject) => {
          void this.connect((error, client) => {
            if (error) reject(error);
            else resolve(client!);
          });
        });
      }
      if (this.#search !== undefined) {
        void this.#search.then(() => this.connect(callback));
      } else if (target === undefined) {
        this.#find(callback);
      } else {
        const known = target;
        void super.connect((error, client, release) => {
          if (error) {
            if (isWorthASearch(error, known, settings)) this.#find(callback);
            else callback(error, client, release);
          } else if (settings.sessionAttributes === 'any' || checked.has(client!)) {
            callback(error, client, release);
          } else {
            void this.#check(client!, callback);
          }
        });
      }
      return undefined;
    }

    /** After a failover, the known server may be a standby. */
    async #check(client: Pg.PoolClient, callback: CheckoutCallback): Promise<void> {
      const fault = await unsuitableSession(client, settings.sessionAttributes).catch(toError);
      if (fault === undefined) {
        checked.add(client);
        callback(undefined, client, client.release.bind(client));
      } else {
        client.release(true);
        this.#find(callback);
      }
    }

    #find(callback: CheckoutCallback): void {
      if (this.#search !== undefined) {
        void this.connect(callback);
        return;
      }
      const search = this.#locate();
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

    async #locate(): Promise<Pg.PoolClient> {
      const attempts: FailedAttempt[] = [];
      try {
        for (const wanted of passes(settings.sessionAttributes)) {
          for (const [host, password] of hostsOf(settings)) {
            const found = await this.#tryHost(host, password, wanted, attempts);
            if (found === 'stop') throw new NoServerError(attempts);
            if (found !== undefined) return found;
          }
        }
        throw new NoServerError(attempts);
      } finally {
        tried = undefined;
      }
    }

    async #tryHost(
      host: Host,
      password: string | undefined,
      wanted: SessionAttributes,
      attempts: FailedAttempt[],
    ): Promise<Pg.PoolClient | 'stop' | undefined> {
      let addresses: string[];
      try {
        addresses = await addressesOf(host, settings.isShuffled);
      } catch (error) {
        attempts.push({ host, error: toError(error) });
        return undefined;
      }
      for (const address of addresses) {
        const ways = encryptions(settings.tls.mode, host.isSocket);
        let step: NextStep = 'other-encryption';
        for (const encryption of ways) {
          if (step !== 'other-encryption') break;
          const attempt: Target = { host, password, address, encryption };
          tried = attempt;
          try {
            const client = await this.#lend();
            const fault = await unsuitableSession(client, wanted);
            if (fault === undefined) {
              target = attempt;
              checked.add(client);
              return client;
            }
            client.release(true);
            attempts.push({ host, error: new Error(fault) });
            return undefined;
          } catch (thrown) {
            const error = toError(thrown);
            attempts.push({ host, error });
            const used = attempt.encryption;
            step = afterFailure(failureKind(error, used), used === ways.at(-1));
          }
        }
        if (step === 'stop') return 'stop';
        if (step === 'next-host') return undefined;
      }
      return undefined;
    }

    #lend(): Promise<Pg.PoolClient> {
      return new Promise((resolve, reject) => {
        void super.connect((error, client) => {
          if (error) reject(error);
          else resolve(client!);
        });
      });
    }
  };
  return new Located({ ...options, Client }) as unknown as ServerPool;
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

function hostsOf({
  hosts,
  passwords,
  isShuffled,
}: ConnectionSettings): (readonly [Host, string | undefined])[] {
  const pairs = hosts.map((host, index) => [host, passwords[index]] as const);
  return isShuffled ? shuffle(pairs) : pairs;
}

async function addressesOf(host: Host, isShuffled: boolean): Promise<string[]> {
  if (host.isSocket) return [host.name];
  if (host.address !== undefined) return [host.address];
  if (isIP(host.name) !== 0) return [host.name];
  // In the order of the system, as for libpq.
  const { lookup } = await import('node:dns/promises');
  const found = await lookup(host.name, { all: true, verbatim: true });
  const addresses = [...new Set(found.map(({ address }) => address))];
  return isShuffled ? shuffle(addresses) : addresses;
}

async function unsuitableSession(
  client: Pg.PoolClient,
  wanted: SessionAttributes,
): Promise<string | undefined> {
  if (wanted === 'any') return undefined;
  const { rows } = await runStatement(client, SESSION_STATE);
  // The client is lent to anybody next.
  expectOtherStatements(client);
  const { standby, readonly } = rows[0] as { standby: string; readonly: string };
  return unsuitable(wanted, { isStandby: standby === 'true', isReadOnly: readonly === 'on' });
}
