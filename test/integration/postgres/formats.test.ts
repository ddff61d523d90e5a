/** Text and binary: whatever the value, both store the same, or refuse it with the same words. */

import { inspect } from 'node:util';
import fc from 'fast-check';
import type pg from 'pg';
import { describe, expect, test } from 'vitest';
import { copyInto, CopyError, type CopyOptions } from '../../../src/postgres/index.js';
import { flushContext, useTestDatabase } from '../../support/postgres.js';
import { fastCheckRuns } from '../../support/test-runs.js';

const database = useTestDatabase();

/** A pool, and the COPY statements that its clients have sent. */
function watchedPool(setUp?: string): { pool: pg.Pool; copies: string[] } {
  const copies: string[] = [];
  const pool = database.pool({ max: 1 });
  pool.on('connect', (client) => {
    if (setUp !== undefined) void client.query(setUp);
    const send = client.query.bind(client) as (...args: unknown[]) => unknown;
    client.query = ((...args: unknown[]) => {
      const { text } = args[0] as { text?: unknown };
      if (typeof text === 'string' && text.includes('COPY')) copies.push(text);
      return send(...args);
    }) as never;
  });
  return { pool, copies };
}

const formatOf = (copy: string | undefined): string | undefined => /FORMAT (\w+)/.exec(copy ?? '')?.[1];

/** What became of a value: its bytes in the table, or what was said against it. */
async function store(
  copy: ReturnType<typeof copyInto<unknown[]>>,
  table: string,
  rows: readonly unknown[],
): Promise<unknown> {
  try {
    await copy(rows.map((value, n) => [n, value]), flushContext()); // prettier-ignore
  } catch (error) {
    if (!(error instanceof CopyError)) throw error;
    const { message, failureClass, sqlState, column, constraint, row, retryable } = error;
    return { message, failureClass, sqlState, column, constraint, row, retryable };
  }
  const stored = await database.query<{ bytes: string }>(
    `SELECT encode(record_send(ROW(v)), 'hex') AS bytes FROM ${table} ORDER BY n`,
  );
  await database.query(`TRUNCATE ${table}`);
  return stored.map(({ bytes }) => bytes);
}

async function bothWays(type: string) {
  const table = await database.table(`n int, v ${type}`);
  const { pool, copies } = watchedPool();
  const text = copyInto<unknown[]>(pool, { table, format: 'text' });
  const binary = copyInto<unknown[]>(pool, { table, format: 'binary' });
  return {
    copies,
    /** Answers whether the last COPY was in binary. */
    async compare(rows: readonly unknown[]): Promise<boolean> {
      const expected = await store(text, table, rows);
      copies.length = 0;
      expect(await store(binary, table, rows), `${type}: ${inspect(rows)}`).toEqual(expected);
      expect(formatOf(copies[0])).toBe('binary');
      return formatOf(copies.at(-1)) === 'binary';
    },
  };
}

class OddDate extends Date {
  override getTime(): number {
    return 1.5;
  }
}

const OTHERS = [
  true, false, 0, 1, -0, 1.5, NaN, Infinity, -Infinity, 10n, -1n, 2n ** 70n, '', ' ', 'x', '1', ' 1', '01', '+1', '-0', '1e3', '0x10', '1_000',
  't', 'TRUE', 'yes', 'null', '\\N', '\0', 'a\0b', '\ud800', {}, { a: 1 }, [], [1], Symbol('x'), () => 1, new Date(NaN), new Date(0),
  Buffer.from([0, 255]), new Map(), { toPostgres: () => '7' }, { toPostgres: () => null }, { toJSON: () => 'z' },
  { toPostgres() { throw new Error('no'); } },
]; // prettier-ignore
const INTEGERS = [32767, 32768, -32768, -32769, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), -(2 ** 31) - 1, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 2 ** 53,
  -(2 ** 53) + 1, 1e15, 999999999999999, 2n ** 63n - 1n, 2n ** 63n, -(2n ** 63n), -(2n ** 63n) - 1n, 2n ** 47n, -(2n ** 47n), -(2n ** 47n) - 1n,
  '32768', '999999999999999', '1000000000000000', '9223372036854775807', '9223372036854775808', '-9223372036854775808', '-1', '0', '12 ', '1.0']; // prettier-ignore
