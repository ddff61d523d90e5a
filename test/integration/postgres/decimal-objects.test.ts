/** Decimals of libraries into numeric columns: by text, in binary and within arrays. */

import { expect, test } from 'vitest';
import { CopyError } from '../../../src/postgres/errors/copy-error.js';
import { copyInto } from '../../../src/postgres/index.js';
import { flushContext, useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();

/** The shape that decimal.js, big.js, bignumber.js and Prisma's decimals share. */
class Decimal {
  readonly #text: string;
  constructor(text: string) {
    this.#text = text;
  }
  toString(): string {
    return this.#text;
  }
  toJSON(): string {
    return this.#text;
  }
}

const TEXTS = ['1.50', '-0.001', '123456789012345678901234567890.5', '1.5e+30', '2e-7', 'NaN', '0'];

test.each(['text', 'binary', 'auto'] as const)(
  'decimals are stored with their digits, format %s',
  async (format) => {
    const table = await database.table('n int, a numeric, b float8, c numeric(10,1)');
    const rows = TEXTS.map((text, n) => [n, new Decimal(text), new Decimal('0.5'), new Decimal('7.25')]);
    await copyInto<unknown[]>(database.pool(), { table, format })(rows, flushContext());
    const expected = await database.query('SELECT v::numeric::text AS a FROM unnest($1::text[]) WITH ORDINALITY AS t (v, o) ORDER BY o', [TEXTS]); // prettier-ignore
    expect(await database.query(`SELECT a::text, b, c::text FROM ${table} ORDER BY n`)).toEqual(
      expected.map(({ a }) => ({ a, b: 0.5, c: '7.3' })),
    );
  },
);

test('plain decimals keep a batch in binary', async () => {
  const table = await database.table('a numeric');
  const copies: string[] = [];
  const pool = database.pool();
  pool.on('connect', (client) => {
    const submit = client.query.bind(client) as (...args: unknown[]) => unknown;
    (client as { query: unknown }).query = (...args: unknown[]) => {
      const text = typeof args[0] === 'string' ? args[0] : String((args[0] as { text?: string }).text);
      if (text.includes('COPY')) copies.push(/FORMAT (\w+)/.exec(text)![1]!);
      return submit(...args);
    };
  });
  await copyInto<unknown[]>(pool, { table, format: 'binary' })([[new Decimal('1.50')]], flushContext());
  expect(copies).toEqual(['binary']);
  expect(await database.query(`SELECT a::text FROM ${table}`)).toEqual([{ a: '1.50' }]);
});

test('decimals are stored within arrays, and in integer columns where they are whole', async () => {
  const table = await database.table('a numeric[], i int');
  await copyInto<unknown[]>(database.pool(), { table })(
    [[[new Decimal('1.50'), null, new Decimal('2')], new Decimal('7')]],
    flushContext(),
  );
  expect(await database.query(`SELECT a::text, i FROM ${table}`)).toEqual([{ a: '{1.50,NULL,2}', i: 7 }]);
});

test.each<[string, string, unknown]>([
  ['numeric', 'an object whose text is no number', new Decimal('one')],
  ['numeric', 'an object without a string as JSON', { toString: () => '1', toJSON: () => 1 }],
  ['numeric', 'an object without JSON', { toString: () => '1' }],
  ['text', 'a decimal', new Decimal('1.50')],
  ['date', 'a decimal', new Decimal('1.50')],
])('%s refuses %s by its column', async (type, _what, value) => {
  const table = await database.table(`a ${type}`);
  const copied = copyInto<unknown[]>(database.pool(), { table })([[value]], flushContext());
  await expect(copied).rejects.toThrow(CopyError);
  await expect(copied).rejects.toMatchObject({ column: 'a', failureClass: 'row' });
});
