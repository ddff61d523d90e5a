/** Flags that say how values are written: `--dates`, `--numbers`, `--decimal-comma`, `--booleans`. */

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { useCli } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';

const cli = useCli();
const database = useTestDatabase();
let number = 0;

function write(content: string | Buffer, extension = 'csv'): string {
  const file = path.join(cli.directory, `values-${++number}.${extension}`);
  writeFileSync(file, content);
  return file;
}

async function run(file: string, ...flags: string[]) {
  const table = `values_${number}`;
  const result = await cli.run(['load', file, '-q', '-t', table, '--to', database.url, ...flags]);
  return { table, ...result };
}

/** Types of the columns, and each row's values as the server writes them. */
async function contents(table: string) {
  const types = await database.query<{ name: string; type: string }>(
    `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
     WHERE attrelid = '${table}'::regclass AND attnum > 0 ORDER BY attnum`,
  );
  const list = types.map(({ name }) => `"${name}"::text`).join(', ');
  const rows = await database.query<{ r: unknown[] }>(
    `SELECT json_build_array(${list}) r FROM ${table} ORDER BY ctid`,
  );
  return {
    types: types.map(({ type }) => type.replace(' without time zone', '')),
    rows: rows.map(({ r }) => r),
  };
}

async function create(content: string, ...flags: string[]) {
  const { table, code, stderr } = await run(write(content), '--create', ...flags);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return contents(table);
}

describe('a table that is made', () => {
  it.each<[string, string, string[], string[], unknown[][]]>([
    ['--dates dmy', 'id,d,t\n1,5/3/2024,5.3.24 10:00\n2,NA,\n3,31/12/1999,1 Mar 2024 2:05 PM\n', ['--dates', 'dmy'], ['bigint', 'date', 'timestamp'], [['1', '2024-03-05', '2024-03-05 10:00:00'], ['2', null, null], ['3', '1999-12-31', '2024-03-01 14:05:00']]],
    ['--dates mdy', 'id,d\n1,5/3/2024\n', ['--dates', 'mdy'], ['bigint', 'date'], [['1', '2024-05-03']]],
    ['--dates ymd', 'id,d\n1,24/3/5\n', ['--dates', 'ymd'], ['bigint', 'date'], [['1', '2024-03-05']]],
    ['--dates for another order', 'id,d\n1,13/3/2024\n', ['--dates', 'mdy'], ['bigint', 'text'], [['1', '13/3/2024']]],
    ['no --dates', 'id,d\n1,13/3/2024\n', [], ['bigint', 'text'], [['1', '13/3/2024']]],
    ['--numbers 1,234.5', 'id,n,p\n1,"1,234.50",12.50 %\n2,"(5)",3 %\n', ['--numbers', '1,234.5'], ['bigint', 'numeric', 'numeric'], [['1', '1234.50', '12.50'], ['2', '-5', '3']]],
    ['--numbers 1.234,5', 'id;n;p\n1;1.234,50;$5\n2;2;-$3,25\n', ['--numbers', '1.234,5'], ['bigint', 'numeric', 'numeric'], [['1', '1234.50', '5'], ['2', '2', '-3.25']]],
    ['--numbers 1 234,5', 'id;n\n1;1\u00a0234,5\n', ['--numbers', '1 234,5'], ['bigint', 'numeric'], [['1', '1234.5']]],
    ['no --numbers', 'id,n,p\n1,"1,234",12 %\n', [], ['bigint', 'text', 'text'], [['1', '1,234', '12 %']]],
    ['two units under --numbers', 'id,n\n1,$5\n2,€5\n', ['--numbers', '1,234.5'], ['bigint', 'text'], [['1', '$5'], ['2', '€5']]],
    ['--decimal-comma', 'id;n\n1;1,500\n', ['--decimal-comma'], ['bigint', 'numeric'], [['1', '1.500']]],
    ['--booleans', 'id,a,b,c\n1,yes,Y,F\n2,NO,n,F\n3,,NA,F\n', ['--booleans'], ['bigint', 'boolean', 'boolean', 'text'], [['1', 'true', 'true', 'F'], ['2', 'false', 'false', 'F'], ['3', null, null, 'F']]],
    ['no --booleans', 'id,a\n1,yes\n2,no\n', [], ['bigint', 'text'], [['1', 'yes'], ['2', 'no']]],
    ['all of them under --strict', 'id,d,n,b\n1,5/3/2024,12%,yes\n2,,,no\n', ['--strict', '--dates', 'dmy', '--numbers', '1,234.5', '--booleans'], ['bigint', 'date', 'bigint', 'boolean'], [['1', '2024-03-05', '12', 'true'], ['2', null, null, 'false']]],
    ['--null and --null-for', 'id,d,n\n1,5/3/2024,x\n2,never,1.5 %\n3,-,-\n', ['--dates', 'dmy', '--numbers', '1,234.5', '--null', '-', '--null-for', 'd=never', '--null-for', 'n=x'], ['bigint', 'date', 'numeric'], [['1', '2024-03-05', null], ['2', null, '1.5'], ['3', null, null]]],
    ['--pad', 'id,d\n1,5/3/2024\n2\n', ['--dates', 'dmy', '--pad'], ['bigint', 'date'], [['1', '2024-03-05'], ['2', null]]],
  ])('by %s', async (_title, content, flags, types, rows) => {
    expect(await create(content, ...flags)).toEqual({ types, rows });
  }); // prettier-ignore

  it('is shown by --dry-run with its values as they would be stored', async () => {
    const { stdout, code } = await run(
      write('d,n\n5/3/2024,"1,000 %"\n'),
      '--create', '--dry-run', '--json', '--dates', 'dmy', '--numbers', '1,234.5',
    ); // prettier-ignore
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      columns: [
        { name: 'd', type: 'date' },
        { name: 'n', type: 'bigint' },
      ],
      rows: [['2024-03-05', '1000']],
    });
  });
});

