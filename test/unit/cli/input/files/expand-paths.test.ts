/** Names of files as they are given on the command line. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { expandPaths } from '../../../../../src/cli/input/files/expand-paths.js';

const directory = mkdtempSync(path.join(os.tmpdir(), 'spillway-paths-'));
const at = (name: string) => `${directory}/${name}`;
mkdirSync(at('2024'));
mkdirSync(at('2025'));
for (const name of [
  'b.csv',
  'a.csv',
  'a1.csv',
  'c.txt',
  '.hidden.csv',
  'odd*.csv',
  '2024/x.csv',
  '2025/x.csv',
]) {
  writeFileSync(at(name), '');
}
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

describe('names of files', () => {
  it.each([
    ['a name', 'none.csv', ['none.csv']],
    ['a star', '*.csv', ['a.csv', 'a1.csv', 'b.csv', 'odd*.csv']],
    ['a question mark', 'a?.csv', ['a1.csv']],
    ['a star in a folder', '20*/x.csv', ['2024/x.csv', '2025/x.csv']],
    ['a star that is part of a name', 'odd*.csv', ['odd*.csv']],
  ])('%s', (_name, pattern, expected) => {
    expect(expandPaths([at(pattern)])).toEqual(expected.map(at));
  });

  it('a file:// URL is a file, with what is escaped in it', () => {
    expect(expandPaths([pathToFileURL(at('a b.csv')).href, '-'])).toEqual([at('a b.csv'), '-']);
  });

  it('a URL of another machine is refused', () => {
    expect(() => expandPaths(['file://elsewhere/a.csv'])).toThrow(/names no file/);
  });

  it('a pattern that nothing matches is refused', () => {
    expect(() => expandPaths([at('*.parquet')])).toThrow(`${at('*.parquet')}: no file matches this pattern`);
  });
});
