/** `spillway load --report`: what the page says, when it is written, and what the flag refuses. */

import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { useLoads } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();
const { cli, file, freshName, load } = useLoads(database);

const read = (name: string) => readFile(path.join(cli.directory, name), 'utf8');
const reportOf = async (...args: string[]) => {
  const name = freshName('report.html');
  const result = await load([...args, '--report', name]);
  return { ...result, name, html: await read(name).catch(() => undefined) };
};
/** The text of a page's table, by its caption: cells of each row. */
function tableOf(html: string, caption: string): string[][] {
  const start = html.indexOf(`<caption>\n${caption}\n</caption>`);
  expect(start, caption).toBeGreaterThan(-1);
  const body = html.slice(html.indexOf('<tbody>', start), html.indexOf('</tbody>', start));
  return [...body.matchAll(/<tr>([\s\S]*?)<\/tr>/g)].map(([, row]) =>
    [...row!.matchAll(/<t[hd][^>]*>([^<]*)<\/t[hd]>/g)].map(([, cell]) => cell!),
  );
}

describe('the page of a load', () => {
  it('has rows, reading, columns and settings, and no password', async () => {
    const input = await file('a.csv', 'id;"<b>na&me"\n1;x\n2;y\n');
    const { code, stderr, html, name } = await reportOf(input, '--create', '-t', freshName('t'));
    expect(code).toBe(0);
    expect(stderr).toContain(`report: ${name}\n`);
    expect(html).toContain('<p class="status good">Done: 2 rows into');
    expect(tableOf(html!, 'Columns')).toEqual([
      ['id', 'bigint', 'id'],
      ['&lt;b&gt;na&amp;me', 'text', '&lt;b&gt;na&amp;me'],
    ]);
    expect(tableOf(html!, 'Reading')).toContainEqual(['delimiter', ';']);
    expect(tableOf(html!, 'Files')[0]![0]).toBe(input);
    const flags = tableOf(html!, 'By the names of the flags');
    expect(flags).toContainEqual(['--create', 'yes']);
    // They were detected.
    expect(flags.map(([flag]) => flag)).not.toContain('--delimiter');
    expect(flags.map(([flag]) => flag)).not.toContain('--header');
    const numbers = tableOf(html!, 'Throughput, rows per second');
    expect(numbers.length).toBeGreaterThan(0);
    expect(html).not.toContain(new URL(database.url).password || 'no password is used');
    expect(html).not.toMatch(/<script|https?:/);
  });

  it('has settings as the flags write them', async () => {
    const table = await database.table('a text, b numeric');
    const input = await file('a.csv', 'x;1.234,5\nNA;5,5\n');
    const { code, html } = await reportOf(
      ...[input, '-t', table, '--no-header', '--delimiter', ';', '--null', 'NA', '--numbers', '1.234,5'],
    );
    expect(code).toBe(0);
    expect(tableOf(html!, 'By the names of the flags')).toEqual(
      expect.arrayContaining([
        ['--no-header', 'yes'],
        ['--delimiter', ';'],
        ['--null', '[&quot;NA&quot;]'],
        ['--numbers', '1.234,5'],
      ]),
    );
  });

  it('is for its owner only, and replaces an older file', async () => {
    const input = await file('a.csv', 'a\n1\n');
    const name = await file('old.html', 'old');
    const result = await load([input, '--create', '-t', freshName('t'), '--report', name, '-q']);
    expect(result).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await read(name)).toContain('<!doctype html>');
    expect((await stat(path.join(cli.directory, name))).mode & 0o777).toBe(0o600);
  });

  it('counts rejects by cause, over all batches', async () => {
    const table = await database.table('a int UNIQUE, b int');
    const input = await file('a.csv', 'a,b\n1,1\n1,2\nx,3\ny,4\n2,3,4\n4,5\n');
    const { code, html } = await reportOf(
      input,
      '-t',
      table,
      '--rejects',
      freshName('bad'),
      '--batch-size',
      '2',
    );
    expect(code).toBe(3);
    expect(html).toContain('<p class="status warn">');
    const rejected = tableOf(html!, 'Rejected, by cause').map(([cause, count]) => [cause, count]);
    expect(rejected).toEqual(
      expect.arrayContaining([
        ['22P02', '2'],
        ['23505', '1'],
        ['22P04', '1'],
      ]),
    );
  });

  it('is written of rows that a strategy may drop, of several files and of standard input', async () => {
    const table = await database.table('a int');
    const one = await file('one.csv', 'a\n1\n');
    const name = freshName('r.html');
    const { code } = await load(
      [one, '-', '--format', 'csv', '-t', table, '--strategy', 'drop_newest', '--report', name],
      {
        stdin: 'a\n2\n',
      },
    );
    expect(code).toBe(0);
    const html = await read(name);
    expect(tableOf(html, 'Files').map(([file]) => file)).toHaveLength(2);
    expect(html).toContain('Done: 2 rows into');
  });

  it('of a load that fails says why, and what is in the table', async () => {
    const table = await database.table('a int');
    const input = await file('a.csv', 'a\n1\nbad\n');
    const { code, html } = await reportOf(input, '-t', table, '--atomic');
    expect(code).toBe(1);
    expect(html).toContain('<p class="status bad">Not complete:');
    expect(html).toContain('nothing was loaded');
  });

  it('of a load that fails before its first row says why', async () => {
    const input = await file('a.csv', 'a\n1\n');
    const { code, html, stderr } = await reportOf(input, '-t', 'missing');
    expect(code).toBe(1);
    expect(html).toContain('Failed before its first row:');
    expect(html).toContain('missing');
    expect(stderr).not.toContain('report');
  });

  it('of an import that goes on, and of one that is complete, has what was loaded before', async () => {
    const table = await database.table('a int');
    const input = await file('a.csv', 'a\n1\n2\n');
    const args = [input, '-t', table, '--import', freshName('id')];
    expect((await reportOf(...args)).code).toBe(0);
    const { html } = await reportOf(...args);
    expect(html).toContain('is complete, nothing was left to do: 2 rows');
  });

  it('is written after a load that has started over, with all that was recorded', async () => {
    const rows = Array.from({ length: 12_000 }, (_, n) => `${n},${n === 11_500 ? 'x' : n}\n`);
    const input = await file('a.csv', `a,b\n${rows.join('')}`);
    const { code, html } = await reportOf(input, '--create', '-t', freshName('t'));
    expect(code).toBe(0);
    expect(html).toContain('started over');
    expect(html).toContain('12,000 rows into');
  });
});

