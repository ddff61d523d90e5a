/**
 * Finds the server that a pool's clients go to: the first one that can be used, of all hosts and their addresses.
 *
 * Order: each pass of `target_session_attrs`, in it each host, in it each address, in it each encryption that `sslmode` allows.
 * `session/attempts.ts` decides which of them comes after a failure.
 */

import { isIP } from 'node:net';
import type * as Pg from 'pg';
import { toError } from '../../common/thrown.js';
import { expectOtherStatements } from '../../postgres/protocol/own-query.js';
import { runStatement, statement } from '../../postgres/sql/statement.js';
import type { Host } from './conninfo/hosts.js';
import type { ConnectionSettings, SessionAttributes } from './conninfo/settings.js';
import {
  afterFailure,
  encryptions,
  failureKind,
  passes,
  unsuitable,
  type NextStep,
} from './session/attempts.js';
import type { Target } from './session/session-client.js';
import { shuffle } from './shuffle.js';

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

/** Connects a new client to `ServerSearch.target`. */
type ConnectClient = () => Promise<Pg.PoolClient>;

export class ServerSearch {
  readonly #settings: ConnectionSettings;
  #found: Target | undefined;
  #tried: Target | undefined;
  /** Clients whose session is known to be what `target_session_attrs` asks for. */
  readonly #suitable = new WeakSet<object>();

  constructor(settings: ConnectionSettings) {
    this.#settings = settings;
  }

  /** The server that was found last; `undefined` before the first one. */
  get found(): Target | undefined {
    return this.#found;
  }

  /** The server that a new client connects to: the one that is being tried, else the one that was found. */
  get target(): Target {
    return (this.#tried ?? this.#found)!;
  }

  /** Whether the client's session is known to be suitable, without asking the server. */
  isKnownSuitable(client: Pg.PoolClient): boolean {
    return this.#settings.sessionAttributes === 'any' || this.#suitable.has(client);
  }

  /** Returns why the session is unsuitable, if it is: after a failover, the known server may be a standby. */
  async recheck(client: Pg.PoolClient): Promise<string | Error | undefined> {
    const fault = await unsuitableSession(client, this.#settings.sessionAttributes).catch(toError);
    if (fault === undefined) this.#suitable.add(client);
    return fault;
  }

  /** @throws {NoServerError} with all attempts */
  async locate(connect: ConnectClient): Promise<Pg.PoolClient> {
    const attempts: FailedAttempt[] = [];
    try {
      for (const wanted of passes(this.#settings.sessionAttributes)) {
        for (const [host, password] of hostsOf(this.#settings)) {
          const client = await this.#tryHost(connect, host, password, wanted, attempts);
          if (client === 'stop') throw new NoServerError(attempts);
          if (client !== undefined) return client;
        }
      }
      throw new NoServerError(attempts);
    } finally {
      this.#tried = undefined;
    }
  }

  async #tryHost(
    connect: ConnectClient,
    host: Host,
    password: string | undefined,
    wanted: SessionAttributes,
    attempts: FailedAttempt[],
  ): Promise<Pg.PoolClient | 'stop' | undefined> {
    let addresses: string[];
    try {
      addresses = await addressesOf(host, this.#settings.isShuffled);
    } catch (error) {
      attempts.push({ host, error: toError(error) });
      return undefined;
    }
    for (const address of addresses) {
      const allowed = encryptions(this.#settings.tls.mode, host.isSocket);
      let step: NextStep = 'other-encryption';
      for (const encryption of allowed) {
        if (step !== 'other-encryption') break;
        const attempt: Target = { host, password, address, encryption };
        this.#tried = attempt;
        try {
          const client = await connect();
          const fault = await unsuitableSession(client, wanted);
          if (fault === undefined) {
            this.#found = attempt;
            this.#suitable.add(client);
            return client;
          }
          client.release(true);
          attempts.push({ host, error: new Error(fault) });
          return undefined;
        } catch (thrown) {
          const error = toError(thrown);
          attempts.push({ host, error });
          const used = attempt.encryption;
          step = afterFailure(failureKind(error, used), used === allowed.at(-1));
        }
      }
      if (step === 'stop') return 'stop';
      if (step === 'next-host') return undefined;
    }
    return undefined;
  }
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