describe('a table that is there', () => {
  const COLUMNS = 'd date, t timestamptz, n numeric, i integer, f double precision, s text, b boolean';

  it('gets its values by the types of its columns', async () => {
    const table = await database.table(COLUMNS);
    const file = write(
      'b,s,f,i,n,t,d\nyes,5/3/2024,1.5 %,"1,000","1,234.50",5/3/2024 10:00Z,5/3/2024\nf,"1,000",2 %,7,,infinity,20240306\n',
    );
    const { code, stderr } = await cli.run([
      'load', file, '-q', '-t', table, '--to', database.url, '--dates', 'dmy', '--numbers', '1,234.5',
    ]); // prettier-ignore
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect((await contents(table)).rows).toEqual([
      ['2024-03-05', expect.stringMatching(/^2024-03-05/), '1234.50', '1000', '1.5', '5/3/2024', 'true'],
      ['2024-03-06', 'infinity', null, '7', '2', '1,000', 'false'],
    ]);
  });

  it('gets them without a header, too', async () => {
    const table = await database.table('d date, n numeric');
    const file = write('5/3/2024,"1,000.5"\n');
    const { code } = await cli.run([
      'load', file, '-q', '-t', table, '--to', database.url, '--no-header', '--dates', 'dmy', '--numbers', '1,234.5',
    ]); // prettier-ignore
    expect(code).toBe(0);
    expect((await contents(table)).rows).toEqual([['2024-03-05', '1000.5']]);
  });

  it.each<[string, string, string[], RegExp]>([
    ['a day that no month has', 'd\n1/3/2024\n31/02/2024\n', ['--dates', 'dmy'], /:3: column "d"( \(date\))? must be a date as --dates dmy reads it; got "31\/02\/2024"/],
    ['a month 13', 'd\n13/1/2024\n', ['--dates', 'mdy'], /:2: column "d"( \(date\))? must be a date as --dates mdy reads it; got "13\/1\/2024"/],
    ['another separator', 'n\n"1,5"\n', ['--numbers', '1,234.5'], /:2: column "n"( \(numeric\))? must be a number written like 1,234.5; got "1,5"/],
    ['another unit', 'n\n$5\n€5\n', ['--numbers', '1,234.5'], /:3: column "n"( \(numeric\))? must be a number written like 1,234.5 with \$; got "€5"/],
  ])('refuses %s, with line, column and flag', async (_title, content, flags, message) => {
    const table = await database.table('d date, n numeric');
    const { code, stderr } = await cli.run(['load', write(content), '-q', '-t', table, '--to', database.url, ...flags]);
    expect(code).toBe(1);
    expect(stderr.trim()).toMatch(message);
  }); // prettier-ignore

  it.each<[string, string, RegExp]>([
    ['a date', 'd\n31/12/2024\n', /--dates dmy reads them/],
    ['a date that may be two', 'd\n2024-01-01\n5/3/24x\n', /invalid input syntax for type date/],
    ['thousands', 'n\n"1,234,567"\n', /--numbers '1,234.5' reads them/],
    ['a decimal comma', 'n\n"3,5"\n', /--numbers '1.234,5' or --numbers '1 234,5' reads them/],
    ['per cent', 'n\n3 %\n', /--numbers '1,234.5' reads them/],
  ])('without a flag refuses %s, and names the flag that helps', async (_title, content, message) => {
    const table = await database.table('d date, n numeric');
    const { code, stderr } = await cli.run(['load', write(content), '-q', '-t', table, '--to', database.url]);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });

  it('keeps what does not fit as it is written in the file of rejects', async () => {
    const table = await database.table('id integer, d date CHECK (d > $$2000-01-01$$), n numeric');
    const rejects = path.join(cli.directory, 'values-rejects.ndjson');
    const file = write(
      'id,d,n\n1,5/3/2024,"1,000"\n2,31/02/2024,"2,000"\n3,1/3/1999,"3,000"\n4,6/3/2024,x\n',
    );
    const { code } = await cli.run([
      'load', file, '-q', '-t', table, '--to', database.url, '--dates', 'dmy', '--numbers', '1,234.5', '--rejects', rejects,
    ]); // prettier-ignore
    expect(code).toBe(3);
    const lines = readFileSync(rejects, 'utf8').trim().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { line: 3, code: '22007', column: 'd', row: { id: '2', d: '31/02/2024', n: '2,000' } },
      { line: 4, code: '23514', row: { id: '3', d: '1/3/1999', n: '3,000' } },
      { line: 5, code: '22P02', column: 'n', row: { id: '4', d: '6/3/2024', n: 'x' } },
    ]);
    expect((await contents(table)).rows).toEqual([['1', '2024-03-05', '1000']]);
  });

  it('gets the same of an import that goes on, and refuses another flag', async () => {
    const file = write('id,d\n1,5/3/2024\n2,31/02/2024\n');
    const flags = ['--create', '--import', `values ${number}`, '--batch-size', '1', '--connections', '1'];
    const rejects = path.join(cli.directory, `values-${number}.ndjson`);
    const table = await database.table('id integer, d date');
    const start = (...others: string[]) =>
      cli.run(['load', file, '-q', '-t', table, '--to', database.url, ...flags, ...others]);
    expect(await start('--dates', 'dmy')).toMatchObject({ code: 1 });
    const other = await start('--dates', 'mdy');
    expect(other.stderr).toContain('--dates was "dmy" and is "mdy"');
    expect(await start('--dates', 'dmy', '--rejects', rejects)).toMatchObject({ code: 3 });
    expect((await contents(table)).rows).toEqual([['1', '2024-03-05']]);
  });
});

