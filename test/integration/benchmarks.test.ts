/** Every benchmark runs with a very small size, so that none rots. What is not installed is listed by it, and is no failure. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { makeItems } from '../../benchmarks/support/counting.js';
import { holdingOf } from '../../benchmarks/support/holding.js';
import { compare, type Candidate, type ComparisonResult } from '../../benchmarks/support/comparison.js';
import { assertPlaces, isFaulty, tableOf } from '../../benchmarks/support/report.js';
import { barChart } from '../../benchmarks/support/bar-chart.js';
import { lineChart } from '../../benchmarks/support/line-chart.js';
import { draw } from '../../benchmarks/support/pictures.js';
import { useCli } from '../support/cli.js';
import { startOwnServer } from '../support/postgres.js';

const cli = useCli();
const root = fileURLToPath(new URL('../..', import.meta.url));

test('each benchmark runs, is right, and leaves its results as JSON, which can be drawn', async () => {
  const server = await startOwnServer({ settings: { fsync: 'off' } });
  const json = path.join(cli.directory, 'results.json');
  try {
    const smallest = ['--rows', '1200', '--rounds', '1', '--warm-ups', '0', '--json', json];
    const result = await bench(['all', ...smallest], server.url);
    expect(result).toEqual({ code: 0, stderr: '' });
  } finally {
    await server.stop();
  }
  const report = JSON.parse(await readFile(json, 'utf8')) as {
    results: Record<string, Partial<ComparisonResult>[]>;
  };
  const usage = await bench(['no-such-benchmark'], server.url);
  expect(usage.code).toBe(2);
  const names = Object.keys(report.results);
  expect(names).toHaveLength(20);
  await assertPlaces(names);
  await expect(assertPlaces(['no-such-benchmark'])).rejects.toThrow('no place');
  for (const name of names) {
    expect(usage.stderr).toContain(`  ${name} `);
    expect(report.results[name]).not.toHaveLength(0);
  }
  // All of the packages are installed where this test runs: "missing" would hide an adapter that is not right. pgloader is the system's.
  const candidates = Object.values(report.results)
    .flat()
    .flatMap(({ results = [] }) => results);
  expect(candidates.filter(({ name, missing }) => missing !== undefined && !/^pgloader/.test(name))).toEqual(
    [],
  );
  const pictures = draw(report as never);
  expect(pictures.map(({ name }) => name)).toEqual([
    'copy-objects',
    'load-csv',
    'load-ndjson',
    'write-cost',
    'engines',
    'memory-heap',
    'memory-load',
  ]);
  for (const { picture } of pictures) expect(picture).toMatch(/^<svg [^]*<\/svg>\n$/);
  expect(draw(report as never)).toEqual(pictures);
}, 240_000);

/** With the library's source in place of the built package, as `tsconfig.json` has it. */
async function bench(args: readonly string[], url: string): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'benchmarks/run.ts', ...args], {
    cwd: root,
    env: { ...process.env, SPILLWAY_BENCH_DATABASE_URL: url, SPILLWAY_BENCH_COMMAND: cli.main },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (data: Buffer) => {
    stderr += data.toString();
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stderr };
}

