/** `--import` as a process, against a real PostgreSQL: each row once, however often the load is killed. */

import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { useLoads, type CliResult } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { testSeed } from '../../support/test-runs.js';

const database = useTestDatabase();
const { cli, file, freshName, load } = useLoads(database);

const rowsOf = (table: string) => database.query(`SELECT * FROM "${table}" ORDER BY 1`);

async function rejectedLines(name: string): Promise<number[]> {
  const text = await readFile(path.join(cli.directory, name), 'utf8');
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line) => (JSON.parse(line) as { record: number }).record).toSorted((a, b) => a - b);
}

const ROWS = 200_000;

/** `id,text`, in which every 1000th row has no number. */
function manyRows(withBad: boolean): string {
  const lines = ['id,t'];
  for (let n = 0; n < ROWS; n += 1) {
    lines.push(withBad && n % 1000 === 500 ? `x${n},row ${n}` : `${n},row ${n}`);
  }
  return `${lines.join('\n')}\n`;
}

/** The table without keys: a row that comes twice is there twice. */
async function expectAllOnce(table: string, bad = 0): Promise<void> {
  const [sums] = await database.query(
    `SELECT count(*)::int AS rows, count(DISTINCT id)::int AS ids, min(id)::int, max(id)::int, bool_and(t = 'row ' || id) AS fits FROM ${table}`,
  );
  expect(sums).toEqual({ rows: ROWS - bad, ids: ROWS - bad, min: 0, max: ROWS - 1, fits: true });
}

const isRunning = (child: ChildProcess): boolean => child.exitCode === null;

interface Campaign {
  table: string;
  /** Flags of a run, which differ from one run to the next. */
  args: (run: number) => string[];
  stdin?: string | Buffer;
  kills: number;
  seed: number;
}

/** Kills the load at random moments, and runs it again; then lets it end. Answers the last run, and the number of kills that hit. */
async function killAndResume({
  table,
  args,
  stdin,
  kills,
  seed,
}: Campaign): Promise<{ result: CliResult; hits: number }> {
  const random = new SeededRandom(seed).next;
  let hits = 0;
  for (let run = 0; run < kills; run += 1) {
    const running = cli.start(['load', '-q', '-t', table, ...args(run)], {
      env: { DATABASE_URL: database.url },
      ...(stdin === undefined ? {} : { stdin }),
    });
    // So early that on a fast machine, too, several of them hit a load that is not yet done.
    await delay(200 + random() * 200);
    running.child.kill('SIGKILL');
    const { code, stderr } = await running.result;
    if (code === null) hits += 1;
    else
      expect({ code, stderr, seed }).toMatchObject({ code: expect.toBeOneOf([0, 3]) as number, stderr: '' });
  }
  const result = await load(['-t', table, '--json', ...args(kills)], stdin === undefined ? {} : { stdin });
  return { result, hits };
}

