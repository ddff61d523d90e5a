/** `--create`: names that are too long, several files, and a load that fails before its first row. */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { useCli, type CliResult } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';

const cli = useCli();
const database = useTestDatabase();

let files = 0;

async function file(name: string, content: string): Promise<string> {
  files += 1;
  const unique = `${files}-${name}`;
  await writeFile(path.join(cli.directory, unique), content);
  return unique;
}

const load = (...args: string[]): Promise<CliResult> =>
  cli.run(['load', ...args], { env: { DATABASE_URL: database.url } });

async function columnsOf(table: string): Promise<Record<string, string>> {
  const rows = await database.query<{ name: string; type: string }>(
    `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
     WHERE attrelid = to_regclass($1) AND attnum > 0 ORDER BY attnum`,
    [`"${table}"`],
  );
  return Object.fromEntries(rows.map(({ name, type }) => [name, type]));
}

describe('names that are longer than the server keeps', () => {
  const long = 'é'.repeat(40);
  const kept = 'é'.repeat(31);

  it('are cut at a character, numbered if they collide, and said, for the table and its columns', async () => {
    const table = `t${'x'.repeat(80)}`;
    const input = await file('x.csv', `id,${long}1,${long}2\n1,a,b\n`);
    const result = await load('-t', table, '--create', input);
    expect(result.stderr).toContain(`the table name "${table}" is longer than`);
    expect(result.stderr).toContain(
      `the column name "${long}2" is longer than the server's longest; the column is`,
    );
    expect(result).toMatchObject({ code: 0 });
    const created = table.slice(0, 63);
    expect(Object.keys(await columnsOf(created))).toEqual(['id', kept, `${'é'.repeat(29)}_2`]);
    // The header's order may change; the columns stay what they are.
    const turned = await file('y.csv', `${long}2,${long}1,id\nb,a,2\n`);
    expect(await load('-q', '-t', table, turned)).toMatchObject({ code: 0, stderr: '' });
    const both = await file('z.ndjson', `{"id":3,"${long}1":"a","${long}2":"b"}\n`);
    expect(await load('-q', '-t', table, both)).toMatchObject({ code: 0, stderr: '' });
    expect(await database.query(`SELECT * FROM "${created}" ORDER BY id`)).toEqual(
      ['1', '2', '3'].map((id) => ({ id, [kept]: 'a', [`${'é'.repeat(29)}_2`]: 'b' })),
    );
  });

  it('are refused if a column of the table may stand for another long name', async () => {
    const input = await file('x.csv', `${long}1,${long}2\na,b\n`);
    expect(await load('-q', '-t', 'long_names', '--create', input)).toMatchObject({ code: 0 });
    const half = await file('y.csv', `${long}2\nb\n`);
    const result = await load('-q', '-t', 'long_names', half);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain(
      `y.csv:1: the name "${long}2" is longer than the server's longest, and may stand for`,
    );
    expect(result.stderr).toContain('--columns');
  });

  it('are found by --key, and name the values of a reject as the input does', async () => {
    await database.query(`CREATE TABLE keyed ("${kept}" int PRIMARY KEY, n int)`);
    const input = await file('x.csv', `${long},n\n1,1\n1,2\n2,x\n`);
    const rejects = await file('rejects.ndjson', '');
    const args = [
      '-q',
      '-t',
      'keyed',
      '--on-conflict',
      'update',
      '--key',
      long,
      '--rejects',
      rejects,
      '--json',
      input,
    ];
    const result = await load(...args);
    expect(result.code).toBe(3);
    expect(JSON.parse(result.stdout)).toMatchObject({
      notes: [`the column name "${long}" is longer than the server's longest; the column is "${kept}"`],
    });
    expect(await database.query('SELECT * FROM keyed')).toEqual([{ [kept]: 1, n: 2 }]);
  });
});

describe('--create with several files', () => {
  it('infers the types by name, whatever the order of the headers', async () => {
    const first = await file('a.csv', 'qty,note\n1,one\n');
    const second = await file('b.csv', 'note,qty\ntwo,2\n');
    expect(await load('-q', '-t', 'by_name', '--create', first, second)).toMatchObject({
      code: 0,
      stderr: '',
    });
    expect(await columnsOf('by_name')).toEqual({ qty: 'bigint', note: 'text' });
    expect(await database.query('SELECT * FROM by_name ORDER BY qty')).toEqual([
      { qty: '1', note: 'one' },
      { qty: '2', note: 'two' },
    ]);
  });

  it('widens a type by the values of a later file', async () => {
    const first = await file('a.csv', 'a,b,c\n1,x,2024-01-01\n');
    const second = await file('b.csv', 'c,a,b\n2024-01-01T10:00:00,1.5,2\n');
    expect(await load('-q', '-t', 'widened', '--create', first, second)).toMatchObject({
      code: 0,
      stderr: '',
    });
    expect(await columnsOf('widened')).toEqual({ a: 'numeric', b: 'text', c: 'timestamp without time zone' });
  });
});

