/** `spillway load --dry-run`: what it shows, and that it changes nothing. */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { useCli } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';

const cli = useCli();
const database = useTestDatabase();

async function file(name: string, content: string | Buffer): Promise<string> {
  await writeFile(path.join(cli.directory, name), content);
  return name;
}

function dryRun(...args: string[]) {
  return cli.run(['load', '--dry-run', ...args], { env: { DATABASE_URL: undefined, PGHOST: '/nowhere' } });
}

describe('with --create', () => {
  it('shows reading, table, rows and problems, as the guide has them, and needs no server', async () => {
    const text = 'Report\n\nid;city;share\n1;M\xe1laga;3,5\n2;K\xf6ln;NA\n3;x\n';
    const name = await file('report.csv', Buffer.from(text, 'latin1'));
    expect(await dryRun(name, '--create', '--table', 'sales')).toEqual({
      code: 1,
      stderr: '',
      stdout: [
        'read as CSV: windows-1252, fields divided by ";", 2 lines before the table left out, with a header',
        'CREATE TABLE "sales" (',
        '  "id" bigint,',
        '  "city" text,',
        '  "share" numeric',
        ')',
        '',
        'id | city   | share',
        '---+--------+------',
        ' 1 | Málaga |   3.5',
        ' 2 | Köln   |  NULL',
        '(2 rows)',
        '',
        'problems:',
        'report.csv:6: expected 3 fields, got 2; --pad makes the fields that are missing NULL',
        'nothing was changed',
        '',
      ].join('\n'),
    });
  });

  it('prints one object with --json', async () => {
    const name = await file('x.csv', 'a,b\n1,x\n');
    const { stdout, code } = await dryRun(name, '--create', '--table', 't', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      dryRun: true,
      table: 't',
      schema: null,
      reading: expect.objectContaining({ encoding: 'utf-8', delimiter: ',', header: true }) as object,
      statement: 'CREATE TABLE "t" (\n  "a" bigint,\n  "b" text\n)',
      columns: [
        { name: 'a', type: 'bigint' },
        { name: 'b', type: 'text' },
      ],
      isWhole: true,
      notes: [],
      rows: [['1', 'x']],
      problems: [],
      exitCode: 0,
    });
  });

  it('says that it has seen a part of the input only', async () => {
    const name = await file('long.csv', `a\n${'1\n'.repeat(10_001)}`);
    const { stdout } = await dryRun(name, '--create', '--table', 't');
    expect(stdout).toContain('the types are those of the first 10,000 records');
    const whole = await file('short.csv', `a\n${'1\n'.repeat(9_999)}`);
    expect((await dryRun(whole, '--create', '--table', 't')).stdout).not.toContain('10,000');
  });

  it('shows NDJSON, numbers as they are written', async () => {
    const name = await file('x.ndjson', '{"a":1.10,"b":{"c":[1.0]}}\n{"a":2,"d":true}\n{"a"\n');
    const { stdout, code } = await dryRun(
      name,
      '--create',
      '--table',
      't',
      '--json',
      '--rejects',
      'never.ndjson',
    );
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({
      rows: [
        ['1.10', '{"c":[1.0]}', null],
        ['2', null, 'true'],
      ],
      problems: [{ file: 'x.ndjson', line: 3 }],
    });
  });

  it('notes names that a server would cut', async () => {
    const name = await file('cut.csv', `${'n'.repeat(64)},${'m'.repeat(63)}\n1,2\n`);
    const { stdout } = await cli.run(['load', name, '--dry-run', '--create', '-t', 't', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({
      notes: [expect.stringMatching(/^the column name "n{64}" is longer than 63 bytes/)],
    });
  });

  it('refuses a file that can be read in two ways with exit code 1', async () => {
    const refused = await dryRun(await file('two.csv', 'a;b,c\nx;y,z\n'), '--create', '--table', 't');
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(/--delimiter decides/);
  });

  it('prints no control characters of a file raw', async () => {
    const { stdout } = await dryRun(
      await file('bell.csv', 'a\x1b[31m,b\n\x07x,1\n'),
      '--create',
      '--table',
      't',
    );
    const isControl = (character: string) => character < ' ' && character !== '\n';
    expect(Array.from(stdout).filter(isControl)).toEqual([]);
  });
});

describe('into a table that is there', () => {
  it('shows its types, and changes nothing', async () => {
    const table = await database.table('a int, b text');
    const name = await file('there.csv', 'b,a\nx,1\n');
    const shown = await cli.run(['load', name, '--dry-run', '--truncate', '-t', table, '--to', database.url]);
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    expect(shown.stdout).toContain(`into the table "${table}", which is there`);
    expect(shown.stdout).toContain('b | a\n--+--\nx | 1\n(1 row)');
    expect(await database.query(`SELECT * FROM ${table}`)).toEqual([]);
  });

  it('shows a file without a header, whose fields are its columns', async () => {
    const table = await database.table('a int, b text, c int GENERATED ALWAYS AS (a) STORED');
    const name = await file('bare.csv', '1,x\n2,y\n3\n');
    const args = ['load', name, '--dry-run', '-t', table, '--to', database.url];
    const shown = await cli.run(args);
    expect(shown).toMatchObject({ code: 1, stderr: '' });
    expect(shown.stdout).toContain('without a header');
    expect(shown.stdout).toContain('a | b\n--+--\n1 | x\n2 | y\n(2 rows)');
    expect(shown.stdout).toContain('bare.csv:3: expected 2 fields, got 1');
    const refused = await cli.run([...args, '--null-for', 'd=1']);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(/--null-for: "d" is not among the columns that are loaded: a, b/);
  });

  it('finds columns and keys whose names are longer than those of the server, as a load does', async () => {
    const [long, kept] = ['é'.repeat(40), 'é'.repeat(31)];
    const table = await database.table(`"${kept}" date PRIMARY KEY, b text`);
    const name = await file('long.csv', `${long},b\n31/12/2024,x\n`);
    const args = ['load', name, '-t', table, '--to', database.url, '--dates', 'dmy'];
    const upsert = [...args, '--on-conflict', 'update', '--key', long];
    const shown = await cli.run([...upsert, '--dry-run', '--json']);
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(shown.stdout)).toMatchObject({
      columns: [
        { name: kept, type: 'date' },
        { name: 'b', type: 'text' },
      ],
      rows: [['2024-12-31', 'x']],
      notes: [expect.stringContaining(`is longer than the server's longest; the column is "${kept}"`)],
    });
    expect(await cli.run(upsert)).toMatchObject({ code: 0 });
    expect(await database.query(`SELECT b FROM ${table}`)).toEqual([{ b: 'x' }]);
    const other = [...args, '--on-conflict', 'update', '--key', `${long}é`];
    const refusals = [await cli.run([...other, '--dry-run']), await cli.run(other)];
    for (const refused of refusals) {
      expect(refused).toMatchObject({ code: 1, stdout: '' });
      expect(refused.stderr).toMatch(/--key: "é+" is not among the columns that are loaded/);
    }
  });

  it('refuses a name that it does not have', async () => {
    const table = await database.table('a int');
    const name = await file('other.csv', 'a,zz\n1,2\n');
    const refused = await cli.run(['load', name, '--dry-run', '-t', table, '--to', database.url]);
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toMatch(
      /other\.csv:1: .*no column "zz"; it takes a \(--columns says what is loaded\)$/m,
    );
  });
});
