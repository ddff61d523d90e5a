import { existsSync, readFileSync } from 'node:fs';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import {
  BREAKER_OPTIONS,
  CONTROLLER_OPTIONS,
  DEFAULTS,
  RETRY_OPTIONS,
  TRANSFORM_OPTIONS,
  WRITABLE_OPTIONS,
} from '../../src/settings/defaults.js';
import { BackpressureController, BackpressureTransform, BackpressureWritable } from '../../src/index.js';
import { copyInto } from '../../src/postgres/index.js';
import { COPY_OPTIONS } from '../../src/postgres/copy-options.js';
import { systemClock } from '../../src/common/clock.js';
import { CONSUME_OPTIONS } from '../../src/postgres/consume-options.js';
import { emptyCounts, snapshot } from '../../src/postgres/consume/consume-metrics.js';
import { CONSUME_DEFAULTS } from '../../src/postgres/consume/consume-settings.js';
import { INSTRUMENT_OPTIONS } from '../../src/opentelemetry/instrument.js';
import { OBSERVED } from '../../src/opentelemetry/instruments.js';
import { JETSTREAM_OPTIONS } from '../../src/jetstream/jetstream-log.js';
import { REPORT_DEFAULTS, REPORT_OPTIONS } from '../../src/report/create-report.js';
import { resolveSink } from '../../src/settings/resolve-sink.js';
import { SHUTDOWN_DEFAULTS, SHUTDOWN_OPTIONS } from '../../src/shutdown/drain-all-options.js';
import { DROP_REASONS } from '../../src/api/states.js';

/** The README and the guides that have tables of options, events, metrics, errors and faults. */
const GUIDES = [
  'README.md',
  'src/api/README.md',
  'src/postgres/README.md',
  'src/shutdown/README.md',
  'src/jetstream/README.md',
  'src/opentelemetry/README.md',
  'src/report/README.md',
];
const documentation = GUIDES.map((file) =>
  readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8'),
).join('\n');

/** The rows of the table whose first head is `head`, as cells. */
function table(head: string): string[][] {
  const lines = documentation.split('\n');
  const start = lines.findIndex((line) => line.startsWith(`| ${head} |`));
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('|'));
  return lines.slice(start + 2, end).map((line) =>
    line
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim()),
  );
}

const plain = (cell: string) => cell.replaceAll('`', '');

