/** `spillway consume` with a real nats-server and a real PostgreSQL. */

import { describe, expect, test } from 'vitest';
import { useConsume } from '../../support/consume-cli.js';
import { noNatsServer } from '../../support/nats-server.js';
import { useTestDatabase } from '../../support/postgres.js';
import { range } from '../../support/range.js';

describe.skipIf(noNatsServer)(`spillway consume (${noNatsServer ?? 'on servers of its own'})`, () => {
  const database = useTestDatabase();
  const nats = useConsume(database);

  const idsOf = async (table: string) =>
    (await database.query<{ id: number }>(`SELECT id FROM ${table} ORDER BY id`)).map(({ id }) => id);
  const rowsOf = (ids: readonly number[]) => ids.map((id) => ({ id, n: 1 }));
  const jsonOf = ({ stdout }: { stdout: string }) => JSON.parse(stdout) as Record<string, unknown>;
  const argsOf = (stream: string, table: string) => ['--stream', stream, '--table', table, '--import', table];

  /** A stream with messages, and a table for them. */
  async function filled(messages: readonly unknown[], columns = 'id int, n int'): Promise<[string, string]> {
    const [stream, table] = [await nats.makeStream(), await database.table(columns)];
    await nats.publish(stream, messages);
    return [stream, table];
  }

  test('each message becomes a row once, also if the command runs again', async () => {
    const [stream, table] = await filled(rowsOf(range(1_200)));
    const first = await nats.consume([nats.url, ...argsOf(stream, table), '--json'], {
      env: { NATS_URL: undefined },
    });
    expect(first.stderr).toContain(`1,200 rows into "${table}" of`);
    expect(jsonOf(first)).toMatchObject({
      rows: 1_200,
      deadLetters: 0,
      caughtUp: true,
      exitCode: 0,
      error: null,
    });
    expect(first.code).toBe(0);
    await nats.publish(stream, rowsOf(range(10, 1_200)));
    const second = await nats.consume([...argsOf(stream, table), '--json', '--quiet']);
    expect(second.stderr).toBe('');
    expect(jsonOf(second)).toMatchObject({ rows: 10, caughtUp: true });
    expect(await idsOf(table)).toEqual(range(1_210));
  });

  test('two workers share a stream, and each message is there once', async () => {
    const [stream, table] = await filled(rowsOf(range(6_000)));
    const args = [...argsOf(stream, table), '--lane-size', '500', '--batch-size', '100', '--json'];
    const results = await Promise.all([nats.consume(args), nats.consume(args)]);
    expect(results.map(({ code }) => code)).toEqual([0, 0]);
    expect(results.map((result) => jsonOf(result)['rows'] as number).reduce((a, b) => a + b)).toBe(6_000);
    expect(await idsOf(table)).toEqual(range(6_000));
  });

  test('a filter loads its subjects only', async () => {
    const [stream, table] = await filled(rowsOf(range(20)));
    await nats.publish(stream, rowsOf(range(5, 100)), 'other.deep');
    const { code } = await nats.consume([...argsOf(stream, table), '--filter', `${stream}.other.>`]);
    expect(code).toBe(0);
    expect(await idsOf(table)).toEqual(range(5, 100));
  });

  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s commits what is in flight, frees the lanes, and exits with 0',
    async (signal) => {
      const [stream, table] = await filled(rowsOf(range(100)));
      const { child, result } = nats.start([...argsOf(stream, table), '--json']);
      await expect.poll(() => idsOf(table), { timeout: 20_000 }).toHaveLength(100);
      child.kill(signal);
      const ended = await result;
      expect(ended.code).toBe(0);
      expect(jsonOf(ended)).toMatchObject({
        rows: 100,
        stoppedBy: signal,
        caughtUp: false,
        error: null,
        exitCode: 0,
      });
      const held = await database.query(
        `SELECT * FROM spillway_lanes WHERE lease_until IS NOT NULL AND next <= last`,
      );
      expect(held).toEqual([]);
    },
  );

  test('a message that is no row is a dead letter with its reason, and the exit code is 3', async () => {
    const [stream, table] = await filled([
      { id: 1 },
      'not json',
      [2],
      '"text"',
      { id: 'x' },
      { id: 3, other: 1 },
      { id: 4 },
    ]);
    const { code, stderr } = await nats.consume([...argsOf(stream, table), '--dead-letter', `dead_${table}`]);
    expect(code).toBe(3);
    expect(stderr).toContain(`5 dead letters: see the table "dead_${table}"`);
    expect(await idsOf(table)).toEqual([1, 4]);
    const letters = await database.query<{ error: string }>(
      `SELECT error FROM dead_${table} ORDER BY position`,
    );
    expect(letters.map(({ error }) => error)).toEqual([
      expect.stringContaining('not JSON: '),
      expect.stringContaining('expected a JSON object, got an array'),
      expect.stringContaining('expected a JSON object, got a string'),
      expect.stringContaining('invalid input syntax for type integer: "x"'),
      expect.stringContaining('the key "other" is not among those that are loaded'),
    ]);
  });

  test('numbers keep their digits, and a body may have line breaks and a byte order mark', async () => {
    const [stream, table] = await filled(
      [
        '{"id":12345678901234567890123,\n "n": 1.10}',
        '\ufeff{"id":1e2,"n":0.1,"j":{"a":[1.50,{"b":1E400}]}}',
      ],
      'id numeric, n numeric, j json',
    );
    const { code } = await nats.consume(argsOf(stream, table));
    expect(code).toBe(0);
    expect(await database.query(`SELECT id::text, n::text, j::text FROM ${table} ORDER BY id`)).toEqual([
      { id: '100', n: '0.1', j: '{"a":[1.50,{"b":1E400}]}' },
      { id: '12345678901234567890123', n: '1.10', j: null },
    ]);
  });

  test('--columns loads these keys and leaves others out', async () => {
    const [stream, table] = await filled([{ id: 1, n: 2, other: 3 }, { n: 5 }], 'id int DEFAULT 7, n int');
    const { code } = await nats.consume([...argsOf(stream, table), '--columns', 'id']);
    expect(code).toBe(0);
    expect(await database.query(`SELECT * FROM ${table} ORDER BY id`)).toEqual([
      { id: 1, n: null },
      { id: 7, n: null },
    ]);
  });

  test('--on-conflict update keeps the latest row of a key', async () => {
    const [stream, table] = await filled(
      range(3_000).map((n) => ({ id: n % 7, n })),
      'id int PRIMARY KEY, n int',
    );
    const args = [...argsOf(stream, table), '--on-conflict', 'update', '--key', 'id', '--lane-size', '400'];
    const results = await Promise.all([nats.consume(args), nats.consume(args)]);
    expect(results.map(({ code }) => code)).toEqual([0, 0]);
    const rows = await database.query<{ id: number; n: number }>(`SELECT id, n FROM ${table} ORDER BY id`);
    expect(rows.map(({ n }) => n)).toEqual(
      [2_996, 2_997, 2_998, 2_999, 2_993, 2_994, 2_995].sort((a, b) => (a % 7) - (b % 7)),
    );
  });

  test('--from last loads only what comes from now on', async () => {
    const [stream, table] = await filled(rowsOf(range(10)));
    const before = await nats.consume([...argsOf(stream, table), '--from', 'last']);
    expect(before.code).toBe(0);
    await nats.publish(stream, rowsOf(range(3, 50)));
    await nats.consume([...argsOf(stream, table), '--from', 'last']);
    expect(await idsOf(table)).toEqual(range(3, 50));
  });
});
