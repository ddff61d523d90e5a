/**
 * Connection strings and variables, each beside psql: both reach the same server with the same session, or both fail, or Spillway refuses a
 * setting by its name.
 */

import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../../../src/cli/server/connection.js';
import { resolveDestination } from '../../../../src/cli/server/destination.js';
import { CliError } from '../../../../src/cli/common/errors.js';
import { useCli } from '../../../support/cli.js';
import { HAS_OPENSSL, PSQL, PSQL_VERSION, psql } from '../../../support/psql.js';
import { startProxy } from '../../../support/postgres-proxy.js';
import { startTestServer, testedPackage } from '../../../support/postgres.js';
import { startTlsServers, type TlsServers } from '../../../support/tls-servers.js';
import { SEVERAL_HOSTS } from './rows/hosts.js';
import { PAIRS } from './rows/pairs.js';
import type { Row } from './rows/row.js';
import { TLS } from './rows/tls.js';
import { URLS } from './rows/urls.js';
import { VARIABLES } from './rows/variables.js';

const ROWS: readonly Row[] = [...URLS, ...PAIRS, ...TLS, ...SEVERAL_HOSTS, ...VARIABLES].filter(
  ({ since = 0 }) => Number(testedPackage().version) >= since,
);

const missing = PSQL === undefined ? 'psql is not installed' : HAS_OPENSSL ? '' : 'openssl is not installed';

/** What a session looks like from within. */
const SESSION = `SELECT json_build_object(
  'database', current_database(), 'user', current_user, 'port', current_setting('port'),
  'address', inet_server_addr(), 'standby', pg_is_in_recovery(),
  'tls', (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()),
  'tls_version', (SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()),
  'client', (SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()),
  'application_name', current_setting('application_name'), 'timezone', current_setting('TimeZone'),
  'datestyle', current_setting('DateStyle'), 'geqo', current_setting('geqo'), 'work_mem', current_setting('work_mem'),
  'search_path', current_setting('search_path'), 'statement_timeout', current_setting('statement_timeout'),
  'client_encoding', current_setting('client_encoding'), 'own', current_setting('spillway.own', true),
  'read_only', current_setting('default_transaction_read_only'))`;

type Session = Record<string, unknown>;

let servers: TlsServers;

const fill = (text: string): string => text.replace(/\{(\w+)\}/g, (_, word: string) => servers.words[word]!);

function environmentOf({ env = {} }: Row): Record<string, string> {
  const filled = Object.entries(env).map(([name, value]) => [name, fill(value)] as const);
  // No file of the machine's user may play a part.
  return { HOME: '/nowhere', ...Object.fromEntries(filled) };
}

async function bySpillway(row: Row): Promise<Session | Error> {
  const environment = environmentOf(row);
  try {
    const destination = resolveDestination(row.text === undefined ? undefined : fill(row.text), environment);
    const connection = await connect(destination, 1, environment);
    try {
      const { rows } = await connection.pool.query<{ session: Session }>(`${SESSION} AS session`);
      return rows[0]!.session;
    } finally {
      await connection.close();
    }
  } catch (error) {
    if (error instanceof CliError) return error;
    throw error;
  }
}

async function byPsql(row: Row): Promise<Session | Error> {
  const result = await psql(row.text === undefined ? undefined : fill(row.text), SESSION, environmentOf(row));
  return result.code === 0 ? (JSON.parse(result.stdout) as Session) : new Error(result.stderr);
}

/** Each program has a name of its own. */
function comparable(session: Session): Session {
  const { application_name: name } = session;
  return { ...session, application_name: name === 'psql' || name === 'spillway' ? 'the default' : name };
}

const SECRETS = ['al1ce', 'mdfive', 'sEcReT', 'klartext', 'p/?#@'];