const FLOATS = [0.1, 1e-7, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 3.4028234663852886e38, 3.4028235677973366e38, 3.5e38, 1e39,
  1.1754943508222875e-38, 1.17549421e-38, 1e-45, 7e-46, 1e-50, 16777216, 16777217, 16777219, 33554435, 0.1 + 0.2, 1 + 2 ** -24, 1 + 2 ** -24 + 2 ** -52, 1.1, 123456789.123,
  '0.1', '-1.25', '1.', '.5', '1e400', '1e-400', '123456789012345678901234567890', '0.0000000000000000000000000001', '-0.0', 'nan', 'inf', '1.17549435e-38']; // prettier-ignore
const NUMERICS = ['0', '0.0', '-0.00', '000', '0001.5000', '12345.678', '99999999', '100000000', '10000', '0.0001', '0.00001', '0.00010000', '1234567890123456789012345678901234567890.12345',
  '-1.', '.5', '1..2', '1.2.3', '-', '.', '--1', '1e5', '1E-5', '9'.repeat(70), `0.${'1'.repeat(62)}`, `0.${'1'.repeat(63)}`, 'Infinity', 1e21, 1e-7, 123.456, -9999, 10n ** 30n, -(10n ** 63n), 99999.995, '99999.995']; // prettier-ignore
const MOMENTS = [
  new Date('2001-01-05T10:20:00Z'), new Date('1969-12-31T23:59:59.999Z'), new Date('0001-01-01T00:00:00Z'), new Date('0000-12-31T23:59:59Z'), new Date('9999-12-31T23:59:59.999Z'),
  new Date('+010000-01-01T00:00:00Z'), new Date('1700-02-28T12:00:00.001Z'), new Date('2300-03-01T00:00:00.007Z'), new Date(8.64e15), new Date(-8.64e15), new OddDate(),
  '2001-01-05T10:20:00Z', '2001-01-05T10:20:00.123Z', '2001-01-05 10:20:00.123456+00', '2001-01-05T10:20:00.1234567Z', '2001-01-05T10:20:00.Z', '2001-01-05T10:20:00', '2001-01-05 10:20:00.5',
  '2001-01-05T10:20:00+01', '2001-01-05T10:20:00z', '2001-01-05T10:20:00 Z', '2001-01-05t10:20:00Z', '2001-01-05T24:00:00Z', '2001-01-05T10:20:60Z', '2001-01-05T10:60:00Z', '2001-02-29T00:00:00Z',
  '2000-02-29T00:00:00Z', '1900-02-29T00:00:00Z', '2001-13-01T00:00:00Z', '2001-00-01T00:00:00Z', '2001-04-31T00:00:00Z', '0000-01-01T00:00:00Z', '0001-01-01T00:00:00Z', '9999-12-31T23:59:59.999999Z',
  '2001-01-05', '2001-02-29', '1900-02-28', '0001-01-01', '0000-01-01', '2001-1-05', '20010105', '01/05/2001', 'infinity', '-infinity', 'epoch', 'today', '2001-01-05 BC', '2001-01-05Z', '2001-01-05T10:20Z', '12001-01-05',
]; // prettier-ignore
const TEXTS = ['plain', 'Grüße, 世界 🎉', 'é', 'x'.repeat(31), 'x'.repeat(32), 'x'.repeat(33), 'y'.repeat(63), 'y'.repeat(64), 'é'.repeat(32), 'z'.repeat(20_000), 'ü'.repeat(20_000), 'a\tb\nc\\d\r', 'abc   ', '\u{feff}x', `${'x'.repeat(40)}\0`, `${'x'.repeat(40)}\ud800`]; // prettier-ignore
const JSONS = [{ a: [1, null, 'é\n'] }, '{"a": 1, "a": 2}', '{', '"\\u0000"', '"\\ud800"', ' 1 ', { deep: { x: 'y'.repeat(20_000) } }, { big: 10n }, '{"a":1e400}']; // prettier-ignore
const UUIDS = ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', 'a0eebc999c0b4ef8bb6d6bb9bd380a11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1', 'g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']; // prettier-ignore
const BYTES = [Buffer.alloc(0), Buffer.alloc(200_000, 7), new Uint8Array([1, 2, 3]).subarray(1), new Uint16Array([513]), new Uint8Array([9]).buffer, new DataView(new ArrayBuffer(3), 1), new SharedArrayBuffer(2), '\\x00ff', '\\x0', 'a\\\\b']; // prettier-ignore