describe('the tables of the documentation say what the code does', () => {
  const rows = table('option').map(([name, fallback, copy, kinds]) => ({
    name: plain(name!),
    fallback: plain(fallback!),
    copy: copy!,
    kinds: kinds!,
  }));

  it.each([
    ['W', WRITABLE_OPTIONS],
    ['C', CONTROLLER_OPTIONS],
    ['T', TRANSFORM_OPTIONS],
  ] as const)('every option of %s is there, and no other', (kind, options) => {
    const expected = [...options].filter((name) => name !== 'retry');
    if (options.has('retry')) expected.push(...[...RETRY_OPTIONS].map((name) => `retry.${name}`));
    if (options.has('breaker')) expected.push(...[...BREAKER_OPTIONS].map((name) => `breaker.${name}`));
    const documented = rows.filter(({ kinds }) => kinds.split(' ').includes(kind)).map(({ name }) => name);
    expect(documented.toSorted()).toEqual(expected.toSorted());
  });

  it('the defaults are those of the code', () => {
    const { retry, breaker, byteMode, ...defaults } = DEFAULTS;
    const flat: Record<string, unknown> = { ...defaults };
    for (const [name, value] of Object.entries(retry)) flat[`retry.${name}`] = value;
    for (const [name, value] of Object.entries(breaker)) flat[`breaker.${name}`] = value;
    const documented = rows
      .filter(({ fallback }) => fallback !== '')
      .map(({ name, fallback }) => [name, fallback]);
    const expected = Object.entries(flat).map(([name, value]) => [
      name,
      typeof value === 'string' ? `'${value}'` : String(value),
    ]);
    expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(expected));
    expect(documentation).toContain(`${byteMode.maxBufferBytes / 2 ** 20} MiB unless set`);
    expect(documentation).toContain(`${byteMode.batchBytes / 2 ** 20} MiB unless set`);
  });

  it("the defaults of copyInto are those of the code, for a pool of node-postgres' own size", () => {
    const copy = copyInto(new pg.Pool({ max: 10 }), { table: 'events' });
    const { capacity, highWatermark } = resolveSink(copy, {}, 'BackpressureWritable');
    const { retry, breaker, ...own } = copy.defaults;
    const effective: Record<string, unknown> = {};
    const { retry: bareRetry, breaker: bareBreaker, ...bare } = DEFAULTS;
    for (const [prefix, options] of [
      ['', { ...bare, ...own, maxBufferSize: capacity, highWatermark }],
      ['retry.', { ...bareRetry, ...retry }],
      ['breaker.', { ...bareBreaker, ...breaker }],
    ] as const) {
      for (const [name, value] of Object.entries(options)) {
        if (typeof value === 'function' || name === 'byteMode') continue;
        effective[`${prefix}${name}`] = typeof value === 'string' ? `'${value}'` : String(value);
      }
    }
    const documented = rows
      .filter(({ copy }) => copy.startsWith('`'))
      .map(({ name, copy }) => [name, plain(copy)]);
    expect(Object.fromEntries(documented)).toEqual(effective);
  });

  it('the options of consumeLog and jetStreamLog and their defaults are those of the code', () => {
    const namesOf = (head: string): string[] =>
      table(head).flatMap(([names]) => names!.split(', ').map((name) => plain(name)));
    expect(namesOf('consumeLog option').toSorted()).toEqual([...CONSUME_OPTIONS].toSorted());
    expect(namesOf('jetStreamLog option')).toEqual([...JETSTREAM_OPTIONS]);
    const metrics = Object.keys(snapshot(emptyCounts(), systemClock));
    expect(namesOf('consumeLog metric').toSorted()).toEqual(metrics.toSorted());
    const defaults = Object.fromEntries(
      table('consumeLog option').map(([names, fallback]) => [plain(names!), plain(fallback!)]),
    );
    for (const [name, value] of Object.entries(CONSUME_DEFAULTS)) expect(defaults[name]).toBe(String(value));
  });

  it('the options of instrument and the names, kinds and units of its metrics are those of the code', () => {
    expect(table('`instrument` option').map(([name]) => plain(name!))).toEqual([...INSTRUMENT_OPTIONS]);
    const kinds = { count: 'counter', sum: 'up-down counter', max: 'gauge' };
    const documented = table('`instrument` metric')
      .filter(([, kind]) => kind !== 'histogram')
      .map(([name, kind, unit]) => [plain(name!), kind, plain(unit!)]);
    expect(documented).toEqual(
      Object.entries(OBSERVED).map(([name, { kind, unit }]) => [name, kinds[kind], unit]),
    );
  });

  it('the options of createReport and their defaults are those of the code', () => {
    const rows = table('createReport option').map(([name, fallback]) => [plain(name!), plain(fallback!)]);
    expect(rows.map(([name]) => name)).toEqual([...REPORT_OPTIONS]);
    expect(rows.slice(0, 2).map(([, fallback]) => fallback)).toEqual(
      Object.values(REPORT_DEFAULTS).map(String),
    );
  });

  it('the options of drainOnSignals and their defaults are those of the code', () => {
    const documented = table('option of `drainOnSignals`').map(([name, fallback]) => [
      plain(name!),
      plain(fallback!),
    ]);
    const { timeoutMs, signals, exitNotice } = SHUTDOWN_DEFAULTS;
    const list = signals.map((signal) => `'${signal}'`).join(', ');
    const defaults: Record<string, string> = {
      timeoutMs: String(timeoutMs),
      signals: `[${list}]`,
      exitNotice: String(exitNotice),
    };
    expect(documented).toEqual([...SHUTDOWN_OPTIONS].map((name) => [name, defaults[name] ?? '']));
  });

  it('the drop reasons and metrics are those of the code', () => {
    for (const reason of DROP_REASONS) expect(documentation).toContain(`\`${reason}\``);
    const flush = async () => undefined;
    for (const metrics of [
      new BackpressureWritable(flush, { sizeOf: () => 1 }).getMetrics(),
      new BackpressureController(flush).getMetrics(),
      new BackpressureTransform().getMetrics(),
    ]) {
      for (const name of Object.keys(metrics)) expect(documentation).toContain(`\`${name}\``);
    }
  });

  it('the error codes are those of the code', () => {
    const source = readFileSync(new URL('../../src/api/errors.ts', import.meta.url), 'utf8');
    const union = source.slice(0, source.indexOf('export interface'));
    const codes = [...union.matchAll(/'(ERR_BACKPRESSURE_\w+)'/g)].map(([, code]) => code!);
    expect(
      table('code')
        .map(([code]) => plain(code!))
        .toSorted(),
    ).toEqual(codes.toSorted());
  });

  it('every option of copyInto is there, and no other', () => {
    const documented = table('`copyInto` option').map(([name]) => plain(name!));
    expect(documented.toSorted()).toEqual([...COPY_OPTIONS].toSorted());
  });

  it('each fault names tests that are there', () => {
    const rows = table('fault');
    expect(rows.length).toBeGreaterThan(10);
    for (const [fault, , files] of rows) {
      const paths = [...files!.matchAll(/`(test\/[^`]+)`/g)].map(([, path]) => path!);
      expect(paths.length, fault).toBeGreaterThan(0);
      for (const path of paths)
        expect(existsSync(new URL(`../../${path}`, import.meta.url)), path).toBe(true);
    }
  });
});
