/** `spillway consume` with a real nats-server and a real PostgreSQL. */

import { jetstreamManager } from '@nats-io/jetstream';
import { describe, expect, test } from 'vitest';
import { useConsume } from '../../support/consume-cli.js';
import { noNatsServer } from '../../support/nats-server.js';
import { useTestDatabase } from '../../support/postgres.js';
import { range } from '../../support/range.js';

describe.skipIf(noNatsServer)(`spillway consume (${noNatsServer ?? 'on servers of its own'})`, () => {
  const database = useTestDatabase();
  const nats = useConsume(database);

  const idsOf = async (table: string) =>
    (await database.query<{ id: number }>(`SELECT id::int AS id FROM ${table} ORDER BY id`)).map(
      ({ id }) => id,
    );
  const rowsOf = (ids: readonly number[]) => ids.map((id) => ({ id, n: 1 }));
  const jsonOf = ({ stdout }: { stdout: string }) => JSON.parse(stdout) as Record<string, unknown>;
  const argsOf = (stream: string, table: string, importId = table) => [
    '--stream',
    stream,
    '--table',
    table,
    '--import',
    importId,
  ];

  /** A stream with messages, and a table for them. */
  async function filled(messages: readonly unknown[], columns = 'id int, n int'): Promise<[string, string]> {
    const [stream, table] = [await nats.streams.make(), await database.table(columns)];
    await nats.streams.publish(stream, messages);
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
    await nats.streams.publish(stream, rowsOf(range(10, 1_200)));
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
    await nats.streams.publish(stream, rowsOf(range(5, 100)), 'other.deep');
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
        `SELECT * FROM spillway_lanes WHERE lease_until > clock_timestamp() AND next <= last`,
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

  test('--max-rejects stops the import of all workers when it has more dead letters', async () => {
    const [stream, table] = await filled([{ id: 1 }, 'a', 'b', 'c', { id: 2 }]);
    const stopped = await nats.consume([...argsOf(stream, table), '--max-rejects', '2', '--json']);
    expect(stopped.code).toBe(1);
    expect(jsonOf(stopped)).toMatchObject({ exitCode: 1, caughtUp: false });
    expect(stopped.stderr).toContain('--max-rejects');
    const done = await nats.consume([...argsOf(stream, table), '--max-rejects', '3']);
    expect(done.code).toBe(3);
    expect(await idsOf(table)).toEqual([1, 2]);
  });

  test('--dead-letter-subject publishes copies of dead letters', async () => {
    const [stream, table] = await filled([{ id: 1 }, 'no json', { id: 2 }]);
    const copies = await nats.streams.make();
    const args = [...argsOf(stream, table), '--dead-letter-subject'];
    expect((await nats.consume([...args, `${copies}.dead`])).code).toBe(3);
    const manager = await jetstreamManager(nats.streams.nats);
    const copy = await manager.streams.getMessage(copies, { last_by_subj: `${copies}.dead` });
    expect(copy?.string()).toBe('no json');
    const refused = await nats.consume([...args, 'a b']);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('"a b" is no subject that can be published to');
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

  test('a key that is longer than a name of the server is the column that the server has cut', async () => {
    const [long, kept] = ['k'.repeat(70), 'k'.repeat(63)];
    const messages = [
      { [long]: 1, n: 1 },
      { [long]: 1, n: 2 },
    ];
    const [stream, table] = await filled(messages, `"${kept}" int PRIMARY KEY, n int`);
    const { code, stderr } = await nats.consume([
      ...argsOf(stream, table),
      ...['--columns', `${long},n`, '--on-conflict', 'update', '--key', long],
    ]);
    expect([code, stderr]).toEqual([0, expect.stringContaining("is longer than the server's longest")]);
    expect(await database.query(`SELECT * FROM ${table}`)).toEqual([{ [kept]: 1, n: 2 }]);
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
    await nats.streams.publish(stream, rowsOf(range(3, 50)));
    await nats.consume([...argsOf(stream, table), '--from', 'last']);
    expect(await idsOf(table)).toEqual(range(3, 50));
  });

  test('--from takes a sequence or a time', async () => {
    const [stream, table] = await filled(rowsOf(range(10)), 'id int, n int');
    await nats.consume([...argsOf(stream, table), '--from', '8']);
    expect(await idsOf(table)).toEqual([7, 8, 9]);
    const since = await database.table('id int, n int');
    const { code, stderr } = await nats.consume([...argsOf(stream, since), '--from', '2020-01-01T00:00:00Z']);
    expect([code, stderr]).toEqual([0, expect.stringContaining('10 rows into')]);
    const future = await nats.consume([...argsOf(stream, since, 'future'), '--from', '2999-01-01T00:00:00Z']);
    expect(future.stderr).toContain('--from must be a time that has passed');
    expect(future.code).toBe(2);
  });

  describe('--create', () => {
    const fresh = (): string => `made${(made += 1)}`;
    let made = 0;

    async function columnsOf(table: string): Promise<string[]> {
      const rows = await database.query<{ name: string; type: string }>(
        `SELECT attname AS name, atttypid::regtype::text AS type FROM pg_attribute
        WHERE attrelid = $1::regclass AND attnum > 0 ORDER BY attnum`,
        [table],
      );
      return rows.map(({ name, type }) => `${name} ${type}`);
    }

    test('makes the table with the types of the messages, past those that are no objects', async () => {
      const [stream, table] = [await nats.streams.make(), fresh()];
      await nats.streams.publish(stream, [
        'not json',
        { id: 1, price: 1.5, at: '2026-01-01T00:00:00Z', nested: { a: [1] }, code: '007', none: null },
        [1],
        { id: 2, price: 2, ok: true, 'odd "name"': 'x' },
      ]);
      const { code, stdout, stderr } = await nats.consume([...argsOf(stream, table), '--create', '--json']);
      expect(stderr).toContain(`2 rows into "${table}"`);
      expect(stderr).toMatch(
        /^made the table "public\.made\d+" as 2 messages have it: id bigint, price numeric, .*\(--type\)$/m,
      );
      expect(JSON.parse(stdout)).toMatchObject({ created: true, rows: 2, deadLetters: 2, exitCode: 3 });
      expect(code).toBe(3);
      expect(await columnsOf(table)).toEqual([
        'id bigint',
        'price numeric',
        'at timestamp with time zone',
        'nested jsonb',
        'code text',
        'none text',
        'ok boolean',
        'odd "name" text',
      ]);
    });

    test('takes the types of --type and the keys of --columns', async () => {
      const [stream, table] = [await nats.streams.make(), fresh()];
      await nats.streams.publish(stream, [{ id: 1, price: 1, other: 2 }]);
      const flags = ['--create', '--columns', 'id,price', '--type', 'price=numeric(10,2)'];
      expect((await nats.consume([...argsOf(stream, table), ...flags])).code).toBe(0);
      expect(await columnsOf(table)).toEqual(['id bigint', 'price numeric']);
      const other = await nats.consume([
        ...argsOf(stream, table),
        '--create',
        '--type',
        'id=text',
        '--columns',
        'id',
      ]);
      expect(other.stderr).toContain('--type: the table');
    });

    test('uses a table that is there as it is', async () => {
      const [stream, table] = await filled([{ id: 1 }]);
      expect((await nats.consume([...argsOf(stream, table), '--create'])).code).toBe(0);
      expect(await columnsOf(table)).toEqual(['id integer', 'n integer']);
    });

    test('of an empty stream, or one without objects, is refused, and makes nothing', async () => {
      const [stream, table] = [await nats.streams.make(), fresh()];
      const empty = await nats.consume([...argsOf(stream, table), '--create']);
      expect(empty.code).toBe(1);
      expect(empty.stderr).toMatch(
        /has no messages to infer the columns of the table from; publish one first/,
      );
      await nats.streams.publish(stream, ['no', '{}', '[]']);
      const odd = await nats.consume([...argsOf(stream, table), '--create']);
      expect(odd.code).toBe(1);
      expect(odd.stderr).toMatch(
        /no message of stream "S\d+" is a JSON object with keys, .*\(at position 1: not JSON/,
      );
      const filtered = await nats.consume([
        ...argsOf(stream, table),
        '--create',
        '--filter',
        `${stream}.none`,
      ]);
      expect(filtered.stderr).toContain(`has no messages of the subjects "${stream}.none"`);
      expect(await database.query('SELECT 1 FROM pg_class WHERE relname = $1', [table])).toEqual([]);
    });

    test('refuses a key that the server would cut, since later workers would not find its column, unless --columns names it', async () => {
      const long = 'k'.repeat(70);
      const stream = await nats.streams.make();
      await nats.streams.publish(stream, [{ [long]: 1 }]);
      const refused = await nats.consume([...argsOf(stream, 'of_long_keys'), '--create']);
      expect([refused.code, refused.stderr]).toEqual([
        1,
        expect.stringMatching(/the key "k+" is longer.*--columns/),
      ]);
      expect(await database.query("SELECT FROM pg_class WHERE relname = 'of_long_keys'")).toEqual([]);
      for (const loaded of [1, 2]) {
        const named = await nats.consume([...argsOf(stream, 'of_long_keys'), '--create', '--columns', long]);
        const rows = loaded === 1 ? '1 row' : '2 rows';
        expect([named.code, named.stderr]).toEqual([0, expect.stringContaining(`${rows} in all`)]);
        expect(await database.query('SELECT * FROM of_long_keys')).toHaveLength(loaded);
        await nats.streams.publish(stream, [{ [long]: 2 }]);
      }
    });

    test('by several workers at once makes one table, while the stream grows', async () => {
      const [stream, table] = [await nats.streams.make(), fresh()];
      await nats.streams.publish(stream, rowsOf(range(2_000)));
      const args = [...argsOf(stream, table), '--create', '--lane-size', '500', '--json'];
      const workers = [nats.consume(args), nats.consume(args), nats.consume(args)];
      await nats.streams.publish(stream, rowsOf(range(2_000, 2_000)));
      const results = await Promise.all(workers);
      expect(results.map(({ code, stderr }) => [code, stderr.includes('spillway:')])).toEqual(
        results.map(() => [0, false]),
      );
      expect(results.filter((result) => jsonOf(result)['created'] === true)).toHaveLength(1);
      await nats.consume(args);
      expect(await idsOf(table)).toEqual(range(4_000));
    });

    test('looks at the last messages if the import begins at the end', async () => {
      const [stream, table] = [await nats.streams.make(), fresh()];
      await nats.streams.publish(stream, [...range(20).map(() => ({ old: 1 }))]);
      await nats.streams.publish(stream, [{ id: 1 }]);
      const { code } = await nats.consume([...argsOf(stream, table), '--create', '--from', '21']);
      expect(code).toBe(0);
      expect(await columnsOf(table)).toEqual(['id bigint']);
    });
  });

  describe('what is refused', () => {
    test('a stream that is not there, with the names of those that are', async () => {
      const [, table] = await filled([]);
      await nats.streams.make({ name: 'TRANSFERS', subjects: ['transfers.>'] });
      const { code, stderr } = await nats.consume(argsOf('TRANSFER', table));
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /^spillway: there is no stream "TRANSFER"; there are "TRANSFERS", "S1", .*\(--stream\)\n$/,
      );
    });

    test('a table that is not there', async () => {
      const { code, stderr } = await nats.consume(argsOf(await nats.streams.make(), 'nowhere'));
      expect([code, stderr]).toEqual([
        1,
        'spillway: there is no table "nowhere"; --create makes it from the messages\n',
      ]);
    });

    test.each(['workqueue', 'interest'])('a stream with the retention %s', async (retention) => {
      const table = await database.table('id int');
      const { code, stderr } = await nats.consume(argsOf(await nats.streams.make({ retention }), table));
      expect(code).toBe(1);
      expect(stderr).toContain(`has the retention "${retention}"`);
    });

    test('an import that is one of another stream or table', async () => {
      const [stream, table] = await filled(rowsOf([1]));
      expect((await nats.consume(argsOf(stream, table))).code).toBe(0);
      const other = await nats.consume(argsOf(await nats.streams.make(), table));
      expect(other.code).toBe(1);
      expect(other.stderr).toMatch(
        /import "t\d+" was begun with another source: .*stream was .*\(--import\)/,
      );
      const second = await database.table('id int');
      const moved = await nats.consume(argsOf(stream, second, table));
      expect(moved.stderr).toContain(`import "${table}" is one of table "${table}", not of "${second}"`);
    });

    test('a stream that has deleted what was not loaded, until --allow-gaps is given', async () => {
      const [stream, table] = [
        await nats.streams.make({ max_msgs: 50 }),
        await database.table('id int, n int'),
      ];
      const args = [...argsOf(stream, table), '--json'];
      await nats.streams.publish(stream, rowsOf(range(10)));
      await nats.consume(args);
      await nats.streams.publish(stream, rowsOf(range(100, 10)));
      const refused = await nats.consume(args);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toMatch(/the log has deleted positions 11 to 60 .*--allow-gaps/);
      const { code, stdout } = await nats.consume([...args, '--allow-gaps']);
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ rows: 50, positionsLost: 50 });
    });

    test.each([
      [['--stream', 'a.b'], "--stream must be a stream's name"],
      [['--filter', 'a..b'], '--filter must be a subject'],
      [['--columns', 'id,nm'], '--columns: the table "%t" has no column "nm"'],
      [['--on-conflict', 'update', '--key', 'x'], '--key: "x" is not among the columns'],
      [['--dead-letter', '%t'], '--dead-letter must be a table of its own'],
      [['--dead-letter', 'spillway_imports'], '--dead-letter must be a table of its own'],
      [['--dead-letter', 'audit.dead'], 'the table is in the schema of --table'],
    ])('%j', async (flags, message) => {
      const [stream, table] = await filled([]);
      const given = flags.map((flag) => flag.replace('%t', table));
      const base = flags[0] === '--stream' ? argsOf(stream, table).slice(2) : argsOf(stream, table);
      const { code, stderr } = await nats.consume([...base, ...given]);
      expect(code).not.toBe(0);
      expect(stderr).toContain(message.replace('%t', table));
      expect(stderr).not.toContain('please report');
    });
  });

  test('wrong usage prints the same fields with --json as a load does', async () => {
    const [stream, table] = await filled(rowsOf([1]));
    const whole = jsonOf(await nats.consume([...argsOf(stream, table), '--json']));
    const wrong = await nats.consume(['--json', '--stream', stream]);
    expect(wrong.code).toBe(2);
    expect(Object.keys(jsonOf(wrong)).sort()).toEqual(Object.keys(whole).sort());
    expect(jsonOf(wrong)).toMatchObject({ exitCode: 2, error: expect.stringContaining('--table') as string });
    const failed = await nats.consume([...argsOf(stream, 'nowhere'), '--json']);
    expect(jsonOf(failed)).toMatchObject({ stream, table: 'nowhere', importId: 'nowhere', exitCode: 1 });
  });

  test('a second SIGINT ends it at once, and another worker loads the rest', async () => {
    const [stream, table] = await filled(rowsOf(range(50)));
    const locker = await database.pool().connect();
    await locker.query(`BEGIN; LOCK TABLE ${table}`);
    const { child, result } = nats.start([...argsOf(stream, table), '--lease', '1s']);
    const waits = () =>
      database.query(
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ILIKE '%COPY%'",
      );
    await expect.poll(waits, { timeout: 20_000 }).not.toEqual([]);
    const timer = setInterval(() => child.kill('SIGINT'), 400);
    const { code, stderr } = await result.finally(() => clearInterval(timer));
    expect(code).toBe(130);
    expect(stderr).toContain('ended at once by a second SIGINT; the batches in flight stay in the stream');
    await locker.query('ROLLBACK');
    locker.release();
    // A worker that ends at once leaves its consumer behind.
    await nats.streams.deleteConsumers(stream);
    await nats.consume([...argsOf(stream, table), '--lease', '1s']);
    expect(await idsOf(table)).toEqual(range(50));
  });
});
