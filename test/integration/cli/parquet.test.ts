/** Parquet by the real command. The files of `test/support/parquet` were written by DuckDB 1.5: see `README.md` there. */

import { copyFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { useCli } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';

const cli = useCli();
const database = useTestDatabase();
const FILES = fileURLToPath(new URL('../../support/parquet/', import.meta.url));

async function fixture(name: string, as = name): Promise<string> {
  await copyFile(path.join(FILES, name), path.join(cli.directory, as));
  return as;
}

function load(...args: string[]) {
  return cli.run(['load', '--to', database.url, '-q', ...args]);
}

/** As the server shows them. */
const TYPES: readonly (readonly [name: string, type: string, first: string, third: string | null])[] = [
  ['id', 'integer', '1', '3'],
  ['i8', 'smallint', '-128', '0'],
  ['u8', 'smallint', '255', '0'],
  ['i16', 'smallint', '-32768', '0'],
  ['u16', 'integer', '65535', '0'],
  ['i32', 'integer', '-2147483648', '0'],
  ['u32', 'bigint', '4294967295', '0'],
  ['i64', 'bigint', '9007199254740993', '-9223372036854775807'],
  ['u64', 'numeric(20,0)', '18446744073709551615', '0'],
  ['f', 'real', '0.1', 'NaN'],
  ['d', 'double precision', '-0', '-Infinity'],
  ['big', 'numeric(38,8)', '-123456789012345678901234567890.12345678', '0.00000000'],
  ['small', 'numeric(9,2)', '-0.05', '0.00'],
  ['day', 'date', '2024-02-29', '0044-03-15 BC'],
  ['clock', 'time without time zone', '23:59:59.000001', '00:00:00'],
  ['at', 'timestamp without time zone', '1969-12-31 23:59:59.5', '9999-12-31 23:59:59.999999'],
  ['moment', 'timestamp with time zone', '2024-01-01 00:00:00.123456+00', '1900-01-01 00:00:00+00'],
  ['nanos', 'timestamp without time zone', '2024-01-01 00:00:00.000001', null],
  ['u', 'uuid', '00112233-4455-6677-8899-aabbccddeeff', null],
  ['j', 'json', '{"b":1.0,"a":[]}', 'null'],
  ['bytes', 'bytea', '\\x00ff5c', '\\x'],
  ['t', 'text', 'tab\té😀\\N\n', ''],
  ['yes', 'boolean', 'true', 'false'],
  ['span', 'interval', '1 mon 2 days 00:00:03.5', '00:00:00'],
  ['kind', 'text', 'x', 'y'],
  ['ints', 'integer[]', '{1,NULL,3}', '{}'],
  ['texts', 'text[]', '{"a\\"b\\\\",NULL,""}', '{}'],
  ['st', 'jsonb', '{"a": 1, "b": {"c": null, "l": [1.5]}}', null],
  ['mp', 'jsonb', '{"k": 9007199254740993, "l": null}', '{}'],
  ['deep', 'jsonb', '[[1], [], null]', '[]'],
  ['structs', 'jsonb', '[{"q": "z"}]', '[]'],
];

async function typesOf(table: string): Promise<unknown[]> {
  const rows = await database.query(
    `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
     WHERE attrelid = '${table}'::regclass AND attnum > 0 ORDER BY attnum`,
  );
  return rows.map(({ name, type }) => [name, type]);
}

describe('a Parquet file of all types', () => {
  it.each([
    ['types.parquet', 'with plain values and dictionaries, compressed by snappy'],
    ['types-v2.parquet', 'with pages of the second kind and deltas, compressed by zstd'],
  ])('%s is created with its own types, and no value is changed (%s)', async (name) => {
    const table = name.replace(/\W/g, '_');
    expect(await load(await fixture(name), '-t', table, '--create')).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await typesOf(table)).toEqual(TYPES.map(([column, type]) => [column, type]));
    const rows = await database.query(`SELECT ${TYPES.map(([column]) => `${column}::text`).join(', ')} FROM ${table} ORDER BY ${table}.id`);
    const of = (index: 2 | 3) => Object.fromEntries(TYPES.map((column) => [column[0], column[index]]));
    const nulls = Object.fromEntries(TYPES.map(([column]) => [column, column === 'id' ? '2' : null]));
    expect(rows).toEqual([of(2), nulls, of(3)]);
  }); // prettier-ignore

  it('goes into the columns of a table by their names, as the types of these read them', async () => {
    const table = await database.table(
      'st text, ints jsonb, texts text, i64 text, nanos text, more int DEFAULT 7',
    );
    const flags = ['-t', table, '--columns', 'ints,st,texts,i64,nanos'];
    expect(await load(await fixture('types.parquet'), ...flags)).toMatchObject({ code: 0 });
    expect(await database.query(`SELECT * FROM ${table} ORDER BY i64 DESC LIMIT 1 OFFSET 1`)).toEqual([
      {
        st: '{"a":1,"b":{"c":null,"l":[1.5]}}',
        ints: [1, null, 3],
        texts: '["a\\"b\\\\",null,""]',
        i64: '9007199254740993',
        nanos: '2024-01-01 00:00:00.000001',
        more: 7,
      },
    ]);
    const { stderr } = await load('types.parquet', '-t', table);
    expect(stderr).toMatch(/types\.parquet: the table ".*" has no column "id"; it takes st, ints/);
    expect((await load('types.parquet', '-t', table, '--columns', 'st,sti')).stderr).toMatch(
      /types\.parquet: the file has no column "sti"; it has id, i8,/,
    );
  });

  it('is known by its contents, whatever its name', async () => {
    expect(await load(await fixture('rows.parquet', 'rows.csv'), '-t', 'by_magic', '--create')).toMatchObject({ code: 0 });
    expect(await load(await fixture('rows.parquet', 'rows'), '-t', 'by_magic')).toMatchObject({ code: 0 });
    expect(await database.query('SELECT count(*)::int AS n, sum(wraps)::text AS s, sum(d)::text AS d, sum(two[2])::int AS two FROM by_magic')).toEqual([
      { n: 10_000, s: expect.stringMatching(/^\d+$/) as string, d: expect.any(String) as string, two: 2 * (4999 * 2500 + 5000) },
    ]);
    expect(await database.query('SELECT count(*)::int AS n FROM by_magic WHERE wraps IS DISTINCT FROM (id * 3000000000) % 4294967296 OR few <> concat(\'v\', id % 3) OR d IS DISTINCT FROM nullif(id::float8 / 8, CASE WHEN id % 7 = 0 THEN id::float8 / 8 END)')).toEqual([{ n: 0 }]);
  }); // prettier-ignore
});

