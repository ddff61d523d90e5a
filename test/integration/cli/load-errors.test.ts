/** What can go wrong with `spillway load` and `spillway query`: one clear line, the exit code as documented, no stack trace, no hanging. */

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { connect } from '../../../src/cli/server/connection.js';
import { useCli, useLoads, type CliResult } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();
const { cli, file, load } = useLoads(database);

/** Expects a failure, and answers its one line. */
function lineOf(result: CliResult, code = 1): string {
  expect(result).toMatchObject({ code, stdout: '' });
  expect(result.stderr).toMatch(/^spillway: .*\n$/);
  expect(result.stderr).not.toMatch(/\n {4}at |node:internal|Error:/);
  return result.stderr.trimEnd();
}

async function countOf(table: string): Promise<number> {
  const [row] = await database.query<{ count: number }>(`SELECT count(*)::int FROM "${table}"`);
  return row!.count;
}

describe('input', () => {
  const goodRows = Array.from({ length: 100 }, (_, index) => `${index},x`).join('\n');

  it.each<[string, string, string | Buffer, RegExp, number]>([
    ['empty', 'x.csv', '', /x\.csv: is empty; a CSV file needs a header, or --no-header$/, 0],
    [
      'a ragged row',
      'x.csv',
      `a,b\n${goodRows}\n1\n2,y\n`,
      /x\.csv:102: expected 2 fields, got 1; --pad makes the fields that are missing NULL; --rejects FILE leaves such records out \(100 rows were loaded\)$/,
      100,
    ],
    [
      'an empty line',
      'x.csv',
      'a,b\n1,x\n\n',
      /x\.csv:3: expected 2 fields, got an empty line; without --strict, blank lines are skipped; --rejects FILE leaves such records out \(1 row was loaded\)$/,
      1,
    ],
    [
      'an open quote',
      'x.csv',
      'a,b\n1,x\n2,"y\n',
      /x\.csv:3: a quote is not closed before the end of the file \(field 2\); --quote none takes quotes for a part of the text; --rejects FILE leaves such records out \(1 row was loaded\)$/,
      1,
    ],
    ['text after a quote', 'x.csv', 'a,b\n1,"x"y\n', /x\.csv:2: text follows a closing quote/, 0],
    [
      'Latin-1',
      'x.csv',
      Buffer.from('a,b\n1,x\n2,\xe9t\xe9\n', 'latin1'),
      /x\.csv:3: not UTF-8: byte 0xE9 at byte 3 of the line; --encoding says how the file is encoded; --rejects FILE leaves such records out \(1 row was loaded\)$/,
      1,
    ],
    ['UTF-16', 'x.csv', Buffer.from('\ufeffa,b\n', 'utf16le'), /x\.csv:1: the text is UTF-16/, 0],
    [
      'a long record',
      'x.csv',
      `a,b\n1,${'x'.repeat(2000)}\n`,
      /x\.csv:2: the record is longer than --max-record-bytes \(1024\); --rejects FILE leaves such records out \(nothing was loaded\)$/,
      0,
    ],
    [
      'gzip that is cut',
      'x.csv.gz',
      gzipSync(`a,b\n${goodRows}\n`).subarray(0, 150),
      /x\.csv\.gz: the gzip data ends in the middle \(truncated file\?\)/,
      -1,
    ],
    [
      'gzip that is damaged',
      'x.csv.gz',
      damagedGzip(`a,b\n${goodRows}\n`),
      /x\.csv\.gz: the gzip data is damaged \(.*\)/,
      -1,
    ],
    [
      'a column twice',
      'x.csv',
      'a,a\n1,2\n',
      /x\.csv:1: the header has "a" twice; without --strict the second one becomes "a_2", and --columns names all$/,
      0,
    ],
    [
      'an unknown column',
      'x.csv',
      'a,c\n1,2\n',
      /x\.csv:1: the table "\w+" has no column "c"; it takes a, b \(--columns says what is loaded\)$/,
      0,
    ],
    [
      'a generated column',
      'x.csv',
      'a,g\n1,2\n',
      /x\.csv:1: the column "g" of "\w+" is computed by the server and cannot be loaded; it takes a, b \(--columns says what is loaded\)$/,
      0,
    ],
    [
      'a value of the wrong type',
      'x.csv',
      'a,b\n1,x\nfoo,y\n',
      /x\.csv:3: column "a": invalid input syntax for type integer: "foo"; --null-for a=foo makes it NULL; --rejects FILE leaves such records out \(nothing was loaded\)$/,
      0,
    ],
    [
      'a value after quoted line breaks',
      'x.csv',
      'a,b\n1,"x\ny\nz"\nfoo,y\n',
      /x\.csv:5: column "a": invalid input syntax/,
      0,
    ],
    [
      'a constraint',
      'x.csv',
      'a,b\n1,x\n-5,y\n',
      /x\.csv:3: .*violates check constraint "\w+"; --rejects FILE leaves such records out \(nothing was loaded\)$/,
      0,
    ],
    ['U+0000', 'x.csv', 'a,b\n1,x\n2,"y\0"\n', /x\.csv:3: column "b" \(text\) holds .*U\+0000/, 0],
    ['bad JSON', 'x.ndjson', '{"a":1}\n{"a":2,\n', /x\.ndjson:2: not JSON: .* \(1 row was loaded\)$/, 1],
    [
      'JSON that is no object',
      'x.ndjson',
      '{"a":1}\n[2]\n',
      /x\.ndjson:2: expected a JSON object, got an array; --rejects FILE leaves such records out \(1 row was loaded\)$/,
      1,
    ],
    [
      'an unknown key',
      'x.ndjson',
      '{"a":1}\n{"c":2}\n',
      /x\.ndjson:2: the table "\w+" has no column "c"; it takes a, b \(--columns says what is loaded\)$/,
      0,
    ],
    [
      'a number out of range',
      'x.ndjson',
      '{"a":1}\n{"a":5000000000}\n',
      /x\.ndjson:2: column "a" \(\w+\) .*out of range/,
      0,
    ],
    [
      'half a surrogate pair',
      'x.ndjson',
      '{"b":"x"}\n{"b":"\\ud800"}\n',
      /x\.ndjson:2: column "b" \(\w+\) .*surrogate/,
      0,
    ],
  ])('%s', async (_, name, content, message, rows) => {
    const table = await database.table(
      'a int CHECK (a >= 0), b text, g int GENERATED ALWAYS AS (a + 1) STORED',
    );
    const flags = name.endsWith('.csv') ? ['--strict'] : [];
    const result = await load([
      '-q',
      '-t',
      table,
      '--max-record-bytes',
      '1024',
      ...flags,
      await file(name, content),
    ]);
    expect(lineOf(result)).toMatch(message);
    if (rows >= 0) expect(await countOf(table)).toBe(rows);
  });

  it('a key that comes after the sample', async () => {
    const table = await database.table('a int, c int');
    const lines = Array.from({ length: 10_100 }, (_, index) =>
      index === 10_050 ? '{"c":1}' : '{"a":1}',
    ).join('\n');
    const result = await load(['-q', '-t', table, await file('x.ndjson', lines)]);
    expect(lineOf(result)).toMatch(
      /x\.ndjson:10051: the key "c" is not among those that are loaded; name all in --columns; --rejects FILE leaves such records out \(10,050 rows were loaded\)$/,
    );
    expect(await countOf(table)).toBe(10_050);
  });

  it('a foreign key, for which the server names no row: it is found all the same', async () => {
    const parent = await database.table('id int PRIMARY KEY');
    const table = await database.table(`a int REFERENCES "${parent}"`);
    const line = lineOf(await load(['-q', '-t', table, await file('x.csv', 'a\n1\n2\n')]));
    expect(line).toMatch(/: \d+-x\.csv:2: .*violates foreign key constraint/);
  });

  it('a file that is missing, a directory, or one of several: nothing is loaded', async () => {
    const table = await database.table('a int');
    const good = await file('x.csv', 'a\n1\n');
    await mkdir(path.join(cli.directory, 'folder.csv'));
    expect(lineOf(await load(['-q', '-t', table, good, 'missing.csv']))).toBe(
      'spillway: missing.csv: no such file',
    );
    expect(lineOf(await load(['-q', '-t', table, good, 'folder.csv']))).toBe(
      'spillway: folder.csv: is a directory, not a file; a pattern names its files: DIRECTORY/*.csv',
    );
    expect(lineOf(await load(['-q', '-t', table, `${good}/x.csv`]))).toContain('no such file');
    expect(await countOf(table)).toBe(0);
  });

  it('a file that may not be read', async (context) => {
    const table = await database.table('a int');
    const name = await file('x.csv', 'a\n1\n');
    await chmod(path.join(cli.directory, name), 0);
    await chmod(cli.directory, 0o755);
    // Root may read anything; the same as nobody's.
    const uid = process.getuid?.() === 0 ? 65_534 : undefined;
    if (uid !== undefined && !mayBeRunBy(uid))
      context.skip('the checkout is out of reach for any user but root');
    const line = lineOf(await load(['-q', '-t', table, name], uid === undefined ? {} : { uid }));
    expect(line).toMatch(/x\.csv: may not be read \(permission denied\)$/);
  });

  it('a header that differs between files, after the rows of the first', async () => {
    const table = await database.table('a int, b int');
    const result = await load([
      '-q',
      '-t',
      table,
      await file('x.csv', 'a,b\n1,2\n'),
      await file('y.csv', 'a\n1\n'),
    ]);
    expect(lineOf(result)).toMatch(
      /y\.csv:1: the header differs from that of the first file: it lacks "b"; load the file by a command of its own \(1 row was loaded\)$/,
    );
  });

  it('with --json the error is also in the summary', async () => {
    const table = await database.table('a int');
    for (const [name, content, rows] of [
      ['x.csv', 'a\n1\n1,2\n', 1],
      ['x.csv', '', 0],
    ] as const) {
      const flags = ['--json', '-q', '-t', table, '--truncate', '--strict'];
      const result = await load([...flags, await file(name, content)]);
      expect(result.code).toBe(1);
      expect(result.stderr).toMatch(/^spillway: .*\n$/);
      expect(JSON.parse(result.stdout)).toMatchObject({
        rows,
        exitCode: 1,
        error: expect.stringContaining('x.csv') as string,
      });
    }
  });
});

