/** Text of other people on its way to standard output and standard error, as a process, against a real PostgreSQL. */

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { useCli, type CliResult, type RunOptions } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';

const cli = useCli();
const database = useTestDatabase();

/** Clears the screen, sets the title, in C0 and C1; turns the text around; begins a new line. */
const EVIL = '\u001b[2J\u001b]0;owned\u0007\u009b31m\u202eabc\u2066\u2028\u007f\u0085';
const RANGES = ['0000-0008', '000b-001f', '007f-009f', '061c-061c', '200e-200f', '2028-202e', '2066-2069'];
const RAW = new RegExp(`[${RANGES.map((range) => range.replace(/(\w+)-(\w+)/, '\\u$1-\\u$2')).join('')}]`);

async function file(name: string, content: string): Promise<string> {
  await writeFile(path.join(cli.directory, name), content);
  return name;
}

const run = (args: string[], options: RunOptions = {}): Promise<CliResult> =>
  cli.run(args, { ...options, env: { DATABASE_URL: database.url, ...options.env } });

/** Nothing of it arrives raw, but it arrives. */
function expectEscaped({ stdout, stderr }: CliResult): void {
  expect(stdout).not.toMatch(RAW);
  expect(stderr).not.toMatch(RAW);
  expect(`${stdout}${stderr}`).toMatch(/\\x1b\[2J|\\u001b\[2J/);
}

describe('text that a terminal would obey', () => {
  it('is escaped in file names, wherever the file fails', async () => {
    const table = await database.table('a int');
    const name = await file(`${EVIL}.csv`, 'a\nx\n');
    expectEscaped(await run(['load', '-t', table, name]));
    expectEscaped(await run(['load', '-t', table, '--json', name]));
    expectEscaped(await run(['load', '-t', table, `missing-${name}`]));
    expectEscaped(await run(['load', '-t', table, EVIL]));
    await mkdir(path.join(cli.directory, `${EVIL}-folder.csv`));
    expectEscaped(await run(['load', '-t', table, `${EVIL}-folder.csv`]));
  });

  it('is escaped in the summary: table, rejects file and import', async () => {
    const table = `evil ${EVIL}`;
    await database.query(`CREATE TABLE "${table}" (a int)`);
    const input = await file('good.csv', 'a\n1\nx\n');
    expectEscaped(await run(['load', '-t', table, '--json', input, '--rejects', `${EVIL}.rejects`]));
    expectEscaped(await run(['load', '-t', table, input, '--rejects', `${EVIL}.rejects`, '--import', EVIL]));
  });

  it('is escaped in values and columns that the table refuses, also in rejects on standard error', async () => {
    const column = `c${EVIL}`;
    const table = await database.table(`"${column}" int`);
    const input = await file('values.csv', `${column}\n${EVIL}\n`);
    expectEscaped(await run(['load', '-t', table, input]));
    expectEscaped(await run(['load', '-t', table, input, '--rejects', '/dev/stderr']));
    expectEscaped(await run(['load', '-t', table, await file('header.csv', `${EVIL}\n1\n`)]));
    const json = await file('keys.ndjson', `{${JSON.stringify(`k${EVIL}`)}:1}\n`);
    expectEscaped(await run(['load', '-t', table, json]));
    expectEscaped(await run(['load', '-t', table, '--columns', EVIL, input]));
  });

  it('is escaped in errors of the server, with detail and hint', async () => {
    const table = await database.table('a int');
    const raise = `RAISE EXCEPTION USING MESSAGE = '${EVIL}', DETAIL = '${EVIL}', HINT = '${EVIL}'`;
    await database.query(
      `CREATE FUNCTION evil_${table}() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE '${EVIL}'; ${raise}; END$$`,
    );
    await database.query(`CREATE TRIGGER t BEFORE INSERT ON ${table} EXECUTE FUNCTION evil_${table}()`);
    const input = await file('one.csv', 'a\n1\n');
    expectEscaped(await run(['load', '-t', table, input]));
    expectEscaped(await run(['load', '-t', table, '--json', input]));
    expectEscaped(await run(['query', `SELECT '${EVIL}'::int`]));
  });

  it('is escaped in the rows and the names of a query, in a table and as JSON', async () => {
    const sql = `SELECT '${EVIL}' AS "n${EVIL}", json_build_object('k', '${EVIL}'::text) AS j`;
    for (const flags of [[], ['--json']]) {
      const result = await run(['query', ...flags, sql]);
      expectEscaped(result);
      expect(result.code).toBe(0);
      if (flags.length > 0) {
        expect(JSON.parse(result.stdout)).toEqual({ [`n${EVIL}`]: EVIL, j: { k: EVIL } });
      }
    }
  });

  it.each([
    [[`--${EVIL}`]],
    [['load', `--${EVIL}`]],
    [['load', '--json', `--${EVIL}`]],
    [['load', '-t', 't', '--format', EVIL]],
    [['load', '-t', 't', '--batch-size', EVIL, 'x.csv']],
    [['load', '-t', EVIL, '--import', 'x', '--atomic', EVIL]],
    [[EVIL]],
    [['query', '--to', 'embedded', 'SELECT 1', EVIL, `--${EVIL}`]],
  ])('is escaped in wrong usage: %j', async (args) => {
    const result = await run(args);
    expect(result.code).toBe(2);
    expectEscaped(result);
  });
});

describe('--json', () => {
  it('prints one object with the same fields, however the load ends', async () => {
    const table = await database.table('a int');
    const good = await file('fields.csv', 'a\n1\n');
    const bad = await file('bad-fields.csv', 'a\nx\n');
    const fieldsOf = async (args: string[], code: number, options?: RunOptions) => {
      const result = await run(['load', '--json', ...args], options);
      expect(result.code).toBe(code);
      expect(result.stdout).toMatch(/^\{.*\}\n$/);
      const json = JSON.parse(result.stdout) as Record<string, unknown>;
      expect(json['exitCode']).toBe(code);
      expect(typeof json['error']).toBe(code === 0 ? 'object' : 'string');
      return Object.keys(json).toSorted();
    };
    const expected = await fieldsOf(['-t', table, good], 0);
    expect(expected).toContain('peakMemoryBytes');
    for (const [args, code, options] of [
      [['-t', table, bad], 1],
      [['-t', table, 'missing.csv'], 1],
      [['-t', 'no such table', good], 1],
      [['-t', table, await file('empty-fields.csv', '')], 1],
      [['-t', table, good, '--rejects', 'no/such/folder'], 1],
      [['-t', table, good, '--to', 'postgres://nobody@127.0.0.1:1/x'], 1],
      [[good], 2],
      [['-t', table, good, '--nonsense'], 2],
      [['-t', table, good, '--delimiter', ',', '--delimiter', ';'], 2],
      [['-t', table, good], 2, { env: { DATABASE_URL: '' } }],
    ] as [string[], number, RunOptions?][]) {
      expect(await fieldsOf(args, code, options), args.join(' ')).toEqual(expected);
    }
  });

  it('query --json refuses two columns of one name, and says how to name one', async () => {
    expect(await run(['query', '--json', 'SELECT 1 AS a, 2 AS b, 3 AS a'])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'spillway: two columns have the name "a"; with --json give one of them another by AS\n',
    });
    expect(await run(['query', 'SELECT 1 AS a, 2 AS a'])).toMatchObject({ code: 0 });
  });
});

describe('standard input', () => {
  it('standard input that is a directory is refused by every name', async () => {
    const table = await database.table('a int');
    const { openSync, closeSync } = await import('node:fs');
    const { spawnSync } = await import('node:child_process');
    const folder = openSync(cli.directory, 'r');
    for (const args of [['-'], []]) {
      const result = spawnSync(
        process.execPath,
        [cli.main, 'load', '-q', '-t', table, '--format', 'csv', ...args],
        {
          stdio: [folder, 'pipe', 'pipe'],
          env: { ...process.env, DATABASE_URL: database.url },
          encoding: 'utf8',
        },
      );
      expect(result.stderr).toBe(
        'spillway: standard input: is a directory, not a file; a pattern names its files: DIRECTORY/*.csv\n',
      );
      expect(result.status).toBe(1);
    }
    closeSync(folder);
  });

  it('help of a command is no failure', async () => {
    const help = await cli.run(['help', 'load']);
    expect(help).toEqual(await cli.run(['load', '--help']));
    expect(help.code).toBe(0);
  });
});
