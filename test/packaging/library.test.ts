/** The library, installed from its tarball, on each runtime: as ES modules and as CommonJS. Every program ends by itself. */

import { describe, expect, inject, test } from 'vitest';
import { noNatsServer } from '../support/nats-server.js';
import { startChild, type RunningChild } from './child.js';
import { programOf, RUNTIMES } from './runtimes.js';

const { app, databaseUrl, certificates, natsUrl } = inject('installed');

const KINDS = [
  ['an ES module', 'mjs'],
  ['CommonJS', 'cjs'],
] as const;

describe.each(RUNTIMES)('$title', (runtime) => {
  describe.each(KINDS)('as %s', (_, extension) => {
    const start = (program: string, ...args: string[]): RunningChild =>
      startChild(programOf(runtime), [...runtime.args, `${program}.${extension}`, ...args], {
        cwd: app,
        env: { DATABASE_URL: databaseUrl, NATS_URL: natsUrl, TLS_CA: certificates },
      });

    test.each([
      ['streams', 'strategies, retries, time limits, abort, drain and metrics', ''],
      [
        'copy',
        'COPY into PostgreSQL, bad rows, exactly once, TLS',
        certificates === undefined ? ' (without TLS: there is no openssl)' : '',
      ],
      ['observed', 'reports and OpenTelemetry', ''],
      [
        'log',
        'a JetStream stream into a table',
        noNatsServer === undefined ? '' : ` (only imported: ${noNatsServer})`,
      ],
    ])('%s: %s%s', async (program) => {
      const { code, stdout, stderr } = await start(
        program,
        `${runtime.npmName}${runtime.npmVersion}${extension}`.replace(/\W/g, ''),
      ).result;
      expect(stderr).toBe('');
      const outcomes = JSON.parse(stdout) as Record<string, string>;
      expect(Object.entries(outcomes).filter(([, outcome]) => outcome !== 'ok')).toEqual([]);
      expect(Object.keys(outcomes).length).toBeGreaterThan(0);
      expect(code).toBe(0);
    });

    test('SIGTERM: a service delivers what it holds, and ends by the signal', async () => {
      const { code, signal, stdout } = await stopped(start('service', 'signal'));
      expect(stdout).toContain('SIGTERM: 1000 delivered, 0 undelivered');
      // Deno and Bun may exit with the code by which shells report the signal.
      expect(signal ?? code).toBeOneOf(['SIGTERM', 143]);
    });

    test('SIGTERM: a destination that hangs ends in a report', async () => {
      const { stdout } = await stopped(start('service', 'hanging'));
      expect(stdout).toContain('1000 undelivered');
    });

    test('process.exit(): one line counts what was not delivered', async () => {
      const { code, stderr } = await start('service', 'exit').result;
      expect(stderr).toBe('spillway: 1000 items were not delivered before the process ended\n');
      expect(code).toBe(7);
    });

    test('a sink with unref is flushed when nothing else is left to do', async () => {
      const { code, stdout } = await start('service', 'unref').result;
      expect({ code, stdout }).toEqual({ code: 0, stdout: '1000 delivered\n' });
    });

    test('a worker thread drains', async () => {
      const { code, stdout } = await start('service', 'worker').result;
      expect({ code, stdout }).toEqual({ code: 0, stdout: '1000 delivered, 0 undelivered\n' });
    });
  });
});

async function stopped(service: RunningChild): ReturnType<() => RunningChild['result']> {
  await service.printed('ready\n');
  service.child.kill('SIGTERM');
  return service.result;
}
