/** `load --format copy`: files as `COPY … TO` writes them, by the real command. */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { to as copyTo } from 'pg-copy-streams';
import { describe, expect, it } from 'vitest';
import { useCli } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';

const cli = useCli();
const database = useTestDatabase();

async function file(name: string, content: string | Buffer): Promise<string> {
  await writeFile(path.join(cli.directory, name), content);
  return name;
}

function load(...args: string[]) {
  return cli.run(['load', '--to', database.url, '-q', '-f', 'copy', ...args]);
}

/** What the server writes. */
async function written(statement: string): Promise<Buffer> {
  const client = await database.pool().connect();
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of client.query(copyTo(statement)) as AsyncIterable<Buffer>) chunks.push(chunk);
    return Buffer.concat(chunks);
  } finally {
    client.release();
  }
}

const VALUES = `(1, E'tab\\t line\\n return\\r back\\\\ bell\\x07 \\b\\f\\v', '2024-01-31'::date, ARRAY['a,b', NULL, E'"q\\\\'], '\\x00ff5c'::bytea),
  (2, NULL, NULL, NULL, NULL), (3, '', '0044-03-15 BC', '{}', ''), (4, E'\\\\N', 'infinity', ARRAY[''], '\\x0a'), (5, 'é😀\u2028', NULL, NULL, NULL)`;

describe('a table that COPY has written', () => {
  it.each([
    ['as it writes it', '', []],
    ['with a header', '', ['--header']],
    ['with another delimiter and another NULL', ", DELIMITER '|', NULL 'nil'", ['--delimiter', '|', '--null', 'nil']],
    ['in another encoding', ", ENCODING 'LATIN1'", ['--encoding', 'latin1']],
  ] as const)('comes back the same, %s', async (_, options, flags) => {
    const before = await database.table('id int, t text, d date, a text[], b bytea');
    const after = await database.table('id int, t text, d date, a text[], b bytea');
    const values = options.includes('LATIN1') ? VALUES.replace('😀\u2028', '') : VALUES;
    await database.query(`INSERT INTO ${before} VALUES ${values}`);
    const records = await written(`COPY ${before} TO STDOUT WITH (FORMAT text${options})`);
    // As HEADER of PostgreSQL 15 and later writes it.
    const bytes = flags[0] === '--header' ? Buffer.concat([Buffer.from('id\tt\td\ta\tb\n'), records]) : records;
    expect(await load(await file('t.copy', bytes), '-t', after, ...flags)).toEqual({ code: 0, stdout: '', stderr: '' });
    const rows = (table: string) => database.query(`SELECT t.*::text AS row FROM ${table} t ORDER BY id`);
    expect(await rows(after)).toEqual(await rows(before));
  }); // prettier-ignore

  it('is created with numbered names, or those of the header, and types of its values', async () => {
    const text = '1\t1.50\tNA\t2024-02-29\t\\N\n2\t\\N\tx\t2024-03-01\t\\N\n\\.\n';
    expect(await load(await file('c.copy', text), '-t', 'numbered', '--create')).toMatchObject({ code: 0 });
    expect(await database.query('SELECT column1, column2::text, column3, column4::text, column5 FROM numbered ORDER BY 1')).toEqual([
      { column1: '1', column2: '1.50', column3: 'NA', column4: '2024-02-29', column5: null },
      { column1: '2', column2: null, column3: 'x', column4: '2024-03-01', column5: null },
    ]); // prettier-ignore
    const headed = await file('h.copy', 'id\tthe\\tname\n1\ta\n');
    expect(await load(headed, '-t', 'headed', '--create', '--header')).toMatchObject({ code: 0 });
    expect(await database.query('SELECT id, "the\tname" FROM headed')).toEqual([
      { id: '1', 'the\tname': 'a' },
    ]);
    const named = await load('c.copy', '-t', 'named', '--create', '--columns', 'id,,text');
    expect(named.stderr).toMatch(/c\.copy:1: expected 3 fields, got 5/);
  });
});

