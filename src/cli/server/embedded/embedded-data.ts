/** The embedded server's data directories: made by initdb, checked, and cleaned up after a killed run. */

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { chmod, chown, lstat, mkdir, mkdtemp, open, readdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { EmbeddedServerError, type EmbeddedBinaries, type ServerUser } from './embedded-binaries.js';
import { serverEnvironment } from './embedded-environment.js';
import { isAlive, readPidFile, removeTree } from './embedded-process.js';
import { findUntrusted } from './embedded-trust.js';

/** The role that owns the server. */
export const USER = 'postgres';

/** @throws {EmbeddedServerError} if another user could put a link in place of what is made there */
export async function assertTrusted(directory: string): Promise<void> {
  const folder = process.getuid?.() === 0 ? await findUntrusted(directory) : undefined;
  if (folder === undefined) return;
  throw new EmbeddedServerError(
    'ERR_SPILLWAY_EMBEDDED_FAILED',
    `the embedded server's folder ${directory} is not safe for root: ${folder} belongs to another user, or others may write in it; give another folder, or run as an ordinary user`,
  );
}

/** Deletes the folders of runs that were killed together with their guard. */
export async function removeLeftOvers(
  parent: string,
  prefix: string,
  user: ServerUser | undefined,
): Promise<void> {
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

/** Returns the password of the server whose data are in `directory`; undefined if there are none. */
export async function storedPassword(directory: string): Promise<string | undefined> {
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

/** Makes data and password in a new folder, and renames it when complete: an interrupted run leaves nothing that looks finished. */
export async function createPersistent(
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

/** Passes the password from standard input to initdb through a pipe: it is never in a file or an argument. */
const INITDB = 'IFS= read -r password; printf "%s\\n" "$password" | "$@" --pwfile=/dev/stdin';

/** Makes the data in the folder `data` of `directory`, which belongs to the server's user; returns the new password. */
export async function initialise(
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