describe('an import that made its table', () => {
  it.each([[[]], [['--strict']]])('goes on with the same conversions: %j', async (others) => {
    const file = write('id,d,n,b\n1,5/3/2024,"$1,000",yes\n2,6/3/2024,$2,no\n3\n4,NA,$4,\n5,7/3/2024,"$5.50",no\n');
    const rejects = path.join(cli.directory, `values-${number}.ndjson`);
    const flags = ['--create', '--import', `made ${number}`, '--batch-size', '1', '--connections', '1', '--null', 'NA', '--null', ''];
    const values = ['--dates', 'dmy', '--numbers', '1,234.5', '--booleans', ...others];
    const first = await run(file, ...flags, ...values);
    expect(first.code).toBe(1);
    expect((await contents(first.table)).rows).toHaveLength(2);
    expect(await run(file, ...flags, ...values, '--rejects', rejects)).toMatchObject({ code: 3, stderr: '' });
    const { types, rows } = await contents(first.table);
    expect(types).toEqual(['bigint', 'date', 'numeric', 'boolean']);
    expect(rows).toEqual([
      ['1', '2024-03-05', '1000', 'true'],
      ['2', '2024-03-06', '2', 'false'],
      ['4', null, '4', null],
      ['5', '2024-03-07', '5.50', 'false'],
    ]);
  }); // prettier-ignore
});

