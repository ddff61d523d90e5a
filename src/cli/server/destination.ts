/** Decides which server to use, from `--to` and the environment. The result may hold a password and is never printed. */

import { UsageError } from '../common/errors.js';
import { parseConnectionString, type Environment } from './conninfo/settings.js';

export type { Environment } from './conninfo/settings.js';

export type Destination =
  | { kind: 'embedded'; dataDirectory: string | undefined }
  /** A URL or pairs; without `text` the `PG*` variables alone say which server. */
  | { kind: 'server'; text: string | undefined; where: '--to' | 'DATABASE_URL' | 'PG*' };

/** The variables that say where a server is. A password alone does not. */
const SERVER_VARIABLES = ['PGHOST', 'PGHOSTADDR', 'PGPORT', 'PGDATABASE', 'PGUSER', 'PGSERVICE'] as const;

/**
 * Returns the server of `--to`, else `DATABASE_URL`, else the `PG*` variables. There is no other default: a command never picks a server.
 *
 * @throws {UsageError} when nothing names a server, or what names it cannot be read. The message never contains the text, which may hold
 * a password.
 */
export function resolveDestination(to: string | undefined, environment: Environment): Destination {
  if (to !== undefined) return fromFlag(to);
  const url = given(environment, 'DATABASE_URL');
  if (url !== undefined) return fromText(url, 'DATABASE_URL');
  if (SERVER_VARIABLES.some((name) => given(environment, name) !== undefined)) {
    return { kind: 'server', text: undefined, where: 'PG*' };
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
  if (embedded === null) return fromText(to, '--to');
  if (embedded[1] === '') throw new UsageError('--to embedded: lacks a directory after the colon');
  return { kind: 'embedded', dataDirectory: embedded[1] };
}

/** Parses the text once here, so that a wrong one is reported before any file is opened. */
function fromText(text: string, where: '--to' | 'DATABASE_URL'): Destination {
  parseConnectionString(text, where);
  return { kind: 'server', text, where };
}
