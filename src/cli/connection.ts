/** A pool of connections to the destination, and clear words where there is none. `pg` is loaded here, for the commands that need it. */

import type * as Pg from 'pg';
import type { Destination, Environment } from './destination.js';
import { CliError, ExitCode, oneLine } from './errors.js';

const CONNECT_TIMEOUT_MS = 10_000;

export interface Connection {
  readonly pool: Pg.Pool;
  /** What people see of it. */
  readonly label: string;
  /** Ends all connections and, where it was started here, the embedded server. */
  close(): Promise<void>;
}

/**
 * Connects, and makes sure by one round trip that the server can be used.
 *
 * @throws {CliError} in words: a package is missing, the server cannot be reached, or it refuses user, password or database.
 */
export async function connect(
  destination: Destination,
  connections: number,
  environment: Environment,
): Promise<Connection> {
  const { Pool } = await loadPg();
  // As libpq has it, in seconds.
  const givenSeconds = Number(environment['PGCONNECT_TIMEOUT']);
  const connectionTimeoutMillis = givenSeconds > 0 ? givenSeconds * 1000 : CONNECT_TIMEOUT_MS;
  const common: Pg.PoolConfig = {
    max: connections,
    connectionTimeoutMillis,
    application_name: 'spillway',
    keepAlive: true,
  };
  if (destination.kind !== 'embedded') {
    const config = destination.kind === 'url' ? { ...common, connectionString: destination.url } : common;
    return open(new Pool(config), destination.label, () => Promise.resolve());
  }
  const { startEmbeddedServer, EmbeddedServerError } = await import('./embedded-server.js');
  try {
    const server = await startEmbeddedServer({
      persistent: true,
      ...(destination.dataDirectory === undefined ? {} : { dataDirectory: destination.dataDirectory }),
    });
    const label = `the embedded PostgreSQL ${server.majorVersion}`;
    return await open(new Pool({ ...common, connectionString: server.url }), label, () => server.stop());
  } catch (error) {
    if (error instanceof EmbeddedServerError)
      throw new CliError(oneLine(error.message), ExitCode.FAILED, error);
    throw error;
  }
}

async function open(pool: Pg.Pool, label: string, stop: () => Promise<void>): Promise<Connection> {
  // An idle connection that is lost is no failure yet: the next query opens another, or says what is wrong.
  pool.on('error', () => undefined);
  // Nor is one that is lost between two statements of whoever has it: the next one says so. Without a listener it would end the process.
  pool.on('connect', (client) => client.on('error', () => undefined));
  const close = async (): Promise<void> => {
    await pool.end();
    await stop();
  };
  try {
    await pool.query('SELECT 1');
  } catch (error) {
    // Not waited for: the end of a pool never comes where the attempt to connect threw, as it does on a port that is none.
    void pool.end().catch(() => undefined);
    await stop();
    throw new CliError(`${label}: ${whyNotConnected(error)}`, ExitCode.FAILED, error);
  }
  return { pool, label, close };
}

async function loadPg(): Promise<typeof Pg> {
  const forget = showNavigator();
  try {
    // Loaded together: a load that finds only one of them would fail at its first batch.
    const [pg] = await Promise.all([import('pg'), import('pg-copy-streams')]);
    return pg.default as unknown as typeof Pg;
  } finally {
    forget();
  }
}

/**
 * As it loads, node-postgres asks `navigator` where it runs, and where there is none, as in Node.js 20, tries a `Response`: for which Node.js
 * loads all that it has for `fetch`. That would be a seventh of the time that the program takes to start.
 *
 * @returns what takes it away again
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

const CONNECTION_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'cannot be reached: nothing listens there (connection refused)',
  ENOTFOUND: 'cannot be reached: the host name is unknown',
  EAI_AGAIN: 'cannot be reached: the host name cannot be looked up now',
  ETIMEDOUT: 'cannot be reached: no answer in time',
  EHOSTUNREACH: 'cannot be reached: no route to the host',
  ENETUNREACH: 'cannot be reached: no route to the network',
  ECONNRESET: 'closed the connection',
  ENOENT: 'cannot be reached: there is no such socket',
  EACCES: 'cannot be reached: permission denied',
};

/** The server's own words name user and database, and never the password. */
function whyNotConnected(error: unknown): string {
  // A name with several addresses gives one error for each.
  const cause: unknown = error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error;
  const { code, message } = cause as NodeJS.ErrnoException;
  if (/timeout exceeded when trying to connect|due to connection timeout/.test(message)) {
    return CONNECTION_ERRORS['ETIMEDOUT']!;
  }
  if (message.includes('client password must be a string')) {
    return 'asks for a password: set PGPASSWORD, or use ~/.pgpass';
  }
  return CONNECTION_ERRORS[code ?? ''] ?? oneLine(message);
}
