/** How fast do workers load a stream of NATS JetStream, exactly once, beside one written by hand that loads at least once? */

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, nanos, type NatsConnection } from '@nats-io/transport-node';
import { noNatsServer, startNatsServer } from '../test/support/nats-server.js';
import { checksumQuery } from './flights/flight-checksum.js';
import type { Flight } from './flights/flight-source.js';
import { buildWorker } from './support/built-worker.js';
import type { ConsumeJob, WorkerReport } from './support/consume-worker.js';
import type { Figures, Measured } from './support/figures.js';
import { checksumOf, firstFlights } from './support/flights-bench.js';
import { withServer, type BenchServer } from './support/server.js';
import { medianInterval, spreadOf } from './support/statistics.js';

const ROWS = 500_000;
const ROUNDS = 9;
const TABLE = 'consumed_flights';
const STREAM = 'FLIGHTS';
const COLUMNS = ['date', 'delay', 'distance', 'origin', 'destination'];
const KINDS = ['by hand', 'consumeLog'] as const;
/** Unacknowledged messages of a hand-written worker: its batches on the way and two more. */
const MOST_PENDING = 20_000;
const PUBLISHED_AT_ONCE = 2_000;

type Kind = (typeof KINDS)[number];

interface Run {
  readonly wallMs: number;
  readonly cpuMs: number;
  /** Of the largest worker. */
  readonly peakKiB: number;
}

interface Bench {
  /** The worker's program. */
  readonly program: string;
  readonly server: BenchServer;
  readonly nats: NatsConnection;
  readonly natsPort: number;
  readonly rows: number;
  /** What the table must hold. */
  readonly expected: string;
}

export function comparisons(rowCount = ROWS): AsyncIterable<Figures> | Figures[] {
  if (noNatsServer === undefined) return withStream(rowCount);
  const caption = `Not measured: ${noNatsServer.replace('skipped: ', '')}.`;
  const none: Measured = { header: [''], cells: [], caption, values: [] };
  return [{ title: titleOf(1), measure: () => Promise.resolve(none) }];
}

const titleOf = (workers: number): string =>
  `A stream of NATS JetStream into PostgreSQL, ${workers === 1 ? 'one worker' : `${workers} workers`}`;

async function* withStream(rowCount: number): AsyncGenerator<Figures, void> {
  const flights = await firstFlights(rowCount);
  const worker = await buildWorker('consume-worker');
  const natsServer = await startNatsServer();
  try {
    const nats = await connect({ servers: `127.0.0.1:${natsServer.port}` });
    try {
      await publish(nats, flights);
      const { rows, sums } = checksumOf(flights);
      const common = {
        program: worker.file,
        nats,
        natsPort: natsServer.port,
        rows,
        expected: [rows, ...sums].join(' '),
      };
      yield* withServer(async function* (server) {
        await server.pool.query(`DROP TABLE IF EXISTS ${TABLE}`);
        await server.pool.query(
          `CREATE TABLE ${TABLE} (date timestamptz, delay int, distance int, origin text, destination text)`,
        );
        for (const workers of [1, 2]) {
          yield {
            title: titleOf(workers),
            measure: (progress, rounds = ROUNDS) => measure({ ...common, server }, workers, rounds, progress),
          };
        }
      });
    } finally {
      await nats.close();
    }
  } finally {
    await natsServer.stop();
    await worker.remove();
  }
}

/** Each acknowledged: otherwise some would be missing. */
async function publish(nats: NatsConnection, flights: readonly Flight[]): Promise<void> {
  const manager = await jetstreamManager(nats);
  await manager.streams.add({ name: STREAM, subjects: ['flights'] });
  const client = jetstream(nats, { timeout: 60_000 });
  for (let start = 0; start < flights.length; start += PUBLISHED_AT_ONCE) {
    const some = flights.slice(start, start + PUBLISHED_AT_ONCE);
    await Promise.all(some.map((flight) => client.publish('flights', JSON.stringify(flight))));
  }
}

