/** Every benchmark runs with a very small size, so that none rots. What is not installed is listed by it, and is no failure. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { barChart, barsOf } from '../../benchmarks/support/bar-chart.js';
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
  const report = JSON.parse(await readFile(json, 'utf8')) as { results: Record<string, unknown[]> };
  const usage = await bench(['no-such-benchmark'], server.url);
  expect(usage.code).toBe(2);
  const names = Object.keys(report.results);
  expect(names).toHaveLength(12);
  for (const name of names) {
    expect(usage.stderr).toContain(`  ${name} `);
    expect(report.results[name]).not.toHaveLength(0);
  }
  const bars = barsOf(report as never, 'copy-objects');
  expect(bars.length).toBeGreaterThan(5);
  expect(barChart('Title <1>', 'psql', bars)).toMatch(/^<svg [^]*Title &lt;1&gt;[^]*<\/svg>\n$/);
  expect(barChart('x', 'y', bars)).toBe(barChart('x', 'y', bars));
}, 120_000);

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
