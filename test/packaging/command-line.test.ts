/** `spillway`, installed from its tarball, on each runtime. */

import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { noNatsServer } from '../support/nats-server.js';
import { isMissing, runChild, startChild, type ChildOptions, type ChildResult } from './child.js';
import { binOf, BUN, DENO, NODES, programOf, RUNTIMES, type Runtime } from './runtimes.js';

const { app, tarball, databaseUrl, certificates, natsUrl } = inject('installed');

const MAIN = 'node_modules/spillway/dist/cli/main.cjs';

interface Way {
  readonly title: string;
  readonly runtime: Runtime;
  /** Program and arguments before those of the command line. */
  readonly command: readonly [string, ...string[]];
}

const ways: readonly Way[] = [
  ...NODES.map(
    (runtime) => ({ title: runtime.title, runtime, command: [programOf(runtime), MAIN] }) as const,
  ),
  { title: 'bunx --bun', runtime: BUN, command: [programOf(BUN), 'x', '--bun', 'spillway'] },
  { title: 'deno run npm:spillway', runtime: DENO, command: [programOf(DENO), ...DENO.args, 'npm:spillway'] },
];

let pool: pg.Pool;
beforeAll(() => {
  pool = new pg.Pool({ connectionString: databaseUrl, max: 2 });
});
afterAll(() => pool.end());