const CASES: readonly (readonly [type: string, values: readonly unknown[]])[] = [
  ['bool', ['f', 'false', 'true', 'on', 'n']],
  ...['int2', 'int4', 'int8', 'oid', 'small_domain'].map((type) => [type, INTEGERS] as const),
  ...['float4', 'float8'].map((type) => [type, FLOATS] as const),
  ...['numeric', 'numeric(7,2)'].map((type) => [type, [...NUMERICS, ...INTEGERS, ...FLOATS]] as const),
  ...['date', 'timestamp', 'timestamptz', 'timestamp(0)', 'timestamptz(2)'].map(
    (type) => [type, MOMENTS] as const,
  ),
  ...['text', 'varchar', 'varchar(5)', 'char(4)', 'name', 'word_domain'].map(
    (type) => [type, TEXTS] as const,
  ),
  ...['json', 'jsonb'].map((type) => [type, JSONS] as const),
  ['uuid', UUIDS],
  ['bytea', BYTES],
  ['colour', ['red', 'blue', 'grün', 'Red', 'x'.repeat(70)]],
];

const TYPES = `CREATE TYPE colour AS ENUM ('red', 'blue', 'grün');
  CREATE DOMAIN small_domain AS int4 CHECK (VALUE < 100) NOT NULL;
  CREATE DOMAIN word_domain AS varchar(6) CHECK (VALUE <> 'x')`;

describe('each value by itself: what is stored, and what is refused in which words', () => {
  test.each(CASES)('%s', async (type, values) => {
    await database.query(
      `DO $$ BEGIN ${TYPES}; EXCEPTION WHEN duplicate_object THEN NULL; END $$`.replaceAll('\n', ' '),
    );
    const ways = await bothWays(type);
    let inBinary = 0;
    for (const value of [...OTHERS, ...values, null, undefined]) {
      if (await ways.compare([value])) inBinary += 1;
    }
    expect(inBinary).toBeGreaterThan(3);
  });
});

