/** PostgreSQL's own client, which the benchmarks are held against. */

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Psql {
  readonly file: string;
  /** As it says itself, such as `15.14`. */
  readonly version: string;
}

/** On the path, or where Debian keeps it, the newest first; nothing where there is none. */
export async function findPsql(): Promise<Psql | undefined> {
  const debian = '/usr/lib/postgresql';
  const versions = (await readdir(debian).catch(() => [])).sort((a, b) => Number(b) - Number(a));
  for (const file of ['psql', ...versions.map((version) => path.join(debian, version, 'bin/psql'))]) {
    const output = await run(file, ['--version']).catch(() => undefined);
    const version = /\d+[\d.]*/.exec(output?.stdout ?? '')?.[0];
    if (version !== undefined) return { file, version };
  }
  return undefined;
}

/** How a file lies on the disk; the CSV has a header. */
export type CopyFormat = 'csv' | 'text' | 'binary';

export const formatOptions = (format: CopyFormat): string =>
  format === 'csv' ? '(FORMAT csv, HEADER)' : `(FORMAT ${format})`;

/** `\copy`, from the start of psql to its end. The URL's parts go by the environment, for others can read a command line. */
export async function psqlCopy(
  psql: Psql,
  url: string,
  table: string,
  file: string,
  format: CopyFormat = 'csv',
): Promise<void> {
  const { hostname, port, username, password, pathname } = new URL(url);
  await ended(
    psql.file,
    [
      '-X',
      '-q',
      '-v',
      'ON_ERROR_STOP=1',
      '-c',
      `\\copy ${table} FROM '${file}' WITH ${formatOptions(format)}`,
    ],
    {
      PGHOST: hostname,
      PGPORT: port,
      PGUSER: decodeURIComponent(username),
      PGPASSWORD: decodeURIComponent(password),
      PGDATABASE: pathname.slice(1),
    },
  );
}

/** Runs a program to its end; fails with its own words where it does not end with `expectedCode`. */
export async function ended(
  file: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  expectedCode = 0,
): Promise<void> {
  const child = spawn(file, args, {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let words = '';
  child.stderr.on('data', (data: Buffer) => {
    words += data.toString();
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== expectedCode)
    throw new Error(`${path.basename(file)} ended with ${String(code)}: ${words.trim()}`);
}
