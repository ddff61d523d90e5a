/** The program `psql`, the peer that connection settings are compared with. */

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';

export interface PsqlResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** The program itself: Debian's wrapper of the same name would choose a server by itself. */
function findPsql(): string | undefined {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  const own = versions.map((version) => `${root}/${version}/bin/psql`).find((file) => existsSync(file));
  return own ?? (spawnSync('psql', ['--version']).status === 0 ? 'psql' : undefined);
}

export const PSQL = findPsql();

/** Whether TLS files can be made. */
export const HAS_OPENSSL = spawnSync('openssl', ['version']).status === 0;

/** Its major version; 0 when there is none. */
export const PSQL_VERSION =
  PSQL === undefined
    ? 0
    : Number(/\b(\d+)/.exec(spawnSync(PSQL, ['--version'], { encoding: 'utf8' }).stdout)?.[1] ?? 0);

/** Runs one statement with no environment but the given one. `text` is what `psql` takes for a database. */
export function psql(
  text: string | undefined,
  statement: string,
  env: Record<string, string>,
  stdin?: string,
): Promise<PsqlResult> {
  const database = text === undefined ? [] : ['-d', text];
  const child = spawn(
    PSQL!,
    ['-X', '-A', '-t', '-w', '-v', 'ON_ERROR_STOP=1', ...database, '-c', statement],
    {
      env: { LC_ALL: 'C.UTF-8', ...env },
      cwd: '/',
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  );
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  child.stdin.on('error', () => undefined);
  child.stdin.end(stdin ?? '');
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