describe.skipIf(missing !== '')(`connection settings beside psql${missing && ` (${missing})`}`, () => {
  beforeAll(async () => {
    servers = await startTlsServers();
    writeHomes(servers.words['home']!, servers.words['tls']!);
  }, 120_000);
  afterAll(async () => {
    await servers.stop();
  });

  it('has at least 200 rows', () => {
    expect(ROWS.length).toBeGreaterThanOrEqual(200);
  });

  it.each(
    ROWS.map((row) => [row.title ?? `${row.text ?? ''} ${JSON.stringify(row.env ?? {})}`, row] as const),
  )('%s', async (_, row) => {
    const [ours, theirs] = await Promise.all([bySpillway(row), byPsql(row)]);
    if (ours instanceof Error) for (const secret of SECRETS) expect(ours.message).not.toContain(secret);
    const { then } = row;
    if ('same' in then) {
      expect(theirs).not.toBeInstanceOf(Error);
      expect(ours).not.toBeInstanceOf(Error);
      expect(comparable(ours as Session)).toEqual(comparable(theirs as Session));
    } else if ('neither' in then) {
      expect(theirs).toBeInstanceOf(Error);
      expect(ours).toBeInstanceOf(Error);
      expect((ours as Error).message).toMatch(then.neither);
    } else if ('refused' in then) {
      expect(ours).toBeInstanceOf(Error);
      expect((ours as Error).message).toMatch(then.refused);
    } else {
      const told = Object.entries(then.newer).map(([name, value]) => [name, fill(value)]);
      expect(JSON.parse(JSON.stringify(ours))).toMatchObject(normal(Object.fromEntries(told) as Session));
    }
  });
});

describe.skipIf(!HAS_OPENSSL)('on the terminal', () => {
  const cli = useCli();
  beforeAll(async () => {
    servers = await startTlsServers();
    writeHomes(servers.words['home']!, servers.words['tls']!);
  }, 120_000);
  afterAll(async () => {
    await servers.stop();
  });

  const run = (to: string, env: Record<string, string> = {}) =>
    cli.run(['query', 'SELECT 1 AS one', '--json', '--to', fill(to)], {
      env: { HOME: '/nowhere', ...Object.fromEntries(Object.entries(env).map(([k, v]) => [k, fill(v)])) },
    });

  it.each([
    ['postgres://alice:al1ce@127.0.0.1:{port}/shop', {}],
    ['postgres://alice:al1ce@127.0.0.1:{port}/shop?sslmode=prefer', {}],
    ['postgres://alice:al1ce@127.0.0.1:{port}/shop?sslmode=require', {}],
    ['postgres://alice:al1ce@127.0.0.1:{port}/shop?sslmode=verify-ca&sslrootcert={tls}/ca.crt', {}],
    ['postgres://alice:al1ce@localhost:{port}/shop?sslmode=verify-full&sslrootcert={tls}/ca.crt', {}],
    ['postgres://alice:al1ce@127.0.0.1:{second}/shop', {}],
    ['postgres://alice@127.0.0.1:{port}/shop', { HOME: '{home}/pass' }],
    ['postgres://alice@127.0.0.1:{port}/shop', { PGPASSFILE: '{home}/pass/.pgpass', PGSSLMODE: 'require' }],
    ['host=127.0.0.1 port={port} user=alice password=al1ce dbname=shop options=-cgeqo=off', {}],
  ])('there is no warning of Node.js or node-postgres: %s %j', async (to, env) => {
    expect(await run(to, env)).toEqual({ code: 0, stdout: '{"one":1}\n', stderr: '' });
  });

  it('the label is the server that is really used', async () => {
    writeFileSync(path.join(cli.directory, 'x.csv'), 'a\n1\n');
    const to = fill('postgres://postgres:{pw}@127.0.0.1:{closed},127.0.0.1:{port}/alice?dbname=shop');
    const { stderr } = await cli.run(['load', 'x.csv', '-t', 'labelled', '--create', '--to', to]);
    expect(stderr).toContain(fill('127.0.0.1:{port}/shop'));
    expect(stderr).not.toContain(servers.main.password);
  });

  it.each([
    ['load', '-t', 't', 'postgres://u:sEcReT@h/d'],
    ['load', '-t', 't', '-f', 'csv', 'postgres://u:sE/cReT@h/d?x=cReT@h'],
    ['load', '-t', 't', 'x.csv', '--format', 'postgres://u:sEcReT@h/d'],
    ['query', 'SELECT 1', 'postgres://u:sEcReT@h/d'],
    ['postgres://u:sEcReT@h/d'],
    ['load', '-t', 't', 'x.csv', '--to=postgres//u:sEcReT@h/d'],
    ['load', '-t', 't', 'x.csv', '--too=postgres://u:sEcReT@h/d'],
  ])('a password in the wrong place is not shown: %j', async (...args) => {
    const { code, stdout, stderr } = await cli.run(args);
    expect(code).not.toBe(0);
    expect(`${stdout}${stderr}`).not.toContain('cReT');
  });
});

