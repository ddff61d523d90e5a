/** Runs the service under load and faults for a while, checks it each second, stops it, and judges what became of each event. */

import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startFaultServer, type FaultServer } from '../support/fault-server.js';
import { startProxy, type TestProxy } from '../support/postgres-proxy.js';
import { SeededRandom } from '../support/seeded-random.js';
import { DISTURBANCES, OUTAGES, query, type Scene } from './disturbances.js';
import { EventAccounts } from './event-accounts.js';
import { getJson, LoadGenerator, post } from './load-generator.js';
import { findUntruths } from './metric-checks.js';
import { SINK_NAMES, TABLES, type Note, type Sample, type ServiceConfig } from './protocol.js';
import { MIB } from '../../src/common/bytes.js';
import { memoryLimit } from './memory-limit.js';
import { SoakReport } from './soak-report.js';

export interface SoakPlan {
  /** How long faults are injected, in milliseconds. */
  durationMs: number;
  seed: number;
  /** Names of disturbances, in this order once; then and by default in random order. */
  disturbances?: readonly string[];
  config?: Partial<ServiceConfig>;
  /** Hears each line as it is known. */
  say?: (line: string) => void;
}

const CONFIG = {
  maxBufferSize: 20_000,
  maxBufferBytes: 16 * MIB,
  flushTimeoutMs: 8_000,
  abortGraceMs: 1_000,
  drainTimeoutMs: 60_000,
};
const COLUMNS =
  'at timestamptz NOT NULL, name text NOT NULL, value int CHECK (value >= 0), tags jsonb NOT NULL';
const SAMPLE_EVERY_MS = 1_000;
const CALM_MS = { least: 500, most: 4_000 } as const;
/** From the server's return to the first flush, and for a machine that is busy. */
const RETURN_LIMIT_MS = 5_000 + 3_000;

type Service = ChildProcessByStdio<null, Readable, Readable>;