describe('random values that binary takes', () => {
  const storable = fc
    .string({ unit: 'binary', maxLength: 120 })
    .map((text) => text.replaceAll('\0', ''))
    .filter((text) => text.isWellFormed());
  const date = fc.date({
    min: new Date('0001-01-01T00:00:00Z'),
    max: new Date('9999-12-31T23:59:59.999Z'),
    noInvalidDate: true,
  });
  const moment = date.map((day) => day.toISOString());
  const recent = fc
    .date({
      min: new Date('1700-01-01T00:00:00Z'),
      max: new Date('2250-01-01T00:00:00Z'),
      noInvalidDate: true,
    })
    .map((day) => day.toISOString());
  const float = fc.double().filter((value) => {
    const size = Math.abs(value);
    return !(size > 3.4e38 && size < Infinity) && !(size < 1.2e-38 && size > 0);
  });
  const decimal = fc
    .tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.integer({ min: 1, max: 20 }), fc.nat())
    .map(([whole, places, part]) => `${whole}.${String(part).padStart(places, '0')}`);
  const safe = fc.maxSafeInteger();
  test.each<[string, fc.Arbitrary<unknown>]>([
    ['int4', fc.oneof(fc.integer(), fc.integer().map(String))],
    [
      'int8',
      fc.oneof(
        safe,
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).chain((n) => fc.constantFrom(n, String(n))),
      ),
    ],
    [
      'float8',
      fc.oneof(
        fc.double(),
        fc.tuple(safe, fc.nat()).map(([a, b]) => `${a}.${b}`),
      ),
    ],
    ['float4', fc.oneof(float, fc.float())],
    ['numeric', fc.oneof(decimal, safe, fc.bigInt({ min: -(10n ** 60n), max: 10n ** 60n }))],
    ['text', storable],
    [
      'jsonb',
      fc
        .jsonValue()
        .filter((value) => !/\\u(0000|d[89a-f])/i.test(JSON.stringify(value)) && typeof value !== 'string'),
    ],
    ['bytea', fc.uint8Array({ maxLength: 300 })],
    ['uuid', fc.uuid()],
    [
      'date',
      fc.oneof(
        date,
        date.map((day) => day.toISOString().slice(0, 10)),
      ),
    ],
    [
      'timestamptz',
      fc.oneof(
        date,
        moment.map((text) => text.replace(/\.\d+/, '')),
        recent,
      ),
    ],
    [
      'timestamp',
      fc.oneof(
        date,
        recent.map((text) => text.slice(0, -1).replace('T', ' ')),
      ),
    ],
  ])('%s', async (type, value) => {
    // prettier-ignore
    const ways = await bothWays(type);
    let batches = 0;
    let inBinary = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.option(value), { minLength: 1, maxLength: 80 }), async (values) => {
        batches += 1;
        if (await ways.compare(values)) inBinary += 1;
      }),
      fastCheckRuns(25),
    );
    // Shrinking aside, all: but for what lies halfway between two of `float4`.
    expect(inBinary).toBeGreaterThan(type === 'float4' ? batches / 3 : batches - 1);
  });
});

describe('a table that is no longer what it was', () => {
  const moment = new Date('2001-01-05T10:20:00Z');
  test.each<[before: string, after: string, value: unknown, later?: unknown]>([
    ['int4', 'float4', 7],
    ['int4', 'date', 20010105, moment],
    ['float8', 'timestamptz', 20010105, moment],
    ['timestamptz', 'timestamp', moment],
    ['int8', 'int4', 12],
    ['int2', 'int8', 12],
    ['text', 'jsonb', '{"a":1}'],
  ])(
    '%s has become %s: what is stored is what text would store',
    async (before, after, value, later = value) => {
      const table = await database.table(`n int, v ${before}`);
      const { pool, copies } = watchedPool();
      const copy = copyInto<unknown[]>(pool, { table, format: 'binary' });
      await copy([[0, null]], flushContext());
      await database.query(`ALTER TABLE ${table} DROP COLUMN v, ADD COLUMN v ${after}`);
      const write = (n: number, v: unknown) => copy([[n, v]], flushContext());
      await write(1, value);
      copies.length = 0;
      // By now the table has been looked up again.
      await write(2, later);
      expect(copies.map(formatOf)).toEqual(['binary']);
      const plain = await database.table(`n int, v ${after}`);
      await database.query(
        `INSERT INTO ${plain} VALUES (1, '${String(value)}'), (2, $1)`.replace(`'${String(moment)}'`, '$1'),
        [later],
      );
      const read = (from: string) => database.query(`SELECT n, v::text FROM ${from} WHERE n > 0 ORDER BY n`);
      expect(await read(table)).toEqual(await read(plain));
    },
  );

  test('a session that reads text in another encoding stores the same characters', async () => {
    const table = await database.table('v text');
    const { pool, copies } = watchedPool("SET client_encoding = 'LATIN1'");
    const copy = copyInto<unknown[]>(pool, { table, format: 'binary' });
    await copy([['é ü']], flushContext());
    expect(await database.query(`SELECT v FROM ${table}`)).toEqual([{ v: 'é ü' }]);
    expect(copies.map(formatOf)).toEqual(['binary', 'text']);
  });
});

