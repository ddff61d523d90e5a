/** `--rejects`, `--on-conflict` and `--atomic` as a process, against a real PostgreSQL. */

import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { useLoads, type RunOptions } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';
import { range } from '../../support/range.js';

const database = useTestDatabase();
const { cli, file, freshName, load } = useLoads(database);

async function linesOf(name: string): Promise<Record<string, unknown>[]> {
  const text = await readFile(path.join(cli.directory, name), 'utf8');
  expect(text === '' || text.endsWith('\n')).toBe(true);
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Loads with rejects, expects exit code 3, and answers what was rejected, in the order of the input. */
/** The file of the last call of `rejectsOf`. */
let lastRejects = '';

async function rejectsOf(args: string[], options?: RunOptions): Promise<Record<string, unknown>[]> {
  const rejects = freshName('bad.ndjson');
  lastRejects = rejects;
  const result = await load(['--quiet', '--rejects', rejects, ...args], options);
  expect(result).toEqual({ code: 3, stdout: '', stderr: '' });
  const lines = await linesOf(rejects);
  return lines.toSorted((a, b) => (a['record'] as number) - (b['record'] as number));
}

const rowsOf = (table: string) => database.query(`SELECT * FROM "${table}" ORDER BY 1 NULLS LAST`);

describe('--rejects', () => {
  it('takes what the table refuses: conversion, NOT NULL, CHECK, UNIQUE, foreign key, too long, U+0000', async () => {
    const parent = await database.table('p int PRIMARY KEY');
    await database.query(`INSERT INTO ${parent} VALUES (1)`);
    const table = await database.table(
      `id int PRIMARY KEY, n int NOT NULL CONSTRAINT positive CHECK (n > 0), p int CONSTRAINT parent REFERENCES ${parent}, t varchar(3)`,
    );
    const input = await file(
      'x.csv',
      'id,n,p,t\n1,1,1,a\n2,x,1,b\n3,,1,c\n4,-4,1,d\n1,5,1,e\n6,6,99,f\n7,7,1,long\n8,8,1,"n\0l"\n9,9,,g\n',
    );
    const lines = await rejectsOf(['-t', table, input]);
    const base = { file: input };
    expect(lines).toEqual([
      {
        ...base,
        line: 3,
        record: 2,
        row: { id: '2', n: 'x', p: '1', t: 'b' },
        code: '22P02',
        column: 'n',
        constraint: null,
        message: 'invalid input syntax for type integer: "x"',
      },
      expect.objectContaining({
        line: 4,
        record: 3,
        code: '23502',
        column: 'n',
        row: { id: '3', n: null, p: '1', t: 'c' },
      }),
      expect.objectContaining({ line: 5, code: '23514', constraint: 'positive' }),
      expect.objectContaining({ line: 6, code: '23505', constraint: `${table}_pkey` }),
      expect.objectContaining({ line: 7, code: '23503', constraint: 'parent' }),
      expect.objectContaining({ line: 8, code: '22001', column: 't' }),
      expect.objectContaining({ line: 9, column: 't', row: { id: '8', n: '8', p: '1', t: 'n\0l' } }),
    ]);
    expect(await rowsOf(table)).toEqual([
      { id: 1, n: 1, p: 1, t: 'a' },
      { id: 9, n: 9, p: null, t: 'g' },
    ]);
  });

  it('takes CSV records that cannot be read, with their text', async () => {
    const table = await database.table('a int, b text');
    const input = await file(
      'x.csv',
      Buffer.concat([
        Buffer.from('a,b\n1,x\n2\n3,y,z\n4,"q"r\n5,\x80\n'.replace('\x80', ''), 'utf8'),
        Buffer.from('6,\xe9\n7,ok\n', 'latin1'),
      ]),
    );
    const lines = await rejectsOf(['-t', table, '--strict', input]);
    expect(lines).toEqual([
      {
        file: input,
        line: 3,
        record: 2,
        text: '2',
        code: '22P04',
        column: null,
        constraint: null,
        message: 'expected 2 fields, got 1; --pad makes the fields that are missing NULL',
      },
      expect.objectContaining({
        line: 4,
        record: 3,
        text: '3,y,z',
        message: 'expected 2 fields, got 3; a field with "," in it must be in quotes',
      }),
      expect.objectContaining({ line: 5, record: 4, text: '4,"q"r' }),
      expect.objectContaining({
        line: 7,
        record: 6,
        text: '6,\ufffd',
        message: 'not UTF-8: byte 0xE9 at byte 3 of the line; --encoding says how the file is encoded',
      }),
    ]);
    expect(await rowsOf(table)).toEqual([
      { a: 1, b: 'x' },
      { a: 5, b: null },
      { a: 7, b: 'ok' },
    ]);
  });

  it('takes NDJSON records that cannot be read, and rows with their values as JSON', async () => {
    const table = await database.table('a int, b jsonb, c int[]');
    const input = await file(
      'x.ndjson',
      '{"a":1,"b":{"k":[1]},"c":[1,2]}\n{"a":2,\n[3]\n{"a":4,"z":1}\n' +
        '{"a":"five","b":{"k":12345678901234567890},"c":[1,null]}\n{"a":6,"b":"\\ud800"}\n{"a":7}\n',
    );
    const lines = await rejectsOf(['-t', table, '--columns', 'a,b,c', '--format', 'ndjson', input]);
    expect(lines.map(({ line, text }) => [line, text])).toEqual([
      [2, '{"a":2,'],
      [3, '[3]'],
      [5, undefined],
      [6, undefined],
    ]);
    expect(lines[2]).toMatchObject({ code: '22P02', column: 'a' });
    expect(lines[3]).toMatchObject({ row: { a: 6, b: '\ud800', c: null }, column: 'b' });
    const raw = await readFile(path.join(cli.directory, lastRejects), 'utf8');
    expect(raw).toContain('"row":{"a":"five","b":{"k":12345678901234567890},"c":[1,null]}');
    expect((await rowsOf(table)).map(({ a }) => a)).toEqual([1, 4, 7]);
  });

  it('values that look like SQL, or like the marks of COPY, are values', async () => {
    const table = await database.table('a int, "; DROP TABLE x; --" text');
    const hostile = ['\\.', '\\N', "'; DROP TABLE t; --", '$$', '%s', '"', '\\x41', 'x\ty'];
    const csv = [
      'a,"; DROP TABLE x; --"',
      ...hostile.flatMap((text, index) => {
        const quoted = `"${text.replaceAll('"', '""')}"`;
        return [`${index},${quoted}`, `${quoted},${quoted}`];
      }),
    ].join('\n');
    const lines = await rejectsOf(['-t', table, await file('x.csv', csv)]);
    expect(lines.map(({ row }) => row)).toEqual(
      hostile.map((text) => ({ a: text, '; DROP TABLE x; --': text })),
    );
    expect((await rowsOf(table)).map((row) => row['; DROP TABLE x; --'])).toEqual(hostile);
  });

  it('batches in which every row is at fault, for whichever reason', async () => {
    const table = await database.table('a int');
    const input = await file('x.csv', 'a\n1\nx\ny\n1,2\nz\n"\n\n2\n');
    const lines = await rejectsOf([
      '-t',
      table,
      '--strict',
      '--batch-size',
      '2',
      '--connections',
      '1',
      input,
    ]);
    expect(lines.map(({ record, code }) => [record, code])).toEqual([
      [2, '22P02'],
      [3, '22P02'],
      [4, '22P04'],
      [5, '22P02'],
      [6, '22P04'],
    ]);
    expect(await rowsOf(table)).toEqual([{ a: 1 }, { a: 2 }, { a: null }]);
    await rejectsOf(['-t', table, '--batch-size', '1', await file('y.csv', 'a\nx\ny\n')]);
    await rejectsOf(['-t', table, '--atomic', '--batch-size', '1', await file('z.csv', 'a\nx\n')]);
  });

  it.each([
    ['a CHECK of bounds', 'n > 0 AND n <= 100', undefined],
    ['a CHECK that is more than bounds', 'n > 0 AND n <= 100 OR n = -7', undefined],
    ['a CHECK of bounds, and a trigger that sets another value', 'n > 0 AND n <= 100', 'NEW.n := abs(NEW.n)'],
  ])('rejects the same rows for the same reasons as one INSERT for each: %s', async (_, check, onInsert) => {
    const columns = `id int PRIMARY KEY, n int CONSTRAINT small CHECK (${check}), m int CHECK (m >= n)`;
    const [table, oneByOne] = [await database.table(columns), await database.table(columns)];
    const inserts = onInsert === undefined ? [] : [table, oneByOne];
    for (const name of inserts) {
      await database.query(
        `CREATE FUNCTION ${name}_f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${onInsert}; RETURN NEW; END $$`,
      );
      await database.query(
        `CREATE TRIGGER g BEFORE INSERT ON ${name} FOR EACH ROW EXECUTE FUNCTION ${name}_f()`,
      );
    }
    // Each row of a key comes twice or three times, some of them refused for another reason first.
    const rows = range(6_000).map((at) => {
      const id = at % 60 === 59 ? at - 40 : at % 90 === 89 ? at - 30 : at;
      const n = at % 70 === 69 ? -7 : at % 100 === 19 ? 101 : at % 110 === 50 ? 'many' : (at % 100) + 1;
      return [id, at % 130 === 3 ? '' : n, at % 140 === 9 ? 0 : 200] as const;
    });
    const input = await file('x.csv', `id,n,m\n${rows.map((row) => `${row.join()}\n`).join('')}`);
    const given = await database.table('at int, id text, n text, m text');
    const refused = await database.table('at int, code text, name text');
    await database.query(
      `INSERT INTO ${given} SELECT at - 1, v->>0, nullif(v->>1, ''), v->>2 FROM json_array_elements($1) WITH ORDINALITY AS j(v, at)`,
      [JSON.stringify(rows)],
    );
    await database.query(`DO $$ DECLARE r record; name text; BEGIN
      FOR r IN SELECT * FROM ${given} ORDER BY at LOOP
        BEGIN INSERT INTO ${oneByOne} VALUES (r.id::int, r.n::int, r.m::int);
        EXCEPTION WHEN others THEN
          GET STACKED DIAGNOSTICS name = CONSTRAINT_NAME;
          INSERT INTO ${refused} VALUES (r.at, SQLSTATE, replace(name, '${oneByOne}', '${table}'));
        END;
      END LOOP;
    END $$`);
    const expected = await database.query(
      `SELECT at + 1 AS record, code, nullif(name, '') AS constraint FROM ${refused} ORDER BY at`,
    );
    const lines = await rejectsOf(['-t', table, '--connections', '1', '--batch-size', '1500', input]);
    expect(lines.map(({ record, code, constraint }) => ({ record, code, constraint }))).toEqual(expected);
    expect(await rowsOf(table)).toEqual(await rowsOf(oneByOne));
  });

  it('the file is the owner’s only, written from its start by each load, and counted in summary and JSON', async () => {
    const table = await database.table('a int');
    const rejects = freshName('bad.ndjson');
    await writeFile(path.join(cli.directory, rejects), 'something old\n', { mode: 0o666 });
    const input = await file('x.csv.gz', gzipSync('a\n1\nx\n2\ny\n'));
    const result = await load(['-t', table, '--json', '--rejects', rejects, '--max-rejects', '2', input]);
    expect(result.code).toBe(3);
    expect(result.stderr).toContain(`2 rows were rejected: see ${rejects}\n`);
    expect(JSON.parse(result.stdout)).toMatchObject({
      rows: 2,
      rowsInAll: 2,
      rejects: 2,
      rejectsInAll: 2,
      rejectsFile: rejects,
      importId: null,
      error: null,
      exitCode: 3,
    });
    expect((await linesOf(rejects)).map(({ line }) => line)).toEqual([3, 5]);
    expect((await stat(path.join(cli.directory, rejects))).mode & 0o777).toBe(0o600);
    // A load without rejects empties it.
    const clean = await load(['-q', '-t', table, '--rejects', rejects, await file('y.csv', 'a\n5\n')]);
    expect(clean).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await linesOf(rejects)).toEqual([]);
    const left = (await readdir(cli.directory)).filter((name) => name.includes('.tmp'));
    expect(left).toEqual([]);
  });

  it('--max-rejects ends the load, with all that were found in the file', async () => {
    const table = await database.table('a int');
    const rejects = freshName('bad.ndjson');
    const input = await file(
      'x.csv',
      `a\n${Array.from({ length: 2000 }, (_, n) => (n % 100 === 50 ? 'x' : n)).join('\n')}\n`,
    );
    const args = ['-q', '-t', table, '--rejects', rejects, '--batch-size', '100', '--connections', '1'];
    const result = await load([...args, '--max-rejects', '4', input]);
    expect(result.code).toBe(1);
    expect(result.stderr).toBe(
      `spillway: 5 rows were rejected, more than --max-rejects 4; see ${rejects} (495 rows were loaded)\n`,
    );
    expect(await linesOf(rejects)).toHaveLength(5);
    const none = await load([...args, '--truncate', '--max-rejects', '0', input]);
    expect(none.stderr).toMatch(/1 row was rejected, more than --max-rejects 0;/);
    const enough = await load([...args, '--truncate', '--max-rejects', '20', input]);
    expect(enough.code).toBe(3);
    expect(await rowsOf(table)).toHaveLength(1980);
  });

  it('without it the first bad row stops the load, by its line', async () => {
    const table = await database.table('a int');
    const result = await load(['-q', '-t', table, await file('x.csv', 'a\n1\nx\n2\n')]);
    expect(result).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /^spillway: \d+-x\.csv:3: column "a": invalid input .* \(nothing was loaded\)\n$/,
      ) as string,
    });
  });

  it('what is no row’s fault is no reject: the load fails', async () => {
    const table = await database.table('a int, b int');
    const rejects = freshName('bad.ndjson');
    await database.query(`CREATE RULE r AS ON INSERT TO ${table} DO INSTEAD NOTHING`);
    const role = `reader_${process.pid}`;
    await database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret-word'`);
    try {
      await database.query(`GRANT SELECT ON ${table} TO ${role}`);
      const url = new URL(database.url);
      url.username = role;
      url.password = 'secret-word';
      const input = await file('x.csv', 'a,b\n1,2\nx,2\n');
      const result = await load(['-q', '-t', table, '--to', url.href, '--rejects', rejects, input]);
      expect(result).toMatchObject({ code: 1, stdout: '' });
      expect(result.stderr).toMatch(/permission denied for table/);
      expect(result.stderr).not.toContain('secret-word');
      expect(await linesOf(rejects)).toEqual([]);
    } finally {
      await database.query(`DROP OWNED BY ${role}`);
      await database.query(`DROP ROLE ${role}`);
    }
  });

  it('a bad header, or input that is damaged, still ends the load; what came before counts', async () => {
    const table = await database.table('a int');
    const rejects = freshName('bad.ndjson');
    const result = await load([
      '-q', '-t', table, '--rejects', rejects, await file('x.csv', 'a\n1\nx\n'), await file('y.csv', 'b\n1\n'),
    ]); // prettier-ignore
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/y\.csv:1: the header differs .* \(1 row was loaded\)\n$/);
    expect(await linesOf(rejects)).toHaveLength(1);
  });

  it('is refused before anything is touched where it cannot be, or is read or printed to', async () => {
    const table = await database.table('a int');
    await database.query(`INSERT INTO ${table} VALUES (7)`);
    const input = await file('x.csv', 'a\n1\n');
    await mkdir(path.join(cli.directory, 'folder'), { recursive: true });
    await symlink(input, path.join(cli.directory, `link-to-${input}`));
    const refused: [string, RegExp][] = [
      ['folder', /--rejects folder: is a directory, not a file/],
      ['nowhere/bad.ndjson', /--rejects nowhere\/bad\.ndjson: cannot be written: its folder does not exist/],
      [`${input}/x`, /cannot be written: a part of its path is not a folder/],
      [`./${input}`, /is \d+-x\.csv, which is to be loaded/],
      [`link-to-${input}`, /is \d+-x\.csv, which is to be loaded/],
      ['/proc/version', /cannot be written/],
    ];
    for (const [target, words] of refused) {
      const result = await load(['-q', '-t', table, '--truncate', '--rejects', target, input]);
      expect(result).toMatchObject({ code: 1, stdout: '' });
      expect(result.stderr).toMatch(words);
    }
    expect(await rowsOf(table)).toEqual([{ a: 7 }]);
    expect(await readFile(path.join(cli.directory, input), 'utf8')).toBe('a\n1\n');
  });

  it('may be no plain file: /dev/null keeps nothing', async () => {
    const table = await database.table('a int');
    const result = await load([
      '-q',
      '-t',
      table,
      '--rejects',
      '/dev/null',
      await file('x.csv', 'a\nx\n1\n'),
    ]);
    expect(result).toEqual({ code: 3, stdout: '', stderr: '' });
    expect((await stat('/dev/null')).isCharacterDevice()).toBe(true);
  });

  it('a disk that is full ends the load in one line', async () => {
    if (!existsSync('/dev/full')) return;
    const table = await database.table('a int');
    const result = await load([
      '-q',
      '-t',
      table,
      '--rejects',
      '/dev/full',
      await file('x.csv', 'a\nx\n1\n'),
    ]);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(
      /^spillway: --rejects \/dev\/full: cannot be written: no space is left on the device/,
    );
  });

  it('works with --create and standard input', async () => {
    const table = 'made_from_standard_input';
    const rejects = freshName('bad.ndjson');
    const rows = Array.from({ length: 12_000 }, (_, n) =>
      n === 11_000 ? 'x,1,2' : n === 50 ? '1,2,3' : `${n},y`,
    );
    const result = await load(['-q', '--create', '-t', table, '--format', 'csv', '--rejects', rejects, '-'], {
      stdin: `a,b\n${rows.join('\n')}\n`,
    });
    expect(result).toEqual({ code: 3, stdout: '', stderr: '' });
    // They may be of two batches, whose order is not told.
    const places = (await linesOf(rejects)).map(({ file: name, line }) => `${String(name)}:${String(line)}`);
    expect(places.toSorted()).toEqual(['standard input:11002', 'standard input:52']);
    expect(await rowsOf(table)).toHaveLength(11_998);
  });
});

