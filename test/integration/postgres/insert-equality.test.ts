/**
 * `copyInto` stores what node-postgres' INSERT of the same value stores, or refuses the value by its column's name (invariant 12): by each
 * format, with and without the isolation of bad rows, in several time zones of the process and of the session.
 */

import vm from 'node:vm';
import fc from 'fast-check';
import pg from 'pg';
import { afterEach, describe, expect, test } from 'vitest';
import { copyInto } from '../../../src/postgres/index.js';
import { compareWithInsert } from '../../support/insert-twin.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { flushContext, useTestDatabase } from '../../support/postgres.js';
import { fastCheckRuns, testRuns, testSeed } from '../../support/test-runs.js';

const database = useTestDatabase();

const ZONES = ['Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Pacific/Apia', 'UTC'] as const;
/** In 1970, in minutes west of UTC. */
const OFFSETS = {
  'Europe/Berlin': -60,
  'America/New_York': 300,
  'Asia/Kolkata': -330,
  'Pacific/Apia': 660,
  UTC: 0,
};
const runs = { ...fastCheckRuns(1), endOnFailure: true };

const zoneOfProcess = process.env['TZ'];
afterEach(() => {
  setZone(zoneOfProcess);
  pg.defaults.parseInputDatesAsUTC = false;
});

function setZone(zone: string | undefined): void {
  if (zone === undefined) delete process.env['TZ'];
  else process.env['TZ'] = zone;
  // Asks for the local time once, so that the engine forgets the zone before.
  new Date(0).getTimezoneOffset();
}

const poolIn = (session: string) => database.pool({ options: `-c timezone=${session}`, max: 4 });

const at = (...times: (string | number)[]) => times.map((time) => new Date(time));

/** Clocks change, calendars end, offsets have seconds, a day is left out (Apia, 2011-12-30). */
const SPECIAL_DATES = at(
  0,
  '2024-03-31T00:59:59.999Z',
  '2024-03-31T01:00:00Z',
  '2024-10-27T00:30:00Z',
  '2024-10-27T01:30:00Z',
  '2024-03-10T06:59:59Z',
  '2024-03-10T07:00:00Z',
  '2024-11-03T05:30:00Z',
  '2024-11-03T06:30:00Z',
  '2011-12-29T10:00:00Z',
  '2011-12-30T09:59:59.999Z',
  '2011-12-30T10:00:00Z',
  '1972-12-31T23:59:59.999Z',
  '1973-01-01T00:00:00Z',
  '1945-05-24T01:00:00Z',
  '1941-10-01T12:00:00Z',
  '1906-01-01T00:00:00Z',
  '1899-12-31T23:59:59.999Z',
  '1893-03-31T23:06:32Z',
  '1883-11-18T17:00:00Z',
  '1879-01-01T00:00:00Z',
  '1850-06-07T08:09:10.011Z',
  '0099-12-31T23:59:59Z',
  '0001-01-01T00:00:00Z',
  '0000-12-31T23:59:59.999Z',
  '-000043-03-15T12:34:56.070Z',
  '-004712-06-01T00:00:00Z',
  '9999-12-31T23:59:59.999Z',
  '+010000-01-01T00:00:00Z',
  '+012345-06-07T08:09:10.011Z',
  8.64e15,
  -8.64e15,
  NaN,
);

const anyDate = (min: string, max: string) =>
  fc.date({ min: new Date(min), max: new Date(max), noInvalidDate: true });
const randomDates = fc.array(
  fc.oneof(
    anyDate('1973-01-01T00:00:00Z', '2050-01-01T00:00:00Z'),
    anyDate('1840-01-01T00:00:00Z', '1973-01-01T00:00:00Z'),
    anyDate('-004712-01-01T00:00:00Z', '+030000-01-01T00:00:00Z'),
  ),
  { minLength: 20, maxLength: 30 },
);

/** As libraries have them: its methods read the clock of another time zone than the process. */
class DateElsewhere extends Date {
  override getTimezoneOffset(): number {
    return 210;
  }
  override getFullYear(): number {
    return this.#shifted.getUTCFullYear();
  }
  override getMonth(): number {
    return this.#shifted.getUTCMonth();
  }
  override getDate(): number {
    return this.#shifted.getUTCDate();
  }
  override getHours(): number {
    return this.#shifted.getUTCHours();
  }
  override getMinutes(): number {
    return this.#shifted.getUTCMinutes();
  }
  get #shifted(): Date {
    return new Date(this.getTime() - 210 * 60_000);
  }
}