describe('a value after the sample', () => {
  const RECORDS = 12_000;

  /** Columns of flags, with other values in single records. */
  function later(others: Record<number, string>): string {
    const lines = Array.from(
      { length: RECORDS },
      (_, at) => `${at};${others[at] ?? '5/3/2024;1.000;5 %;yes'}`,
    );
    return `id;d;n;p;b\n${lines.join('\n')}\n`;
  }

  const FLAGS = ['--create', '--dates', 'dmy', '--numbers', '1.234,5', '--booleans'];

  it.each<[string, Record<number, string>, string[], unknown[]]>([
    ['with a time makes a column of dates one of times', { 11_000: '5/3/2024 10:00;1.000;5 %;yes' }, ['timestamp', 'bigint', 'bigint', 'boolean'], ['2024-03-05 10:00:00', '1000', '5', 'true']],
    ['with decimals makes whole numbers decimals', { 11_000: '5/3/2024;1.000,50;5,5 %;no' }, ['date', 'numeric', 'numeric', 'boolean'], ['2024-03-05', '1000.50', '5.5', 'false']],
    ['that does not fit makes a column text, with all texts as they are written', { 11_000: '31/2/2024;12.5;€5;maybe' }, ['text', 'text', 'text', 'text'], ['31/2/2024', '12.5', '€5', 'maybe']],
    ['of a marker is NULL', { 11_000: 'NA;-;?;' }, ['date', 'bigint', 'bigint', 'boolean'], [null, null, null, null]],
    ['of another pair of words makes a column text', { 11_000: '5/3/2024;1.000;5 %;y' }, ['date', 'bigint', 'bigint', 'text'], ['2024-03-05', '1000', '5', 'y']],
  ])('%s', async (_title, others, types, row) => {
    const file = write(later(others));
    const { table, code, stderr } = await run(file, ...FLAGS);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { types: found } = await contents(table);
    expect(found.slice(1)).toEqual(types);
    const [{ r }] = (await database.query<{ r: unknown[] }>(
      `SELECT json_build_array(d::text, n::text, p::text, b::text) r FROM ${table} WHERE id = 11000`,
    )) as [{ r: unknown[] }];
    expect(r).toEqual(row);
    const [first] = await database.query<{ r: unknown[] }>(
      `SELECT json_build_array(d::text, n::text, p::text, b::text) r FROM ${table} WHERE id = 0`,
    );
    const isText = (at: number): boolean => types[at] === 'text';
    expect(first!.r).toEqual([
      isText(0) ? '5/3/2024' : expect.stringMatching(/^2024-03-05/),
      isText(1) ? '1.000' : '1000',
      isText(2) ? '5 %' : '5',
      isText(3) ? 'yes' : 'true',
    ]);
    expect(await database.query(`SELECT count(*)::int FROM ${table}`)).toEqual([{ count: RECORDS }]);
  }); // prettier-ignore
});

describe('a column that stays text', () => {
  it('is named with the flag that would read it, by a load and by --dry-run', async () => {
    const file = write('id,d,b\n1,31/12/2024,yes\n');
    const notes = [
      'the column "d" of text has dates such as "31/12/2024": --dates dmy reads them',
      'the column "b" of text has words for true and false such as "yes": --booleans reads them',
    ];
    const preview = await run(file, '--create', '--dry-run', '--json');
    expect((JSON.parse(preview.stdout) as { notes: string[] }).notes).toEqual(notes);
    const loaded = await run(file, '--create', '--json');
    expect((JSON.parse(loaded.stdout) as { notes: string[] }).notes).toEqual(notes);
    const shown = await cli.run(['load', file, '-t', 't', '--create', '--dry-run']);
    expect(shown.stdout).toContain(notes[0]);
  });
});