describe('--import after SIGKILL', () => {
  const seed = testSeed();

  it(`ten of them, other batches and connections each time, with rejects (seed ${seed})`, async () => {
    const table = await database.table('id int NOT NULL, t text');
    const input = await file('many.csv', manyRows(true));
    const rejects = freshName('bad.ndjson');
    const args = (run: number) => [
      // The older name is the same flag, also in the middle of an import.
      run % 2 === 0 ? '--import' : '--resume', 'kills', '--rejects', rejects, '--batch-size', String([5000, 777, 2500][run % 3]),
      '--connections', String(1 + (run % 4)), input,
    ]; // prettier-ignore
    const { result, hits } = await killAndResume({ table, args, kills: 10, seed });
    expect(hits, `seed ${seed}`).toBeGreaterThan(2);
    expect(result.code).toBe(3);
    const bad = ROWS / 1000;
    await expectAllOnce(table, bad);
    expect(await rejectedLines(rejects)).toEqual(Array.from({ length: bad }, (_, n) => n * 1000 + 501));
    const summary = JSON.parse(result.stdout) as { rows: number; rowsBefore: number };
    expect(summary).toMatchObject({
      rowsInAll: ROWS - bad,
      rejectsInAll: bad,
      rejectsFile: rejects,
      importId: 'kills',
      importFinished: true,
      exitCode: 3,
    });
    expect(summary.rows + summary.rowsBefore).toBe(ROWS - bad);
    // Once more: nothing is read, nothing is added.
    const again = await load(['-t', table, '--json', ...args(3)]);
    expect(again.code).toBe(3);
    expect(again.stderr).toMatch(
      /^import "kills" is complete, nothing was left to do: 199,800 rows into .*\n200 rows were rejected: see .*\n$/,
    );
    expect(JSON.parse(again.stdout)).toMatchObject({
      rows: 0,
      rowsBefore: ROWS - bad,
      rejects: 0,
      rejectsInAll: bad,
    });
    expect(await rejectedLines(rejects)).toHaveLength(bad);
    await expectAllOnce(table, bad);
  });

  it(`gzip, two files, --create and --truncate (seed ${seed + 1})`, async () => {
    const table = 'made_from_gzip';
    const text = manyRows(false);
    const middle = text.indexOf('\n120000,') + 1;
    const first = await file('a.csv.gz', gzipSync(text.slice(0, middle)));
    const second = await file('b.csv.gz', gzipSync(`id,t\n${text.slice(middle)}`));
    const args = () => ['--create', '--truncate', '--import', 'gzip', '--batch-size', '5000', first, second];
    const { result } = await killAndResume({ table, args, kills: 5, seed: seed + 1 });
    expect(result.code).toBe(0);
    await expectAllOnce(table);
    // A load that is complete is not emptied either.
    expect((await load(['-q', '-t', table, ...args()])).code).toBe(0);
    await expectAllOnce(table);
  });

  it.each<[string, (records: readonly string[]) => Buffer]>([
    ['an array, indented', (records) => Buffer.from(`[\n  ${records.join(',\n  ')}\n]\n`)],
    ['a list in an object, compressed', (records) => gzipSync(`{"n":1,"data":[${records.join(',')}],"end":{}}`)],
    ['UTF-16', (records) => Buffer.from(`\ufeff[${records.join(',')}]`, 'utf16le')],
  ])(`JSON: %s, with rejects (seed ${seed + 3})`, async (kind, encode) => {
    const table = await database.table('id int NOT NULL, t text');
    const records = Array.from({ length: ROWS }, (_, n) =>
      n % 1000 === 500 ? `{"id":"x","t":"row ${n}"}` : `{"id":${n},"t":"row ${n}"}`,
    );
    const input = await file('x.json', encode(records));
    const rejects = freshName('bad.ndjson');
    const args = (run: number) => ['--import', kind, '--rejects', rejects, '--batch-size', '5000', '--connections', String(1 + (run % 3)), '--format', 'json', input];
    const { result, hits } = await killAndResume({ table, args, kills: 5, seed: seed + 3 });
    expect(hits, `seed ${seed}`).toBeGreaterThan(0);
    expect(result.code).toBe(3);
    await expectAllOnce(table, ROWS / 1000);
    expect(await rejectedLines(rejects)).toEqual(Array.from({ length: ROWS / 1000 }, (_, n) => n * 1000 + 501));
    const other = await load(['-q', '-t', table, ...args(0).slice(0, -1), await file('y.json', '[{"id":1}]')]);
    expect(other.stderr).toContain('was begun with other input');
  }); // prettier-ignore

  it(`standard input (seed ${seed + 2})`, async () => {
    const table = await database.table('id int NOT NULL, t text');
    const args = () => ['--import', 'stdin', '--format', 'csv', '--batch-size', '5000', '-'];
    const stdin = gzipSync(manyRows(false));
    const { result } = await killAndResume({ table, args, stdin, kills: 5, seed: seed + 2 });
    expect(result.code).toBe(0);
    await expectAllOnce(table);
    const other = await load(['-q', '-t', table, ...args()], { stdin: 'id,t\n1,x\n' });
    expect(other.stderr).toBe(
      'spillway: import "stdin" was begun with other input: standard input has other contents; give the same files and flags as before, or another id\n',
    );
  });
});

