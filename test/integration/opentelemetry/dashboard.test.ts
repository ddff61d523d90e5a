/** Every expression of the dashboard, put to a real Prometheus that scrapes a real program. */

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { createServer as createSocket, type AddressInfo } from 'node:net';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BackpressureController, BackpressureWritable, ItemError } from 'spillway';
import { instrument } from 'spillway/opentelemetry';
import { consumeLog } from 'spillway/postgres';
import { dashboardQueries } from '../../support/dashboard.js';
import { MemoryLog } from '../../support/memory-log.js';
import { useTestDatabase } from '../../support/postgres.js';
import { until } from '../../support/until.js';

const database = useTestDatabase();
const hasPrometheus = spawnSync('prometheus', ['--version']).status === 0;
const SCRAPED_EVERY = '500ms';
/** On a busy machine Prometheus takes its time to start. */
const LONGEST_MS = 100_000;

let exporter: PrometheusExporter;
let meterProvider: MeterProvider;
let metricsServer: Server;
let prometheus: ChildProcess | undefined;
let folder = '';

beforeAll(async () => {
  exporter = new PrometheusExporter({ preventServerStart: true });
  meterProvider = new MeterProvider({ readers: [exporter] });
  metricsServer = createServer((request, response) => {
    exporter.getMetricsRequestHandler(request, response);
  }).listen(0, '127.0.0.1');
  await once(metricsServer, 'listening');
  folder = await mkdtemp(path.join(tmpdir(), 'spillway-prometheus-'));
});

afterAll(async () => {
  if (prometheus !== undefined) {
    const ended = once(prometheus, 'exit');
    prometheus.kill();
    await ended;
  }
  metricsServer.closeAllConnections();
  metricsServer.close();
  await meterProvider.shutdown();
  await rm(folder, { recursive: true, force: true });
});

/** Returns its address. */
async function startPrometheus(): Promise<string> {
  const config = {
    global: { scrape_interval: SCRAPED_EVERY },
    scrape_configs: [
      { job_name: 'program', static_configs: [{ targets: [`127.0.0.1:${portOf(metricsServer)}`] }] },
    ],
  };
  const file = path.join(folder, 'prometheus.yml');
  // JSON is YAML, too.
  await writeFile(file, JSON.stringify(config));
  const port = await freePort();
  prometheus = spawn(
    'prometheus',
    [
      `--config.file=${file}`,
      `--storage.tsdb.path=${path.join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  );
  const url = `http://127.0.0.1:${port}`;
  await until(() =>
    fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  return url;
}

const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;

async function freePort(): Promise<number> {
  const server = createSocket().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = portOf(server);
  server.close();
  await once(server, 'close');
  return port;
}

/** A program in trouble: it delivers, drops, fails, repeats calls, has an open breaker, has ended with an error, and lags behind its log. */
async function startProgram(): Promise<() => Promise<void>> {
  let calls = 0;
  const flaky = new BackpressureWritable<number>(
    (items) => {
      calls += 1;
      if (calls % 3 === 0) throw Object.assign(new Error('busy'), { code: '53300', retryable: true });
      return Promise.resolve({
        success: items.length - 1,
        failed: 1,
        errors: [new ItemError(0, { retryable: false })],
      });
    },
    {
      strategy: 'drop_newest',
      maxBufferSize: 20,
      batchSize: 5,
      onFailed: () => undefined,
      retry: { attempts: 2, minDelayMs: 1 },
    },
  );
  const closed = new BackpressureController<number>(() => Promise.reject(new Error('out of reach')), {
    retry: { attempts: 2, minDelayMs: 1 },
    breaker: { failures: 1 },
  });
  const ended = new BackpressureWritable<number>(() => Promise.reject(new Error('refused')), {
    retry: { attempts: 1 },
  });
  ended.on('error', () => undefined);
  const log = new MemoryLog({ laneSize: 1_000 });
  const table = await database.table('id int');
  const load = consumeLog(log, database.pool(), { table, importId: table, batchSize: 10 });
  instrument(flaky, { name: 'flaky', meterProvider });
  instrument(closed, { name: 'closed', meterProvider });
  instrument(ended, { name: 'ended', meterProvider });
  instrument(load, { name: 'log', meterProvider });
  ended.end(1);
  void closed.push(1);
  let id = 0;
  const timer = setInterval(() => {
    for (let item = 0; item < 50; item += 1) flaky.write(item);
    log.append({ id: (id += 1) });
  }, 50);
  return async () => {
    clearInterval(timer);
    flaky.destroy();
    closed.stop();
    await load.drain();
  };
}

test.skipIf(!hasPrometheus)(
  'each query of the dashboard returns data (skipped if prometheus is missing)',
  async () => {
    const stop = await startProgram();
    try {
      const url = await startPrometheus();
      const missing = new Set(dashboardQueries('10s'));
      expect(missing.size).toBeGreaterThan(20);
      await until(async () => {
        for (const query of missing) {
          const response = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(query)}`);
          const { status, data } = (await response.json()) as { status: string; data: { result: unknown[] } };
          expect(status, query).toBe('success');
          if (data.result.length > 0) missing.delete(query);
        }
        return missing.size === 0;
      }, LONGEST_MS).catch(() => undefined);
      expect([...missing]).toEqual([]);
    } finally {
      await stop();
    }
  },
  1.5 * LONGEST_MS,
);
