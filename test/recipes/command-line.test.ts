/** The commands of the README and of the guide to the command line, run by a shell as they are written. Only the server's address differs. */

import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { useCli } from '../support/cli.js';
import { useTestDatabase } from '../support/postgres.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const URL_OF_GUIDES = 'postgres://user@host/db';
const cli = useCli();
const database = useTestDatabase();
let folder = '';

async function commandsOf(guide: string): Promise<string[]> {
  const text = await readFile(path.join(root, guide), 'utf8');
  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block]) => block!);
  return blocks.flatMap((block) => block.split('\n').filter((line) => /^(spillway|zcat) /.test(line)));
}

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'spillway-guide-'));
  // As root, the embedded server runs as another user.
  await chmod(folder, 0o755);
  await mkdir(path.join(folder, 'logs'));
  await mkdir(path.join(folder, 'bin'));
  const program = path.join(folder, 'bin', 'spillway');
  await writeFile(program, `#!/bin/sh\nexec '${process.execPath}' '${cli.main}' "$@"\n`);
  await chmod(program, 0o755);
  await writeFile(
    path.join(folder, 'events.csv'),
    'at,name\n2026-01-01T00:00:00Z,a\n2026-01-02T00:00:00Z,b\n',
  );
  const flights = 'date,delay,origin\n2001-01-01,5,SFO\n2001-01-02,-3,LAX\n';
  await writeFile(path.join(folder, 'flights.csv.gz'), gzipSync(flights));
  for (const day of [1, 2]) {
    await writeFile(path.join(folder, 'logs', `${day}.ndjson.gz`), gzipSync(`{"line":"day ${day}"}\n`));
  }
  await database.query('DROP TABLE IF EXISTS events, logs, reported_events');
  await database.query('CREATE TABLE events (at timestamptz, name text)');
  await database.query('CREATE TABLE logs (line text)');
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('the commands for a shell', () => {
  it.each(['README.md', 'src/cli/README.md'])('of %s load what they say', async (guide) => {
    const commands = await commandsOf(guide);
    expect(commands.length).toBeGreaterThanOrEqual(3);
    let output = '';
    for (const command of commands) {
      const { stdout } = await run(
        '/bin/bash',
        ['-eo', 'pipefail', '-c', command.replace(URL_OF_GUIDES, database.url)],
        {
          cwd: folder,
          env: {
            ...process.env,
            PATH: `${path.join(folder, 'bin')}:${process.env['PATH']}`,
            DATABASE_URL: database.url,
            SPILLWAY_EMBEDDED_DIRECTORY: path.join(folder, 'embedded'),
          },
          timeout: 50_000,
        },
      );
      if (stdout !== '') output = stdout;
    }
    // The last command of each that prints counts the flights.
    expect(output).toContain('2');
    expect(await database.query('SELECT count(*)::int AS n FROM events')).toEqual([{ n: 2 }]);
    if (commands.some((command) => command.includes('--report'))) {
      expect(await readFile(path.join(folder, 'events.html'), 'utf8')).toContain('reported_events');
    }
    if (commands.some((command) => command.startsWith('zcat'))) {
      expect(await database.query('SELECT line FROM logs ORDER BY line')).toEqual([
        { line: 'day 1' },
        { line: 'day 2' },
      ]);
    }
  });
});
