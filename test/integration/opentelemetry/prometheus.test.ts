/** Metrics as Prometheus gets them: scraped over HTTP during a load, checked by promtool, and right at the end. */

import { spawnSync } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { BackpressureController, BackpressureTransform, BackpressureWritable } from 'spillway';
import { instrument } from 'spillway/opentelemetry';
import { consumeLog, copyInto } from 'spillway/postgres';
import { dashboardQueries } from '../../support/dashboard.js';
import { MemoryLog } from '../../support/memory-log.js';
import { useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();
const folder = fileURLToPath(new URL('../../../src/opentelemetry/', import.meta.url));
const hasPromtool = spawnSync('promtool', ['--version']).status === 0;

function promtool(args: string[], input = ''): string {
  const { status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8', cwd: folder });
  return status === 0 && stderr === '' ? '' : `${stdout}${stderr}`;
}

let exporter: PrometheusExporter;
let meterProvider: MeterProvider;
let server: Server;

beforeAll(async () => {
  exporter = new PrometheusExporter({ preventServerStart: true });
  meterProvider = new MeterProvider({ readers: [exporter] });
  server = createServer((request, response) => {
    exporter.getMetricsRequestHandler(request, response);
  }).listen(0);
  await once(server, 'listening');
});

afterAll(async () => {
  server.close();
  await meterProvider.shutdown();
});

async function scrape(): Promise<string> {
  const { port } = server.address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  expect(response.status).toBe(200);
  return response.text();
}

/** The values of a series' name, by the labels that are asked for. */
function seriesOf(text: string, metric: string, labels: string[] = []): Record<string, number> {
  const values: Record<string, number> = {};
  for (const [, name, all, value] of text.matchAll(/^(\w+)\{(.*)\} (\S+)$/gm)) {
    if (name !== metric) continue;
    const found = labels.map((label) => new RegExp(`(?:^|,)${label}="([^"]*)"`).exec(all!)?.[1] ?? '');
    values[found.filter((label) => label !== '').join(' ')] = Number(value);
  }
  return values;
}

const OUTCOME = ['spillway_name', 'spillway_outcome', 'spillway_reason'];

/** A load into PostgreSQL through a transform, with some rows that the table refuses; and a controller that drops. */
async function load(rows: number, onRow: (row: number) => Promise<void>) {
  const table = await database.table('id int CHECK (id % 100 <> 0), name text');
  const sink = new BackpressureWritable<{ id: number; name: string }>(copyInto(database.pool(), { table }), {
    onFailed: () => undefined,
    batchSize: 500,
  });
  const stage = new BackpressureTransform<{ id: number; name: string }>();
  const controller = new BackpressureController<number>(async () => undefined, {
    strategy: 'drop_newest',
    maxBufferSize: 10,
  });
  instrument(sink, { name: 'rows', meterProvider });
  instrument(stage, { name: 'stage', meterProvider });
  instrument(controller, { name: 'dropping', meterProvider });
  for (let item = 0; item < 25; item += 1) void controller.push(item);
  const log = new MemoryLog({ laneSize: 100 });
  for (let id = 1; id <= 1_000; id += 1) log.append({ id, name: `message ${id}` });
  const logTable = await database.table('id int CHECK (id % 100 <> 0), name text');
  const consumer = consumeLog(log, database.pool(), { table: logTable, importId: logTable, batchSize: 50 });
  instrument(consumer, { name: 'log', meterProvider });
  async function* source() {
    for (let id = 1; id <= rows; id += 1) {
      await onRow(id);
      yield { id, name: `row ${id}` };
    }
  }
  await pipeline(Readable.from(source()), stage, sink);
  return { sink, stage, controller, consumer };
}

describe('a scrape', () => {
  test('has every metric, during a load and with the values of getMetrics() at its end', async () => {
    const during: string[] = [];
    const { sink, stage, controller, consumer } = await load(5_000, async (row) => {
      if (row % 1_000 === 0) during.push(await scrape());
    });
    const offered = during.map(
      (text) => seriesOf(text, 'spillway_offered_total', ['spillway_name'])['rows']!,
    );
    expect(offered).toEqual([...offered].sort((a, b) => a - b));
    while (consumer.getMetrics().rowsLoaded + consumer.getMetrics().deadLetters < 1_000) await delay(10);
    let text = '';
    // Scrapes within a second share one look at the log, and that may be from before the end.
    await vi.waitFor(
      async () => {
        text = await scrape();
        expect(seriesOf(text, 'spillway_lag_messages', ['spillway_name'])).toEqual({ log: 0 });
      },
      { timeout: 20_000, interval: 200 },
    );
    const metrics = sink.getMetrics();
    expect(metrics.eventsFailed).toBe(50);
    expect(seriesOf(text, 'spillway_offered_total', ['spillway_name'])).toEqual({
      rows: 5_000,
      stage: stage.getMetrics().eventsOffered,
      dropping: 25,
      log: consumer.getMetrics().messagesRead,
    });
    expect(seriesOf(text, 'spillway_items_total', OUTCOME)).toMatchObject({
      'rows flushed': metrics.eventsFlushed,
      'rows failed handled': metrics.eventsFailed,
      'rows failed returned': 0,
      'rows dropped rejected': 0,
      'stage flushed': 5_000,
      'log flushed': 990,
      'log failed dead_letter': 10,
      'dropping dropped rejected': controller.getMetrics().dropsByReason.rejected,
    });
    expect(seriesOf(text, 'spillway_queue_size', ['spillway_name'])['dropping']).toBe(10);
    expect(seriesOf(text, 'spillway_flush_duration_count', ['spillway_name'])['rows']).toBeGreaterThan(0);
    expect(seriesOf(text, 'spillway_batch_size_sum', ['spillway_name'])['rows']).toBe(5_000);
    expect(seriesOf(text, 'spillway_batch_size_sum', ['spillway_name'])['log']).toBe(1_000);
    expect(seriesOf(text, 'spillway_batch_size_count', ['spillway_name'])['log']).toBe(
      consumer.getMetrics().batches,
    );
    expect(seriesOf(text, 'spillway_queue_size', ['spillway_name'])['log']).toBe(0);
    const names = [...text.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name);
    expect(names).toEqual(expect.arrayContaining(usedNames()));
    await consumer.drain();
    // Nobody looks any more: the last lag would hide that it grows.
    const ended = await scrape();
    expect(seriesOf(ended, 'spillway_lag_messages', ['spillway_name'])).toEqual({ log: NaN });
    expect(seriesOf(ended, 'spillway_lag_time', ['spillway_name'])).toEqual({ log: NaN });
    for (const line of ['counter', 'histogram', 'gauge']) expect(text).toContain(` ${line}\n`);
  });

  test.skipIf(!hasPromtool)('passes promtool check metrics (skipped if promtool is missing)', async () => {
    expect(promtool(['check', 'metrics'], await scrape())).toBe('');
  });
});

/** The names of metrics that the dashboard and the alert rules look for, as the exporter of the JavaScript SDK has them. */
function usedNames(): string[] {
  const texts = [...dashboardQueries('5m'), readFileSync(path.join(folder, 'alerts.yml'), 'utf8')];
  const names = texts.flatMap((text) => [
    ...[...text.matchAll(/\b(spillway_\w+)\{/g)].map(([, name]) => name!),
    ...[...text.matchAll(/__name__=~"([^"]+)"/g)].map(([, name]) => name!.replace(/\(.*\)\?/, '')),
  ]);
  return [...new Set(names.map((name) => name.replace(/_(bucket|sum|count)$/, '')))];
}

describe('the dashboard', () => {
  test('asks for many metrics', () => {
    expect(dashboardQueries('5m').length).toBeGreaterThan(15);
    expect(usedNames().length).toBeGreaterThan(12);
  });

  test.skipIf(!hasPromtool)(
    'has queries that promtool can read (skipped if promtool is missing)',
    async () => {
      const rules = dashboardQueries('5m').map((expr, index) => ({ record: `panel:query:${index}`, expr }));
      const directory = await mkdtemp(path.join(tmpdir(), 'spillway-dashboard-'));
      const file = path.join(directory, 'rules.json');
      // JSON is YAML, too.
      await writeFile(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
      expect(promtool(['check', 'rules', file])).toBe('');
      await rm(directory, { recursive: true });
    },
  );
});

describe('the alert rules', () => {
  test.skipIf(!hasPromtool)('pass promtool check rules (skipped if promtool is missing)', () => {
    expect(promtool(['check', 'rules', 'alerts.yml'])).toBe('');
  });

  test.skipIf(!hasPromtool)('fire when they should, and only then (skipped if promtool is missing)', () => {
    const cases = fileURLToPath(new URL('./alerts.test.yml', import.meta.url));
    expect(promtool(['test', 'rules', cases])).toBe('');
  });
});
