/** The TypeScript blocks of the guide to logs compile and run, one after another, on a real nats-server and PostgreSQL. */

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { noNatsServer, startNatsServer, type NatsServer } from '../../support/nats-server.js';
import { useTestDatabase } from '../../support/postgres.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const GUIDE = path.join(root, 'src/jetstream/README.md');
const TSCONFIG = path.join(root, 'test/support/readme.tsconfig.json');
/** Inside the checkout, so that the examples find the packages that they import. */
const FOLDER = path.join(root, 'test/.readme-logs');
/** What the guide says where NATS is. */
const SERVER = 'nats://127.0.0.1:4222';
const MESSAGES = 1_000;
const LIMIT_MS = 120_000;

const blocks = [...readFileSync(GUIDE, 'utf8').matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(
  ([, code]) => code!,
);
/** A worker goes on until it is told to end. */
const isWorker = (code: string): boolean => code.includes('drainOnSignals(');

describe.skipIf(noNatsServer)(
  `the examples of the guide to logs (${noNatsServer ?? 'with a server'})`,
  () => {
    const database = useTestDatabase();
    let server: NatsServer;

    beforeAll(async () => {
      server = await startNatsServer();
      rmSync(FOLDER, { recursive: true, force: true });
      mkdirSync(FOLDER);
      writeFileSync(
        path.join(FOLDER, 'tsconfig.json'),
        JSON.stringify({ extends: '../support/readme.tsconfig.json', include: ['*.ts'] }),
      );
      blocks.forEach((code, index) => {
        const text = code.replaceAll(SERVER, `nats://127.0.0.1:${server.port}`);
        writeFileSync(path.join(FOLDER, `example-${index}.ts`), text);
      });
      await database.query('CREATE TABLE orders (id int, item text)');
    });

    afterAll(async () => {
      await server.stop();
      rmSync(FOLDER, { recursive: true, force: true });
    });

    const countOrders = async (): Promise<number> => {
      const [row] = await database.query<{ count: number }>(
        'SELECT count(DISTINCT id)::int AS count FROM orders',
      );
      return row!.count;
    };

    /** Returns what it has printed. @param until when a worker has done its work */
    async function run(index: number, until?: () => Promise<void>): Promise<string> {
      const url = new URL(database.url);
      const child = spawn(process.execPath, ['--import', 'tsx', path.join(FOLDER, `example-${index}.ts`)], {
        cwd: root,
        env: {
          ...process.env,
          TSX_TSCONFIG_PATH: TSCONFIG,
          PGHOST: url.hostname,
          PGPORT: url.port,
          PGUSER: decodeURIComponent(url.username),
          PGPASSWORD: decodeURIComponent(url.password),
          PGDATABASE: url.pathname.slice(1),
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
      let output = '';
      let errors = '';
      child.stdout.on('data', (data: Buffer) => (output += data.toString()));
      child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
      try {
        if (until !== undefined) {
          await Promise.race([until(), ended]);
          child.kill('SIGTERM');
        }
        const [code, signal] = await ended;
        // `drainOnSignals` raises the signal again.
        const isRight = code === 0 || (until !== undefined && signal === 'SIGTERM');
        expect({ isRight, errors }).toEqual({ isRight: true, errors: '' });
        return output;
      } finally {
        child.kill('SIGKILL');
      }
    }

    test('there are a publisher, a worker, and a program that reads the lag', () => {
      expect(blocks.map(isWorker)).toEqual([false, true, false]);
      for (const code of blocks) expect(code).toContain(SERVER);
    });

    test(
      'compile',
      () =>
        promisify(execFile)(process.execPath, [
          path.join(root, 'node_modules/typescript/bin/tsc'),
          '-p',
          FOLDER,
        ]),
      LIMIT_MS,
    );

    test(
      'publish orders, load each of them once and end at SIGTERM, and say that nothing is left',
      async () => {
        await run(0);
        await run(1, () => expect.poll(countOrders, { timeout: LIMIT_MS / 2 }).toBe(MESSAGES));
        expect(await run(2)).toMatch(/^1000 rows are loaded, 0 messages are not/);
        const held = await database.query(
          'SELECT lane FROM spillway_lanes WHERE lease_until > clock_timestamp()',
        );
        expect(held).toEqual([]);
        const [row] = await database.query('SELECT count(*)::int AS rows, min(id), max(id) FROM orders');
        expect(row).toEqual({ rows: MESSAGES, min: 0, max: MESSAGES - 1 });
      },
      LIMIT_MS,
    );
  },
);
