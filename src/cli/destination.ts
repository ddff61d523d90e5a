/** Which server to talk to. Decided from `--to` and the environment; the decision holds a password and is never printed as a whole. */

import { UsageError } from './errors.js';

export type Destination =
  | { kind: 'embedded'; dataDirectory: string | undefined }
  /** A server given by URL. `label` is what people see: without user, password and parameters. */
  | { kind: 'url'; url: string; label: string; from: '--to' | 'DATABASE_URL' }
  /** pg reads the `PG*` variables by itself. */
  | { kind: 'environment'; label: string };

export type Environment = Readonly<Record<string, string | undefined>>;

/** The variables that say where a server is. A password alone does not. */
const SERVER_VARIABLES = ['PGHOST', 'PGPORT', 'PGDATABASE', 'PGUSER'] as const;

/**
 * `--to`, else `DATABASE_URL`, else the `PG*` variables. There is no further default: a command never picks a server by itself.
 *
 * @throws {UsageError} where nothing names a server, or the URL is not one. The message never contains the URL, which may hold a password.
 */
export function resolveDestination(to: string | undefined, environment: Environment): Destination {
  if (to !== undefined) return fromFlag(to);
  const url = given(environment, 'DATABASE_URL');
  if (url !== undefined) return fromUrl(url, 'DATABASE_URL');
  if (SERVER_VARIABLES.some((name) => given(environment, name) !== undefined)) {
    const host = given(environment, 'PGHOST') ?? 'localhost';
    const port = given(environment, 'PGPORT') ?? '5432';
    return { kind: 'environment', label: labelOf(host, port, given(environment, 'PGDATABASE')) };
  }
  throw new UsageError(
    'no server is named: give --to postgres://user@host:5432/database, or set DATABASE_URL or the PG* variables ' +
      '(PGHOST, PGPORT, PGUSER, PGDATABASE); or give --to embedded for an embedded PostgreSQL',
  );
}

function given(environment: Environment, name: string): string | undefined {
  const value = environment[name];
  return value === '' ? undefined : value;
}

function fromFlag(to: string): Destination {
  const embedded = /^embedded(?::(.*))?$/s.exec(to);
  if (embedded === null) return fromUrl(to, '--to');
  if (embedded[1] === '') throw new UsageError('--to embedded: lacks a directory after the colon');
  return { kind: 'embedded', dataDirectory: embedded[1] };
}

function fromUrl(text: string, from: '--to' | 'DATABASE_URL'): Destination {
  // pg also takes a user before an empty host, which no URL has: postgres://user:password@/database?host=/run/postgresql
  // With another @ after it, it is part of a password that should have been escaped, and must not end up in the label.
  const complete = URL.canParse(text) ? text : text.replace(/@\/(?=[^@]*$)/, '@localhost/');
  const url = URL.canParse(complete) ? new URL(complete) : undefined;
  if (url === undefined || !['postgres:', 'postgresql:'].includes(url.protocol)) {
    const or = from === '--to' ? ', or "embedded"' : '';
    throw new UsageError(`${from} must be a URL such as postgres://user@host:5432/database${or}`);
  }
  // A socket directory comes as a parameter: postgres:///database?host=/run/postgresql
  const host = url.searchParams.get('host') ?? (url.hostname === '' ? 'localhost' : url.hostname);
  const database = url.pathname.slice(1);
  return {
    kind: 'url',
    url: text,
    label: labelOf(host, url.port === '' ? '5432' : url.port, database === '' ? undefined : database),
    from,
  };
}

function labelOf(host: string, port: string, database: string | undefined): string {
  return database === undefined ? `${host}:${port}` : `${host}:${port}/${database}`;
}
