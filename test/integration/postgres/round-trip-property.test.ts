/** Whatever is put in comes out: random values through a real server. */

import fc from 'fast-check';
import type pg from 'pg';
import { beforeEach, describe, expect, test } from 'vitest';
import { copyInto } from '../../../src/postgres/index.js';
import { flushContext, useTestDatabase } from '../../support/postgres.js';
import { fastCheckRuns } from '../../support/test-runs.js';

const database = useTestDatabase();

const storable = fc
  .string({ unit: 'binary', maxLength: 120 })
  .map((text) => text.replaceAll('\0', ''))
  .filter((text) => text.isWellFormed());
/** What COPY's own marks, arrays and JSON are made of, much more often than chance would have it. */
const nasty = fc
  .array(
    fc.constantFrom(
      '\\',
      '\\N',
      '\\.',
      '\t',
      '\n',
      '\r',
      '"',
      "'",
      ',',
      '{',
      '}',
      '(',
      ')',
      'NULL',
      ' ',
      '\b',
      '\v',
      'é',
      '🎉',
      'x',
    ),
    {
      maxLength: 12,
    },
  )
  .map((parts) => parts.join(''));
const text = fc.oneof(storable, nasty);

let tables = 0;
let pool: pg.Pool;

beforeEach(() => {
  pool = database.pool();
});

/** Copies all values as one batch and reads them back in order. */
async function roundTrip(type: string, values: readonly unknown[], read: string): Promise<unknown[]> {
  const table = `p${String((tables += 1))}`;
  await database.query(`CREATE TABLE ${table} (n int, v ${type})`);
  const copy = copyInto<unknown[]>(pool, { table });
  await copy(values.map((value, n) => [n, value]), flushContext()); // prettier-ignore
  const rows = await database.query<{ v: unknown }>(`SELECT ${read} AS v FROM ${table} ORDER BY n`);
  await database.query(`DROP TABLE ${table}`);
  return rows.map(({ v }) => v);
}

const batchOf = <T>(value: fc.Arbitrary<T>) => fc.array(value, { minLength: 1, maxLength: 60 });
const runs = fastCheckRuns(40);

describe('random values come back as they went', () => {
  test('text', async () => {
    await fc.assert(
      fc.asyncProperty(batchOf(fc.option(text)), async (values) => {
        expect(await roundTrip('text', values, 'v')).toEqual(values);
      }),
      runs,
    );
  });

  test('bytea', async () => {
    await fc.assert(
      fc.asyncProperty(batchOf(fc.uint8Array({ maxLength: 300 })), async (values) => {
        expect(await roundTrip('bytea', values, 'v')).toEqual(values.map((bytes) => Buffer.from(bytes)));
      }),
      runs,
    );
  });

  test('jsonb, any value but bare strings, which are JSON text', async () => {
    const json = fc
      .jsonValue({ noUnicodeString: false })
      .filter((value) => typeof value !== 'string' && value !== null)
      .filter(
        (value) => !JSON.stringify(value).includes('\\u0000') && !/\\ud[89a-f]/i.test(JSON.stringify(value)),
      )
      // PostgreSQL's numbers have no −0, and are exact where JavaScript's are not.
      .map((value) => JSON.parse(JSON.stringify(value)) as unknown);
    await fc.assert(
      fc.asyncProperty(batchOf(json), async (values) => {
        const read = await roundTrip('jsonb', values, 'v::text');
        expect(read.map((each) => JSON.parse(each as string) as unknown)).toEqual(values);
      }),
      runs,
    );
  });

  test('arrays of text', async () => {
    await fc.assert(
      fc.asyncProperty(batchOf(fc.array(fc.option(text), { maxLength: 8 })), async (values) => {
        expect(await roundTrip('text[]', values, 'v')).toEqual(values);
      }),
      runs,
    );
  });

  test('arrays of two dimensions', async () => {
    const matrix = fc
      .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }))
      .chain(([rows, columns]) =>
        fc.array(fc.array(fc.integer(), { minLength: columns, maxLength: columns }), {
          minLength: rows,
          maxLength: rows,
        }),
      );
    await fc.assert(
      fc.asyncProperty(batchOf(matrix), async (values) => {
        expect(await roundTrip('int[]', values, 'v')).toEqual(values);
      }),
      runs,
    );
  });

  test('numbers: double precision and numeric hold every number exactly', async () => {
    const double = fc.double({ noNaN: true });
    await fc.assert(
      fc.asyncProperty(batchOf(double), async (values) => {
        expect(await roundTrip('float8', values, 'v')).toEqual(values.map((value) => value + 0));
      }),
      runs,
    );
    await fc.assert(
      fc.asyncProperty(batchOf(fc.double({ noNaN: true, noDefaultInfinity: true })), async (values) => {
        const read = await roundTrip('numeric', values, 'v');
        expect(read.map(Number)).toEqual(values.map((value) => value + 0));
      }),
      runs,
    );
  });

  test('numeric from bigint and from strings of any length', async () => {
    const digits = fc.tuple(fc.bigInt(), fc.nat({ max: 10 ** 9 })).map(([whole, part]) => `${whole}.${part}`);
    await fc.assert(
      fc.asyncProperty(batchOf(fc.oneof(fc.bigInt(), digits)), async (values) => {
        expect(await roundTrip('numeric', values, 'v')).toEqual(values.map(String));
      }),
      runs,
    );
  });

  test('int8 from bigint', async () => {
    const int8 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    await fc.assert(
      fc.asyncProperty(batchOf(int8), async (values) => {
        expect(await roundTrip('int8', values, 'v')).toEqual(values.map(String));
      }),
      runs,
    );
  });

  test('timestamps, to the millisecond, over all years that both sides know', async () => {
    const date = fc.date({
      min: new Date('-004000-01-01T00:00:00Z'),
      max: new Date('+200000-01-01T00:00:00Z'),
      noInvalidDate: true,
    });
    await fc.assert(
      fc.asyncProperty(batchOf(date), async (values) => {
        for (const type of ['timestamptz', 'timestamp']) {
          const read = await roundTrip(type, values, '(extract(epoch FROM v) * 1000)::int8::text');
          expect(read.map(Number)).toEqual(values.map((value) => value.getTime()));
        }
      }),
      runs,
    );
  });
});
