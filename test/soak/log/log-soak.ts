/** The soak of a log: workers load a stream while they are killed, stopped and cut off. Then the table is compared with the stream. */

import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '@nats-io/transport-node';
import pg from 'pg';
import { startFaultServer, type FaultServer } from '../../support/fault-server.js';
import { startNatsServer, type NatsServer } from '../../support/nats-server.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { TABLE_COLUMNS } from './bad-messages.js';
import { compareWithStream } from './compare-with-stream.js';
import { fillStream } from './fill-stream.js';
import { LaneWatch } from './lane-watch.js';
import { planFaults, type Fault, type FaultCounts, type FaultKind } from './plan-faults.js';
import { describeSoak, type LogSoakReport } from './log-soak-report.js';
import { WorkerPool, type LogWorker } from './worker-pool.js';

const NAME = 'SOAK';
const TABLE = 'soak';
/** Between two looks at the lanes: how exact the times of takeovers are. */
const LOOK_EVERY_MS = 40;
/** Without any progress for so long, the soak has failed. */
const LONGEST_STANDSTILL_MS = 120_000;

export interface LogSoakSettings {
  readonly messages: number;
  readonly workers: number;
  readonly faults: FaultCounts;
  readonly leaseMs: number;
  readonly laneSize: number;
  readonly seed: number;
  /** Workers run the built package. Default `true`. */
  readonly isBuilt?: boolean;
  readonly batchSize?: number;
  readonly say?: (line: string) => void;
}

export async function runLogSoak(settings: LogSoakSettings): Promise<LogSoakReport> {
  const { say = () => undefined } = settings;
  const nats = await startNatsServer();
  const server = await startFaultServer();
  try {
    const connection = await connect({ servers: `127.0.0.1:${nats.port}`, maxReconnectAttempts: -1 });
    await fillStream(connection, NAME, settings.messages);
    await connection.close();
    say(`the stream has ${settings.messages} messages`);
    return await new LogSoak(settings, nats, server, say).run();
  } finally {
    await server.stop();
    await nats.stop();
  }
}

class LogSoak {
  readonly #settings: LogSoakSettings;
  readonly #nats: NatsServer;
  readonly #server: FaultServer;
  readonly #say: (line: string) => void;
  readonly #random: SeededRandom;
  readonly #database: pg.Pool;
  readonly #workers: WorkerPool;
  readonly #watch: LaneWatch;
  readonly #underWay = new Set<Promise<void>>();
  readonly #done = new Map<FaultKind, number>();
  readonly #troubles: string[] = [];
  #restarts = 0;

  constructor(settings: LogSoakSettings, nats: NatsServer, server: FaultServer, say: (line: string) => void) {
    const { leaseMs, laneSize, batchSize, faults, isBuilt = true } = settings;
    this.#settings = settings;
    this.#nats = nats;
    this.#server = server;
    this.#say = say;
    this.#random = new SeededRandom(settings.seed);
    this.#database = new pg.Pool({ connectionString: server.url, max: 2 });
    this.#database.on('error', () => undefined);
    this.#watch = new LaneWatch(this.#database, TABLE);
    const options = { leaseMs, ...(batchSize !== undefined && { batchSize }) };
    const worker = {
      nats: `127.0.0.1:${nats.port}`,
      database: server.url,
      stream: NAME,
      table: TABLE,
      laneSize,
    };
    this.#workers = new WorkerPool({ ...worker, options }, { hasProxies: faults.cut > 0, isBuilt });
  }

  async run(): Promise<LogSoakReport> {
    const { messages, workers, faults } = this.#settings;
    await this.#database.query(`CREATE TABLE ${TABLE} (${TABLE_COLUMNS})`);
    for (let count = 0; count < workers; count += 1) await this.#workers.start();
    const plan = planFaults(faults, messages, this.#random);
    const startedAt = performance.now();
    const loadMs = await this.#load(plan, startedAt);
    for (const worker of [...this.#workers.workers]) await this.#workers.kill(worker, 'SIGTERM');
    const comparison = await compareWithStream(this.#database, TABLE, messages);
    await this.#database.end();
    return describeSoak({
      messages,
      loadMs,
      comparison,
      done: this.#done,
      planned: faults,
      takeovers: this.#watch.takeovers,
      peakBytes: this.#workers.peakBytes,
      troubles: [...this.#troubles, ...this.#workers.troubles],
    });
  }

  /** Returns how long it has taken from the first message. */
  async #load(plan: Fault[], startedAt: number): Promise<number> {
    const { messages } = this.#settings;
    let [loaded, firstAt, movedAt] = [0, startedAt, startedAt];
    while (loaded < messages || this.#underWay.size > 0) {
      await this.#looked();
      const now = performance.now();
      if (this.#watch.loaded !== loaded) {
        if (loaded === 0) firstAt = now;
        loaded = this.#watch.loaded;
        movedAt = now;
      }
      if (now - movedAt > LONGEST_STANDSTILL_MS) {
        this.#troubles.push(`no progress behind ${loaded} messages`);
        break;
      }
      while (plan.length > 0 && plan[0]!.at <= loaded) this.#begin(plan.shift()!);
      await delay(LOOK_EVERY_MS);
    }
    return performance.now() - firstAt;
  }

  async #looked(): Promise<void> {
    try {
      await this.#watch.look();
      await this.#workers.look();
    } catch (error) {
      // The server is down, or the first worker has made no tables yet.
      const isExpected = this.#restarts > 0 || this.#watch.loaded === 0;
      if (!isExpected) throw error;
    }
  }

  #begin({ kind, at }: Fault): void {
    const fault = this.#cause(kind).catch((error: unknown) => {
      this.#troubles.push(`${kind} at ${at}: ${String(error)}`);
    });
    this.#underWay.add(fault);
    void fault.finally(() => this.#underWay.delete(fault));
  }

  async #cause(kind: FaultKind): Promise<void> {
    const { leaseMs } = this.#settings;
    if (kind === 'restart') await this.#restart();
    else {
      const running = [...this.#workers.workers].filter((worker) => !worker.isStopped && !worker.isEnding);
      const worker = this.#random.pick(running);
      if (kind === 'kill') {
        worker.isEnding = true;
        await this.#watch.begin(kind);
        await this.#workers.kill(worker, 'SIGKILL');
        await this.#workers.start();
      } else if (kind === 'stop') {
        worker.isStopped = true;
        await this.#watch.begin(kind);
        worker.child.kill('SIGSTOP');
        await delay(leaseMs * this.#random.between(1.3, 2.5));
        worker.child.kill('SIGCONT');
        worker.isStopped = false;
      } else await this.#cut(worker);
    }
    this.#done.set(kind, (this.#done.get(kind) ?? 0) + 1);
    this.#say(`${kind}: ${this.#watch.loaded} messages are loaded`);
  }

  async #cut(worker: LogWorker): Promise<void> {
    const proxy = this.#random.pick(worker.proxies);
    if (this.#random.chance(0.5)) {
      proxy.cut();
      return;
    }
    const endSessions = proxy.silence();
    await delay(this.#settings.leaseMs * this.#random.between(0.5, 3));
    endSessions();
  }

  async #restart(): Promise<void> {
    this.#restarts += 1;
    if (this.#restarts % 2 === 1) {
      await this.#nats.kill();
      await delay(this.#random.between(100, 2_000));
      await this.#nats.restart();
    } else {
      await this.#server.goDown(this.#random.pick(['fast', 'immediate']));
      await delay(this.#random.between(100, 2_000));
      await this.#server.comeBack();
    }
  }
}