describe('a line that cannot be read', () => {
  const text = '1\ta\n2\n3\tb\\xff\nx\tc\n5\td\\\n6\te\n';

  it('ends the load with file, line and field', async () => {
    const table = await database.table('id int, t text');
    const { code, stderr } = await load(await file('bad.copy', text), '-t', table);
    expect(code).toBe(1);
    expect(stderr).toMatch(/bad\.copy:2: expected 2 fields, got 1/);
  });

  it('goes to the file of rejects, and the others are loaded', async () => {
    const table = await database.table('id int, t text');
    const { code } = await load(await file('bad.copy', text), '-t', table, '--rejects', '/dev/stdout');
    const { stdout } = await load('bad.copy', '-t', table, '--rejects', '/dev/stdout');
    expect(code).toBe(3);
    const lines = stdout.trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>); // prettier-ignore
    expect(lines.map(({ line, record, message }) => [line, record, message])).toEqual([
      [2, 2, 'expected 2 fields, got 1'],
      [3, 3, 'field 2 is not UTF-8, once its escapes are undone'],
      [4, 4, 'invalid input syntax for type integer: "x"'],
      [5, 5, 'a backslash stands at the end of the line; in a value, a line break is written as \\n'],
    ]);
    expect(await database.query(`SELECT count(*)::int AS n FROM ${table}`)).toEqual([{ n: 4 }]);
  });
});

describe('COPY text', () => {
  it('in a file of tabs is named, and not guessed', async () => {
    const name = await file('nulls.tsv', 'id\tname\n1\t\\N\n2\tb\n');
    const run = (...flags: string[]) =>
      cli.run(['load', name, '--to', database.url, '--create', '--json', '-q', '-t', ...flags]);
    const { stdout } = await run('nulls');
    expect(JSON.parse(stdout)).toMatchObject({
      notes: [
        "some fields are \\N, which databases write for NULL: --null '\\N' reads them so, and --format copy also undoes escapes",
      ],
    });
    expect(await database.query('SELECT name FROM nulls WHERE id = 1')).toEqual([{ name: '\\N' }]);
    expect(JSON.parse((await run('nulls_read', '--null', '\\N')).stdout)).toMatchObject({
      notes: [],
      rows: 2,
    });
    expect(await database.query('SELECT name FROM nulls_read WHERE id = 1')).toEqual([{ name: null }]);
  });

  it('is shown by --dry-run without a server', async () => {
    const name = await file('d.copy', '1\ta\\tb\n2\t\\N\n3\n');
    const args = ['load', name, '-f', 'copy', '--create', '-t', 't', '--dry-run', '--json'];
    const { stdout, code } = await cli.run(args, { env: { DATABASE_URL: undefined, PGHOST: '/nowhere' } });
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      statement: 'CREATE TABLE "t" (\n  "column1" bigint,\n  "column2" text\n)',
      rows: [
        ['1', 'a\tb'],
        ['2', null],
      ],
      problems: [{ file: 'd.copy', line: 3, message: 'expected 2 fields, got 1' }],
    });
  });

  it('goes on with --import where it was stopped, and each row is there once', async () => {
    const table = await database.table('id int, t text');
    const lines = Array.from({ length: 5000 }, (_, id) => `${id}\t${id % 3 === 0 ? '\\N' : `a\\n${id}`}\n`);
    const bad = await file('r.copy', [...lines.slice(0, 4000), 'x\ty\n', ...lines.slice(4000)].join(''));
    const flags = ['-t', table, '--import', 'r', '--batch-size', '500'];
    expect(await load(bad, ...flags)).toMatchObject({ code: 1 });
    expect(await load(bad, ...flags, '--rejects', 'r.ndjson')).toMatchObject({ code: 3 });
    expect(await database.query(`SELECT count(*)::int AS n, count(DISTINCT id)::int AS ids, count(t)::int AS texts FROM ${table}`)).toEqual([
      { n: 5000, ids: 5000, texts: 3333 },
    ]); // prettier-ignore
    const other = await load(bad, ...flags, '--null', 'x');
    expect(other.stderr).toMatch(/--null was "\\\\N" and is "x"/);
  });

  it.each([
    [['--quote', "'"], /--quote is for CSV, and the input is COPY's text format/],
    [['--null-for', 'a=x'], /--null-for is for CSV/],
    [['--null', 'x', '--null', 'y'], /COPY's text format has one --null/],
    [['--delimiter', 'x'], /--delimiter of COPY's text format is no backslash, dot, digit or small letter/],
  ])('refuses %j', async (flags, message) => {
    const { code, stderr } = await load('none.copy', '-t', 't', ...flags);
    expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
  });
});