describe('--import', () => {
  it('goes on after a bad row stopped it, once rejects are taken', async () => {
    const table = await database.table('id int NOT NULL, t text');
    const input = await file('x.csv', 'id,t\n1,a\n2,b\nx,c\n4,d\n');
    const args = ['-t', table, '--import', 'then rejects', '--batch-size', '1', '--connections', '1', input];
    const first = await load(['-q', ...args]);
    expect(first.code).toBe(1);
    expect(first.stderr).toMatch(/x\.csv:4: column "id": .* \(2 rows were loaded\)\n$/);
    const rejects = freshName('bad.ndjson');
    const second = await load([...args, '--rejects', rejects]);
    expect(second.code).toBe(3);
    expect(second.stderr).toContain('import "then rejects": 2 rows before, 1 now, 3 in all\n');
    expect((await rowsOf(table)).map(({ id }) => id)).toEqual([1, 2, 4]);
    expect(await rejectedLines(rejects)).toEqual([3]);
    // Another file of rejects gets all of them as well; without one they are at least spoken of.
    const other = freshName('other.ndjson');
    expect((await load(['-q', ...args, '--rejects', other])).code).toBe(3);
    expect(await rejectedLines(other)).toEqual([3]);
    expect((await stat(path.join(cli.directory, other))).mode & 0o777).toBe(0o600);
    const without = await load(args);
    expect(without.code).toBe(3);
    expect(without.stderr).toContain('1 row was rejected by earlier runs\n');
    const tooMany = await load(['-q', ...args, '--rejects', other, '--max-rejects', '0']);
    expect(tooMany).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/more than --max-rejects 0/) as string,
    });
  });

  it('NDJSON: goes on within what is read at once, whatever blank lines there are', async () => {
    const table = await database.table('id int NOT NULL, t text');
    const lines = Array.from({ length: 9 }, (_, index) => `{"id":${index},"t":"row ${index}"}\n`);
    lines.splice(2, 0, '\n', ' \r\n');
    const bad = [...lines];
    bad[8] = '{"id":"x","t":"row 6"}\n';
    const input = await file('x.ndjson', bad.join(''));
    const args = ['-t', table, '--import', 'lines', '--connections', '1', input];
    const first = await load(['-q', ...args, '--batch-size', '2']);
    expect(first.code).toBe(1);
    expect(first.stderr).toMatch(/x\.ndjson:9: column "id": .* \(6 rows were loaded\)\n$/);
    const rejects = freshName('bad.ndjson');
    const second = await load([...args, '--rejects', rejects]);
    expect(second.code).toBe(3);
    expect(second.stderr).toContain('import "lines": 6 rows before, 2 now, 8 in all\n');
    expect((await rowsOf(table)).map(({ id }) => id)).toEqual([0, 1, 2, 3, 4, 5, 7, 8]);
    const [reject] = (await readFile(path.join(cli.directory, rejects), 'utf8')).split('\n');
    expect(JSON.parse(reject!)).toMatchObject({ line: 9, record: 7, row: { id: 'x', t: 'row 6' } });
  });

  it('refuses input that has changed, and says how', async () => {
    const table = await database.table('a int, b int');
    const input = await file('x.csv', 'a,b\n1,2\n');
    const second = await file('y.csv', 'a,b\n3,4\n');
    const third = await file('z.csv', 'a,b\n3,40\n');
    const resume = (...args: string[]) => load(['-q', '-t', table, '--import', 'changes', ...args]);
    expect((await resume(input, second)).code).toBe(0);
    const refusals: [string[], string][] = [
      [[input], 'the number of files differs'],
      [[second, input], `${second} has other contents; ${input} has other contents`],
      [[input, third], `${third} had 8 bytes and has 9`],
      [[input, second, '--null', 'x'], '--null was "" and is "x"'],
      [[input, second, '--delimiter', ';', '--no-header', '--columns', 'a,b'],
        '--columns was not given and is "a,b"; the header (--no-header) was true and is false; --delimiter was "," and is ";"'],
      [[input, second, '--max-record-bytes', '1k'], '--max-record-bytes was 16777216 and is 1024'],
    ]; // prettier-ignore
    for (const [args, words] of refusals) {
      expect(await resume(...args)).toEqual({
        code: 1,
        stdout: '',
        stderr: `spillway: import "changes" was begun with other input: ${words}; give the same files and flags as before, or another id\n`,
      });
    }
    const other = await database.table('a int, b int');
    const elsewhere = await load(['-q', '-t', other, '--import', 'changes', input, second]);
    expect(elsewhere.stderr).toMatch(/import "changes" is one of table "t\d+", not of "t\d+"/);
    // The same bytes by other names are the same source.
    const copies = [await file('c.csv', 'a,b\n1,2\n'), await file('d.csv', 'a,b\n3,4\n')];
    expect(await resume(...copies)).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await rowsOf(table)).toHaveLength(2);
  });

  it('a changed file is no reason to empty the table', async () => {
    const table = await database.table('a int');
    const input = await file('x.csv', 'a\n1\n');
    const args = ['-q', '-t', table, '--truncate', '--import', 'truncate', input];
    expect((await load(args)).code).toBe(0);
    await writeFile(path.join(cli.directory, input), 'a\n2\n');
    expect((await load(args)).code).toBe(1);
    expect(await rowsOf(table)).toEqual([{ a: 1 }]);
  });

  it('--import takes one source that can be read only once, and refuses a second', async () => {
    const table = await database.table('a int');
    const fifo = `${freshName('x')}.csv`;
    const { execFileSync } = await import('node:child_process');
    execFileSync('mkfifo', [path.join(cli.directory, fifo)]);
    const result = await load(['-q', '-t', table, '--import', 'fifo', await file('a.csv', 'a\n1\n'), fifo]);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/x\.csv: can be read only once, and so must be the first with --import/);
    expect(await rowsOf(table)).toEqual([]);
  });

  it('standard input that ends before what has been loaded of it is not all of it', async () => {
    const table = await database.table('id int NOT NULL, t text');
    const rows = Array.from({ length: 20_000 }, (_, n) => `${n},row ${n}\n`);
    const args = [
      '-q',
      '-t',
      table,
      '--import',
      'pipe',
      '--batch-size=1000',
      '--connections=1',
      '-f',
      'csv',
      '-',
    ];
    const first = await load(args, { stdin: `id,t\n${rows.join('')}x,y\n` });
    expect(first.code).toBe(1);
    expect(await rowsOf(table)).toHaveLength(20_000);
    const shorter = await load(args, { stdin: `id,t\n${rows.slice(0, 10_000).join('')}` });
    expect(shorter).toMatchObject({
      code: 1,
      stderr:
        'spillway: the input has ended after record 10,000, but import "pipe" has loaded it up to record 20,000 before; ' +
        'give the same input as before, or another id (nothing was loaded)\n',
    });
    // It is not complete, and goes on.
    const whole = await load(args, { stdin: `id,t\n${rows.join('')}20000,row 20000\n` });
    expect(whole).toMatchObject({ code: 0, stderr: '' });
    expect(await rowsOf(table)).toHaveLength(20_001);
  });

  it('two loads of one import at the same time: one gives way, and each row is there once', async () => {
    const table = await database.table('id int NOT NULL, t text');
    const input = await file('many.csv', manyRows(false));
    const args = ['-q', '-t', table, '--import', 'both', '--batch-size', '2000', input];
    const first = cli.start(['load', ...args], { env: { DATABASE_URL: database.url } });
    while ((await rowsOf(table)).length === 0) await delay(20);
    const [second, old] = await Promise.all([load(args), first.result]);
    expect(second).toEqual({ code: 0, stdout: '', stderr: '' });
    if (old.code !== 0) {
      expect(old.code).toBe(1);
      expect(old.stderr).toMatch(/another run of import "both" has taken over/);
    }
    await expectAllOnce(table);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)(
    '%s: says how to go on, and the same command does',
    async (signal) => {
      const table = await database.table('id int NOT NULL, t text');
      const input = await file('many.csv', manyRows(false));
      const args = [
        '-q',
        '-t',
        table,
        '--import',
        signal,
        '--batch-size',
        '1000',
        '--connections',
        '1',
        input,
      ];
      const running = cli.start(['load', ...args], { env: { DATABASE_URL: database.url } });
      while ((await database.query(`SELECT 1 FROM ${table} LIMIT 1`)).length === 0) await delay(10);
      running.child.kill(signal);
      const stopped = await running.result;
      if (stopped.code !== 0) {
        expect(stopped.code).toBe(signal === 'SIGINT' ? 130 : 143);
        expect(stopped.stderr).toMatch(
          /^spillway: stopped by SIG\w+ after \d+-many\.csv:\d+; the rows up to there were loaded: [\d,]+; run the same command again to go on\n$/,
        );
      }
      expect((await load(args)).code).toBe(0);
      await expectAllOnce(table);
    },
  );

  it.each(["'; DROP TABLE spillway_imports; --", 'a"b\\c$1 %s\n\t', 'ключ 😀', '../../etc/passwd', '\\.'])(
    'takes any text as its id, and any names of table and columns: %j',
    async (id) => {
      const table = `t"; DROP TABLE x; -- ${freshName('')}`;
      const quoted = `"${table.replaceAll('"', '""')}"`;
      await database.query(`CREATE TABLE ${quoted} ("a""; --" int, "\\." text)`);
      const input = await file('x.csv', '"a""; --",\\.\n1,\\.\n2,\\N\n');
      const flag = `"${table.replaceAll('"', '""')}"`;
      const result = await load(['-t', flag, '--json', '--import', id, input]);
      expect(result.code).toBe(0);
      expect(JSON.parse(result.stdout)).toMatchObject({ rows: 2, importId: id, importFinished: true });
      // Its last line is the note on fields that are \N.
      expect(result.stderr.split('\n')).toHaveLength(6);
      expect(JSON.parse((await load(['-t', flag, '--json', '--import', id, input])).stdout)).toMatchObject({
        rows: 0,
        rowsBefore: 2,
      });
      expect(await database.query(`SELECT count(*)::int FROM ${quoted}`)).toEqual([{ count: 2 }]);
    },
  );

  it('in a schema of its own, with its tables there; what was marked is what was loaded', async () => {
    await database.query('CREATE SCHEMA "Own.Schema"');
    await database.query('CREATE TABLE "Own.Schema".t (a int)');
    const input = await file('x.csv', 'a\n1\n2\n3\n');
    const args = ['-q', '-t', '"Own.Schema".t', '--import', 'x', '--batch-size', '2', input];
    expect(await load(args)).toEqual({ code: 0, stdout: '', stderr: '' });
    const [row] = await database.query<{ source: object }>(
      'SELECT source FROM "Own.Schema".spillway_imports',
    );
    expect(row!.source).toEqual({
      files: [{ bytes: 8, sha256: createHash('sha256').update('a\n1\n2\n3\n').digest('hex') }],
      format: 'csv',
      columns: null,
      maxRecordBytes: 16 * 1024 * 1024,
      header: true,
      delimiter: ',',
      null: '',
      reading: {
        encoding: 'utf-8',
        lineBreak: 'lf',
        quote: '"',
        escape: '"',
        skip: 0,
        fieldCount: 1,
        names: null,
      },
    });
    expect(
      await database.query('SELECT sum(rows)::int AS rows FROM "Own.Schema".spillway_import_ranges'),
    ).toEqual([{ rows: 3 }]);
  });
});

