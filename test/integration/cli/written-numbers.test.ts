/** Numbers of NDJSON reach the table as they are written, whichever path their records take; `--create` takes only plain decimals for numbers. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectSame, loadBy, PIPELINES } from '../../support/both-pipelines.js';
import { useTestDatabase } from '../../support/postgres.js';
import { fastCheckRuns } from '../../support/test-runs.js';

const database = useTestDatabase();
let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'spillway-numbers-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const digits = (most: number) =>
  fc
    .array(fc.constantFrom('0', '0', '1', '2', '5', '9'), { minLength: 1, maxLength: most })
    .map((all) => all.join(''));
const numbers = fc
  .tuple(
    fc.constantFrom('', '', '-'),
    digits(22).map((all) => all.replace(/^0+(?=\d)/, '')),
    fc.oneof(
      fc.constant(''),
      digits(22).map((all) => `.${all}`),
      fc.constantFrom('.0', '.10', '.00'),
    ),
    fc.oneof(
      { weight: 3, arbitrary: fc.constant('') },
      fc.constantFrom('e5', 'E5', 'e+2', 'e-3', 'E-10', 'e0'),
    ),
  )
  .map((parts) => parts.join(''));
const USUAL = [
  '1.10',
  '1e400',
  '12345678901234567890',
  '-0',
  '-0.0',
  '1E5',
  '1.0',
  '1e2',
  '0.0000001',
  '1e21',
  '100000000000000000000.50',
];

/** What the server makes of the number's own literal. */
const EXPECTED = `SELECT v AS t, v::varchar AS c, v::json::text AS j, v::jsonb::text AS b, v::numeric::text AS n,
  ('[' || v || ']')::jsonb::text AS e, ARRAY[v]::text AS ta, ARRAY[v::numeric]::text AS na, ARRAY[v::jsonb]::text AS ba
  FROM (SELECT $1::text AS v) AS given`;
const COLUMNS =
  'a int, t text, c varchar, j json, b jsonb, n numeric, e jsonb, ta text[], na numeric[], ba jsonb[]';

test.each(PIPELINES)('numbers are stored as they are written: %s', async (_name, pipeline, rejects) => {
  await fc.assert(
    fc.asyncProperty(fc.array(numbers, { minLength: 20, maxLength: 20 }), async (more) => {
      const all = [...USUAL, ...more];
      const table = await database.table(COLUMNS);
      const file = path.join(directory, 'input.ndjson');
      const lines = all.map(
        (n, a) =>
          `{"a":${a},"t":${n},"c": ${n} ,"j":${n},"b":${n},"n":${n},"e":[ ${n} ],"ta":[${n}],"na":[${n}],"ba":[${n}]}\n`,
      );
      // An escaped key takes the slow path, unlike the records around it.
      await writeFile(
        file,
        lines.map((line, n) => (n % 3 === 0 ? line.replace('"t"', '"\\u0074"') : line)).join(''),
      );
      const args = rejects ? ['--rejects', path.join(directory, `rejects-${table}`)] : [];
      await loadBy(pipeline, file, table, database.url, args);
      const rows = await database.query(
        `SELECT t, c, j::text, b::text, n::text, e::text, ta::text, na::text, ba::text FROM ${table} ORDER BY a`,
      );
      const expected = [];
      for (const n of all) expected.push(...(await database.query(EXPECTED, [n])));
      expect(rows).toEqual(expected);
    }),
    { ...fastCheckRuns(3), endOnFailure: true },
  );
});

test('integer and floating columns: both pipelines take and refuse the same numbers', async () => {
  const ground = {
    database,
    directory,
    fileName: 'both.ndjson',
    columns: 'a int, i int4, l int8, o oid, f float8, g float4, p bool, d date, m money',
  };
  const columns = fc.constantFrom('i', 'l', 'o', 'f', 'g', 'p', 'd', 'm');
  const odd = fc.constantFrom(...USUAL, '1', '0', '0.0', '10e-1', '2147483648', '1.5', '1.50', '20240517');
  const line = fc.tuple(columns, fc.oneof(odd, numbers)).map(([column, n]) => `{"a":1,"${column}":${n}}\n`);
  await fc.assert(
    fc.asyncProperty(fc.array(line, { minLength: 5, maxLength: 12 }), async (lines) => {
      await expectSame(ground, Buffer.from(lines.join('')), [], true);
    }),
    { ...fastCheckRuns(10), endOnFailure: true },
  );
});