describe('a comparison', () => {
  const wished = { rounds: 1, warmUps: 0 };
  const right: Candidate = {
    name: 'baseline',
    verify: async () => undefined,
    run: async () => undefined,
    confirm: () => undefined,
  };
  const about = { title: 'Title', unit: 'items', amount: 100, baseline: 'baseline' };
  const compared = (candidate: Partial<Candidate>) =>
    compare(
      { ...about, candidates: [right, { ...right, name: 'other', ...candidate }] },
      wished,
      () => undefined,
    );

  test('shows what a peer loses as its result; what we lose, and a peer that cannot be run, is a failure', async () => {
    const loses = { verify: async () => '90 of 100 items arrived' };
    const throws = { verify: () => Promise.reject(new Error('not a function')) };
    const throwsLater = { run: () => Promise.reject(new Error('not a function')) };
    const peersLoss = await compared({ ...loses, isPeer: true });
    expect(isFaulty(peersLoss)).toBe(false);
    expect(tableOf(peersLoss)).toMatch(/\| other +\| +wrong \| +90 of 100 items arrived \|/);
    expect(isFaulty(await compared(loses))).toBe(true);
    expect(isFaulty(await compared({ ...throws, isPeer: true }))).toBe(true);
    expect(isFaulty(await compared({ ...throwsLater, isPeer: true }))).toBe(true);
    expect(isFaulty(await compared({}))).toBe(false);
  });

  test('compares rates where a candidate works through fewer', async () => {
    const takes = (ms: number) => ({ run: () => delay(ms) });
    const result = await compare(
      {
        ...about,
        candidates: [
          { ...right, ...takes(50) },
          { ...right, name: 'a tenth', ...takes(50), amount: 10 },
        ],
      },
      wished,
      () => undefined,
    );
    const [base, fewer] = result.results;
    expect(fewer!.ratio!.median).toBeCloseTo(fewer!.rate!.median / base!.rate!.median, 9);
    expect(tableOf(result)).toContain('on 10 items');
  });

  test('says where we lose, and only then', () => {
    const spread = (median: number) => ({ median, min: median, max: median });
    const resultOf = (ours: number, other: number): ComparisonResult => ({
      ...about,
      rounds: 5,
      load: [0, 0],
      results: [
        { name: 'baseline', rate: spread(1), ratio: spread(1) },
        { name: 'copyInto', rate: spread(1), ratio: spread(ours) },
        { name: 'other', rate: spread(1), ratio: spread(other) },
      ],
    });
    expect(tableOf(resultOf(0.9, 0.5))).toContain(
      '**Where we lose:** slower than baseline: copyInto (0.90).',
    );
    expect(tableOf(resultOf(1.1, 1.2))).toContain(
      '**Where we lose:** faster than all of ours (1.10): other (1.20).',
    );
    expect(tableOf(resultOf(1.1, 1.05))).not.toContain('Where we lose');
  });
});

test('what an engine holds is counted: all of it, a batch, or less than was offered', async () => {
  const items = makeItems(1_000);
  const inBatches = (hold: number, lose = 0) =>
    holdingOf(items, async (source, flush) => {
      let batch = [];
      let seen = 0;
      for (const item of source) {
        seen += 1;
        if (seen > lose) batch.push(item);
        if (batch.length === hold) {
          await flush(batch);
          batch = [];
        }
      }
      if (batch.length > 0) await flush(batch);
    });
  expect(await inBatches(100)).toBe('holds 100 at most; batches of 100');
  expect(await inBatches(1_000)).toBe('no bound; batches of 1,000');
  expect(await inBatches(100, 300)).toBe('loses 300 of 1,000 at a slow destination; batches of 100');
  await expect(holdingOf(items, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
});

test('a picture escapes its words, shows what is wrong, and keeps names apart', () => {
  const ratio = { median: 2, min: 1.5, max: 3 };
  const bars = barChart('Title <1>', 'x & y', [
    { name: 'ours', kind: 'ours', ratio },
    { name: 'peer', kind: 'other', ratio: undefined, wrong: '9 of 10 items arrived' },
  ]);
  expect(bars).toContain('Title &lt;1&gt;');
  expect(bars).toContain('x &amp; y');
  expect(bars).toMatch(/>ours<[^]*>2\.00<[^]*>peer<[^]*>9 of 10 items arrived</);
  const samples = [
    { atMs: 0, mib: 10 },
    { atMs: 900, mib: 20 },
  ];
  const lines = lineChart('Title', 'x', [
    { name: 'first', samples },
    { name: 'second', samples },
  ]);
  const heights = [...lines.matchAll(/y="([\d.]+)"[^>]*>(?:first|second)</g)].map(([, y]) => Number(y));
  expect(Math.abs(heights[0]! - heights[1]!)).toBeGreaterThanOrEqual(15);
});
