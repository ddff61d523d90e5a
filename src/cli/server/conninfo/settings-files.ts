/** What connection settings take from the service file and from the password file. */

import { UsageError } from '../../common/errors.js';
import { inHome, type FoundFile, type Machine } from './files.js';
import { DEFAULT_HOST, type Host } from './hosts.js';
import { nonEmpty, type Parameters } from './parameters.js';
import { findPassword } from './password-file.js';
import { parseService } from './service-file.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** Where distributions put the service file of all users. */
const SERVICE_DIRECTORIES = [
  '/etc/postgresql-common',
  '/etc/sysconfig/pgsql',
  '/usr/local/etc',
  '/usr/local/pgsql/etc',
];

/** @returns the section that `service` or PGSERVICE names */
export async function readService(
  { service }: Parameters,
  environment: Environment,
  machine: Machine,
): Promise<Parameters> {
  const name = service ?? environment['PGSERVICE'];
  if (name === undefined) return {};
  const own = environment['PGSERVICEFILE'];
  const first = own ?? inHome('.pg_service.conf', machine, environment);
  const systemWide = environment['PGSYSCONFDIR'];
  const directories = systemWide === undefined ? SERVICE_DIRECTORIES : [systemWide];
  const files = [
    ...(first === undefined ? [] : [first]),
    ...directories.map((directory) => `${directory}/pg_service.conf`),
  ];
  for (const file of files) {
    const found = await readNamed(file, 'the service file', machine);
    if (found === undefined) {
      if (file === own)
        throw new UsageError(`PGSERVICEFILE: there is no service file ${JSON.stringify(file)}`);
      continue;
    }
    const parameters = parseService(found.content.toString(), name, file);
    if (parameters !== undefined) return parameters;
  }
  throw new UsageError(
    `service: there is no definition of service ${JSON.stringify(name)} in ${files.join(' or ')}`,
  );
}

async function readNamed(file: string, what: string, machine: Machine): Promise<FoundFile | undefined> {
  try {
    return await machine.readFile(file);
  } catch (error) {
    throw new UsageError(
      `${what} ${JSON.stringify(file)} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`,
    );
  }
}

/** Directories of libpq's default socket, which `.pgpass` calls localhost. */
const DEFAULT_SOCKETS = ['/var/run/postgresql', '/run/postgresql', '/tmp'];

/** @returns a password for each host, and why the password file was not used */
export async function readPasswords(
  parameters: Parameters,
  target: { hosts: readonly Host[]; user: string; database: string },
  environment: Environment,
  machine: Machine,
): Promise<{ passwords: (string | undefined)[]; fault?: string }> {
  const { hosts, user, database } = target;
  const password = nonEmpty(parameters.password);
  if (password !== undefined) return { passwords: hosts.map(() => password) };
  const none = hosts.map(() => undefined);
  const file = nonEmpty(parameters.passfile) ?? inHome('.pgpass', machine, environment);
  if (file === undefined) return { passwords: none };
  let found: FoundFile | undefined;
  try {
    found = await machine.readFile(file, true);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'error';
    return { passwords: none, fault: `the password file ${file} is not used: it cannot be read (${code})` };
  }
  if (found === undefined) return { passwords: none };
  if ((found.mode & 0o077) !== 0) {
    return {
      passwords: none,
      fault: `the password file ${file} is not used, for others may read it: chmod 600`,
    };
  }
  const text = found.content.toString();
  return {
    passwords: hosts.map(({ name, address, port }) => {
      const host = DEFAULT_SOCKETS.includes(name) ? DEFAULT_HOST : name;
      const key = { host: host === '' ? (address ?? '') : host, port: String(port), database, user };
      return nonEmpty(findPassword(text, key));
    }),
  };
}