describe('--on-conflict', () => {
  it('ignore leaves the old rows, update puts the new in their place', async () => {
    const table = await database.table('id int PRIMARY KEY, t text, kept text');
    const fill = `TRUNCATE ${table}; INSERT INTO ${table} VALUES (1, 'old', 'k'), (2, 'old', 'k')`;
    const input = await file('x.csv', 'id,t\n2,first\n3,first\n2,last\n');
    const rows = async (...flags: string[]) => {
      await database.query(fill);
      expect(await load(['-q', '-t', table, input, ...flags])).toEqual({ code: 0, stdout: '', stderr: '' });
      return (await rowsOf(table)).map(({ id, t, kept }) => [id, t, kept]);
    };
    expect(await rows('--on-conflict', 'ignore')).toEqual([
      [1, 'old', 'k'],
      [2, 'old', 'k'],
      [3, 'first', null],
    ]);
    expect(await rows('--on-conflict', 'ignore', '--key', 'id')).toEqual([
      [1, 'old', 'k'],
      [2, 'old', 'k'],
      [3, 'first', null],
    ]);
    expect(await rows('--on-conflict', 'update', '--key', 'id')).toEqual([
      [1, 'old', 'k'],
      [2, 'last', 'k'],
      [3, 'first', null],
    ]);
    await database.query(fill);
    const refused = await load(['-q', '-t', table, input]);
    expect(refused.stderr).toMatch(/x\.csv:2: .*duplicate key/);
  });

  it('goes with --rejects; a key that is not loaded, or of no constraint, is refused', async () => {
    const table = await database.table('id int PRIMARY KEY, n int');
    await database.query(`INSERT INTO ${table} VALUES (1, 0)`);
    const input = await file('x.csv', 'id,n\n1,5\n2,x\n3,7\n');
    const upsert = ['-t', table, '--on-conflict', 'update', '--key', 'id', input];
    expect((await rejectsOf(upsert)).map(({ line, column }) => [line, column])).toEqual([[3, 'n']]);
    expect(await rowsOf(table)).toEqual([
      { id: 1, n: 5 },
      { id: 3, n: 7 },
    ]);
    const other = await load(['-q', '-t', table, '--on-conflict', 'update', '--key', 'di', input]);
    expect(other.stderr).toBe('spillway: --key: "di" is not among the columns that are loaded: id, n\n');
    const good = await file('y.csv', 'id,n\n1,5\n');
    const noConstraint = await load(['-q', '-t', table, '--on-conflict', 'update', '--key', 'n', good]);
    expect(noConstraint.stderr).toMatch(/no unique or exclusion constraint matching/);
  });
});