describe('--trim', () => {
  it.each<[string, string, string[], unknown[][]]>([
    ['white space around fields', 'id , name\n 1, a b \n2,\t\u00a0\n', ['bigint', 'text'], [['1', 'a b'], ['2', null]]],
    ['white space in and around quotes', '"id", " name "\n1, "a, b" \n2, "  "\n', ['bigint', 'text'], [['1', 'a, b'], ['2', '']]],
    ['spaces between commas and quotes in all lines', '"id", "name", "v"\n"1", "a, ""x""", "2"\n"2", "b", "3"\n', ['bigint', 'text', 'bigint'], [['1', 'a, "x"', '2'], ['2', 'b', '3']]],
    ['semicolons', 'id ; n\n1 ; 3,5\n2 ; NA\n', ['bigint', 'numeric'], [['1', '3.5'], ['2', null]]],
    ['tabs as delimiters', 'id \t name\n1\t a \n2\t\n', ['bigint', 'text'], [['1', 'a'], ['2', null]]],
    ['lines that end in CR', 'id , b\r1 , x\r', ['bigint', 'text'], [['1', 'x']]],
  ])('leaves out %s', async (_title, content, types, rows) => {
    expect(await create(content, '--trim')).toEqual({ types, rows });
  }); // prettier-ignore

  it('comes before --null, and goes with --strict', async () => {
    const content = 'id, v\n1, NA \n2, "x" \n';
    expect((await create(content, '--trim', '--strict', '--null', 'NA')).rows).toEqual([
      ['1', null],
      ['2', 'x'],
    ]);
  });

  it('without it, spaces stay', async () => {
    expect((await create('id,v\n1, a \n')).rows).toEqual([['1', ' a ']]);
  });
});

describe('--nul', () => {
  const JSON_TEXT = '{"a":"x\\u0000y","b":{"c":"\\u0000"}}\n';
  it.each<[string, string, string | Buffer, string, string[], unknown[]]>([
    ['CSV', 'csv', 'a,b\nx\0y,z\n', 'strip', ['xy', 'z'], ['x\ufffdy', 'z']],
    ['quoted CSV', 'csv', 'a,b\n"x\0""y","z,"\n', 'strip', ['x"y', 'z,'], ['x\ufffd"y', 'z,']],
    ['a name of CSV', 'csv', 'a\0,b\nx,z\n', 'strip', ['x', 'z'], ['x', 'z']],
    ['UTF-16', 'csv', Buffer.from('\ufeffa,b\nx\0y,ä\n', 'utf16le'), 'strip', ['xy', 'ä'], ['x\ufffdy', 'ä']],
    ['NDJSON', 'ndjson', JSON_TEXT, 'strip', ['xy', '{"c": ""}'], ['x\ufffdy', '{"c": "\ufffd"}']],
    ['JSON', 'json', `[\n${JSON_TEXT}]`, 'strip', ['xy', '{"c": ""}'], ['x\ufffdy', '{"c": "\ufffd"}']],
  ])('strips or replaces U+0000 of %s', async (_title, extension, content, _action, stripped, replaced) => {
    for (const [action, row] of [['strip', stripped], ['replace', replaced]] as const) {
      const { table, code, stderr } = await run(write(content, extension), '--create', '--nul', action);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect((await contents(table)).rows).toEqual([row]);
    }
  }); // prettier-ignore

  it.each([
    ['csv', 'a,b\nx,z\nx\0y,z\n', /:3: column "a"( \(text\))? holds the character U\+0000.*--nul strip/],
    ['csv', 'a,b\nx,z\n"x\0y",z\n', /:3: column "a"( \(text\))? holds the character U\+0000.*--nul strip/],
    [
      'ndjson',
      '{"a":"x"}\n{"a":"x\\u0000y"}\n',
      /:2: column "a"( \(text\))? holds the character U\+0000.*--nul strip/,
    ],
    ['ndjson', '{"a":{}}\n{"a":{"b":"x\\u0000y"}}\n', /:2: .*--nul strip/],
    [
      'json',
      '[{"a":"x"},{"a":"x\\u0000y"}]',
      /record 2: column "a"( \(text\))? holds the character U\+0000.*--nul strip/,
    ],
  ])('is named where %s is refused for %j', async (extension, content, message) => {
    const { code, stderr } = await run(write(content, extension), '--create');
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });

  it('is named by --dry-run', async () => {
    const { stdout, code } = await run(write('a,b\nx\0y,z\n'), '--create', '--dry-run');
    expect(code).toBe(1);
    expect(stdout).toMatch(/:2: column "a" holds the character U\+0000.*--nul strip/);
  });
});