const MOMENT = new Date('2024-05-17T22:30:00.123Z');
const ODD_DATES: readonly unknown[] = [
  new DateElsewhere(MOMENT.getTime()),
  new DateElsewhere(-3e12),
  vm.runInNewContext('new Date(1715985000123)'),
  Object.assign(new Date(MOMENT), { toPostgres: () => 'not asked' }),
  { toPostgres: () => MOMENT },
  { toPostgres: (prepare: (value: unknown) => unknown) => prepare(MOMENT) },
];

const DATE_TYPES = [
  'date',
  'timestamp',
  'timestamp(0)',
  'timestamptz',
  'timestamptz(1)',
  'text',
  'varchar(30)',
  'time',
  'timetz',
  'jsonb',
];

describe.each(ZONES)('dates, process in %s', (zone) => {
  test.each(['UTC', zone === 'Europe/Berlin' ? 'America/New_York' : 'Europe/Berlin', zone])(
    'session in %s: no difference to INSERT',
    async (session) => {
      setZone(zone);
      expect(new Date(0).getTimezoneOffset()).toBe(OFFSETS[zone]);
      const pool = poolIn(session);
      const differences = async (dates: readonly unknown[]) => {
        const found = [];
        for (const type of DATE_TYPES) found.push(...(await compareWithInsert(pool, type, dates)));
        const arrays = dates.map((date) => [date, null]);
        for (const type of ['date[]', 'timestamptz[]', 'text[]']) {
          found.push(...(await compareWithInsert(pool, type, arrays)));
        }
        return found;
      };
      if (session !== zone) expect(await differences([...SPECIAL_DATES, ...ODD_DATES])).toEqual([]);
      else {
        await fc.assert(
          fc.asyncProperty(randomDates, async (dates) => {
            expect(await differences(dates)).toEqual([]);
          }),
          runs,
        );
      }
    },
  );
});

/**
 * Read by pg's own parsers, what was written comes back. Left out: in `timestamp` the second of two equal hours in autumn, and in
 * `timestamptz` offsets with seconds, of which INSERT, too, stores another instant.
 */
test.each(ZONES)('random dates and timestamps come back as they went, process in %s', async (zone) => {
  setZone(zone);
  const count = testRuns(2_000);
  const random = new SeededRandom(testSeed(2_000)).next;
  const between = (from: number, to: number) => Math.floor(from + random() * (to - from));
  const [first, last] = [Date.parse('0001-02-01'), Date.UTC(9999, 11, 1)];
  const rows = Array.from({ length: count }, (_, n) => {
    const time = between(
      n % 2 === 0 ? first : Date.UTC(1890, 0, 1),
      n % 2 === 0 ? last : Date.UTC(2050, 0, 1),
    );
    const moment = new Date(time);
    const day = new Date(moment);
    day.setHours(0, 0, 0, 0);
    const again = new Date(2000, 0, 1);
    again.setFullYear(moment.getFullYear(), moment.getMonth(), moment.getDate());
    again.setHours(moment.getHours(), moment.getMinutes(), moment.getSeconds(), moment.getMilliseconds());
    const isFirst = again.getTime() === time;
    return [n, day, isFirst ? moment : null, new Date(Math.max(time, Date.UTC(1973, 0, 1)))];
  });
  const pool = poolIn(zone === 'UTC' ? 'Asia/Kolkata' : 'UTC');
  for (const format of ['text', 'binary'] as const) {
    const table = await database.table('n int, d date, t timestamp, z timestamptz');
    const copy = copyInto<unknown[]>(pool, { table, format });
    await copy(rows, flushContext());
    const read = await pool.query({ text: `SELECT n, d, t, z FROM ${table} ORDER BY n`, rowMode: 'array' });
    expect(read.rows.filter((row, n) => !isSameRow(row as unknown[], rows[n]!))).toEqual([]);
    // What was read is written again, and is the same in the database.
    const second = await database.table('n int, d date, t timestamp, z timestamptz');
    await copyInto<unknown[]>(pool, { table: second, format })(read.rows as unknown[][], flushContext());
    expect(await database.query(`SELECT * FROM ${table} EXCEPT SELECT * FROM ${second}`)).toEqual([]);
  }
});