describe('--atomic', () => {
  const many = range(5000).join('\n');

  it('loads all rows, in batches of one transaction', async () => {
    const table = await database.table('a int PRIMARY KEY');
    await database.query(`INSERT INTO ${table} VALUES (-1)`);
    const input = await file('x.csv', `a\n${many}\n`);
    const result = await load([
      '-t',
      table,
      '--atomic',
      '--truncate',
      '--batch-size',
      '100',
      '--json',
      input,
    ]);
    expect(result.code).toBe(0);
    expect(JSON.parse(result.stdout)).toMatchObject({ rows: 5000, flushes: 50, exitCode: 0 });
    expect(
      await database.query(
        `SELECT count(*)::int, count(DISTINCT xmin::text)::int AS subtransactions FROM ${table}`,
      ),
    ).toEqual([{ count: 5000, subtransactions: 50 }]);
  });

  it('or none: the truncation is undone, a table that was made is gone', async () => {
    const table = await database.table('a int PRIMARY KEY');
    await database.query(`INSERT INTO ${table} VALUES (-1)`);
    const input = await file('x.csv', `a\n${many}\n4999\n`);
    const args = ['-q', '--atomic', '--batch-size', '100', input];
    const result = await load(['-t', table, '--truncate', ...args]);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/x\.csv:5002: .*duplicate key.* \(nothing was loaded\)\n$/);
    expect(await rowsOf(table)).toEqual([{ a: -1 }]);
    const made = 'made_and_undone';
    const bad = await file(
      'y.csv',
      `a,b\n${Array.from({ length: 20_000 }, (_, n) => (n === 19_999 ? '1,2,3' : `${n},1`)).join('\n')}\n`,
    );
    const created = await load(['-q', '--atomic', '--create', '-t', made, bad]);
    expect(created.stderr).toMatch(/y\.csv:20001: expected 2 fields.* \(nothing was loaded\)\n$/);
    expect(await database.query('SELECT to_regclass($1)::text AS found', [made])).toEqual([{ found: null }]);
  });

  it('with --rejects all good rows or none; with an upsert, too', async () => {
    const table = await database.table('a int PRIMARY KEY, b text');
    await database.query(`INSERT INTO ${table} VALUES (3, 'old')`);
    const rows = Array.from({ length: 1000 }, (_, n) => (n % 100 === 7 ? `x${n},y` : `${n},y`));
    const input = await file('x.csv', `a,b\n${rows.join('\n')}\n`);
    const lines = await rejectsOf([
      '-t',
      table,
      '--atomic',
      '--batch-size',
      '150',
      '--on-conflict',
      'update',
      '--key',
      'a',
      input,
    ]);
    expect(lines).toHaveLength(10);
    expect(await rowsOf(table)).toHaveLength(990);
    const stopped = await load([
      '-q',
      '-t',
      table,
      '--atomic',
      '--truncate',
      '--rejects',
      freshName('r'),
      '--max-rejects',
      '9',
      input,
    ]);
    expect(stopped.stderr).toMatch(/more than --max-rejects 9; .* \(nothing was loaded\)/);
    expect(await rowsOf(table)).toHaveLength(990);
  });

  it('a constraint that is checked at COMMIT undoes all', async () => {
    const parent = await database.table('p int PRIMARY KEY');
    const table = await database.table(`a int, p int REFERENCES ${parent} DEFERRABLE INITIALLY DEFERRED`);
    const result = await load(['-q', '-t', table, '--atomic', await file('x.csv', 'a,p\n1,5\n')]);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/violates foreign key constraint .* \(nothing was loaded\)\n$/);
    expect(await rowsOf(table)).toEqual([]);
  });

  it.each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)('%s leaves nothing', async (signal) => {
    const table = await database.table('a int');
    const running = cli.start(
      ['load', '-q', '-t', table, '--atomic', '--batch-size', '1000', '--format', 'csv', '-'],
      {
        // A backend of the test before, whose client was killed, may still be there.
        env: { DATABASE_URL: database.url, PGAPPNAME: table },
      },
    );
    running.child.stdin!.write(`a\n${range(100_000).join('\n')}\n`);
    const isLoading = async () =>
      (
        await database.query(
          "SELECT 1 FROM pg_stat_activity WHERE application_name = $1 AND query LIKE '%SAVEPOINT%'",
          [table],
        )
      ).length > 0;
    while (!(await isLoading())) await delay(20);
    await delay(200);
    running.child.kill(signal);
    const result = await running.result;
    expect(result.code).toBe({ SIGKILL: null, SIGTERM: 143, SIGINT: 130 }[signal]);
    if (signal !== 'SIGKILL')
      expect(result.stderr).toBe(`spillway: stopped by ${signal}; nothing was loaded, as --atomic has it\n`);
    expect(await rowsOf(table)).toEqual([]);
  });

  it('a connection that is lost undoes all, and is not made good by another attempt', async () => {
    const table = await database.table('a int');
    const running = cli.start(
      ['load', '-q', '-t', table, '--atomic', '--batch-size', '1000', '--format', 'csv', '-'],
      {
        env: { DATABASE_URL: database.url },
      },
    );
    running.child.stdin!.write(`a\n${range(50_000).join('\n')}\n`);
    const backends = () =>
      database.query<{ pid: number }>(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'spillway' AND query LIKE '%SAVEPOINT%'",
      );
    while ((await backends()).length === 0) await delay(20);
    await database.query('SELECT pg_terminate_backend($1)', [(await backends())[0]!.pid]);
    running.child.stdin!.end(`${range(50_000).join('\n')}\n`);
    const result = await running.result;
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/^spillway: .*(terminat|connection was lost).* \(nothing was loaded\)\n$/);
    expect(await rowsOf(table)).toEqual([]);
  });
});
