/** `spillway load` as a process, against a real PostgreSQL. */

import { chmodSync, createReadStream, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { gzipSync } from 'node:zlib';
import { from as copyFrom } from 'pg-copy-streams';
import { describe, expect, it } from 'vitest';
import { useLoads, type RunOptions } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();
const { cli, file, load } = useLoads(database);

/** Loads, expects success, and answers the table's rows in order. */
async function loaded(
  table: string,
  args: string[],
  options?: RunOptions,
): Promise<Record<string, unknown>[]> {
  const result = await load(['-t', table, '--quiet', ...args], options);
  expect(result).toEqual({ code: 0, stdout: '', stderr: '' });
  return database.query(`SELECT * FROM "${table}" ORDER BY 1 NULLS LAST`);
}

describe('what is loaded', () => {
  it('CSV by its header, in any order of the columns, with a serial id of the server’s', async () => {
    const table = await database.table('id serial, a int, b text');
    const rows = await loaded(table, [await file('x.csv', 'b,a\nx,1\n"y\nz",2\n')]);
    expect(rows).toEqual([
      { id: 1, a: 1, b: 'x' },
      { id: 2, a: 2, b: 'y\nz' },
    ]);
  });

  it('several files one after another, each with its own header', async () => {
    const table = await database.table('a int, b text');
    const rows = await loaded(table, [
      await file('x.csv', 'a,b\n1,x'),
      await file('y.csv', 'b,a\ny,2\n'),
      await file('z.csv', '\ufeffa,b\r\n3,z\r\n'),
    ]);
    expect(rows).toEqual([
      { a: 1, b: 'x' },
      { a: 2, b: 'y' },
      { a: 3, b: 'z' },
    ]);
  });

  it('gzip, by what it holds and not by its name; several members count as one file', async () => {
    const table = await database.table('a int');
    const first = gzipSync('a\n1\n');
    expect(await loaded(table, [await file('x.csv', Buffer.concat([first, gzipSync('2\n')]))])).toEqual([
      { a: 1 },
      { a: 2 },
    ]);
    expect(await loaded(table, ['--truncate', await file('y.csv.gz', 'a\n3\n')])).toEqual([{ a: 3 }]);
  });

  it('standard input, plain and gzip, named or not', async () => {
    const table = await database.table('a int');
    const args = ['--format', 'csv', '--truncate'];
    expect(await loaded(table, ['-', ...args], { stdin: 'a\n1\n' })).toEqual([{ a: 1 }]);
    expect(await loaded(table, args, { stdin: 'a\n2\n' })).toEqual([{ a: 2 }]);
    expect(await loaded(table, args, { stdin: gzipSync('a\n3\n') })).toEqual([{ a: 3 }]);
    expect(await loaded(table, [...args, '--no-header'], { stdin: '4' })).toEqual([{ a: 4 }]);
  });

  it('fields without a header: in the table’s order, but for generated columns', async () => {
    const table = await database.table('a int, twice int GENERATED ALWAYS AS (a * 2) STORED, b text');
    const rows = await loaded(table, ['--no-header', await file('x.csv', '1,x\n2,\n')]);
    expect(rows).toEqual([
      { a: 1, twice: 2, b: 'x' },
      { a: 2, twice: 4, b: null },
    ]);
  });

  it('--columns in place of the header; an empty name leaves its field out', async () => {
    const table = await database.table('a int, b text');
    const input = await file('x.csv', 'first,second,third\nx,ignored,1\n');
    expect(await loaded(table, ['--columns', 'b,,a', input])).toEqual([{ a: 1, b: 'x' }]);
    expect(
      await loaded(table, ['--truncate', '--no-header', '--columns', 'b', await file('y.csv', 'y\n')]),
    ).toEqual([{ a: null, b: 'y' }]);
  });

  it('--delimiter and --null', async () => {
    const table = await database.table('a int, b text');
    const rows = await loaded(table, [
      '--delimiter',
      'tab',
      '--null',
      'NA',
      await file('x.csv', 'a\tb\nNA\t"NA"\n1\tNA\n2\t\n'),
    ]);
    expect(rows).toEqual([
      { a: 1, b: null },
      { a: 2, b: '' },
      { a: null, b: 'NA' },
    ]);
  });

  it('NDJSON: keys in any order, absent ones NULL, nested values as JSON, long numbers whole', async () => {
    const table = await database.table('a numeric, b text, c jsonb, d int[]');
    const input = await file(
      'x.ndjson',
      '{"a":1,"b":"x","c":{"k":[1.50,12345678901234567890]},"d":[1,null]}\n\n{"c":"text","a":2}\n{"b":"y","a":12345678901234567890.5}\n',
    );
    const rows = await loaded(table, [input]);
    expect(rows).toEqual([
      { a: '1', b: 'x', c: { k: [1.5, Number('12345678901234567890')] }, d: [1, null] },
      { a: '2', b: null, c: 'text', d: null },
      { a: '12345678901234567890.5', b: 'y', c: null, d: null },
    ]);
    const [{ digits }] = (await database.query(
      `SELECT c->'k'->>1 AS digits FROM "${table}" WHERE a = 1`,
    )) as [{ digits: string }];
    expect(digits).toBe('12345678901234567890');
  });

  it('NDJSON with --columns: only those keys', async () => {
    const table = await database.table('a int, b text');
    expect(
      await loaded(table, ['--columns', 'b,a', await file('x.jsonl', '{"z":1,"a":1,"b":"x"}\n')]),
    ).toEqual([{ a: 1, b: 'x' }]);
  });

  it('a table of another schema, with hostile names', async () => {
    const schema = 's"; DROP TABLE x; --';
    await database.query(`CREATE SCHEMA "s""; DROP TABLE x; --"`);
    await database.query(`CREATE TABLE "s""; DROP TABLE x; --"."t.1" ("a""b" int, "select" text)`);
    const quoted = `"${schema.replaceAll('"', '""')}"."t.1"`;
    const result = await load([
      '-q',
      '-t',
      quoted,
      await file('x.csv', '"a""b",select\n1,"\'); DROP TABLE x"\n'),
    ]);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(await database.query(`SELECT * FROM ${quoted}`)).toEqual([
      { 'a"b': 1, select: "'); DROP TABLE x" },
    ]);
  });

  it('more rows than a batch holds, over several connections, each once', async () => {
    const table = await database.table('a int, b text');
    const text = Array.from({ length: 50_000 }, (_, index) => `${index},"row ${index}"`).join('\n');
    const result = await load([
      '-t',
      table,
      '--json',
      '--quiet',
      '--batch-size',
      '1000',
      '--connections',
      '4',
      await file('x.csv', `a,b\n${text}\n`),
    ]);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(result.stdout)).toMatchObject({
      rows: 50_000,
      rowsRead: 50_000,
      rowsDropped: 0,
      flushes: 50,
      exitCode: 0,
      error: null,
    });
    expect(
      await database.query(
        `SELECT count(*)::int, count(DISTINCT a)::int AS different, sum(a)::int FROM "${table}"`,
      ),
    ).toEqual([{ count: 50_000, different: 50_000, sum: 1_249_975_000 }]);
  });
});