describe('a value that PostgreSQL cannot store', () => {
  it('ends the load, naming file, record and column', async () => {
    const { code, stderr } = await load(await fixture('faults.parquet'), '-t', 'faults', '--create');
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /faults\.parquet: record 2: column "at": the time 00:00:00\.123456789 has nanoseconds/,
    );
  });

  it('goes to the file of rejects with its record', async () => {
    const { code, stdout } = await load(await fixture('faults.parquet'), '-t', 'kept', '--create', '--rejects', '/dev/stdout');
    expect(code).toBe(3);
    expect(stdout.trim().split('\n').map((line) => JSON.parse(line) as unknown)).toEqual([
      expect.objectContaining({ file: 'faults.parquet', line: null, record: 2, text: '2\t\tb', code: '22P04' }),
      expect.objectContaining({ record: 3, message: expect.stringMatching(/^column "t": a text holds the character U\+0000.*--nul/) as string }),
    ]);
    expect(await database.query('SELECT id::int FROM kept ORDER BY id')).toEqual([{ id: 1 }, { id: 4 }]);
    expect(await load('faults.parquet', '-t', 'nul', '--create', '--type', 'at=text', '--nul', 'replace')).toMatchObject({ code: 0 });
    expect(await database.query('SELECT t, at FROM nul WHERE id IN (2, 3) ORDER BY id')).toEqual([
      { t: 'b', at: '2024-01-01 00:00:00.123456789' },
      { t: 'a\ufffd', at: '2024-01-01 00:00:00.123456' },
    ]);
  }); // prettier-ignore

  it('is kept in a column of texts', async () => {
    const table = await database.table('id int, at text');
    expect(await load(await fixture('faults.parquet'), '-t', table, '--columns', 'id,at')).toMatchObject({
      code: 0,
    });
    expect(await database.query(`SELECT at FROM ${table} WHERE id = 2`)).toEqual([
      { at: '2024-01-01 00:00:00.123456789' },
    ]);
  });
});

