/** Types that change after the sample of `--create`, as a process and against a real PostgreSQL. */

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { useLoads, type CliResult } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();
const { cli, file, freshName, load } = useLoads(database);

const ROWS = 40_000;

/** `id` and columns of whole numbers, but for other values in single rows. */
function csv(columns: Readonly<Record<string, Readonly<Record<number, string>>>>, rows = ROWS): string {
  const names = Object.keys(columns);
  const lines = [['id', ...names].join(',')];
  for (let row = 1; row <= rows; row += 1) {
    lines.push([row, ...names.map((name) => columns[name]![row] ?? String(row % 1000))].join(','));
  }
  return `${lines.join('\n')}\n`;
}

async function typesOf(table: string): Promise<Record<string, string>> {
  const rows = await database.query(
    `SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute
     WHERE attrelid = '"${table}"'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
  );
  return Object.fromEntries(
    (rows as { attname: string; type: string }[]).map((row) => [row.attname, row.type]),
  );
}

/** All rows as texts, in the order of the first column, which is numeric. */
async function contents(table: string): Promise<(string | null)[][]> {
  const names = Object.keys(await typesOf(table));
  const list = names.map((name) => `"${name}"::text`).join(', ');
  const rows = await database.query(`SELECT ${list} FROM "${table}" ORDER BY "${names[0]}"::numeric`);
  return (rows as Record<string, string | null>[]).map((row) => names.map((name) => row[name] ?? null));
}

/**
 * A row with a field too many, and `word` in the column `n` 10 MB after it: more than is ever held, so that the row has been rejected when
 * the word is read.
 */
function rejectBeforeWord(): string {
  const padding = 'x'.repeat(400);
  const lines = Array.from(
    { length: 30_000 },
    (_, row) => `${row},${row === 28_000 ? 'word' : row},${padding}`,
  );
  lines[1_000] = `${lines[1_000]!},one too many`;
  return `id,n,padding\n${lines.join('\n')}\n`;
}

const fieldsOf = (text: string): string[][] =>
  text
    .split('\n')
    .slice(1, -1)
    .map((line) => line.split(','));

interface Summary {
  widened: { column: string; from: string; to: string; nulls: string[]; file: string; line: number }[];
  restarts: number;
  rows: number;
  rowsInAll: number;
  rejects: number;
}

const summaryOf = ({ stdout }: CliResult): Summary => JSON.parse(stdout) as Summary;

const DATES = Object.fromEntries(Array.from({ length: ROWS }, (_, row) => [row + 1, '2024-01-05']));

describe('a value that does not fit the inferred type of its column', () => {
  it('widens whole numbers to decimals in place', async () => {
    const text = csv({ n: { [ROWS]: '14.67' } });
    const name = await file('decimal.csv', text);
    const result = await load([name, '--create', '-t', 'in_place', '--json']);
    expect(result).toMatchObject({ code: 0 });
    expect(summaryOf(result)).toMatchObject({
      restarts: 0,
      rows: ROWS,
      widened: [{ column: 'n', from: 'bigint', to: 'numeric', file: name, line: ROWS + 1 }],
    });
    expect(result.stderr).toContain(`widened: n: bigint → numeric at ${name}:${ROWS + 1}`);
    expect(await typesOf('in_place')).toEqual({ id: 'bigint', n: 'numeric' });
    expect(await contents('in_place')).toEqual(fieldsOf(text));
  });

  it('starts the load over with text, which is then as it was written', async () => {
    const text = csv({ n: { 20_000: 'word' }, b: { 15_000: '1.50', 30_000: 'x' }, c: { 39_999: '2.50' } });
    const name = await file('word.csv', text);
    const result = await load([name, '--create', '-t', 'started_over', '--json']);
    expect(result).toMatchObject({ code: 0 });
    expect(summaryOf(result)).toMatchObject({ restarts: 1, rows: ROWS });
    expect(await typesOf('started_over')).toEqual({ id: 'bigint', n: 'text', b: 'text', c: 'numeric' });
    expect(await contents('started_over')).toEqual(fieldsOf(text));
  });

  it('makes a marker NULL that comes first after the sample', async () => {
    const text = csv({ n: { 20_000: 'NA', 30_000: '-' }, d: { 30_000: 'NA', 35_000: 'word' } });
    const name = await file('marker.csv', text);
    const result = await load([name, '--create', '-t', 'markers', '--json']);
    expect(result).toMatchObject({ code: 0 });
    expect(await typesOf('markers')).toEqual({ id: 'bigint', n: 'bigint', d: 'text' });
    const expected: (string | null)[][] = fieldsOf(text);
    expected[19_999]![1] = expected[29_999]![1] = null;
    expect(await contents('markers')).toEqual(expected);
  });

  describe('from a pipe, which cannot be read again', () => {
    const piped = async (table: string, values: Readonly<Record<number, string>>): Promise<CliResult> =>
      load(['-', '--format', 'csv', '-q', '--create', '-t', table], { stdin: csv({ n: values }) });

    it.each<[string, Record<number, string>, string]>([
      ['a number', { 20_000: '1.25' }, 'numeric'],
      ['a word behind whole numbers', { 20_000: 'word', 30_000: '007' }, 'text'],
      ['a word behind decimals', { 100: '1.50', 20_000: '2.5', 30_000: 'x' }, 'text'],
      ['a time behind dates', { ...DATES, 30_000: '2024-01-05 10:30:00' }, 'text'],
    ])('%s makes room for itself', async (_, values, type) => {
      const table = freshName('piped');
      expect(await piped(table, values)).toMatchObject({ code: 0, stderr: '' });
      expect(await typesOf(table)).toEqual({ id: 'bigint', n: type });
      expect(await contents(table)).toEqual(fieldsOf(csv({ n: values })));
    });

    it('a marker is NULL', async () => {
      expect(await piped('piped_marker', { 20_000: 'NA' })).toMatchObject({ code: 0 });
      expect(await typesOf('piped_marker')).toEqual({ id: 'bigint', n: 'bigint' });
      const expected: (string | null)[][] = fieldsOf(csv({ n: {} }));
      expected[19_999]![1] = null;
      expect(await contents('piped_marker')).toEqual(expected);
    });

    it.each<[string, Record<number, string>]>([
      ['a value was stored in another form', { 15_000: '.5', 20_000: 'word' }],
      ['a marker became NULL', { 15_000: 'NA', 20_000: 'word' }],
      ['a marker of the sample became NULL', { 100: 'NA', 20_000: 'word' }],
    ])('a word is refused with its place and --type if %s', async (_, values) => {
      const { code, stderr } = await piped(freshName('refused'), values);
      expect(code).toBe(1);
      expect(stderr).toContain('standard input:20001: column "n"');
      expect(stderr).toContain('--type n=text');
    });
  });

  it('is no bad row for --rejects, whose file has no row of the load that was given up', async () => {
    const lines = csv({ n: { 20_000: 'word', 30_000: '1.5' } }).split('\n');
    for (const line of [11_000, 35_000]) lines[line] = `${lines[line]},one too many`;
    const name = await file('rejects.csv', lines.join('\n'));
    const rejects = freshName('rejects.ndjson');
    const result = await load([name, '--create', '-t', 'with_rejects', '--rejects', rejects, '--json']);
    expect(result).toMatchObject({ code: 3 });
    expect(summaryOf(result)).toMatchObject({ rejects: 2, rows: ROWS - 2, restarts: 1 });
    const rejected = (await readFile(path.join(cli.directory, rejects), 'utf8')).split('\n').slice(0, -1);
    const places = rejected.map((line) => (JSON.parse(line) as { line: number }).line);
    expect(places.toSorted((a, b) => a - b)).toEqual([11_001, 35_001]);
    expect(await typesOf('with_rejects')).toEqual({ id: 'bigint', n: 'text' });
  });

  it.each([
    ['--atomic'],
    ['--strategy', 'drop_oldest', '--connections', '1'],
    ['--import', 'flags', '--connections', '3'],
    ['--on-conflict', 'ignore'],
    ['--max-rejects', '0', '--rejects', 'none.ndjson'],
    ['--rejects', 'none-of-one.ndjson', '--atomic'],
  ])('is made room for with %s', async (...flags) => {
    const text = csv({ n: { 20_000: '0.5', 30_000: 'word' }, m: { 25_000: '7.25' }, b: { 12_000: '.5' } });
    const name = await file('flags.csv', text);
    const table = `flags_${flags[0].slice(2)}`;
    const result = await load([name, '--create', '-t', table, '-q', ...flags]);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(await typesOf(table)).toEqual({ id: 'bigint', n: 'text', m: 'numeric', b: 'numeric' });
    const expected: (string | null)[][] = fieldsOf(text);
    expected[11_999]![3] = '0.5';
    expect(await contents(table)).toEqual(expected);
  });

  it('leaves a table alone that was there before', async () => {
    await database.query('CREATE TABLE there (id bigint, n bigint)');
    const name = await file('there.csv', csv({ n: { 20_000: '1.5' } }));
    const result = await load([name, '--create', '-t', 'there', '-q']);
    expect(result).toMatchObject({ code: 1 });
    expect(await typesOf('there')).toEqual({ id: 'bigint', n: 'bigint' });
  });

  it('widens columns of NDJSON, whose numbers keep their decimals', async () => {
    const lines = Array.from(
      { length: ROWS },
      (_, row) => `{"id":${row + 1},"n":${row},"t":${row},"j":${row}}`,
    );
    lines[20_000] = '{"id":20001,"n":1.0,"t":"5","j":{"a":1.10}}';
    const name = await file('lines.ndjson', `${lines.join('\n')}\n`);
    const result = await load([name, '--create', '-t', 'from_ndjson', '--json']);
    expect(result).toMatchObject({ code: 0 });
    expect(await typesOf('from_ndjson')).toMatchObject({ n: 'numeric', j: 'jsonb' });
    const [, n, , j] = (await contents('from_ndjson'))[20_000]!;
    expect([n, j]).toEqual(['1.0', '{"a": 1.10}']);
  });

  it('of NDJSON is no text that the server would shorten', async () => {
    const lines = Array.from({ length: ROWS }, (_, row) => `{"id":${row},"d":"2024-01-05","n":${row}}`);
    lines[20_000] = '{"id":20000,"d":"2024-01-06T10:30:00","n":"007"}';
    const name = await file('times.ndjson', `${lines.join('\n')}\n`);
    expect(await load([name, '--create', '-t', 'times', '-q'])).toMatchObject({ code: 0, stderr: '' });
    expect(await typesOf('times')).toEqual({ id: 'bigint', d: 'timestamp without time zone', n: 'text' });
    expect((await contents('times'))[20_000]).toEqual(['20000', '2024-01-06 10:30:00', '007']);
  });

  it('is refused if rejects have gone into a pipe, from which they cannot be taken back', async () => {
    const name = await file('rejects.csv', rejectBeforeWord());
    const args = [name, '--create', '-t', 'rejects_in_a_pipe', '-q', '--rejects', '/dev/stdout'];
    const { code, stdout, stderr } = await load(args);
    expect(code).toBe(1);
    expect(stdout.split('\n')).toHaveLength(2);
    expect(stderr).toMatch(/rejects\.csv:28002: column "n".*\/dev\/stdout.*--type n=text/);
  });

  it('is refused of a pipe, with the flag for its column, and with what an import needs besides', async () => {
    const stdin = csv({ 'n o': { 100: '.5', 30_000: 'word' } });
    const args = ['-', '--format', 'csv', '--create', '-q', '--batch-size', '1000'];
    const says = /:30001: column "n o": .* they cannot be read again: give --type 'n o=text'/;
    const plain = await load([...args, '-t', 'piped'], { stdin });
    expect([plain.code, plain.stderr]).toEqual([1, expect.stringMatching(says)]);
    expect(plain.stderr).not.toContain('import');
    const resumed = await load([...args, '-t', 'piped_import', '--import', 'piped'], { stdin });
    expect([resumed.code, resumed.stderr]).toEqual([1, expect.stringMatching(says)]);
    expect(resumed.stderr).toContain('another one takes a new --import ID and a new table');
    const again = [...args, '-t', 'piped_again', '--import', 'piped again', '--type', 'n o=text'];
    expect(await load(again, { stdin })).toMatchObject({ code: 0 });
  });

  it('is NULL in each run of an import from a pipe, if it is a marker that comes after the sample', async () => {
    const values = { 20_000: 'NA', 38_000: 'NA', 39_000: '-' };
    const good = csv({ n: values });
    const flags = ['--format', 'csv', '--create', '-q', '--batch-size', '1000', '--import', 'markers'];
    const args = ['-', '-t', 'piped_markers', ...flags];
    const failed = await load(args, { stdin: good.replace('\n35000,0\n', '\n35000,0,1\n') });
    expect([failed.code, failed.stderr]).toEqual([1, expect.stringContaining(':35001: expected 2 fields')]);
    expect(await load(args, { stdin: good })).toMatchObject({ code: 0, stderr: '' });
    expect(await typesOf('piped_markers')).toEqual({ id: 'bigint', n: 'bigint' });
    const expected: (string | null)[][] = fieldsOf(good);
    for (const row of Object.keys(values)) expected[Number(row) - 1]![1] = null;
    expect(await contents('piped_markers')).toEqual(expected);
  });

  it('is refused if the table of an import has rows of others', async () => {
    const args = [
      await file('others.csv', rejectBeforeWord()),
      '--create',
      '-t',
      'others',
      '-q',
      '--import',
      'o',
    ];
    // It has rows when it fails.
    expect(await load([...args, '--rejects', '/dev/stdout'])).toMatchObject({ code: 1 });
    await database.query('INSERT INTO others VALUES (-1)');
    const { code, stderr } = await load([...args, '--rejects', freshName('others.ndjson')]);
    expect(code).toBe(1);
    expect(stderr).toContain('the table "others" has rows that it has not loaded');
    await database.query('DELETE FROM others WHERE id = -1');
    expect(await load([...args, '--rejects', freshName('others.ndjson')])).toMatchObject({
      code: 3,
      stderr: '',
    });
    expect(await typesOf('others')).toEqual({ id: 'bigint', n: 'text', padding: 'text' });
    expect(await contents('others')).toHaveLength(29_999);
  });
});

describe('a load that is killed while it makes room', () => {
  it('goes on, and loses and doubles nothing', async () => {
    const text = csv(
      { n: { 40_000: '14.67', 60_000: 'word' }, m: { 40_000: '0.5' }, w: { 50_000: 'TRUE' } },
      80_000,
    );
    const name = await file('killed.csv', text);
    const args = [name, '--create', '-t', 'killed', '-q', '--import', 'killed', '--connections', '3'];
    let kills = 0;
    for (const wait of [250, 300, 350, 400, 450, 500, 550, 600]) {
      const running = cli.start(['load', ...args], { env: { DATABASE_URL: database.url } });
      await delay(wait);
      running.child.kill('SIGKILL');
      const { code, stderr } = await running.result;
      if (code === null) kills += 1;
      else expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    }
    expect(await load(args)).toMatchObject({ code: 0, stderr: '' });
    expect(kills).toBeGreaterThan(0);
    expect(await typesOf('killed')).toEqual({ id: 'bigint', n: 'text', m: 'numeric', w: 'text' });
    expect(await contents('killed')).toEqual(fieldsOf(text));
  });

  it('makes the table again if it was killed before the import was known', async () => {
    const comment = 'made by spillway load for the import "unbegun", which has not begun';
    await database.query(
      `CREATE TABLE unbegun (id bigint, n text); COMMENT ON TABLE unbegun IS '${comment}'`,
    );
    const text = csv({ n: { 100: '1.5', 30_000: '0.5' } });
    const args = [await file('unbegun.csv', text), '--create', '-t', 'unbegun', '-q', '--import', 'unbegun'];
    expect(await load(args)).toMatchObject({ code: 0, stderr: '' });
    expect(await typesOf('unbegun')).toEqual({ id: 'bigint', n: 'numeric' });
    expect(await contents('unbegun')).toEqual(fieldsOf(text));
    expect(await database.query(`SELECT obj_description('unbegun'::regclass) AS text`)).toEqual([
      { text: null },
    ]);
  });
});
