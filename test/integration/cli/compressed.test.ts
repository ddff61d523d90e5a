/** Compressed files, by the real command: loaded with the format of the name, and refused if they hold no single table. */

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { useCli } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';

const cli = useCli();
const database = useTestDatabase();

const TEXT = 'id,name\n1,a\n2,b\n';

function has(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`]);
    return true;
  } catch {
    return false;
  }
}

async function rowsAfter(file: string, table: string, stdin?: Buffer): Promise<unknown[]> {
  const flags = stdin === undefined ? [] : ['-f', 'csv'];
  const args = ['load', file, '-q', '--create', '-t', table, '--to', database.url, ...flags];
  expect(await cli.run(args, stdin === undefined ? {} : { stdin })).toMatchObject({ code: 0, stderr: '' });
  return database.query(`SELECT id::int, name FROM ${table} ORDER BY id`);
}

const ROWS = [
  { id: 1, name: 'a' },
  { id: 2, name: 'b' },
];

describe('a compressed file', () => {
  it.each([
    ['zstd', 'zst'],
    ['xz', 'xz'],
    ['bzip2', 'bz2'],
  ])('made by %s is loaded, from a file and from standard input (skipped if the program is missing)', async (program, extension) => {
    if (!has(program)) return;
    const bytes = execFileSync(program, ['-c'], { input: TEXT });
    await writeFile(path.join(cli.directory, `rows.csv.${extension}`), bytes);
    expect(await rowsAfter(`rows.csv.${extension}`, extension)).toEqual(ROWS);
    expect(await rowsAfter('-', `${extension}_pipe`, bytes)).toEqual(ROWS);
  }); // prettier-ignore

  it.each([
    ['gzip', 'gz'],
    ['zstd', 'zst'],
    ['xz', 'xz'],
    ['bzip2', 'bz2'],
  ])('made by %s is loaded if it is longer than what is looked at first, and so is another one (skipped if the program is missing)', async (program, extension) => {
    if (!has(program)) return;
    const rows = Array.from({ length: 100_000 }, (_, row) => `${row},${(row * 7919) % 100_003}\n`);
    const names = [rows.slice(0, 50_000), rows.slice(50_000)].map((part, index) => {
      const name = `long-${index}.csv.${extension}`;
      const input = `id,name\n${part.join('')}`;
      writeFileSync(path.join(cli.directory, name), execFileSync(program, ['-c'], { input }));
      return name;
    });
    const table = `long_${extension}`;
    const { code, stderr } = await cli.run(['load', ...names, '-q', '--create', '-t', table, '--to', database.url]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(await database.query(`SELECT count(*)::int AS n, count(*) FILTER (WHERE name = (id * 7919) % 100003)::int AS same FROM ${table}`)).toEqual([{ n: 100_000, same: 100_000 }]);
  }); // prettier-ignore

  it.skipIf(!has('zip'))('made by zip is loaded, and one of two files is refused before the server is asked (skipped if zip is missing)', async () => {
    const at = (name: string) => path.join(cli.directory, name);
    await writeFile(at('one.csv'), TEXT);
    await writeFile(at('two.csv'), TEXT);
    execFileSync('zip', ['-q', at('one.csv.zip'), 'one.csv'], { cwd: cli.directory });
    execFileSync('zip', ['-q', at('both.csv.zip'), 'one.csv', 'two.csv'], { cwd: cli.directory });
    expect(await rowsAfter('one.csv.zip', 'zip')).toEqual(ROWS);
    await writeFile(at('one.ndjson'), ROWS.map((row) => JSON.stringify(row)).join('\n'));
    execFileSync('zip', ['-q', at('data.zip'), 'one.ndjson'], { cwd: cli.directory });
    expect(await rowsAfter('data.zip', 'zip_entry')).toEqual(ROWS);
    const refused = await cli.run(['load', 'both.csv.zip', '-t', 't', '--to', 'postgres://nobody@127.0.0.1:1/none']);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/both\.csv\.zip: is a zip archive of several files \("one\.csv", "two\.csv"\)/);
  }); // prettier-ignore
});
