/** Three servers for tests of connection settings: with TLS, read-only without TLS, and a standby. */

import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import type { EmbeddedServer } from '../../src/cli/server/embedded/embedded-server.js';
import { startOwnServer } from './postgres.js';
import { installTls, makeTlsFiles, TLS_FILES, writeServerFile } from './tls-files.js';

export interface TlsServers {
  /** What the words in braces of a connection string stand for. */
  readonly words: Readonly<Record<string, string>>;
  readonly main: EmbeddedServer;
  stop(): Promise<void>;
}

const ROLES: Readonly<Record<string, string>> = {
  alice: 'al1ce',
  trusted: 'unused',
  certuser: 'unused',
  tlsonly: 'tlsonly',
  plainonly: 'plainonly',
  clear: 'clear',
  'od@d/:': `p/?#@:%&= '"\\`,
};

const MAIN_RULES = [
  'local all trusted trust',
  'local all postgres trust',
  'host all trusted all trust',
  'hostssl all tlsonly all scram-sha-256',
  'hostnossl all tlsonly all reject',
  'hostnossl all plainonly all scram-sha-256',
  'hostssl all plainonly all reject',
  'hostssl all certuser all cert',
  'host all md5er all md5',
  'host all clear all password',
  'host all all all scram-sha-256',
];
const OTHER_RULES = ['host all trusted all trust', 'host all all all scram-sha-256'];

export async function startTlsServers(): Promise<TlsServers> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'spillway-tls-'));
  chmodSync(directory, 0o755);
  const tls = path.join(directory, 'tls');
  mkdirSync(tls);
  makeTlsFiles(tls, 'certuser');
  copyFileSync(path.join(tls, TLS_FILES.clientKey), path.join(tls, 'open.key'));
  chmodSync(path.join(tls, 'open.key'), 0o644);
  const sock = path.join(directory, 'sock');
  mkdirSync(sock, { mode: 0o777 });
  chmodSync(sock, 0o777);

  const fast = { fsync: 'off' };
  const [main, second, standby] = await Promise.all([
    startOwnServer({
      settings: {
        ...fast,
        listen_addresses: '127.0.0.1, ::1',
        unix_socket_directories: sock,
      },
    }),
    startOwnServer({ settings: fast }),
    startStandby(path.join(directory, 'standby')),
  ]);
  await prepare(main, MAIN_RULES, [
    `SET password_encryption = 'md5'`,
    `CREATE ROLE md5er LOGIN PASSWORD 'mdfive'`,
    'RESET password_encryption',
    `CREATE DATABASE "sh@p"`,
    `CREATE DATABASE "ünï code"`,
    'CREATE DATABASE alice',
    ...installTls(dataOf(main), tls),
  ]);
  await prepare(second, OTHER_RULES, ['ALTER SYSTEM SET default_transaction_read_only = on']);
  const words = {
    port: String(main.port),
    pw: main.password,
    second: String(second.port),
    standby: String(standby.port),
    closed: String(await closedPort()),
    tls,
    home: path.join(directory, 'home'),
    sock,
    sockurl: sock.replaceAll('/', '%2F'),
  };
  return {
    words,
    main,
    stop: async () => {
      await Promise.all([main.stop(), second.stop(), standby.stop()]);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** A server that was shut down, and comes back as a standby without a primary. */
async function startStandby(dataDirectory: string): Promise<EmbeddedServer> {
  const server = await startOwnServer({ persistent: true, dataDirectory });
  await prepare(server, OTHER_RULES, []);
  await server.stop();
  writeServerFile(dataOf(server), 'standby.signal');
  return startOwnServer({ persistent: true, dataDirectory });
}

const dataOf = ({ directory }: EmbeddedServer): string => path.join(directory, 'data');

async function prepare(
  server: EmbeddedServer,
  rules: readonly string[],
  statements: readonly string[],
): Promise<void> {
  const client = new pg.Client(server.url);
  await client.connect();
  for (const [role, password] of Object.entries(ROLES)) {
    await client.query(
      `CREATE ROLE ${pg.escapeIdentifier(role)} LOGIN PASSWORD ${pg.escapeLiteral(password)}`,
    );
  }
  await client.query('CREATE DATABASE shop');
  for (const statement of statements) await client.query(statement);
  writeServerFile(dataOf(server), 'pg_hba.conf', `${rules.join('\n')}\n`);
  await client.query('SELECT pg_reload_conf()');
  await client.end();
}

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