function isSameRow(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.every((value, index) => (value === null ? b[index] === null : Number(value) === Number(b[index])));
}

test('parseInputDatesAsUTC of the pool’s own pg: no difference to INSERT, also when it changes later', async () => {
  setZone('Asia/Kolkata');
  const pool = poolIn('America/New_York');
  pg.defaults.parseInputDatesAsUTC = true;
  const dates = [...SPECIAL_DATES, ...ODD_DATES];
  for (const type of DATE_TYPES) expect(await compareWithInsert(pool, type, dates)).toEqual([]);

  const table = await database.table('n int, d date, t timestamp, x text');
  const late = new Date('2024-05-17T22:30:00Z');
  const row = (n: number) => [n, late, late, late];
  // A pool that does not show its client's class.
  const copy = copyInto<unknown[]>({ connect: () => pool.connect() }, { table });
  await copy([row(1)], flushContext());
  pg.defaults.parseInputDatesAsUTC = false;
  await copy([row(2)], flushContext());
  pg.defaults.parseInputDatesAsUTC = true;
  await copy([row(3)], flushContext());
  expect(await database.query(`SELECT n, d::text, t::text, x FROM ${table} ORDER BY n`)).toEqual([
    { n: 1, d: '2024-05-17', t: '2024-05-17 22:30:00', x: '2024-05-17T22:30:00.000+00:00' },
    { n: 2, d: '2024-05-18', t: '2024-05-18 04:00:00', x: '2024-05-18T04:00:00.000+05:30' },
    { n: 3, d: '2024-05-17', t: '2024-05-17 22:30:00', x: '2024-05-17T22:30:00.000+00:00' },
  ]);
});

test.each([
  ['local', '2024-05-18', '2024-05-18 04:00:00'],
  ['utc', '2024-05-17', '2024-05-17 22:30:00'],
] as const)("the option dates: '%s' counts, whatever the client's setting is", async (dates, day, moment) => {
  setZone('Asia/Kolkata');
  const late = new Date('2024-05-17T22:30:00Z');
  for (const format of ['text', 'binary'] as const) {
    pg.defaults.parseInputDatesAsUTC = dates === 'local';
    const table = await database.table('d date, t timestamp, z timestamptz');
    await copyInto<unknown[]>(database.pool(), { table, dates, format })(
      [[late, late, late]],
      flushContext(),
    );
    expect(await database.query(`SELECT d::text, t::text, z::text FROM ${table}`)).toEqual([
      { d: day, t: moment, z: '2024-05-17 22:30:00+00' },
    ]);
  }
});