describe('the same as PostgreSQL’s own CSV format', () => {
  it.each<[string, string, string]>([
    ['NULL, empty and quoted', 'a,b,c\n1,,""\n2,"NULL",x\n', "NULL ''"],
    ['another NULL', 'a,b,c\n1,NULL,"NULL"\n2,,""\n', "NULL 'NULL'"],
    ['line breaks, quotes and delimiters', 'a,b,c\n1,"x\n\ny","a,b"\n2,"""q""","\r\n"\n', "NULL ''"],
    ['CRLF', 'a,b,c\r\n1,x,"y\r\nz"\r\n2,,\r\n', "NULL ''"],
    ['spaces and backslashes', 'a,b,c\n1, x , \\N\n2,\\.x,"\\t\\\\"\n', "NULL ''"],
    ['other scripts', 'a,b,c\n1,äöü,日本\n2,😀,"\u2028"\n', "NULL ''"],
    ['no line break at the end', 'a,b,c\n1,x,y', "NULL ''"],
  ])('%s', async (_, text, nullClause) => {
    const ours = await database.table('a int, b text, c text');
    const theirs = await database.table('a int, b text, c text');
    const input = await file('x.csv', text);
    const nullText = /'(.*)'/.exec(nullClause)![1]!;
    const rows = await loaded(ours, ['--null', nullText, input]);
    const pool = database.pool();
    const client = await pool.connect();
    try {
      await pipeline(
        createReadStream(path.join(cli.directory, input)),
        client.query(copyFrom(`COPY "${theirs}" FROM STDIN WITH (FORMAT csv, HEADER true, ${nullClause})`)),
      );
    } finally {
      client.release();
    }
    expect(rows.length).toBeGreaterThan(0);
    expect(rows).toEqual(await database.query(`SELECT * FROM "${theirs}" ORDER BY 1`));
  });

  it('an empty line in a table of one column', async () => {
    const table = await database.table('a text');
    expect(await loaded(table, [await file('x.csv', 'a\nx\n\n""\n')])).toEqual([
      { a: '' },
      { a: 'x' },
      { a: null },
    ]);
  });

  it('a conversion as the server does it', async () => {
    const table = await database.table('a date, b interval, c int[], d bytea, e jsonb, f bool');
    const rows = await loaded(table, [
      await file('x.csv', 'a,b,c,d,e,f\n"Jan 2, 2001",1 day,"{1,2}",\\x00ff,"{""k"": ""v""}",yes\n'),
    ]);
    expect(rows[0]).toMatchObject({ c: [1, 2], d: Buffer.from([0, 255]), e: { k: 'v' }, f: true });
  });
});

