/** A reader of `--rejects` that takes longer than a flush may take: it holds the load up, and does not end it. */

import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { useCli } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();
const cli = useCli();
/** Their lines are some MB, more than a pipe holds. */
const BAD_ROWS = 20_000;
/** `flushTimeoutMs` of copies is 60 s. */
const SLOW_SECONDS = 65;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'spillway-slow-reader-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const FORMATS = [
  { name: 'csv', head: 'a\n', bad: 'bad\n', good: '1\n' },
  { name: 'ndjson', head: '', bad: '{"a":"bad"}\n', good: '{"a":1}\n' },
];

test.concurrent.each(FORMATS)(
  'a named pipe that nobody reads for longer than flushTimeoutMs: all rejects arrive, the load ends well ($name)',
  async ({ name, head, bad, good }) => {
    const table = await database.table('a int');
    const input = path.join(folder, `input.${name}`);
    await writeFile(input, head + bad.repeat(BAD_ROWS) + good);
    const pipe = path.join(folder, `pipe-${name}`);
    spawnSync('mkfifo', [pipe]);
    // The shell opens the pipe at once, and reads it later.
    const reader = spawn('sh', ['-c', `{ sleep ${SLOW_SECONDS}; wc -l; } < ${pipe}`]);
    let counted = '';
    reader.stdout.on('data', (data: Buffer) => (counted += data.toString()));
    const readerEnded = once(reader, 'close');
    const startedAt = performance.now();
    const result = await cli.run(['load', '-q', '-t', table, input, '--rejects', pipe], {
      env: { DATABASE_URL: database.url },
      longestRunMs: 120_000,
    });
    await readerEnded;
    expect(result.stderr).not.toMatch(/timed out|timeout/i);
    expect(result).toMatchObject({ code: 3, stdout: '' });
    expect(Number(counted)).toBe(BAD_ROWS);
    expect(performance.now() - startedAt).toBeGreaterThan((SLOW_SECONDS - 2) * 1000);
    expect(await database.query(`SELECT a FROM ${table}`)).toEqual([{ a: 1 }]);
  },
  140_000,
);
