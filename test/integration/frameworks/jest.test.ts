/** Under Jest, which runs tests in a realm of its own: built-in errors of Node's modules are no instances of the test's `Error` there. */

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const require = createRequire(import.meta.url);
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'spillway-jest-'));
  // One CommonJS file, as a service would load the package.
  await build({
    entryPoints: [path.join(root, 'src/index.ts')],
    outfile: path.join(folder, 'spillway.cjs'),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
  });
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const TESTS = `
const { connect } = require('node:net');
const { BackpressureWritable, BackpressureController } = require('./spillway.cjs');

/** An error that a module of Node makes, outside of this realm. */
const refused = () => new Promise((resolve) => connect(1, '127.0.0.1').once('error', resolve));
const ended = (stream) => new Promise((resolve) => stream.once('close', () => resolve(stream.errored)));

test('errors of another realm keep what they say', async () => {
  const error = Object.assign(await refused(), { retryAfterMs: 7, retryable: true });
  expect(error instanceof Error).toBe(false);
  const seen = { asked: [], retries: [], failed: [] };
  const sink = new BackpressureWritable(() => Promise.reject(error), {
    random: () => 0,
    retry: { attempts: 2, isRetryable: (given) => seen.asked.push(given) > 0 },
    onFailed: (failures) => seen.failed.push(...failures),
  });
  sink.on('retry', (retry) => seen.retries.push(retry));
  sink.end('a');
  expect(await ended(sink)).toBe(null);
  expect(seen.asked[0]).toBe(error);
  expect(seen.retries[0]).toMatchObject({ error, delayMs: 7 });
  expect(seen.failed[0].error).toBe(error);
  expect(seen.failed[0].error.code).toBe('ECONNREFUSED');
});

test('an error of another realm that is not worth a retry ends the stream as the cause', async () => {
  const error = Object.assign(await refused(), { retryable: false });
  let calls = 0;
  const sink = new BackpressureWritable(() => (calls++, Promise.reject(error)), { retry: { attempts: 5 } });
  sink.on('error', () => undefined);
  sink.end('a');
  const failure = await ended(sink);
  expect(calls).toBe(1);
  expect(failure).toMatchObject({ code: 'ERR_BACKPRESSURE_FLUSH_FAILED', items: ['a'] });
  expect(failure.message).toContain('ECONNREFUSED');
  expect(failure.cause).toBe(error);
});

test('an AbortSignal of the environment ends a controller', async () => {
  const abort = new AbortController();
  const controller = new BackpressureController(() => new Promise(() => undefined), { signal: abort.signal });
  await controller.push('a');
  abort.abort();
  await expect(controller.push('b')).rejects.toMatchObject({ code: 'ABORT_ERR' });
});

test('a retry waits for the fake timers of Jest', async () => {
  jest.useFakeTimers({ doNotFake: ['queueMicrotask', 'nextTick', 'setImmediate'] });
  const error = Object.assign(new Error('later'), { retryAfterMs: 60_000 });
  let calls = 0;
  const sink = new BackpressureWritable(() => (calls++ === 0 ? Promise.reject(error) : Promise.resolve()), {
    random: () => 0,
    retry: { attempts: 2 },
  });
  sink.end('a');
  await jest.advanceTimersByTimeAsync(1_000);
  expect(calls).toBe(1);
  await jest.advanceTimersByTimeAsync(60_000);
  jest.useRealTimers();
  expect(calls).toBe(2);
});
`;

test('Jest: errors of another realm, signals and fake timers', async () => {
  await writeFile(path.join(folder, 'realm.test.cjs'), TESTS);
  await writeFile(path.join(folder, 'package.json'), '{}');
  const results = path.join(folder, 'results.json');
  const config = {
    rootDir: folder,
    testMatch: ['<rootDir>/*.test.cjs'],
    transform: {},
    watchman: false,
    haste: { enableSymlinks: false },
  };
  const jest = require.resolve('jest/bin/jest');
  const args = [jest, '--config', JSON.stringify(config), '--runInBand', '--json', '--outputFile', results];
  const output = await new Promise<string>((resolve) => {
    execFile(process.execPath, args, { cwd: folder }, (_error, stdout, stderr) => resolve(stdout + stderr));
  });
  const report = JSON.parse(await readFile(results, 'utf8')) as {
    numPassedTests: number;
    numFailedTests: number;
  };
  expect(report, output).toMatchObject({ numPassedTests: 4, numFailedTests: 0 });
}, 60_000);