describe('which format', () => {
  const load = async (columns: string, options: Partial<CopyOptions<unknown[]>>, batches: unknown[][][]) => {
    const table = await database.table(columns);
    const { pool, copies } = watchedPool();
    const copy = copyInto<unknown[]>(pool, { table, ...options });
    for (const batch of batches) await copy(batch, flushContext()).catch((error: unknown) => {
      if (!(error instanceof CopyError) || error.failureClass !== 'row') throw error;
    }); // prettier-ignore
    return copies.map(formatOf);
  };

  test('is measured by type where nothing is asked for', async () => {
    const date = new Date(0);
    expect(await load('a int, b timestamptz, c float8', {}, [[[1, date, 0.5]]])).toEqual(['binary']);
    expect(await load('a text, b text', {}, [[['x', 'y']]])).toEqual(['text']);
    expect(await load('a timestamptz, b int[]', {}, [[[date, [1]]]])).toEqual(['text']);
    expect(await load('a timestamptz', { format: 'text' }, [[[date]]])).toEqual(['text']);
    expect(await load('a text', { format: 'binary' }, [[['x']]])).toEqual(['binary']);
  });

  test("'auto' stays with text for some batches after one that could not be sent, 'binary' tries each", async () => {
    const fine = [[0.5]];
    const odd = [['1e3']];
    const batches = [odd, ...new Array<unknown[][]>(9).fill(fine)];
    const asText = new Array<string>(8).fill('text');
    expect(await load('a float8', {}, batches)).toEqual(['binary', 'text', ...asText, 'binary']);
    expect(await load('a float8', { format: 'binary' }, [odd, odd, fine])).toEqual(['binary', 'text', 'binary', 'text', 'binary']); // prettier-ignore
  });

  test('a row at fault that is noticed here costs the batch no other attempt', async () => {
    const table = await database.table('id int, t text, at timestamptz');
    const { pool, copies } = watchedPool();
    const copy = copyInto<object>(pool, { table, format: 'binary' });
    const at = new Date(0);
    const rows = [{ id: 1, t: 'a', at }, { id: 2, t: 'b\0', at }, { id: 3, t: 'c', at, extra: 1 }, { id: 'x'.repeat(3).length, t: '\ud800', at }, { id: 5, t: 'é', at }]; // prettier-ignore
    const result = await copy(rows, { ...flushContext(), takesFailures: true });
    expect(copies.map(formatOf)).toEqual(['binary']);
    expect(result?.errors.map((error) => (error as { index?: number }).index)).toEqual([1, 2, 3]);
    expect(await database.query(`SELECT id FROM ${table} ORDER BY id`)).toEqual([{ id: 1 }, { id: 5 }]);
  });

  test("'binary' where a type has no binary encoder: an error of the set-up that names column and type", async () => {
    const table = await database.table('a int, b interval[]');
    const copy = copyInto<unknown[]>(database.pool(), { table, format: 'binary' });
    await expect(copy([[1, null]], flushContext())).rejects.toMatchObject({
      failureClass: 'setup',
      column: 'b',
      message: expect.stringContaining('column "b" (interval[])') as string,
    });
  });

  test('a row larger than what both formats take goes as text', async () => {
    const table = await database.table('a bytea');
    const { pool, copies } = watchedPool();
    const copy = copyInto<unknown[]>(pool, { table, format: 'binary' });
    await copy([[Buffer.alloc(65 * 1024 * 1024)]], flushContext());
    expect(copies.map(formatOf)).toEqual(['binary', 'text']);
    expect(await database.query(`SELECT length(a) FROM ${table}`)).toEqual([{ length: 68157440 }]);
  });
});