test('whole numbers go into integer columns by their value', async () => {
  const table = await database.table('a int, i int4');
  const file = path.join(directory, 'whole.ndjson');
  await writeFile(file, ['1.0', '1e2', '-0', '120e-1'].map((n, a) => `{"a":${a},"i":${n}}\n`).join(''));
  for (const [, pipeline] of PIPELINES.slice(0, 2))
    await loadBy(pipeline, file, table, database.url, ['--truncate']);
  expect(await database.query(`SELECT i FROM ${table} ORDER BY a`)).toEqual([
    { i: 1 },
    { i: 100 },
    { i: 0 },
    { i: 12 },
  ]);
});

test('a rejected number is in the file of rejects as it is written', async () => {
  const table = await database.table('a int CHECK (a < 1), n numeric, b jsonb');
  const file = path.join(directory, 'bad.ndjson');
  const rejects = path.join(directory, 'bad.rejects');
  await writeFile(file, '{"a":5,"n":1.10,"b":[1E5]}\n{"a":0,"n":2,"b":3}\n');
  await loadBy(PIPELINES[0]![1], file, table, database.url, ['--rejects', rejects]);
  expect(await readFile(rejects, 'utf8')).toContain('"row":{"a":5,"n":1.10,"b":[1E5]}');
});

test.each(['int8', 'date', 'timestamptz', 'bytea', 'point', 'int4[]'])(
  'a number that %s does not take is in the file of rejects as it is written',
  async (type) => {
    const numbers = ['1e400', '1715941230123456789.25', '1.10'];
    const table = await database.table(`a int, v ${type}`);
    const file = path.join(directory, 'refused.ndjson');
    const rejects = path.join(directory, `refused-${table}.rejects`);
    await writeFile(file, numbers.map((n, a) => `{"a":${a},"v":${n}}\n`).join(''));
    await loadBy(PIPELINES[0]![1], file, table, database.url, ['--rejects', rejects]);
    const lines = (await readFile(rejects, 'utf8')).trimEnd().split('\n');
    expect(lines.map((line) => /"v":(.*?)\},"code"/.exec(line)?.[1])).toEqual(numbers);
    expect(await database.query(`SELECT a FROM ${table}`)).toEqual([]);
  },
);

test.each(['csv', 'ndjson'])(
  '--create from %s keeps codes and decimals as they are written',
  async (format) => {
    const table = `created_${format}`;
    const values = {
      a: '1',
      code: '12E4',
      zero: '007',
      price: '1.10',
      large: '12345678901234567890',
      share: '0.50',
      plus: '+1',
    };
    const quoted = (key: string, text: string) => (key === 'zero' || key === 'plus' ? `"${text}"` : text);
    const file = path.join(directory, `create.${format}`);
    await writeFile(
      file,
      format === 'csv'
        ? `${Object.keys(values).join(',')}\n${Object.values(values).join(',')}\n`
        : `{${Object.entries(values)
            .map(([key, text]) => `"${key}":${quoted(key, text)}`)
            .join(',')}}\n`,
    );
    await loadBy(PIPELINES[0]![1], file, table, database.url, ['--create']);
    const columns = Object.keys(values).map(
      (key) => `${key}::text AS ${key}, pg_typeof(${key})::text AS ${key}_type`,
    );
    expect(await database.query(`SELECT ${columns.join(', ')} FROM ${table}`)).toEqual([
      {
      ...values,
      a_type: 'bigint', code_type: 'text', zero_type: 'text', price_type: 'numeric', large_type: 'numeric', share_type: 'numeric', plus_type: 'text',
    }, // prettier-ignore
    ]);
  },
);