describe('--create', () => {
  async function typesOf(table: string): Promise<Record<string, string>> {
    const rows = await database.query<{ name: string; type: string }>(
      `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute WHERE attrelid = '"${table}"'::regclass AND attnum > 0 ORDER BY attnum`,
    );
    return Object.fromEntries(rows.map(({ name, type }) => [name, type]));
  }

  it('makes a missing table from a CSV sample', async () => {
    const input = await file(
      'x.csv',
      'id,Price,at,day,zip,ok,"odd ""name"""\n1,2.5,2001-01-01T00:00:00Z,2001-01-01,01234,true,x\n2,,,,,,\n',
    );
    expect(await loaded('made_csv', ['--create', input])).toHaveLength(2);
    expect(await typesOf('made_csv')).toEqual({
      id: 'bigint',
      Price: 'numeric',
      at: 'timestamp with time zone',
      day: 'date',
      zip: 'text',
      ok: 'boolean',
      'odd "name"': 'text',
    });
  });

  it('makes one from NDJSON, with all keys of the sample', async () => {
    const input = await file(
      'x.ndjson',
      '{"id":1,"tags":["a"]}\n{"id":2.50,"at":"2001-01-01T00:00:00Z","code":7}\n{"id":3,"code":3E9}\n',
    );
    expect(await loaded('made_json', ['--create', input])).toHaveLength(3);
    expect(await typesOf('made_json')).toEqual({
      id: 'numeric',
      tags: 'jsonb',
      at: 'timestamp with time zone',
      code: 'text',
    });
  });

  it('uses --columns for the names, and a schema that is there', async () => {
    await database.query('CREATE SCHEMA shop');
    const result = await load([
      '-q',
      '-t',
      'shop.made',
      '--create',
      '--no-header',
      '--columns',
      'a,,b',
      await file('x.csv', '1,x,2\n'),
    ]);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(await database.query('SELECT * FROM shop.made')).toEqual([{ a: '1', b: '2' }]);
  });

  it('uses a table that is there as it is, and --truncate empties it', async () => {
    const table = await database.table('a smallint');
    const input = await file('x.csv', 'a\n1\n');
    await loaded(table, ['--create', input]);
    await loaded(table, ['--create', input]);
    expect(await loaded(table, ['--create', '--truncate', input])).toEqual([{ a: 1 }]);
    expect(await typesOf(table)).toEqual({ a: 'smallint' });
  });

  it('names the line of a later value that does not fit and comes from a pipe', async () => {
    const lines = Array.from({ length: 12_000 }, (_, index) => String(index));
    // It is stored as 0.5, and so cannot become a text again.
    lines[10_500] = '.5';
    lines[11_000] = 'x';
    const result = await load(['-q', '-t', 'made_late', '--create', '--format', 'csv', '-'], {
      stdin: `a\n${lines.join('\n')}\n`,
    });
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/^spillway: standard input:11002: column "a": .*numeric.*\n$/);
  });
});

