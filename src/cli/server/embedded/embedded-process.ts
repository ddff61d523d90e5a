/** The server's process: started behind a guard, watched until it is ready, ended. */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { constants, existsSync } from 'node:fs';
import { open, readlink, realpath, stat, type FileHandle } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ServerUser } from './embedded-binaries.js';
import { serverEnvironment } from './embedded-environment.js';

export const HOST = '127.0.0.1';
export const POLL_INTERVAL_MS = 10;
const STOP_TIMEOUT_MS = 60_000;
const LONGEST_PID_FILE_BYTES = 8 * 1024;
const LONGEST_LOG_BYTES = 10 * 1024 * 1024;

/** Arguments: the signal that ends the server, a directory to delete in the end or '', the server's command. */
const GUARD = `
exec 3<&0
signal=$1; remove=$2; shift 2
"$@" </dev/null 3<&- & server=$!
(read -r _ <&3; kill -"$signal" "$server") 2>/dev/null & guard=$!
wait "$server"; status=$?
kill "$guard" 2>/dev/null
[ -n "$remove" ] && rm -rf -- "$remove"
exit "$status"
`;

/** Reads `postmaster.pid`. Returns undefined unless a running server serves from these data. */
export async function readPidFile(
  data: string,
): Promise<{ pid: number; port: number; ready: boolean } | undefined> {
  const text = await readHead(path.join(data, 'postmaster.pid')).catch(() => undefined);
  const lines = text?.split('\n');
  const pid = Number(lines?.[0]);
  if (lines === undefined || !Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return undefined;
  if (!(await servesFrom(pid, data))) return undefined;
  return { pid, port: Number(lines[3]), ready: lines[7]?.trim() === 'ready' };
}

/** Reads the beginning of a file in a folder that others may write: follows no link, and waits for nothing. */
async function readHead(name: string): Promise<string> {
  const file = await open(name, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(LONGEST_PID_FILE_BYTES));
    return buffer.subarray(0, bytesRead).toString();
  } finally {
    await file.close();
  }
}

/**
 * Checks that the process works in the data folder as its owner: after a crash, another process may have the number in the file. Without
 * `/proc` the file is trusted; a client's login then proves that the server knows the password.
 */
async function servesFrom(pid: number, data: string): Promise<boolean> {
  try {
    const [folder, process, owner] = await Promise.all([
      readlink(`/proc/${pid}/cwd`),
      stat(`/proc/${pid}`),
      stat(data),
    ]);
    return process.uid === owner.uid && folder === (await realpath(data));
  } catch (error) {
    // A process of another user shows its folder to root only.
    return (error as NodeJS.ErrnoException).code !== 'EACCES' && !existsSync('/proc/self/cwd');
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

export async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, HOST);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** The open log of a starting server: its temporary directory may be gone before the log is read. */
export interface ServerLog {
  readonly file: FileHandle;
  readonly start: number;
}

/** Opens the log, never through a link. A temporary server's folder must still belong to the caller. */
export function openLog(directory: string): Promise<FileHandle> {
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDWR } = constants;
  return open(path.join(directory, 'server.log'), O_APPEND | O_CREAT | O_NOFOLLOW | O_RDWR, 0o600);
}

export async function spawnServer(
  directory: string,
  port: number,
  postgres: string,
  user: ServerUser | undefined,
  options: { persistent: boolean; settings: Readonly<Record<string, string>>; log?: FileHandle },
): Promise<{ child: ChildProcess; log: ServerLog }> {
  const file = options.log ?? (await openLog(directory));
  const { size } = await file.stat();
  const start = size > LONGEST_LOG_BYTES ? 0 : size;
  if (start === 0) await file.truncate();
  const settings = {
    listen_addresses: HOST,
    unix_socket_directories: '',
    logging_collector: 'off',
    ...options.settings,
    port: String(port),
  };
  const server = [postgres, '-D', path.join(directory, 'data')];
  for (const [name, value] of Object.entries(settings)) server.push('-c', `${name}=${value}`);
  // A temporary server's data are deleted: it need not write its memory to disk before it ends.
  const ending = options.persistent ? ['INT', ''] : ['QUIT', directory];
  const child = spawn('/bin/sh', ['-c', GUARD, 'spillway-embedded-server', ...ending, ...server], {
    cwd: '/',
    ...user,
    env: serverEnvironment(),
    detached: true,
    stdio: ['pipe', file.fd, file.fd],
  });
  child.on('error', () => child.stdin?.destroy());
  child.stdin?.on('error', () => undefined);
  // A caller that forgets `stop()` can still end, and the server with it.
  child.unref();
  // In Bun it has no such method, and does not keep the process alive.
  (child.stdin as Partial<Socket> | null)?.unref?.();
  return { child, log: { file, start } };
}

/** Returns what the server has written since it was started. */
export async function outputOf({ file, start }: ServerLog): Promise<string> {
  const { size } = await file.stat();
  const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.max(1, size - start)), { position: start });
  return buffer.subarray(0, bytesRead).toString();
}

export async function untilReady(
  child: ChildProcess,
  data: string,
  port: number,
  deadline: number,
): Promise<'ready' | 'exited' | 'late'> {
  while (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
    const state = await readPidFile(data);
    if (state?.ready && state.port === port) return 'ready';
    if (performance.now() > deadline) return 'late';
    await delay(POLL_INTERVAL_MS);
  }
  return 'exited';
}

/** Deletes a folder as its owner, so that a link that is put in it meanwhile gives no more rights than the owner has. */
export async function removeTree(directory: string, user: ServerUser | undefined): Promise<void> {
  const child = spawn('/bin/sh', ['-c', 'exec rm -rf -- "$1"', 'spillway-remove', directory], {
    cwd: '/',
    ...user,
    env: serverEnvironment(),
    stdio: 'ignore',
  });
  await once(child, 'close');
}

export async function stopServer(
  child: ChildProcess,
  directory: string,
  persistent: boolean,
  user: ServerUser | undefined,
): Promise<void> {
  if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
    child.ref();
    const ended = once(child, 'exit');
    child.stdin?.destroy();
    const late = new AbortController();
    const timeout = delay(STOP_TIMEOUT_MS, 'late', { signal: late.signal }).catch(() => 'ended');
    if ((await Promise.race([ended, timeout])) === 'late') {
      const server = await readPidFile(path.join(directory, 'data'));
      if (server !== undefined) process.kill(server.pid, 'SIGQUIT');
      await ended;
    }
    late.abort();
  }
  if (!persistent) await removeTree(directory, user);
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, HOST);
  await once(probe, 'listening');
  const address = probe.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  probe.close();
  await once(probe, 'close');
  return port;
}