describe.each(ways)('$title', ({ command: [program, ...before] }) => {
  const env = { DATABASE_URL: databaseUrl };
  const run = (args: readonly string[], options: Partial<ChildOptions> = {}): Promise<ChildResult> =>
    runChild(program, [...before, ...args], { cwd: app, ...options, env: { ...env, ...options.env } });
  const freshTable = (): string => `t${randomBytes(6).toString('hex')}`;
  const countOf = async (table: string): Promise<number> =>
    (await pool.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`)).rows[0]!.n;
  const load = async (table: string, ...args: string[]): Promise<ChildResult> =>
    run(['load', ...args, '--create', '--table', table, '--json']);

  test('--version', async () => {
    const { version } = JSON.parse(
      await readFile(path.join(app, 'node_modules/spillway/package.json'), 'utf8'),
    ) as {
      version: string;
    };
    expect(await run(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  test.for([
    ['rows.csv', 3000, undefined],
    ['rows.csv.gz', 3000, 'gzip'],
    ['rows.csv.zst', 3000, 'zstd'],
    ['rows.csv.xz', 3000, 'xz'],
    ['rows.csv.bz2', 3000, 'bzip2'],
    ['rows.ndjson', 3000, undefined],
    ['rows.json', 3000, undefined],
    ['rows.parquet', 5000, undefined],
  ] as const)('load %s', async ([file, count, needed], { skip }) => {
    if (needed !== undefined && isMissing(needed)) skip(`there is no ${needed}`);
    const table = freshTable();
    const result = await load(table, file);
    expect(result).toMatchObject({ code: 0 });
    expect(JSON.parse(result.stdout)).toMatchObject({ rows: count });
    expect(await countOf(table)).toBe(count);
  });

  test('load from standard input, and query', async () => {
    const table = freshTable();
    const stdin = await readFile(path.join(app, 'rows.csv'));
    const loaded = await run(['load', '-', '--format', 'csv', '--create', '--table', table], { stdin });
    expect(loaded).toMatchObject({ code: 0 });
    const { code, stdout } = await run(['query', `SELECT id, note FROM ${table} ORDER BY id LIMIT 1`]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'id | note\n---+------\n 0 | n ü 0\n(1 row)\n' });
  });

  test('a bad row: exit code 1, or 3 and a file of rejects', async () => {
    const table = freshTable();
    await pool.query(`CREATE TABLE ${table} (id int, at date, note text)`);
    const failed = await run(['load', 'bad.csv', '--table', table]);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain('bad.csv:1502');
    await pool.query(`TRUNCATE ${table}`);
    const rejects = `${table}.rejects`;
    expect((await run(['load', 'bad.csv', '--table', table, '--rejects', rejects])).code).toBe(3);
    expect(await countOf(table)).toBe(2999);
    expect(JSON.parse(await readFile(path.join(app, rejects), 'utf8'))).toMatchObject({ line: 1502 });
  });

  test('a wrong flag: exit code 2', async () => {
    expect((await run(['load', 'rows.csv', '--tabel', 't'])).code).toBe(2);
  });

  test('a report', async () => {
    const table = freshTable();
    expect((await load(table, 'rows.csv', '--report', `${table}.html`)).code).toBe(0);
    expect(await readFile(path.join(app, `${table}.html`), 'utf8')).toMatch(/^<!doctype html>/i);
  });

  test.skipIf(certificates === undefined)(
    'TLS whose certificate is checked (skipped without openssl)',
    async () => {
      const table = freshTable();
      const url = new URL(databaseUrl);
      url.searchParams.set('sslmode', 'verify-full');
      url.searchParams.set('sslrootcert', certificates!);
      const loaded = await run(['load', 'rows.csv', '--create', '--table', table, '--to', url.href]);
      expect(loaded).toMatchObject({ code: 0 });
      expect(await countOf(table)).toBe(3000);
      url.searchParams.set('sslrootcert', path.join(path.dirname(certificates!), 'other.crt'));
      expect((await run(['query', 'SELECT 1', '--to', url.href])).code).toBe(1);
    },
  );

  test('the embedded server', async () => {
    const data = await mkdtemp(path.join(path.dirname(app), 'embedded-'));
    // The server runs under an account of its own if this is root's.
    await chmod(data, 0o755);
    const embedded = { env: { SPILLWAY_EMBEDDED_DIRECTORY: path.join(data, 'data') } };
    const loaded = await run(['load', 'rows.csv', '--create', '--table', 't', '--to', 'embedded'], embedded);
    expect(loaded).toMatchObject({ code: 0 });
    const counted = await run(['query', '--to', 'embedded', 'SELECT count(*) FROM t'], embedded);
    expect(counted).toMatchObject({ code: 0, stdout: 'count\n-----\n 3000\n(1 row)\n' });
    await rm(data, { recursive: true, force: true });
  });

  test('Ctrl-C: what was read is committed, and the same command goes on', async () => {
    const table = freshTable();
    await pool.query(`CREATE TABLE ${table} (id int)`);
    const args = ['load', '-', '--format', 'csv', '--no-header', '--table', table, '--import', table];
    const reading = startChild(
      'sh',
      [
        '-c',
        `(seq 1 100000; sleep 30) | exec "$@"`,
        'sh',
        program,
        ...before,
        ...args,
        '--batch-size',
        '1000',
        '--connections',
        '1',
      ],
      { cwd: app, env },
    );
    while ((await countOf(table)) < 50_000) await new Promise((resolve) => setTimeout(resolve, 50));
    // As a terminal does: to the whole group.
    process.kill(-reading.child.pid!, 'SIGINT');
    const { code, signal, stderr } = await reading.result;
    expect(stderr).toContain('stopped by SIGINT');
    // The shell ends by the signal, too, or passes the exit code on.
    expect(code ?? signal).toBeOneOf([130, 'SIGINT']);
    const all = Array.from({ length: 100_000 }, (_, index) => `${index + 1}\n`).join('');
    expect(await run(args, { stdin: all })).toMatchObject({ code: 0 });
    const { rows } = await pool.query(
      `SELECT count(*)::int AS n, count(DISTINCT id)::int AS ids FROM ${table}`,
    );
    expect(rows).toEqual([{ n: 100_000, ids: 100_000 }]);
  });

  test.skipIf(noNatsServer)('consume (skipped without nats-server)', async () => {
    const name = freshTable();
    const nats = await connect({ servers: natsUrl! });
    await (await jetstreamManager(nats)).streams.add({ name, subjects: [`${name}.>`] });
    const client = jetstream(nats);
    const orders = Array.from({ length: 1000 }, (_, id) => JSON.stringify({ id, item: `item ${id}` }));
    await Promise.all(orders.map((order) => client.publish(`${name}.new`, order)));
    await nats.drain();
    const result = await run([
      ...['consume', natsUrl!, '--stream', name, '--table', name, '--import', name],
      ...['--create', '--until-caught-up', '--quiet'],
    ]);
    expect(result).toMatchObject({ code: 0 });
    expect(await countOf(name)).toBe(1000);
  });
});

describe.each(RUNTIMES)('$title, the package alone', (runtime) => {
  test('a load names the packages that it needs, and exits with 1', async () => {
    const folder = await mkdtemp(path.join(path.dirname(app), 'alone-'));
    const modules = path.join(folder, 'node_modules');
    await mkdir(modules, { recursive: true });
    await writeFile(path.join(folder, 'package.json'), '{"private":true}');
    await writeFile(path.join(folder, 'rows.csv'), 'a\n1\n');
    await runChild('tar', ['-xzf', tarball, '-C', modules], { cwd: folder });
    await runChild('mv', ['package', 'spillway'], { cwd: modules });
    const args = [
      ...runtime.args,
      MAIN,
      'load',
      'rows.csv',
      '--table',
      't',
      '--to',
      'postgres://nobody@127.0.0.1:1/none',
    ];
    const { code, stderr } = await runChild(programOf(runtime), args, { cwd: folder });
    expect(stderr).toMatch(/^spillway: [^\n]*npm install pg pg-copy-streams\n$/);
    expect(code).toBe(1);
    await rm(folder, { recursive: true, force: true });
  });
});

test.each(NODES)('$title: npx, from an empty folder and beside the peers', async (runtime) => {
  const folder = await mkdtemp(path.join(path.dirname(app), 'npx-'));
  await writeFile(path.join(folder, 'rows.csv'), 'a\n1\n');
  const npx = (cwd: string, ...args: string[]): Promise<ChildResult> =>
    runChild('npx', ['--yes', ...args], {
      cwd,
      env: {
        PATH: `${binOf(runtime)}${path.delimiter}${process.env['PATH'] ?? ''}`,
        // npx keeps what it has installed in there.
        npm_config_cache: path.join(folder, 'cache'),
        npm_config_update_notifier: 'false',
      },
      limitMs: 120_000,
    });
  const alone = [`--package=${tarball}`, '--', 'spillway'];
  const version = expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string;
  expect(await npx(folder, ...alone, '--version')).toMatchObject({ code: 0, stdout: version });
  const load = [
    'load',
    'rows.csv',
    '--to',
    databaseUrl,
    '--create',
    '--table',
    `npx${randomBytes(6).toString('hex')}`,
  ];
  const { code, stderr } = await npx(folder, ...alone, ...load);
  expect(stderr).toMatch(/^spillway: [^\n]*npm install pg pg-copy-streams$/m);
  expect(code).toBe(1);
  // With the packages that the message names.
  expect(await npx(app, 'spillway', ...load)).toMatchObject({ code: 0 });
  await rm(folder, { recursive: true, force: true });
});
