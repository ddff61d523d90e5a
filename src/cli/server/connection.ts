/** Connects to the destination, or explains why that failed. `pg` is loaded here, for the commands that need it. */

import type * as Pg from 'pg';
import { runStatement, statement } from '../../postgres/sql/statement.js';
import { toError } from '../../common/thrown.js';
import { ClientLease } from '../../postgres/connection/client-lease.js';
import { expectOtherStatements } from '../../postgres/protocol/own-query.js';
import type { Destination, Environment } from './destination.js';
import { CliError, ExitCode, oneLine } from '../common/errors.js';
import { farewell, inTime } from './answer-time.js';
import { connectionFailure } from './connection-failure.js';
import { thisMachine } from './conninfo/files.js';
import { hostLabel } from './conninfo/hosts.js';
import { readSettings, type ConnectionSettings } from './conninfo/settings.js';
import { LockWatch } from './lock-watch.js';
import { createServerPool } from './server-pool.js';
import { readTlsMaterial } from './session/tls-material.js';

/** Default of `connect_timeout`, for each address. */
const CONNECT_TIMEOUT_MS = 10_000;

export interface Connection {
  readonly pool: Pg.Pool;
  /** The server that is used, for messages. */
  readonly label: string;
  readonly locks: LockWatch;
  /** Ends all connections, and the embedded server if this process has started it. */
  close(): Promise<void>;
}

/**
 * Connects, and checks by one round trip that the server can be used.
 *
 * @throws {CliError} if a package is missing, a setting is wrong, the server cannot be reached, or it refuses user, password or database
 */
export async function connect(
  destination: Destination,
  connections: number,
  environment: Environment,
): Promise<Connection> {
  const pg = await loadPg();
  if (destination.kind === 'server') {
    const { text, where } = destination;
    const settings = await readSettings({ text, where, environment, machine: thisMachine() });
    return open(pg, settings, environment, { max: connections, stop: () => Promise.resolve() });
  }
  const { startEmbeddedServer, EmbeddedServerError } = await import('./embedded/embedded-server.js');
  try {
    const server = await startEmbeddedServer({
      persistent: true,
      ...(destination.dataDirectory === undefined ? {} : { dataDirectory: destination.dataDirectory }),
    });
    const own = sessionVariables(environment);
    const source = {
      text: `${server.url}?require_auth=scram-sha-256`,
      where: 'embedded',
      environment: own,
      machine: thisMachine(),
    };
    const settings = await readSettings(source).catch(async (error: unknown) => {
      await server.stop();
      throw error;
    });
    const label = `the embedded PostgreSQL ${server.majorVersion}`;
    return await open(pg, settings, own, { max: connections, label, stop: () => server.stop() });
  } catch (error) {
    if (error instanceof EmbeddedServerError)
      throw new CliError(oneLine(error.message), ExitCode.FAILED, error);
    throw error;
  }
}

/** Returns the variables that concern the session, not the choice of a server. */
function sessionVariables(environment: Environment): Environment {
  const names = [
    'PGTZ',
    'PGDATESTYLE',
    'PGGEQO',
    'PGOPTIONS',
    'PGAPPNAME',
    'PGCLIENTENCODING',
    'PGCONNECT_TIMEOUT',
  ];
  return { PGSSLMODE: 'disable', ...Object.fromEntries(names.map((name) => [name, environment[name]])) };
}

async function open(
  pg: typeof Pg,
  settings: ConnectionSettings,
  environment: Environment,
  { max, label, stop }: { max: number; label?: string; stop: () => Promise<void> },
): Promise<Connection> {
  const usesTls = settings.tls.mode !== 'disable' && settings.hosts.some(({ isSocket }) => !isSocket);
  const material = usesTls ? await readTlsMaterial(settings.tls, environment, thisMachine()) : undefined;
  const pool = createServerPool(pg, settings, material, {
    max,
    connectionTimeoutMillis: settings.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
  });
  // Losing an idle connection is not a failure yet: the next query opens another, or reports what is wrong.
  pool.on('error', () => undefined);
  // A client that is lost between two statements reports it with the next one. Without a listener the error would end the process.
  pool.on('connect', (client) => client.on('error', () => undefined));
  const locks = new LockWatch(pool);
  // Its last user may have been ours, and the next one the user's own statement.
  pool.on('acquire', (client) => expectOtherStatements(client));
  const close = async (): Promise<void> => {
    await farewell(pool.end());
    await stop();
  };
  try {
    const lease = await ClientLease.take(pool, new AbortController().signal);
    const limitMs = settings.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
    const answer = runStatement(lease.client, statement('SELECT 1'));
    await inTime(answer, limitMs === 0 ? Infinity : limitMs).then(
      () => lease.release(),
      (error: unknown) => {
        lease.discard(toError(error));
        throw lease.reasonOf(toError(error));
      },
    );
  } catch (error) {
    // Not awaited: after a failed attempt to connect, the pool's end may never come.
    void pool.end().catch(() => undefined);
    await stop();
    const reason = connectionFailure(error, settings, pool.target?.host);
    throw new CliError(label === undefined ? reason : `${label}: ${reason}`, ExitCode.FAILED, error);
  }
  return {
    pool,
    locks,
    // A getter: after a failover it is another server.
    get label() {
      return label ?? `${hostLabel(pool.target!.host)}/${settings.database}`;
    },
    close,
  };
}

async function loadPg(): Promise<typeof Pg> {
  const forget = showNavigator();
  try {
    // Loaded together: with only one of them, a load would fail at its first batch.
    const [pg] = await Promise.all([import('pg'), import('pg-copy-streams')]);
    return pg.default as unknown as typeof Pg;
  } finally {
    forget();
  }
}

/**
 * Defines `navigator` while node-postgres is loaded, to save a seventh of the start-up time.
 *
 * node-postgres reads `navigator` to find out where it runs. Without it, as in Node.js 20, it makes a `Response`, for which Node.js loads
 * all of `fetch`.
 *
 * @returns a function that removes it
 */
function showNavigator(): () => void {
  if ('navigator' in globalThis) return () => undefined;
  Object.defineProperty(globalThis, 'navigator', {
    configurable: true,
    value: { userAgent: `Node.js/${process.versions.node.split('.')[0]}` },
  });
  return () => {
    delete (globalThis as { navigator?: unknown }).navigator;
  };
}