describe('server and table', () => {
  it('a table that does not exist, and --create that can infer nothing', async () => {
    const input = await file('x.ndjson', '');
    expect(lineOf(await load(['-q', '-t', 'nope', input]))).toBe(
      'spillway: there is no table "nope"; --create makes it from the input',
    );
    // Nothing was sent.
    expect(lineOf(await load(['-q', '-t', 'nope', '--create', input]))).toMatch(
      /the input has no records to infer its columns from$/,
    );
    expect(lineOf(await load(['-q', '-t', 'no.pe', '--create', await file('y.csv', 'a\n1\n')]))).toContain(
      'schema "no" does not exist',
    );
  });

  it('unknown names in --columns', async () => {
    const table = await database.table('a int');
    const line = lineOf(
      await load(['-q', '-t', table, '--columns', 'a,z', await file('x.csv', 'a,b\n1,2\n')]),
    );
    expect(line).toMatch(/^spillway: --columns: the table "\w+" has no column "z"; it takes a$/);
  });

  it.each<[string, (url: URL) => void, RegExp]>([
    [
      'no server',
      (url) => (url.port = '1'),
      /^spillway: 127\.0\.0\.1:1\/\w+: cannot be reached: nothing listens there \(connection refused\)$/,
    ],
    [
      'no host',
      (url) => (url.hostname = 'nowhere.invalid'),
      /^spillway: nowhere\.invalid:\d+\/\w+: cannot be reached: the host name /,
    ],
    [
      'a wrong password',
      (url) => (url.password = 'sEcReT'),
      /: password authentication failed for user "\w+"$/,
    ],
    [
      'no password',
      (url) => (url.password = ''),
      /: asks for a password: set PGPASSWORD, or use ~\/\.pgpass$/,
    ],
    ['a wrong database', (url) => (url.pathname = '/nowhere'), /: database "nowhere" does not exist$/],
  ])('%s', async (_, change, message) => {
    const url = new URL(database.url);
    const password = url.password;
    change(url);
    const line = lineOf(
      await load(['-q', '-t', 't', '--to', url.href, await file('x.csv', 'a\n1\n')], {
        env: { HOME: cli.directory },
      }),
    );
    expect(line).toMatch(message);
    for (const secret of [password, 'sEcReT']) expect(line).not.toContain(secret);
  });

  it('a server that accepts and says nothing', async () => {
    const server = createServer(() => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const line = lineOf(
        await load(
          ['-q', '-t', 't', '--to', `postgres://u:sEcReT@127.0.0.1:${port}/d`, await file('x.csv', 'a\n1\n')],
          { env: { PGCONNECT_TIMEOUT: '1' } },
        ),
      );
      expect(line).toBe(`spillway: 127.0.0.1:${port}/d: cannot be reached: no answer in time`);
    } finally {
      server.close();
    }
  });

  it('no server named at all: every way is named, and none is taken', async () => {
    const line = lineOf(await cli.run(['load', '-t', 't', await file('x.csv', 'a\n1\n')]), 2);
    expect(line).toMatch(
      /--to postgres:.*DATABASE_URL.*PG\* variables.*--to embedded.*\(see "spillway load --help"\)$/,
    );
  });

  it('a line stays short, whatever the server or the header quotes', async () => {
    const table = await database.table('a int');
    const field = await file('x.csv', `a\n${'z'.repeat(5_000_000)}\n`);
    const header = await file('y.csv', `${'z'.repeat(5_000_000)}\n1\n`);
    for (const input of [field, header]) {
      const line = lineOf(await load(['-q', '-t', table, input]));
      expect(line).toMatch(/^spillway: \d+-[xy]\.csv:[12]: .*z…( \(nothing was loaded\))?$/);
      expect(line.length).toBeLessThan(600);
      const summary = await load(['-q', '--json', '-t', table, input]);
      expect((JSON.parse(summary.stdout) as { error: string }).error).toHaveLength(500);
    }
  });

  it.each<[string, Record<string, string>]>([
    ['?port=99999', {}],
    ['?port=abc', {}],
    ['', { PGPORT: 'abc' }],
    ['', { PGPORT: '99999' }],
  ])('a port that is none: %s %j', async (parameters, env) => {
    const to = parameters === '' ? [] : ['--to', `postgres://u@127.0.0.1/x${parameters}`];
    const line = lineOf(
      await cli.run(['query', 'SELECT 1', ...to], { env: { PGHOST: '127.0.0.1', ...env } }),
      2,
    );
    expect(line).toMatch(/^spillway: invalid port number: "\w+"; it must be from 1 to 65535 /);
  });

  it('the PG* variables are enough', async () => {
    const table = await database.table('a int');
    const url = new URL(database.url);
    const env = {
      PGHOST: url.hostname,
      PGPORT: url.port,
      PGUSER: url.username,
      PGPASSWORD: url.password,
      PGDATABASE: url.pathname.slice(1),
    };
    const result = await cli.run(['load', '-q', '-t', table, await file('x.csv', 'a\n1\n')], { env });
    expect(result).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('a role that may not write', async () => {
    const table = await database.table('a int');
    await database.query(`CREATE ROLE reader LOGIN PASSWORD 'reader'`);
    try {
      await database.query(`GRANT SELECT ON "${table}" TO reader`);
      const url = new URL(database.url);
      url.username = 'reader';
      url.password = 'reader';
      const args = ['-q', '-t', table, '--to', url.href, await file('x.csv', 'a\n1\n')];
      expect(lineOf(await load(args))).toMatch(/permission denied for table/);
      expect(lineOf(await load(['--truncate', ...args]))).toMatch(/permission denied for table/);
    } finally {
      await database.query('DROP OWNED BY reader');
      await database.query('DROP ROLE reader');
    }
  });
});

describe('wrong usage', () => {
  it.each<[string[], RegExp]>([
    [[], /a command is missing: load, consume or query \(see "spillway --help"\)$/],
    [['load', 'x.csv'], /required option '-t, --table <name>' not specified \(see "spillway load --help"\)$/],
    [['load', '-t', 't', 'x.csv', '--batch-size', '0'], /--batch-size.*from 1 to 1000000/],
    [['load', '-t', 't', 'x.csv', '--rejected', 'y'], /unknown option '--rejected'/],
    [['load', '-t', 't', 'x.csv', '--to', 'http://u:sEcReT@h'], /--to must be a URL such as/],
    [
      ['load', '-t', 't', '--create', '--no-header', '--strict', '-', '--format', 'csv'],
      /--create needs names for the columns/,
    ],
    [['query'], /missing required argument 'sql' \(see "spillway query --help"\)$/],
  ])('%j', async (args, message) => {
    const line = lineOf(await cli.run(args, { env: { DATABASE_URL: database.url }, stdin: '1\n' }), 2);
    expect(line).toMatch(message);
    expect(line).not.toContain('sEcReT');
  });

  it('help and version go to standard output', async () => {
    expect(await cli.run(['--version'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
      stderr: '',
    });
    expect(await cli.run(['load', '--help'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('--max-record-bytes') as string,
      stderr: '',
    });
  });
});

describe('query', () => {
  const query = (...args: string[]) => cli.run(['query', ...args], { env: { DATABASE_URL: database.url } });

  it('without columns in its answer prints the command tag, and nothing as JSON', async () => {
    const statement = 'DO $$ BEGIN PERFORM 1; END $$';
    expect(await query(statement)).toMatchObject({ code: 0, stdout: 'DO\n', stderr: '' });
    expect(await query('--json', statement)).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(await query(';')).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect((await query('SELECT 1 AS a WHERE false')).stdout).toBe('a\n-\n(0 rows)\n');
  });

  it('takes one statement only, so that none gets out of the read-only transaction', async () => {
    const table = await database.table('a int');
    const insert = `INSERT INTO "${table}" VALUES (1) RETURNING a`;
    expect(lineOf(await query(`COMMIT; ${insert}`))).toMatch(/cannot insert multiple commands/);
    expect(lineOf(await query(insert))).toMatch(/read-only transaction/);
    expect(await countOf(table)).toBe(0);
    expect(await query(';')).toMatchObject({ code: 0, stderr: '' });
    expect(await query('--json', 'SELECT 1 AS a, true AS b;')).toMatchObject({
      code: 0,
      stdout: '{"a":1,"b":true}\n',
    });
  });

  it.runIf(existsSync('/dev/full'))('says that its output cannot be written', async () => {
    const table = await database.table('a int');
    const input = await file('x.csv', 'a\n1\n');
    for (const args of [
      ['load', '-q', '--json', '-t', table, input],
      ['query', 'SELECT 1'],
      ['query', "SELECT repeat('x', 1000) FROM generate_series(1, 2000)"],
      ['--help'],
    ]) {
      const result = spawnSync('sh', ['-c', '"$@" > /dev/full', 'sh', process.execPath, cli.main, ...args], {
        cwd: cli.directory,
        env: { ...process.env, DATABASE_URL: database.url },
        encoding: 'utf8',
      });
      expect(result.stderr).toMatch(/^spillway: standard output cannot be written: ENOSPC.*\n$/);
      expect(result.status).toBe(1);
    }
  });

  it('prints in the server’s words what is wrong', async () => {
    expect(lineOf(await query('SELEKT 1'))).toBe('spillway: syntax error at or near "SELEKT"');
    expect(lineOf(await query('CREATE TABLE t (a int)'))).toBe(
      'spillway: cannot execute CREATE TABLE in a read-only transaction',
    );
  });

  it('ends quietly when its reader goes', async () => {
    const running = cli.start(
      ['query', "SELECT repeat('x', 1000) FROM generate_series(1, 20000)", '--json'],
      { env: { DATABASE_URL: database.url } },
    );
    running.child.stdout!.once('data', () => running.child.stdout!.destroy());
    expect(await running.result).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('signals', () => {
  async function startEndless(table: string, signal: NodeJS.Signals): Promise<CliResult> {
    const running = cli.start(['load', '-t', table, '-', '--format', 'csv', '--json'], {
      env: { DATABASE_URL: database.url },
    });
    const { stdin } = running.child;
    stdin!.write('a,b\n');
    let next = 0;
    let isOver = false;
    const feed = (): void => {
      while (!isOver) {
        let text = '';
        for (let i = 0; i < 1000; i += 1, next += 1) text += `${next},"x\ny"\n`;
        if (!stdin!.write(text)) break;
      }
    };
    stdin!.on('drain', feed);
    feed();
    while ((await countOf(table)) === 0) await delay(50);
    running.child.kill(signal);
    const result = await running.result;
    isOver = true;
    return result;
  }

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s: what was read is loaded, and where it stopped is said', async (signal, code) => {
    const table = await database.table('a int, b text');
    const result = await startEndless(table, signal);
    expect(result.code).toBe(code);
    const rows = await countOf(table);
    const summary = JSON.parse(result.stdout) as { lastRow: { line: number } };
    expect(summary).toMatchObject({ rows, rowsRead: rows, stoppedBy: signal, exitCode: code, error: null });
    // Two lines to a row, after the header.
    expect(summary.lastRow).toEqual({ file: 'standard input', line: 2 * rows });
    expect(result.stderr).toContain(
      `spillway: stopped by ${signal} after standard input:${2 * rows}; the rows up to there were loaded: ${rows.toLocaleString('en-US')}; with --import ID a load can go on from where it stopped\n`,
    );
    // All rows up to there, and none twice.
    const [sums] = await database.query(
      `SELECT count(DISTINCT a)::int AS different, max(a) AS last FROM "${table}"`,
    );
    expect(sums).toEqual({ different: rows, last: rows - 1 });
  });

  it('SIGINT while standard input says nothing', async () => {
    const table = await database.table('a int');
    const running = cli.start(['load', '-q', '-t', table, '-', '--format', 'csv'], {
      env: { DATABASE_URL: database.url },
    });
    running.child.stdin!.write('a\n1\n2\n3');
    // The rows that are complete are loaded, and then it waits for the end of the third.
    while ((await countOf(table)) < 2) await delay(20);
    running.child.kill('SIGINT');
    const result = await running.result;
    expect(result).toMatchObject({
      code: 130,
      stderr:
        'spillway: stopped by SIGINT after standard input:3; the rows up to there were loaded: 2; with --import ID a load can go on from where it stopped\n',
    });
    expect(await countOf(table)).toBe(2);
  });

  it('SIGINT before the first byte', async () => {
    const table = await database.table('a int');
    const running = cli.start(['load', '-q', '-t', table, '-', '--format', 'csv'], {
      env: { DATABASE_URL: database.url },
    });
    // Signals are heard before it connects.
    const session = `SELECT 1 FROM pg_stat_activity WHERE application_name = 'spillway'`;
    while ((await database.query(session)).length === 0) await delay(20);
    running.child.kill('SIGINT');
    expect(await running.result).toMatchObject({
      code: 130,
      stderr: 'spillway: stopped before anything was loaded\n',
    });
  });

  async function startSlowStatement() {
    const table = await database.table('a int');
    await database.query(
      `CREATE OR REPLACE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(3); RETURN NULL; END'`,
    );
    await database.query(
      `CREATE TRIGGER wait AFTER INSERT ON "${table}" FOR EACH STATEMENT EXECUTE FUNCTION wait()`,
    );
    const sleeping = async () =>
      (await database.query(`SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'`)).length;
    await expect.poll(sleeping, { timeout: 10_000 }).toBe(0);
    const running = cli.start(['load', '-q', '-t', table, await file('x.csv', 'a\n1\n2\n')], {
      env: { DATABASE_URL: database.url },
    });
    await expect.poll(sleeping, { timeout: 10_000 }).toBe(1);
    return { table, running };
  }

  it('a second SIGINT, a second after the first, ends at once and says how many rows may be missing', async () => {
    const { running } = await startSlowStatement();
    running.child.kill('SIGINT');
    await delay(1_200);
    expect(running.child.exitCode).toBeNull();
    const startedAt = performance.now();
    running.child.kill('SIGINT');
    expect(await running.result).toMatchObject({
      code: 130,
      stderr:
        'spillway: ended at once by a second SIGINT; 2 rows were read, and it is not known whether they were loaded\n',
    });
    expect(performance.now() - startedAt).toBeLessThan(1_500);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    'a copy of %s, as a parent forwards it, changes nothing: what was read is loaded',
    async (signal, code) => {
      const { table, running } = await startSlowStatement();
      for (const pauseMs of [0, 300, 300]) {
        running.child.kill(signal);
        await delay(pauseMs);
      }
      expect(running.child.exitCode).toBeNull();
      expect((await running.result).code).toBe(code);
      expect(await countOf(table)).toBe(2);
    },
  );
});

describe('a server that goes away in mid-load', () => {
  it('is one clear line', async () => {
    const table = await database.table('a int');
    const running = cli.start(['load', '-q', '-t', table, '-', '--format', 'csv', '--batch-size', '10'], {
      env: { DATABASE_URL: database.url },
    });
    running.child.stdin!.write('a\n1\n');
    await expect.poll(() => countOf(table), { timeout: 10_000 }).toBe(1);
    await database.query(`DROP TABLE "${table}"`);
    running.child.stdin!.write('2\n'.repeat(50));
    // Nothing more comes, and it ends all the same.
    expect(lineOf(await running.result)).toMatch(/there is no table|does not exist/);
  });
});

describe('a connection that is lost between two statements', () => {
  it('is told by the second, and does not end the process', async () => {
    const destination = { kind: 'server', text: database.url, where: '--to' } as const;
    const connection = await connect(destination, 1, {});
    const client = await connection.pool.connect();
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const ended = new Promise((resolve) => client.once('end', () => resolve(undefined)));
    await database.query('SELECT pg_terminate_backend($1)', [rows[0]!.pid]);
    await ended;
    await expect(client.query('SELECT 1')).rejects.toThrow('not queryable');
    client.release();
    await connection.close();
  });
});

describe('where a peer is missing', () => {
  const bare = useCli({ withPackages: false });

  it('says what to install', async () => {
    const input = await file('x.csv', 'a\n1\n');
    const options = { cwd: cli.directory, env: { DATABASE_URL: database.url } };
    expect(lineOf(await bare.run(['load', '-t', 't', input], options))).toMatch(
      /^spillway: the package pg(-copy-streams)? is missing; install it with: npm install pg pg-copy-streams$/,
    );
    expect(lineOf(await bare.run(['query', 'SELECT 1'], options))).toMatch(/npm install pg pg-copy-streams$/);
    expect(await bare.run(['--help'], options)).toMatchObject({ code: 0, stderr: '' });
  });
});

function damagedGzip(text: string): Buffer {
  const bytes = gzipSync(text);
  bytes[bytes.length - 6]! ^= 0xff;
  return bytes;
}

/** Whether another user can reach the bundle at all. */
function mayBeRunBy(uid: number): boolean {
  return spawnSync(process.execPath, [cli.main, '--version'], { uid, gid: uid, cwd: '/' }).status === 0;
}