describe('a Parquet load', () => {
  it('goes on with --import, and each row is there once', async () => {
    const table = await database.table('id int PRIMARY KEY, few text, wraps bigint, d float8 CHECK (d <> 500), two int[]');
    const name = await fixture('rows.parquet');
    const flags = ['-t', table, '--import', 'r', '--batch-size', '500', '--connections', '2'];
    expect(await load(name, ...flags)).toMatchObject({ code: 1 });
    expect(await load(name, ...flags, '--rejects', 'r.ndjson')).toMatchObject({ code: 3 });
    expect(await database.query(`SELECT count(*)::int AS n FROM ${table}`)).toEqual([{ n: 4999 }]);
    const [reject] = (await readFile(path.join(cli.directory, 'r.ndjson'), 'utf8')).trim().split('\n');
    expect(JSON.parse(reject!)).toMatchObject({ record: 4001, line: null, row: { id: '4000', two: '{4000,4001}' } });
  }); // prettier-ignore

  it('takes several files, whose columns may be in another order', async () => {
    const args = [await fixture('rows.parquet', 'a.parquet'), await fixture('rows.parquet', 'b.parquet')];
    const { code, stdout } = await load(...args, '-t', 'both', '--create', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      rows: 10_000,
      reading: { format: 'parquet', rows: 10_000, rowGroups: 6, codecs: ['gzip'] },
      lastRow: { file: 'b.parquet', line: null, record: 5000 },
    });
    const other = await load(...args, await fixture('types.parquet'), '-t', 'both');
    expect(other.stderr).toMatch(/types\.parquet: the file has no column "few"/);
  });

  it.each([
    ['empty.parquet', [['id', 'integer']]],
    ['empty-row-group.parquet', [['id', 'bigint'], ['t', 'text'], ['l', 'integer[]']]],
  ])('of a file without rows makes the table (%s)', async (name, types) => {
    const table = name.replace(/\W/g, '_');
    expect(await load(await fixture(name), '-t', table, '--create')).toMatchObject({ code: 0, stderr: '' });
    expect(await typesOf(table)).toEqual(types);
  }); // prettier-ignore

  it('is shown by --dry-run without a server, as the guide has it', async () => {
    const name = await fixture('rows.parquet', 'points.parquet');
    const args = ['load', name, '--create', '--table', 'points', '--dry-run', '--columns', 'id,few,d,two'];
    const env = { DATABASE_URL: undefined, PGHOST: '/nowhere' };
    const { code, stdout } = await cli.run(args, { env });
    expect(code).toBe(0);
    expect(stdout.split('\n').slice(0, 12)).toEqual([
      'read as Parquet: 5,000 rows in 3 row groups, compressed by gzip',
      'CREATE TABLE "points" (',
      '  "id" bigint,',
      '  "few" text,',
      '  "d" double precision,',
      '  "two" bigint[]',
      ')',
      '',
      'id | few |     d | two',
      '---+-----+-------+-------',
      ' 0 | v0  |  NULL | {0,1}',
      ' 1 | v1  | 0.125 | {1,2}',
    ]);
  });
});

describe('refused before the server is asked', () => {
  const NOWHERE = ['-t', 't', '--to', 'postgres://nobody@127.0.0.1:1/none'];

  it.each([
    ['standard input', ['-', '-f', 'parquet'], 1, /standard input: .*is not read from a pipe: save it as a file/],
    ['a flag of CSV', ['none.parquet', '--delimiter', ';'], 2, /--delimiter is for CSV, and the input is Parquet/],
    ['a text', ['x.csv', '-f', 'parquet'], 1, /x\.csv: is no Parquet file: it does not begin with PAR1/],
    ['a file without its end', ['cut.parquet'], 1, /cut\.parquet: is a Parquet file that is cut short: its end is missing/],
    ['an encrypted file', ['encrypted.parquet'], 1, /encrypted\.parquet: is an encrypted Parquet file/],
    ['a file behind one of CSV', ['x.csv', 'rows.csv'], 1, /rows\.csv: is a Parquet file: save it as a file by itself/],
  ] as const)('is %s', async (_, args, exitCode, message) => {
    await fixture('encrypted.parquet');
    await fixture('rows.parquet', 'rows.csv');
    await writeFile(path.join(cli.directory, 'x.csv'), 'a,b\n1,2\n');
    const bytes = await readFile(path.join(FILES, 'rows.parquet'));
    await writeFile(path.join(cli.directory, 'cut.parquet'), bytes.subarray(0, 3000));
    const { code, stderr } = await cli.run(['load', ...args, ...NOWHERE], { stdin: bytes });
    expect([code, stderr]).toEqual([exitCode, expect.stringMatching(message)]);
  }); // prettier-ignore
});
