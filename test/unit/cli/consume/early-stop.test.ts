import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { parseArguments } from '../../../../src/cli/args/parse-arguments.js';
import { consume } from '../../../../src/cli/consume/consume.js';

it('a worker that a signal stops before it has begun is no failure, and its report says that once', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'early-stop-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'r.html');
  const args = `consume nats://127.0.0.1:1 -s EVENTS -t t --import i --to postgres://localhost/d -q --report ${file}`;
  const invocation = parseArguments(args.split(' '));
  if (invocation.command !== 'consume') expect.unreachable();
  const summary = await consume(invocation.options, {
    environment: {},
    stderr: process.stderr,
    onStopSignal: (stop) => {
      stop('SIGINT');
      return () => undefined;
    },
  });
  const text = 'stopped by SIGINT before anything was loaded';
  expect(summary).toMatchObject({ exitCode: 0, lines: [text, `report: ${file}`], error: undefined });
  expect(summary.json).toMatchObject({ stoppedBy: 'SIGINT', error: null, exitCode: 0, reportFile: file });
  expect(await readFile(file, 'utf8')).toContain(
    '<p class="status good">Stopped by SIGINT before anything was loaded</p>',
  );
});