async function measure(
  bench: Bench,
  workers: number,
  rounds: number,
  progress: (line: string) => void,
): Promise<Measured> {
  const runs: Record<Kind, Run[]> = { 'by hand': [], consumeLog: [] };
  for (let round = 0; round < rounds; round += 1) {
    progress(`${titleOf(workers)}: round ${round + 1} of ${rounds}`);
    for (let place = 0; place < KINDS.length; place += 1) {
      const kind = KINDS[(place + round) % KINDS.length]!;
      try {
        runs[kind].push(await runOnce(bench, kind, workers, `${kind.replace(' ', '-')}-${workers}-${round}`));
      } catch (error) {
        return { header: [''], cells: [], caption: '', values: runs, wrong: `${kind}: ${String(error)}` };
      }
    }
  }
  const base = runs['by hand'];
  return {
    header: ['', 'rows/s (median)', 'min – max', 'ratio to by hand', '95 % interval', 'CPU µs a row', 'peak MiB of a worker'], // prettier-ignore
    cells: KINDS.map((kind) => {
      const rates = spreadOf(runs[kind].map(({ wallMs }) => bench.rows / wallMs));
      const ratios = runs[kind].map(({ wallMs }, round) => base[round]!.wallMs / wallMs);
      const [low, high] = medianInterval(ratios);
      const cpu = spreadOf(runs[kind].map(({ cpuMs }) => (1_000 * cpuMs) / bench.rows));
      const peak = spreadOf(runs[kind].map(({ peakKiB }) => peakKiB / 1_024));
      const isBase = kind === 'by hand';
      return [
        isBase ? 'by hand, at least once' : 'consumeLog, exactly once',
        `${rates.median.toFixed(1)} k`,
        `${rates.min.toFixed(1)} k – ${rates.max.toFixed(1)} k`,
        isBase ? '1' : spreadOf(ratios).median.toFixed(2),
        isBase ? '' : `${low.toFixed(2)} – ${high.toFixed(2)}`,
        `${cpu.median.toFixed(1)} (${cpu.min.toFixed(1)} – ${cpu.max.toFixed(1)})`,
        `${peak.median.toFixed(0)} (${peak.min.toFixed(0)} – ${peak.max.toFixed(0)})`,
      ];
    }),
    caption: `${bench.rows.toLocaleString('en-GB')} messages a run, ${rounds} rounds, in turns, each in fresh processes.`,
    values: runs,
  };
}

/** From the start of the workers' work until all rows are committed. @throws if the table holds something else */
async function runOnce(bench: Bench, kind: Kind, workers: number, id: string): Promise<Run> {
  const { server, nats, natsPort, rows } = bench;
  await server.pool.query(`TRUNCATE ${TABLE}`);
  await server.pool.query('CHECKPOINT');
  const manager = await jetstreamManager(nats);
  if (kind === 'by hand') {
    const limits = { ack_wait: nanos(60_000), max_ack_pending: workers * MOST_PENDING };
    await manager.consumers.add(STREAM, { durable_name: id, ack_policy: 'explicit', ...limits });
  }
  const job: ConsumeJob = {
    kind,
    natsPort,
    database: server.url,
    stream: STREAM,
    consumer: id,
    table: TABLE,
    columns: COLUMNS,
  };
  const started = Array.from({ length: workers }, () => new Worker(bench.program, job));
  try {
    await Promise.all(started.map((worker) => worker.ready));
    const start = performance.now();
    const committed = allCommitted(started, rows);
    for (const worker of started) worker.tell();
    await Promise.race([committed, ...started.map((worker) => worker.failed)]);
    const wallMs = performance.now() - start;
    for (const worker of started) worker.tell();
    const costs = await Promise.all(started.map((worker) => worker.ended));
    const { rows: found } = await server.pool.query<{ rows: number; first: string; second: string }>(
      checksumQuery(TABLE),
    );
    const { rows: count, first, second } = found[0]!;
    const contents = [count, first, second].join(' ');
    if (contents !== bench.expected) {
      throw new Error(`the table has ${contents} in place of ${bench.expected}`);
    }
    return {
      wallMs,
      cpuMs: costs.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
      peakKiB: Math.max(...costs.map(({ peakKiB }) => peakKiB)),
    };
  } finally {
    for (const worker of started) worker.kill();
    if (kind === 'by hand') await manager.consumers.delete(STREAM, id);
  }
}

type Ended = Extract<WorkerReport, { is: 'ended' }>;

class Worker {
  readonly ready: Promise<void>;
  readonly ended: Promise<Ended>;
  /** Rejects if the process ends too soon. */
  readonly failed: Promise<never>;
  rows = 0;
  onCommitted: () => void = () => undefined;
  readonly #child: ChildProcess;

  constructor(program: string, job: ConsumeJob) {
    const child = fork(program, [JSON.stringify(job)], { execArgv: [] });
    this.#child = child;
    const reports: Partial<Record<WorkerReport['is'], (report: WorkerReport) => void>> = {};
    const reported = <Kind extends WorkerReport['is']>(is: Kind) =>
      new Promise<Extract<WorkerReport, { is: Kind }>>((resolve) => {
        reports[is] = (report) => resolve(report as Extract<WorkerReport, { is: Kind }>);
      });
    this.failed = once(child, 'exit').then(([code]) => {
      throw new Error(`a worker has ended with ${String(code)}`);
    });
    this.failed.catch(() => undefined);
    this.ready = Promise.race([reported('ready'), this.failed]).then(() => undefined);
    this.ended = Promise.race([reported('ended'), this.failed]);
    this.ended.catch(() => undefined);
    child.on('message', (message) => {
      const report = message as WorkerReport;
      if (report.is === 'committed') {
        this.rows = report.rows;
        this.onCommitted();
      } else reports[report.is]!(report);
    });
  }

  /** To begin, and then to end. */
  tell(): void {
    this.#child.send('next');
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

function allCommitted(workers: readonly Worker[], rows: number): Promise<void> {
  return new Promise((resolve) => {
    for (const worker of workers) {
      worker.onCommitted = () => {
        if (workers.reduce((sum, one) => sum + one.rows, 0) >= rows) resolve();
      };
    }
  });
}
