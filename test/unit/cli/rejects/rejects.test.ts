import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InputError } from '../../../../src/cli/common/errors.js';
import { ReadRow } from '../../../../src/cli/records/record-parser.js';
import { RejectFile } from '../../../../src/cli/rejects/reject-file.js';
import { LONGEST_REJECTED_VALUE, rejectLines } from '../../../../src/cli/rejects/reject.js';
import type { TableColumn } from '../../../../src/postgres/table/catalogue.js';
import { CopyError } from '../../../../src/postgres/errors/copy-error.js';

const FILE = { name: 'dir/x.csv', path: 'dir/x.csv', sizeBytes: 1 };

function column(name: string, type = 'text'): TableColumn {
  return { name, typeName: type, type: { kind: 'scalar', name: type, category: 'S' }, isGenerated: false };
}

const fault = new CopyError('COPY into "t" failed: row 3 of the batch: bad\nword', {
  failureClass: 'row',
  sqlState: '23514',
  column: 'a',
  constraint: 'c',
  cause: new Error('bad\nword'),
});

describe('a line of the file of rejects', () => {
  it('has place, row and cause, in one line', () => {
    const lineOf = rejectLines([column('a'), column('__proto__'), column('"')], 'csv');
    const line = lineOf(new ReadRow(['x\ny', null, '\0'], FILE, 7, 4), fault);
    expect(line).not.toContain('\n');
    expect(line).toBe(
      '{"file":"dir/x.csv","line":7,"record":5,"row":{"a":"x\\ny","__proto__":null,"\\"":"\\u0000"},' +
        '"code":"23514","column":"a","constraint":"c","message":"bad word"}',
    );
  });

  it('has the text of a record that could not be read, and the reason without the place', () => {
    const unreadable = new InputError('dir/x.csv', 9, 'expected 2 fields, got 1');
    const row = new ReadRow([], FILE, 9, 0, unreadable, 'a"b');
    const wrapped = new CopyError('x', { failureClass: 'row', sqlState: '22P02', cause: unreadable });
    expect(JSON.parse(rejectLines([column('a')], 'csv')(row, wrapped))).toEqual({
      file: 'dir/x.csv',
      line: 9,
      record: 1,
      text: 'a"b',
      code: '22P04',
      column: null,
      constraint: null,
      message: 'expected 2 fields, got 1',
    });
  });

  it('keeps JSON as it came from NDJSON, and only from there', () => {
    const columns = [column('j', 'jsonb'), column('t')];
    const row = new ReadRow(['{"n":123456789012345678901234567890,"h":"\ud800"}', '{}'], FILE, 1, 0);
    expect(rejectLines(columns, 'ndjson')(row, fault)).toContain(
      '"row":{"j":{"n":123456789012345678901234567890,"h":"\\ud800"},"t":"{}"}',
    );
    expect(JSON.parse(rejectLines(columns, 'csv')(row, fault))).toMatchObject({ row: { j: row.values[0] } });
  });

  it('cuts what is longer than it is worth', () => {
    const long = 'x'.repeat(LONGEST_REJECTED_VALUE + 10);
    const columns = [column('t'), column('j', 'json')];
    const row = new ReadRow([long, `"${long}"`], FILE, 1, 0);
    const { row: kept } = JSON.parse(rejectLines(columns, 'ndjson')(row, fault)) as {
      row: { t: string; j: string };
    };
    expect(kept.t).toBe(`${'x'.repeat(LONGEST_REJECTED_VALUE)}…`);
    expect(kept.j).toHaveLength(LONGEST_REJECTED_VALUE + 1);
    // An error without a cause, a state or a column has none in its line either.
    const bare = new CopyError('words', { failureClass: 'row' });
    expect(JSON.parse(rejectLines([], 'csv')(row, bare))).toMatchObject({
      code: null,
      column: null,
      message: 'words',
    });
  });
});

describe('the file of rejects', () => {
  let directory = '';
  beforeEach(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'spillway-rejects-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it('is not touched before the start, and then replaced, with the lines of earlier runs', async () => {
    const target = path.join(directory, 'bad.ndjson');
    await writeFile(target, 'old\n', { mode: 0o644 });
    const rejects = await RejectFile.check(target, []);
    expect(await readFile(target, 'utf8')).toBe('old\n');
    const earlier = Array.from({ length: 20_000 }, (_, n) => `earlier ${n}`);
    await rejects.start(async (use) => {
      for (const line of earlier) await use(line);
    });
    expect(rejects.count).toBe(20_000);
    await Promise.all([rejects.add(['a', 'b']), rejects.add(['c'])]);
    expect(rejects.count).toBe(20_003);
    await rejects.close();
    await rejects.close();
    expect(await readFile(target, 'utf8')).toBe(`${[...earlier, 'a', 'b', 'c'].join('\n')}\n`);
    expect((await stat(target)).mode & 0o777).toBe(0o600);
  });

  it('keeps the old one where the new one cannot be completed', async () => {
    const target = path.join(directory, 'bad.ndjson');
    await writeFile(target, 'old\n');
    const rejects = await RejectFile.check(target, []);
    await expect(rejects.start(() => Promise.reject(new Error('server gone')))).rejects.toThrow(
      'server gone',
    );
    expect(await readFile(target, 'utf8')).toBe('old\n');
    await rejects.close();
  });

  it.each([
    ['with lines in it', ['a'], /bad.ndjson: was removed while it was written, and what was in it is lost/],
    ['while it is empty', [], undefined],
  ])('a file of rejects that is removed meanwhile %s: %j fails with %s', async (_, lines, failure) => {
    const folder = path.join(directory, 'folder');
    await mkdir(folder);
    const rejects = await RejectFile.check(path.join(folder, 'bad.ndjson'), []);
    await rejects.start();
    if (lines.length > 0) await rejects.add(lines);
    await rm(folder, { recursive: true });
    if (failure === undefined) await rejects.close();
    else await expect(rejects.close()).rejects.toThrow(failure);
  });

  it('says when there are too many', async () => {
    const rejects = await RejectFile.check(path.join(directory, 'bad.ndjson'), [], { most: 2 });
    await rejects.start();
    await rejects.add(['a', 'b']);
    rejects.assertWithinLimit();
    await rejects.add(['c']);
    expect(() => rejects.assertWithinLimit()).toThrow(/3 rows were rejected, more than --max-rejects 2;/);
    await rejects.close();
  });
});