describe('--report', () => {
  it('is named by --json', async () => {
    const input = await file('a.csv', 'a\n1\n');
    const name = freshName('r.html');
    const { stdout } = await load([input, '--create', '-t', freshName('t'), '--json', '--report', name]);
    expect(JSON.parse(stdout)).toMatchObject({ reportFile: name, rows: 1, exitCode: 0 });
  });

  it('writes to standard output, as a descriptor', async () => {
    const input = await file('a.csv', 'a\n1\n');
    const { stdout, code } = await load([input, '--create', '-t', freshName('t'), '--report', '/dev/stdout']);
    expect(code).toBe(0);
    expect(stdout.startsWith('<!doctype html>')).toBe(true);
  });

  it('writes nothing with --dry-run', async () => {
    const input = await file('a.csv', 'a\n1\n');
    const { code, html } = await reportOf(input, '--create', '-t', freshName('t'), '--dry-run');
    expect({ code, html }).toEqual({ code: 0, html: undefined });
  });

  it('that cannot be written at the end is an error, and says what was loaded', async () => {
    const folder = freshName('folder');
    const rejects = freshName('bad');
    await mkdir(path.join(cli.directory, folder));
    const table = await database.table('a int');
    const args = ['-', '--format', 'csv', '-t', table, '--report', `${folder}/r.html`, '--rejects', rejects];
    const { child, result } = cli.start(['load', ...args, '--json'], { env: { DATABASE_URL: database.url } });
    child.stdin!.write('a\n1\n');
    // It is made after the report is checked.
    await expect.poll(() => existsSync(path.join(cli.directory, rejects)), { timeout: 20_000 }).toBe(true);
    await rm(path.join(cli.directory, folder), { recursive: true });
    child.stdin!.end();
    const { code, stdout, stderr } = await result;
    expect(code).toBe(1);
    expect(stderr).toContain(`--report ${folder}/r.html: cannot be written: its folder does not exist`);
    expect(JSON.parse(stdout)).toMatchObject({ rows: 1, exitCode: 1, reportFile: null });
  });

  it.each([
    ['-', 'It must be a file', 2],
    ['', 'must not be empty', 2],
    ['folder', 'is a directory', 1],
    ['folder/', 'is a directory', 1],
    ['link', 'is a symbolic link', 1],
    ['nowhere/r.html', 'its folder does not exist', 1],
    ['input.csv', 'is to be loaded', 2],
    ['./input.csv', 'is to be loaded', 1],
    ['bad', 'name the same file', 2],
    ['./bad', 'is the file of --rejects', 1],
    ['/dev/stdout', 'which is for --json', 1],
  ])('refuses %j before anything is loaded', async (name, message, exitCode) => {
    const folder = path.join(cli.directory, freshName('d'));
    await mkdir(path.join(folder, 'folder'), { recursive: true });
    await symlink('elsewhere', path.join(folder, 'link'));
    await writeFile(path.join(folder, 'input.csv'), 'a\n1\n');
    const table = await database.table('a int');
    const { code, stderr } = await load(
      ['input.csv', '-t', table, '--rejects', 'bad', '--json', '--report', name],
      { cwd: folder },
    );
    expect(stderr).toContain(message);
    expect(code).toBe(exitCode);
    expect(await database.query(`SELECT * FROM ${table}`)).toEqual([]);
    expect((await readdir(folder)).sort()).toEqual(['folder', 'input.csv', 'link']);
  });
});