describe('--import and the way in which the file is read', () => {
  it('is the first run’s in every later one, for a table that it has made', async () => {
    const input = await file('x.csv', 'Report\n\n1;a;2,5\n2;b;3\n3;c\n');
    const args = ['-q', '-t', 'read_once', '--create', '--batch-size', '1', '--connections', '1', input];
    const first = await load([...args, '--import', 'read']);
    expect(first).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/:5: expected 3 fields/) as string,
    });
    const second = await load([...args, '--import', 'read', '--pad']);
    expect(second).toMatchObject({ code: 0, stderr: '' });
    expect(await database.query('SELECT column1 AS a, column2 AS b FROM read_once ORDER BY 1')).toEqual([
      { a: '1', b: 'a' },
      { a: '2', b: 'b' },
      { a: '3', b: 'c' },
    ]);
  });

  it('has the rules for missing values and decimal commas that the first run has found', async () => {
    const input = await file('x.csv', `a;v\n1;2,5\n2;NA\n${'3;NA\n'.repeat(5)}4\n5;6,5\n`);
    const args = ['-q', '-t', 'rules', '--create', '--batch-size', '1', '--connections', '1', input];
    const first = await load([...args, '--import', 'rules']);
    expect(first).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/:9: expected 2 fields/) as string,
    });
    expect(await load([...args, '--import', 'rules', '--pad'])).toMatchObject({ code: 0, stderr: '' });
    expect(await database.query('SELECT a, v FROM rules WHERE a <> 3 ORDER BY a')).toEqual([
      { a: '1', v: '2.5' },
      { a: '2', v: null },
      { a: '4', v: null },
      { a: '5', v: '6.5' },
    ]);
  });

  it('is refused without the --comment of the first run, by which records are counted', async () => {
    const table = await database.table('a int, b text');
    const input = await file('x.csv', 'a,b\n#1,x\n2,y\n');
    const args = ['-q', '-t', table, '--import', 'comment', input];
    expect(await load([...args, '--comment', '#'])).toMatchObject({ code: 0 });
    const other = await load(args);
    expect(other).toMatchObject({ code: 1 });
    expect(other.stderr).toMatch(/--comment was "#" and is not given/);
  });

  it('is refused if a flag says another one than the first run had', async () => {
    const table = await database.table('a int, b text');
    const input = await file('x.csv', 'a;b\n1;x\n');
    expect(await load(['-q', '-t', table, '--import', 'x', input])).toMatchObject({ code: 0 });
    const other = await load(['-q', '-t', table, '--import', 'x', '--encoding', 'windows-1252', input]);
    expect(other).toMatchObject({ code: 1 });
    expect(other.stderr).toMatch(/--encoding was "utf-8" and is "windows-1252"/);
  });
});

describe('a server that comes back', () => {
  it('eight terminated backends in one load: each row once', async () => {
    const table = await database.table('id int NOT NULL, t text');
    const input = await file('many.csv', manyRows(false));
    const running = cli.start(
      ['load', '-q', '-t', table, '--import', 'terminated', '--batch-size', '2000', input],
      { env: { DATABASE_URL: database.url } },
    );
    for (let killed = 0; killed < 8 && isRunning(running.child);) {
      const rows = await database.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE application_name = 'spillway' AND datname = current_database() AND query LIKE '%COPY%' LIMIT 1`,
      );
      killed += rows.length;
      await delay(60);
    }
    const { code, stderr } = await running.result;
    if (code !== 0) {
      // More in a row than there are attempts: it says how to go on.
      expect(stderr).toMatch(/run the same command again to go on/);
      expect((await load(['-q', '-t', table, '--import', 'terminated', input])).code).toBe(0);
    }
    await expectAllOnce(table);
  });
});