describe('a pool over several hosts', () => {
  it('finds the next server when the first one goes, for all that ask at once', async () => {
    const [first, second] = await Promise.all([startTestServer(), startTestServer()]);
    const proxy = await startProxy(first.url);
    const other = new URL(second.url);
    const environment = { HOME: '/nowhere', PGPASSWORD: decodeURIComponent(other.password) };
    // The password of the second server is that of both, for the first one is told it.
    const admin = new pg.Client(first.url);
    await admin.connect();
    await admin.query(`ALTER ROLE CURRENT_USER PASSWORD ${pg.escapeLiteral(environment.PGPASSWORD)}`);
    await admin.end();
    const text = `host=${proxy.host},${other.hostname} port=${proxy.port},${other.port} user=${other.username} dbname=postgres`;
    const connection = await connect({ kind: 'server', text, where: '--to' }, 3, environment);
    try {
      const port = async (): Promise<number> => {
        const { rows } = await connection.pool.query<{ port: number }>('SELECT inet_server_port() AS port');
        return rows[0]!.port;
      };
      expect(await port()).toBe(Number(new URL(first.url).port));
      expect(connection.label).toBe(`${proxy.host}:${proxy.port}/postgres`);
      await proxy.close();
      const ports = await Promise.all([port(), port(), port()].map((asked) => asked.catch(() => 0)));
      const again = await Promise.all([port(), port(), port()]);
      expect([...new Set([...ports.filter((found) => found !== 0), ...again])]).toEqual([Number(other.port)]);
    } finally {
      await connection.close();
      await Promise.all([first.stop(), second.stop()]);
    }
  });
});

/** JSON's own values for what a row writes as text. */
function normal(session: Session): Session {
  const { tls, ...others } = session;
  return tls === undefined ? others : { ...others, tls: tls === 't' };
}

function writeHomes(home: string, tls: string): void {
  const write = (name: string, text: string, mode = 0o600): void => {
    const file = path.join(home, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, fill(text), { mode });
    chmodSync(file, mode);
  };
  const passwords =
    '# a comment\n\n127.0.0.1:1:*:*:another port\n127.0.0.1:{port}:other:*:another database\n' +
    `127.0.0.1:{port}:shop:od@d/\\::p/?#@\\:%&= '"\\\\\n::1:{port}:shop:alice:al1ce\n127.0.0.1:*:*:alice:al1ce\r\n*:*:*:clear:\n*:*:sh@p:*:not this:one\n`;
  write('pass/.pgpass', passwords);
  write('open/.pgpass', passwords, 0o644);
  const main = 'host=127.0.0.1\nport={port}\nuser=alice\npassword=al1ce\n';
  write(
    'service/own.conf',
    `# services\n[other]\nhost=nowhere.invalid\n\n[shop]\n${main}dbname=shop\ndbname=alice\napplication_name=a b = c \n` +
      `[broken]\nhost\n[spaced]\nhost = 127.0.0.1\n[nested]\nservice=shop\n[typo]\nsslmod=require\n`,
  );
  write('service/.pg_service.conf', `[shop]\n  ${main.replaceAll('\n', '\n  ')}dbname=shop\n`);
  write('service/pg_service.conf', `[wide]\n${main}dbname=shop\n[shop]\nhost=nowhere.invalid\n`);
  for (const [from, to] of [
    ['ca.crt', 'root.crt'],
    ['client.crt', 'postgresql.crt'],
    ['client.key', 'postgresql.key'],
  ] as const) {
    mkdirSync(path.join(home, 'tls/.postgresql'), { recursive: true });
    copyFileSync(path.join(tls, from), path.join(home, 'tls/.postgresql', to));
  }
}

it.runIf(PSQL !== undefined)('the compared psql has a version', () => {
  expect(PSQL_VERSION).toBeGreaterThanOrEqual(13);
});