export async function runSoak(plan: SoakPlan): Promise<SoakReport> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'spillway-soak-'));
  const server = await startFaultServer();
  let proxy: TestProxy | undefined;
  let service: Service | undefined;
  try {
    for (const [name, table] of Object.entries(TABLES)) {
      const id = name === 'stream' ? 'id bigint PRIMARY KEY' : 'id bigint NOT NULL';
      await query(server.url, `CREATE TABLE ${table} (${id}, ${COLUMNS})`);
    }
    proxy = await startProxy(server.url);
    const databaseUrl = Object.assign(new URL(server.url), { hostname: proxy.host, port: proxy.port }).href;
    const config = { ...CONFIG, ...plan.config, databaseUrl, notes: path.join(folder, 'notes') };
    await writeFile(config.notes, '');
    service = startService(config);
    return await new Soak(plan, config, server, proxy, service).run();
  } finally {
    if (service?.exitCode === null) service.kill('SIGKILL');
    await proxy?.close();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

function startService(config: ServiceConfig): Service {
  const script = fileURLToPath(new URL('service.ts', import.meta.url));
  const heap = `--max-old-space-size=${Math.floor(memoryLimit(config).heapBytes / MIB)}`;
  return spawn(process.execPath, [heap, '--import', 'tsx', script, JSON.stringify(config)], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

class Soak {
  readonly #plan: SoakPlan;
  readonly #config: ServiceConfig;
  readonly #server: FaultServer;
  readonly #proxy: TestProxy;
  readonly #service: Service;
  readonly #accounts = new EventAccounts();
  readonly #report: SoakReport;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 2 });
  #last: Sample | undefined;
  #url = '';
  #complaints = '';
  #isStopping = false;

  constructor(
    plan: SoakPlan,
    config: ServiceConfig,
    server: FaultServer,
    proxy: TestProxy,
    service: Service,
  ) {
    this.#plan = plan;
    this.#config = config;
    this.#server = server;
    this.#proxy = proxy;
    this.#service = service;
    this.#report = new SoakReport(config, plan.say);
    service.stderr.setEncoding('utf8').on('data', (text: string) => (this.#complaints += text));
    // Reported at once: what the other checks then find is only its consequence.
    service.on('exit', (code, signal) => {
      if (service.killed) return;
      this.#report.fail(`the service ended by itself with ${signal ?? code}`);
      this.#isStopping = true;
    });
  }

  async run(): Promise<SoakReport> {
    const ended = once(this.#service, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    const [line] = await Promise.race([once(this.#service.stdout, 'data'), ended]);
    if (this.#service.exitCode !== null) throw new Error(`the service did not start: ${this.#complaints}`);
    this.#url = String(line).trim();
    const random = new SeededRandom(this.#plan.seed);
    const load = new LoadGenerator(this.#url, random.fork(), this.#accounts);
    load.start();
    const sampling = this.#sampleOn();
    await this.#disturb(load, random).catch((error: unknown) => this.#report.fail(described(error)));
    // The service is stopped while the load goes on.
    this.#isStopping = true;
    await sampling;
    const stoppedAt = performance.now();
    this.#service.kill('SIGTERM');
    const limit = delay(this.#config.drainTimeoutMs + 10_000, undefined, { ref: false });
    const [code, signal] = (await Promise.race([ended, limit])) ?? [null, null];
    // Requests that it holds would otherwise never end.
    if (code === null && signal === null) this.#service.kill('SIGKILL');
    this.#report.onStopped(code, signal, performance.now() - stoppedAt, this.#complaints);
    await load.stop();
    this.#agent.destroy();
    await this.#readNotes();
    await this.#readTables().catch((error: unknown) => this.#report.fail(described(error)));
    this.#report.onEnd(this.#accounts, load);
    return this.#report;
  }

  /** Ends early if the service does not answer: then nothing else is worth a look. */
  async #sampleOn(): Promise<void> {
    while (!this.#isStopping) {
      const due = delay(SAMPLE_EVERY_MS);
      try {
        await this.#sample();
      } catch (error) {
        this.#report.fail(`the service gives no sample: ${described(error)}`);
        this.#isStopping = true;
      }
      await due;
    }
  }

  async #sample(): Promise<void> {
    const sample = await getJson<Sample>(this.#agent, `${this.#url}/sample`);
    for (const name of SINK_NAMES) {
      const untruths = findUntruths(sample.sinks[name], this.#last?.sinks[name]);
      this.#report.onSample(name, sample, untruths);
    }
    this.#last = sample;
  }

  async #disturb(load: LoadGenerator, random: SeededRandom): Promise<void> {
    const endsAt = performance.now() + this.#plan.durationMs;
    const scene: Scene = {
      server: this.#server,
      proxy: this.#proxy,
      databaseUrl: this.#server.url,
      servicePid: this.#service.pid!,
      random,
      block: async (ms) => {
        await post(this.#agent, `${this.#url}/block`, { ms });
      },
      refusals: load.refusals,
      setRate: (perSecond) => (load.fixedRate = perSecond),
    };
    let due = [...(this.#plan.disturbances ?? [])];
    while (performance.now() < endsAt && !this.#isStopping) {
      if (due.length === 0) due = shuffled(Object.keys(DISTURBANCES), random);
      const name = due.shift()!;
      await delay(random.between(CALM_MS.least, CALM_MS.most));
      const startedAt = performance.now();
      await DISTURBANCES[name]!(scene).catch((error: unknown) => {
        throw new Error(`the soak could not go on with: ${name}`, { cause: error });
      });
      const lastedMs = performance.now() - startedAt;
      this.#report.onDisturbance(name, lastedMs, await this.#untilDelivering(name, random));
    }
  }

  /** Waits for both sinks to deliver something, and returns how long that took. */
  async #untilDelivering(name: string, random: SeededRandom): Promise<number> {
    const { flushTimeoutMs, abortGraceMs } = this.#config;
    const from = Date.now();
    const limitMs = RETURN_LIMIT_MS + (OUTAGES.has(name) ? 0 : flushTimeoutMs + abortGraceMs);
    // Some disturbances come while the last one is not over.
    if (!OUTAGES.has(name) && random.chance(0.2)) return 0;
    const first = () => SINK_NAMES.map((sink) => this.#report.firstDeliveryAfter(sink, from));
    for (;;) {
      const times = first();
      if (times.every((time) => time !== undefined)) return Math.max(...times) - from;
      if (Date.now() - from > limitMs + 2 * SAMPLE_EVERY_MS) {
        this.#report.fail(`nothing was delivered within ${limitMs} ms of the end of: ${name}`);
        return Infinity;
      }
      if (this.#isStopping) return Infinity;
      await delay(50);
    }
  }

  async #readNotes(): Promise<void> {
    const lines = (await readFile(this.#config.notes, 'utf8')).split('\n').filter(Boolean);
    for (const line of lines) {
      const note = JSON.parse(line) as Note;
      if (note.kind === 'failed') this.#accounts.failed(note.id, note.ambiguous, note.reason);
      else this.#report.onDrained(note);
    }
  }

  async #readTables(): Promise<void> {
    const step = 100_000;
    for (const table of Object.values(TABLES)) {
      for (let from = 0; from <= this.#accounts.made; from += step) {
        const sql = `SELECT id::int FROM ${table} WHERE id >= ${from} AND id < ${from + step}`;
        for (const { id } of (await query<{ id: number }>(this.#server.url, sql)).rows)
          this.#accounts.stored(id);
      }
    }
  }
}

/** The messages of an error and of its causes. */
function described(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${described(error.cause)}`;
}

function shuffled<T>(values: readonly T[], random: SeededRandom): T[] {
  return values
    .map((value) => ({ value, place: random.next() }))
    .sort((a, b) => a.place - b.place)
    .map(({ value }) => value);
}