describe('a table that --create has made', () => {
  const badLate = (good: number): string => {
    const rows = Array.from({ length: 12_000 }, (_, index) => String(index));
    rows[good] = 'x';
    return `a\n${rows.join('\n')}\n`;
  };

  it('is dropped again if the load fails without a row in it', async () => {
    const input = await file('x.csv', badLate(11_000));
    const result = await load('-q', '-t', 'dropped', '--create', '--json', input);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('nothing was loaded; the table that --create had made was dropped again');
    expect(JSON.parse(result.stdout)).toMatchObject({ created: false, rows: 0 });
    expect(await columnsOf('dropped')).toEqual({});
    const corrected = await file('y.csv', 'other\nx\n');
    expect(await load('-q', '-t', 'dropped', '--create', corrected)).toMatchObject({ code: 0 });
  });

  it('is dropped again if what comes before the first row fails', async () => {
    const input = await file('x.csv', 'a\n1\n');
    const result = await load(
      '-q',
      '-t',
      'dropped2',
      '--create',
      '--on-conflict',
      'update',
      '--key',
      'b',
      input,
    );
    expect(result.stderr).toMatch(
      /--key: "b" is not among .*; the table that --create had made was dropped again/,
    );
    expect(await columnsOf('dropped2')).toEqual({});
  });

  it('stays if a row is in it', async () => {
    const input = await file('x.csv', badLate(11_000));
    const result = await load('-q', '-t', 'kept', '--create', '--batch-size', '100', input);
    expect(result.code).toBe(1);
    expect(result.stderr).not.toContain('dropped');
    expect(await columnsOf('kept')).toEqual({ a: 'bigint' });
  });

  it('stays if something depends on it', async () => {
    await database.query(`CREATE FUNCTION depend() RETURNS event_trigger LANGUAGE plpgsql AS $$
      BEGIN IF to_regclass('depended') IS NOT NULL AND to_regclass('dependent') IS NULL THEN
        CREATE VIEW dependent AS SELECT * FROM depended; END IF; END $$`);
    await database.query(
      "CREATE EVENT TRIGGER depend ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION depend()",
    );
    try {
      const result = await load('-q', '-t', 'depended', '--create', await file('x.csv', badLate(11_000)));
      expect(result.code).toBe(1);
      expect(result.stderr).not.toContain('dropped');
      expect(await columnsOf('depended')).toEqual({ a: 'bigint' });
    } finally {
      await database.query('DROP EVENT TRIGGER depend');
    }
  });

  it('is dropped with the import that was begun for it, unless that has a checkpoint', async () => {
    const input = await file('x.csv', badLate(11_000));
    const rejects = await file('rejects.ndjson', '');
    expect(await load('-q', '-t', 'resumed', '--create', '--resume', 'one', input)).toMatchObject({
      code: 1,
    });
    expect(await columnsOf('resumed')).toEqual({});
    expect(await database.query("SELECT FROM spillway_imports WHERE import_id = 'one'")).toEqual([]);
    // The trigger leaves every row out: what is committed are checkpoints without a row.
    const late = await file('y.csv', `a\n${'1\n'.repeat(10_000)}${'x\n'.repeat(10_000)}`);
    const args = [
      '-q',
      '-t',
      'marked',
      '--create',
      '--resume',
      'two',
      '--rejects',
      rejects,
      '--max-rejects',
      '100',
    ];
    await database.query(
      `CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`,
    );
    await database.query(`CREATE FUNCTION swallow_all() RETURNS event_trigger LANGUAGE plpgsql AS $$
      BEGIN IF to_regclass('marked') IS NOT NULL AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'swallow') THEN
        CREATE TRIGGER swallow BEFORE INSERT ON marked FOR EACH ROW EXECUTE FUNCTION swallow(); END IF; END $$`);
    await database.query(
      "CREATE EVENT TRIGGER swallow_all ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION swallow_all()",
    );
    try {
      expect(await load(...args, '--batch-size', '1000', late)).toMatchObject({ code: 1 });
    } finally {
      await database.query('DROP EVENT TRIGGER swallow_all');
    }
    expect(await database.query('SELECT * FROM marked')).toEqual([]);
    expect(await columnsOf('marked')).toEqual({ a: 'bigint' });
  });
});
