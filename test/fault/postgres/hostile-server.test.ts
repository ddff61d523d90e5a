/** A server that breaks the protocol, or falls silent, at each of its messages. */

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useCli } from '../../support/cli.js';
import { startMeddlingProxy, type Meddling, type MeddlingProxy } from '../../support/meddling-proxy.js';
import { useTestDatabase } from '../../support/postgres.js';
import { int32, MESSAGES } from '../../support/server-bytes.js';
import { testRuns, testSeed } from '../../support/test-runs.js';

const RUNS = testRuns(150);
const LONGEST_RUN_MS = 50_000 + RUNS * 500;

const database = useTestDatabase();
const cli = useCli();

test(
  'in a user’s pool: every breach, silence and trickle after the login is a coded error of the batch, in a small heap',
  async () => {
    const table = await database.table('id int, note text');
    await Promise.all(
      ['silences', 'random cases only'].map(async (share, index) => {
        const seed = String(testSeed(1) + index);
        const script = fileURLToPath(new URL('hostile-server-run.ts', import.meta.url));
        const child = spawn(
          process.execPath,
          [
            '--max-old-space-size=64',
            '--import',
            'tsx',
            script,
            database.url,
            table,
            String(RUNS),
            seed,
            share,
          ],
          { stdio: ['ignore', 'pipe', 'pipe'], timeout: LONGEST_RUN_MS, killSignal: 'SIGKILL' },
        );
        let output = '';
        for (const stream of [child.stdout, child.stderr])
          stream.on('data', (chunk) => (output += String(chunk)));
        const code = await new Promise((resolve) => child.on('close', resolve));
        expect({ code, output }).toEqual({
          code: 0,
          output: expect.stringMatching(/^\{"places":\d+,"failures":\[\]\}$/) as string,
        });
      }),
    );
  },
  LONGEST_RUN_MS,
);

describe('the command line', () => {
  let proxy: MeddlingProxy;
  let file: string;
  beforeAll(async () => {
    proxy = await startMeddlingProxy(database.url);
    file = path.join(cli.directory, 'rows.csv');
    await writeFile(file, 'id,note\n1,a\n2,b\n');
  });
  afterAll(() => proxy.close());

  const load = (table: string) => [
    'load',
    '--to',
    database.urlVia('127.0.0.1', proxy.port),
    '-t',
    table,
    file,
  ];
  const env = { PGSSLMODE: 'disable' };
  const breach = (at: number, bytes: Buffer, how: 'insert' | 'replace' = 'replace'): Meddling => ({
    at,
    how,
    bytes,
  });

  test.each<[string, Meddling]>([
    ['Kerberos is asked for', breach(0, MESSAGES.GSS)],
    ['the login ends without its proof', breach(1, MESSAGES.AuthenticationOk)],
    ['an error has no end', breach(0, Buffer.concat([Buffer.from('E'), int32(10), Buffer.from('SERROR')]))],
    ['a gigabyte is announced in the login', breach(0, Buffer.concat([Buffer.from('E'), int32(0x3fffffff)]))],
    ['rows come in the login', breach(2, MESSAGES.DataRow)],
    ['bytes that are no message', breach(0, Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))],
  ])('%s: one line, exit code 1', async (_name, meddling) => {
    const table = await database.table('id int, note text');
    proxy.next = [meddling];
    const { code, stderr } = await cli.run(load(table), { env });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^spillway: .*the server broke the protocol: .*\n$/) as string,
    });
  });

  test('a breach in a batch ends that connection, and the load goes on with another', async () => {
    const table = await database.table('id int, note text');
    proxy.next = [undefined];
    await cli.run(load(table), { env });
    await database.query(`TRUNCATE ${table}`);
    const { inAll } = proxy.counts;
    proxy.next = [breach(inAll - 3, MESSAGES.DataRow, 'insert')];
    const { code } = await cli.run(load(table), { env });
    expect(code).toBe(0);
    expect(await database.query(`SELECT count(*)::int AS n FROM ${table}`)).toEqual([{ n: 2 }]);
  });

  test.each([
    ['in the login', 0],
    ['after it', 1],
  ])('a server that falls silent %s is given up', async (_name, beyondLogin) => {
    const table = await database.table('id int, note text');
    proxy.next = [undefined];
    await cli.run(load(table), { env });
    const at = beyondLogin === 0 ? 1 : proxy.counts.atLogin;
    proxy.next = [{ at, how: 'silence' }];
    const { code, stderr } = await cli.run(load(table), { env: { ...env, PGCONNECT_TIMEOUT: '2' } });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/no answer in time|not answered within 2 s/) as string,
    });
  });

  test.each([
    ['in the login', 'silence', 0],
    ['in a look-up', 'silence', 4],
    ['byte by byte in a look-up', 'trickle', 4],
  ] as const)('the first Ctrl-C ends it while the server is silent %s', async (_name, how, beyondLogin) => {
    const table = await database.table('id int, note text');
    proxy.next = [undefined];
    await cli.run(load(table), { env });
    const at = beyondLogin === 0 ? 1 : proxy.counts.atLogin + beyondLogin;
    proxy.next = [{ at, how }];
    const { child, result } = cli.start(load(table), { env });
    const ended = result.then(() => true);
    const silent = async (): Promise<void> => {
      while (proxy.next.length > 0 || proxy.counts.inAll <= at)
        await new Promise((resolve) => setTimeout(resolve, 20));
    };
    await Promise.race([silent(), ended]);
    child.kill('SIGINT');
    const killedAt = performance.now();
    expect(await result).toMatchObject({
      code: 130,
      stderr: expect.stringContaining('stopped before anything was loaded') as string,
    });
    expect(performance.now() - killedAt).toBeLessThan(8_000);
  });
});
