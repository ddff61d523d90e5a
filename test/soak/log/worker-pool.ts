/** The workers of the soak, as processes, each behind proxies of its own if connections are to be cut. */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { LogWorkerSettings } from '../../support/log-worker.js';
import { startProxy, type TestProxy } from '../../support/postgres-proxy.js';

const WORKER = fileURLToPath(new URL('../../support/log-worker.ts', import.meta.url));
const RUN_BUILT = fileURLToPath(new URL('../../../benchmarks/tsconfig.run.json', import.meta.url));
const KIB = 1_024;

export interface LogWorker {
  readonly child: ChildProcess;
  readonly number: number;
  readonly proxies: readonly TestProxy[];
  isStopped: boolean;
  /** It is to end. */
  isEnding: boolean;
}

export class WorkerPool {
  readonly workers = new Set<LogWorker>();
  /** The most memory that each process had. */
  readonly peakBytes = new Map<number, number>();
  /** What no worker should do: end by itself, or write to standard error. */
  readonly troubles: string[] = [];
  readonly #settings: LogWorkerSettings;
  readonly #hasProxies: boolean;
  readonly #env: NodeJS.ProcessEnv;
  #started = 0;

  /** @param isBuilt runs the built package, as users do */
  constructor(
    settings: LogWorkerSettings,
    { hasProxies, isBuilt }: { hasProxies: boolean; isBuilt: boolean },
  ) {
    this.#settings = settings;
    this.#hasProxies = hasProxies;
    this.#env = { ...process.env, ...(isBuilt && { TSX_TSCONFIG_PATH: RUN_BUILT }) };
  }

  async start(): Promise<void> {
    const number = (this.#started += 1);
    const { nats, database } = this.#settings;
    const proxies = this.#hasProxies ? [await startProxy(`nats://${nats}`), await startProxy(database)] : [];
    const settings = { ...this.#settings };
    if (proxies.length > 0) {
      const [natsProxy, databaseProxy] = proxies;
      const url = new URL(database);
      url.port = String(databaseProxy!.port);
      Object.assign(settings, { nats: `127.0.0.1:${natsProxy!.port}`, database: url.href });
    }
    const args = ['--import', 'tsx', WORKER, JSON.stringify(settings)];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'], env: this.#env });
    const worker: LogWorker = { child, number, proxies, isStopped: false, isEnding: false };
    this.workers.add(worker);
    child.stderr.on('data', (text: Buffer) => this.troubles.push(`worker ${number}: ${text.toString()}`));
    child.on('exit', (code, signal) => {
      this.workers.delete(worker);
      for (const proxy of proxies) void proxy.close();
      if (!worker.isEnding) this.troubles.push(`worker ${number} has ended with ${code ?? signal}`);
    });
  }

  async kill(worker: LogWorker, signal: NodeJS.Signals): Promise<void> {
    worker.isEnding = true;
    await this.#look(worker);
    const exited = once(worker.child, 'exit');
    worker.child.kill(signal);
    const [code, endedBy] = (await exited) as [number | null, string | null];
    if (signal === 'SIGTERM' && code !== 0 && endedBy !== signal) {
      this.troubles.push(`worker ${worker.number} has ended with ${code ?? endedBy} at SIGTERM`);
    }
  }

  /** Reads how much memory each has had so far. */
  async look(): Promise<void> {
    for (const worker of this.workers) await this.#look(worker);
  }

  async #look({ child, number }: LogWorker): Promise<void> {
    const status = await readFile(`/proc/${child.pid}/status`, 'latin1').catch(() => '');
    const peak = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
    if (peak !== undefined) this.peakBytes.set(number, Number(peak) * KIB);
  }
}