describe('what is printed', () => {
  it('a summary on standard error, and with --json one on standard output', async () => {
    const table = await database.table('a int');
    const input = await file('x.csv', 'a\n1\n2\n');
    const plain = await load(['-t', table, input]);
    expect(plain).toMatchObject({ code: 0, stdout: '' });
    expect(plain.stderr).toMatch(
      /^2 rows into "\w+" of .* rows\/s.*\nread as CSV: UTF-8, one column, with a header\ntime by state: .*; peak memory [\d.]+ MiB\n$/,
    );
    const json = await load(['-t', table, '--json', '--quiet', '--truncate', input]);
    expect(json).toMatchObject({ code: 0, stderr: '' });
    const summary = JSON.parse(json.stdout) as Record<string, unknown>;
    expect(summary).toMatchObject({
      table,
      schema: null,
      created: false,
      truncated: true,
      rows: 2,
      rowsRead: 2,
      rowsDropped: 0,
      dropsByReason: {},
      bytesRead: 6,
      retries: 0,
      stoppedBy: null,
      lastRow: { file: input, line: 3 },
      error: null,
      exitCode: 0,
    });
    expect(summary['seconds']).toBeGreaterThan(0);
    expect(summary['rowsPerSecond']).toBeGreaterThan(0);
    expect(summary['peakMemoryBytes']).toBeGreaterThan(10 * 1024 * 1024);
    expect(Object.keys(summary['timeInStateMs'] as object)).toEqual([
      'normal',
      'elevated',
      'critical',
      'blocked',
      'draining',
    ]);
  });

  it('exit code 3 and the count of dropped rows under a dropping strategy', async () => {
    const table = await database.table('a int');
    // Slow enough that the input runs ahead of it.
    await database.query(
      `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.05); RETURN NULL; END'`,
    );
    await database.query(
      `CREATE TRIGGER slow AFTER INSERT ON "${table}" FOR EACH STATEMENT EXECUTE FUNCTION slow()`,
    );
    const text = Array.from({ length: 200_000 }, (_, index) => String(index)).join('\n');
    const args = [
      '-t',
      table,
      '--json',
      '--strategy',
      'drop-newest',
      '--batch-size',
      '100',
      '--connections',
      '1',
    ];
    const result = await load([...args, await file('x.csv', `a\n${text}\n`)]);
    expect(result.code).toBe(3);
    const summary = JSON.parse(result.stdout) as Record<string, number>;
    expect(summary['rowsDropped']).toBeGreaterThan(0);
    expect(summary['rows']! + summary['rowsDropped']!).toBe(200_000);
    expect(summary).toMatchObject({
      rowsRead: 200_000,
      exitCode: 3,
      error: null,
      dropsByReason: { rejected: summary['rowsDropped'] },
    });
    expect(result.stderr).toMatch(/ of 200,000 rows were dropped \([\d,]+ rejected\)/);
    const [row] = await database.query<{ count: number }>(`SELECT count(*)::int FROM "${table}"`);
    expect(row?.count).toBe(summary['rows']);
  });

  it('an empty NDJSON file is a load of no rows', async () => {
    const table = await database.table('a int');
    const result = await load(['-t', table, '--json', '-q', await file('x.ndjson', '\n \n')]);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(result.stdout)).toMatchObject({ rows: 0, lastRow: null });
  });
});

describe('the embedded server', () => {
  it('keeps what was loaded, for query to look at', async () => {
    const data = mkdtempSync(path.join(os.tmpdir(), 'spillway-embedded-'));
    // As root, the server runs as another user, who must get there.
    chmodSync(data, 0o755);
    try {
      const to = ['--to', `embedded:${data}`];
      const result = await cli.run([
        'load',
        ...to,
        '-q',
        '-t',
        'kept',
        '--create',
        await file('x.csv', 'a,b\n1,x\n2,\n'),
      ]);
      expect(result).toEqual({ code: 0, stdout: '', stderr: '' });
      const table = await cli.run(['query', ...to, 'SELECT * FROM kept ORDER BY a']);
      expect(table).toEqual({ code: 0, stdout: 'a | b\n--+-----\n1 | x\n2 | NULL\n(2 rows)\n', stderr: '' });
      const json = await cli.run(['query', ...to, '--json', 'SELECT * FROM kept ORDER BY a']);
      expect(json.stdout).toBe('{"a":1,"b":"x"}\n{"a":2,"b":null}\n');
    } finally {
      rmSync(data, { recursive: true, force: true });
    }
  }, 60_000);
});
