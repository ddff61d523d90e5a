/** A PostgreSQL server of a test's own that can be stopped, frozen and started again, on the same address and data. */

import { execFile, type ChildProcess } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { findEmbeddedBinaries } from '../../src/cli/server/embedded/embedded-binaries.js';
import {
  outputOf,
  readPidFile,
  spawnServer,
  stopServer,
} from '../../src/cli/server/embedded/embedded-process.js';
import { startOwnServer, testedPackage, type TestServer } from './own-server.js';

const run = promisify(execFile);
const LONGEST_START_MS = 30_000;

/** As PostgreSQL's own words for it: `fast` rolls back and ends; `immediate` ends like a crash, and the next start recovers. */
const STOP_SIGNALS = { fast: 'SIGINT', immediate: 'SIGQUIT', killed: 'SIGKILL' } as const;

export interface FaultServer extends TestServer {
  /** Its data. */
  readonly data: string;
  /** User and group that it runs as. */
  readonly owner: { uid: number; gid: number };
  /** Ends the server for the time being. */
  goDown(how: keyof typeof STOP_SIGNALS): Promise<void>;
  /** Starts it again where it was. */
  comeBack(): Promise<void>;
  /** Stops the process that takes new connections; the others go on. */
  freezePostmaster(): Promise<void>;
  /** Stops each of its processes. */
  freezeAll(): Promise<void>;
  /** Whatever was stopped goes on. */
  thaw(): Promise<void>;
}

export async function startFaultServer(settings: Record<string, string> = {}): Promise<FaultServer> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'spillway-fault-server-'));
  await chmod(directory, 0o755);
  const all = { fsync: 'off', max_connections: '50', ...settings };
  const first = await startOwnServer({ persistent: true, dataDirectory: directory, settings: all });
  const data = path.join(first.directory, 'data');
  const { uid, gid } = await stat(data);
  const owner = { uid, gid };
  const user = process.getuid?.() === 0 ? owner : undefined;
  const { postgres } = await findEmbeddedBinaries(directory, user, testedPackage().packageName);
  let end = (): Promise<void> => first.stop();
  /** The postmaster before the server went down. A killed one leaves its PID file, which says that it is ready. */
  let downPid: number | undefined;
  let frozen: number[] = [];

  const postmaster = async (): Promise<number> => {
    const state = await readPidFile(data);
    if (state === undefined) throw new Error('the server is not running');
    return state.pid;
  };
  const untilUp = async (child: ChildProcess, deadline: number): Promise<boolean> => {
    while (child.exitCode === null && child.signalCode === null && performance.now() < deadline) {
      const state = await readPidFile(data);
      if (state?.ready && state.port === first.port && state.pid !== downPid) return true;
      await delay(5);
    }
    return false;
  };
  const freeze = (pids: number[]): void => {
    // A process that works in the background may have ended since it was listed.
    frozen.push(...pids.filter((pid) => signalled(pid, 'SIGSTOP')));
  };
  const thaw = async (): Promise<void> => {
    for (const pid of frozen) signalled(pid, 'SIGCONT');
    frozen = [];
  };

  return {
    url: first.url,
    data,
    owner,
    async goDown(how) {
      const pid = await postmaster();
      const pids = [pid, ...(await childrenOf(pid))];
      downPid = pid;
      process.kill(pid, STOP_SIGNALS[how]);
      while (pids.some(isAlive)) await delay(5);
    },
    async comeBack() {
      const deadline = performance.now() + LONGEST_START_MS;
      const options = { persistent: true, settings: all };
      for (;;) {
        const { child, log } = await spawnServer(first.directory, first.port, postgres, user, options);
        end = () => stopServer(child, first.directory, true, user);
        const isUp = await untilUp(child, deadline);
        const output = isUp ? '' : await outputOf(log);
        await log.file.close();
        if (isUp) return;
        if (performance.now() > deadline) throw new Error(`the server did not come back: ${output}`);
        // A session that was begun while the server was killed holds the shared memory until it notices.
        await delay(100);
      }
    },
    async freezePostmaster() {
      freeze([await postmaster()]);
    },
    async freezeAll() {
      const pid = await postmaster();
      freeze([pid, ...(await childrenOf(pid))]);
    },
    thaw,
    async stop() {
      await thaw();
      await end();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export function isAlive(pid: number): boolean {
  return signalled(pid, 0);
}

/** Answers `false` where the process has ended. */
export function signalled(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    return false;
  }
}

async function childrenOf(parent: number): Promise<number[]> {
  const processes = process.platform === 'linux' ? await processesOfLinux() : await processesByPs();
  return processes.filter(([, ppid]) => ppid === parent).map(([pid]) => pid);
}

type ProcessAndParent = [pid: number, ppid: number];

/** Without `ps`, which small images lack. */
async function processesOfLinux(): Promise<ProcessAndParent[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      // Some have ended since they were listed. The name, in parentheses, may hold anything.
      const line = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
      return [Number(pid), Number(line.slice(line.lastIndexOf(')')).split(' ')[2])] as ProcessAndParent;
    }),
  );
  return found;
}

async function processesByPs(): Promise<ProcessAndParent[]> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=']);
  return stdout.split('\n').map((line) => line.trim().split(/\s+/).map(Number) as ProcessAndParent);
}
