/** Files that are no tables: refused by what they are, before a server is asked for anything. */

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { useCli } from '../../support/cli.js';

const cli = useCli();
/** Nothing listens there. */
const NO_SERVER = ['--table', 't', '--create', '--to', 'postgres://nobody@127.0.0.1:1/none'];

const PAGE = '<!DOCTYPE html>\n<html><body>Please log in</body></html>\n';

async function refusal(name: string, content: string | Buffer, ...flags: string[]): Promise<string> {
  await writeFile(path.join(cli.directory, name), content);
  const { code, stderr } = await cli.run(['load', name, ...NO_SERVER, ...flags]);
  expect(code).toBe(1);
  return stderr;
}

describe('a file that is no table', () => {
  it.each([
    ['a page that was saved as .csv', 'page.csv', PAGE, [], /page\.csv: is an HTML page: download/],
    ['a page, with --strict', 'strict.csv', PAGE, ['--strict'], /is an HTML page/],
    ['a page that was saved as .ndjson', 'page.ndjson', PAGE, [], /is an HTML page/],
    ['a page in gzip', 'page.csv.gz', gzipSync(PAGE), [], /is an HTML page/],
    ['a pointer of Git LFS', 'lfs.csv', 'version https://git-lfs.github.com/spec/v1\n', [], /git lfs pull/],
    ['a database', 'a.db', 'SQLite format 3\0\x10', ['-f', 'csv'], /is an SQLite database/],
  ] as const)('%s is refused before the server is asked', async (_name, file, content, flags, message) => {
    expect(await refusal(file, content, ...flags)).toMatch(message);
  });

  it('the second of two files is refused before the first is loaded', async () => {
    await writeFile(path.join(cli.directory, 'good.csv'), 'a\n1\n');
    await writeFile(path.join(cli.directory, 'bad.csv'), PAGE);
    const { code, stderr } = await cli.run(['load', 'good.csv', 'bad.csv', ...NO_SERVER]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^spillway: bad\.csv: is an HTML page/);
  });

  it('a directory is refused by name', async () => {
    await mkdir(path.join(cli.directory, 'folder.csv'));
    const { stderr } = await cli.run(['load', 'folder.csv', ...NO_SERVER]);
    expect(stderr).toMatch(/folder\.csv: is a directory/);
  });
});

describe('names of files', () => {
  it('a file:// URL and a pattern are files, and a pattern without a match is refused', async () => {
    const at = path.join(cli.directory, 'some page.csv');
    await writeFile(at, PAGE);
    for (const name of [pathToFileURL(at).href, 'some*.csv', 'some?page.csv']) {
      const { stderr } = await cli.run(['load', name, ...NO_SERVER]);
      expect(stderr).toMatch(/some page\.csv: is an HTML page/);
    }
    const { code, stderr } = await cli.run(['load', 'none*.csv', ...NO_SERVER]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/none\*\.csv: no file matches this pattern/);
  });
});