describe('values', () => {
  const odd: unknown[] = [
    1, 0, -0, 1.5, -7, 1e21, 1e-7, 123456.789, NaN, Infinity, -Infinity, 2 ** 31, 2 ** 53, 1e300, 0.1, 3.4028236e38, 1n, 0n, -5n, 2n ** 70n,
    true, false, '', ' ', '1', '-0', '1e3', '007', 'x', 'null', 'NULL', '\\N', '\\.', 'a\tb\n\\', 'é🎉', '{}', '{1,2}', '{"a": 1.10}', '[1]', '101',
    'aaa       ', 'ab  ', 'abcd', '1.005', '2024-01-01', '12:30', '1 day', '(1,2)', '[1,5)', '10.0.0.1', 't', 'true', '$5',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '\\x0102', null, undefined,
    [1, 2], [[1, 2], [3, 4]], [[[1]], [[2]]], [null, undefined], ['a"b\\', ''], [1.5, -0], [true, false], [{ a: [1] }], [[{ a: 1 }], [{ b: 2 }]],
    [Buffer.from('ab')], [2n ** 63n - 1n], [''], ['null'],
    { a: 1, b: [null, { c: 'x"y' }] }, { toPostgres: () => null }, { toPostgres: () => undefined }, { toPostgres: () => 7 }, { toPostgres: () => '1' },
    { toPostgres: () => ({ toPostgres: () => '7' }) }, { toPostgres: () => [1, 2] }, { toPostgres: () => ({ a: 1 }) },
    { toPostgres: () => Buffer.from('abc') },
    { toPostgres: (prepare: (value: unknown) => string) => prepare([1, [null, 'x"']]) },
    { toPostgres: (prepare: (value: unknown) => unknown) => prepare({ a: 1 }) }, { toJSON: () => ({ a: 1 }) }, { toJSON: () => 'x' }, { toJSON: () => 5 },
    new Map([[1, 2]]), new Set([1]), new String('s'), new Number(5), new Boolean(true), Symbol('s'), () => 1,
    Buffer.from('abc'), Buffer.alloc(0), new Uint8Array([1, 92, 255]), new DataView(new ArrayBuffer(2)), vm.runInNewContext('new Uint8Array([1, 2])'),
    vm.runInNewContext('[1, 2]'), vm.runInNewContext('({ a: 1 })'),
  ]; // prettier-ignore
  const TYPES = [
    'text', 'varchar(3)', 'char(3)', 'bpchar', '"char"', 'name', 'bool', 'int2', 'int4', 'int8', 'oid', 'float4', 'float8', 'numeric', 'numeric(4,1)',
    'money', 'json', 'jsonb', 'bytea', 'uuid', 'inet', 'cidr', 'macaddr', 'bit(3)', 'varbit(2)', 'xml', 'point', 'circle', 'box', 'interval', 'interval(1)',
    'time(1)', 'timetz', 'date', 'timestamp', 'timestamptz', 'int4range', 'daterange', 'mood', 'pair', 'positive', 'words', 'regclass', 'pg_lsn',
    'text[]', 'varchar(2)[]', 'char(3)[]', 'int4[]', 'int8[]', 'float8[]', 'numeric(4,1)[]', 'bool[]', 'json[]', 'jsonb[]', 'bytea[]', 'uuid[]',
    'date[]', 'interval[]', 'mood[]', 'positive[]',
  ]; // prettier-ignore
  const anything = fc.oneof(
    fc.integer(),
    fc.double(),
    fc.float(),
    fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }),
    fc.boolean(),
    fc
      .string({ unit: 'binary', maxLength: 20 })
      .filter((text) => !text.includes('\0') && text.isWellFormed()),
    fc.tuple(fc.maxSafeInteger(), fc.nat()).map(([whole, part]) => `${whole}.${part}`),
    fc.uint8Array({ maxLength: 20 }),
    fc.array(fc.oneof(fc.integer(), fc.double(), fc.boolean(), fc.constant(null)), { minLength: 1 }),
    fc.array(fc.string({ maxLength: 8 }), { minLength: 1 }),
    fc.dictionary(fc.string({ maxLength: 5 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 }),
  );
  const randomValues = fc.array(anything, { minLength: 40, maxLength: 40 });

  test('a value of any kind is stored in any type as INSERT stores it', async () => {
    await database.query(`
      CREATE TYPE mood AS ENUM ('1', 'true', 'x'); CREATE TYPE pair AS (a int, b text);
      CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE DOMAIN words AS text[];`);
    setZone('America/New_York');
    const pool = poolIn('Asia/Kolkata');
    await fc.assert(
      fc.asyncProperty(randomValues, async (values) => {
        const differences = [];
        for (const type of TYPES)
          differences.push(...(await compareWithInsert(pool, type, [...odd, ...values])));
        expect(differences).toEqual([]);
      }),
      runs,
    );
  });

  test('an empty array into jsonb, and an ArrayBuffer into bytea, are stored as what they are', async () => {
    const table = await database.table('j jsonb, b bytea');
    const row = [[], new Uint8Array([7]).buffer];
    await copyInto<unknown[]>(database.pool(), { table })([row], flushContext());
    await database.query(`INSERT INTO ${table} VALUES ($1, $2)`, row);
    expect(await database.query(`SELECT j::text, b::text FROM ${table}`)).toEqual([
      { j: '[]', b: '\\x07' },
      { j: '{}', b: '\\x7b7d' },
    ]);
  });
});
