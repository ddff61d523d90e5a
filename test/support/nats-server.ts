/** A real NATS server with JetStream, of one test file, on a free port and with a store of its own. */

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Debian puts it where only root looks. */
const CANDIDATES = ['nats-server', '/usr/sbin/nats-server', '/usr/local/bin/nats-server'];
const program = CANDIDATES.find((name) => spawnSync(name, ['--version']).status === 0);

/** Why tests that need a server are skipped. Undefined: there is one. */
export const noNatsServer =
  program === undefined
    ? 'skipped: there is no nats-server (Debian: apt-get install nats-server)'
    : undefined;

export interface NatsServer {
  readonly port: number;
  readonly pid: number;
  /** The folder that streams are stored in. */
  readonly store: string;
  /** SIGKILL: what was not synced stays in the page cache, and so in the store. */
  kill(): Promise<void>;
  /** SIGTERM: everything is written. */
  stopKeeping(): Promise<void>;
  /** On the same port and store. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** @param config further lines of its configuration, such as users and TLS */
export async function startNatsServer(config?: string): Promise<NatsServer> {
  const folder = await mkdtemp(path.join(tmpdir(), 'spillway-nats-'));
  const configFile = path.join(folder, 'nats.conf');
  if (config !== undefined) await writeFile(configFile, config);
  let child: ChildProcess;
  let port = -1;
  const start = async (): Promise<void> => {
    child = spawn(
      program!,
      [
        ...['-js', '-sd', folder, '-a', '127.0.0.1', '-p', String(port), '--ports_file_dir', folder],
        ...(config === undefined ? [] : ['-c', configFile]),
      ],
      { stdio: 'ignore' },
    );
    const { pid } = child;
    await once(child, 'spawn');
    port = await readPort(folder, pid!);
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  };
  await start();
  return {
    store: path.join(folder, 'jetstream'),
    get port() {
      return port;
    },
    get pid() {
      return child.pid!;
    },
    kill: () => end('SIGKILL'),
    stopKeeping: () => end('SIGTERM'),
    restart: start,
    async stop() {
      await end('SIGTERM');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The server writes its ports into a file once it listens. */
async function readPort(folder: string, pid: number): Promise<number> {
  const deadline = Date.now() + 30_000;
  while (Date.now() < deadline) {
    const file = (await readdir(folder)).find((name) => name.endsWith(`_${pid}.ports`));
    if (file !== undefined) {
      try {
        const ports = JSON.parse(await readFile(path.join(folder, file), 'utf8')) as {
          nats?: string[];
          tls?: string[];
        };
        return Number(new URL((ports.nats ?? ports.tls)![0]!).port);
      } catch {
        // It is being written.
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('nats-server has not started within 30 s');
}
