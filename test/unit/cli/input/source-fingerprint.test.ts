import { createHash } from 'node:crypto';
import { MIB } from '../../../../src/common/bytes.js';
import { mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeDifferences } from '../../../../src/cli/load/import.js';
import type { LoadOptions } from '../../../../src/cli/args/options.js';
import { parseArguments } from '../../../../src/cli/args/parse-arguments.js';
import { fingerprintOf, sampleStarts } from '../../../../src/cli/input/source-fingerprint.js';
import { findFiles } from '../../../../src/cli/input/files/find-files.js';
import { Source, type SourceFile } from '../../../../src/cli/input/source.js';
import { sourceDifferences } from '../../../../src/postgres/imports/import-source.js';

const PIPE: SourceFile = { name: 'standard input', path: undefined, sizeBytes: undefined };

function options(...argv: string[]): LoadOptions {
  const invocation = parseArguments([
    'load',
    '-t',
    't',
    ...(argv.includes('-f') ? [] : ['-f', 'csv']),
    ...argv,
  ]);
  if (invocation.command !== 'load') throw new Error('no load');
  return invocation.options;
}

const sha256 = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex');

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'spillway-fingerprint-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function fingerprintOfFile(name: string): Promise<unknown> {
  const source = new Source(await findFiles([path.join(directory, name)]), Readable.from([]));
  const { source: found } = await fingerprintOf(source, options('x'), []);
  return (found as { files: unknown[] }).files[0];
}

describe('the fingerprint of a source', () => {
  it('is size and hash of each file, and the flags that say what its records are', async () => {
    await writeFile(path.join(directory, 'a'), 'some bytes');
    await writeFile(path.join(directory, 'b'), '');
    const source = new Source(
      await findFiles([path.join(directory, 'a'), path.join(directory, 'b')]),
      Readable.from([]),
    );
    expect((await fingerprintOf(source, options('x', '--columns', 'a,b', '--no-header'), [])).source).toEqual(
      {
        files: [
          { bytes: 10, sha256: sha256('some bytes') },
          { bytes: 0, sha256: sha256('') },
        ],
        format: 'csv',
        columns: ['a', 'b'],
        maxRecordBytes: 16 * MIB,
        header: false,
        delimiter: ',',
        null: '',
      },
    );
    const other = options('x', '--batch-size', '7', '--connections', '2', '--rejects', 'r', '--truncate');
    const { source: plain } = await fingerprintOf(source, options('x'), []);
    expect((await fingerprintOf(source, other, [])).source).toEqual(plain);
    const ndjson = (await fingerprintOf(source, options('x.ndjson', '-f', 'ndjson'), [])).source;
    expect(Object.keys(ndjson)).toEqual(['files', 'format', 'columns', 'maxRecordBytes']);
  });

  it('the fingerprint of a large file changes with a byte at its beginning, its end, and in the blocks between', async () => {
    const size = 300 * MIB + 12_345;
    const large = path.join(directory, 'large');
    await writeFile(large, '');
    await truncate(large, size);
    const before = await fingerprintOfFile('large');
    expect(before).toMatchObject({ bytes: size });
    const starts = sampleStarts(size);
    for (const at of [0, size - 1, starts[100]! + 5]) {
      const handle = await open(large, 'r+');
      await handle.write('x', at);
      expect(await fingerprintOfFile('large')).not.toEqual(before);
      await handle.write('\0', at);
      await handle.close();
    }
    expect(await fingerprintOfFile('large')).toEqual(before);
  }, 60_000);

  it('samples a large file evenly', () => {
    const starts = sampleStarts(1024 * MIB);
    expect(starts).toHaveLength(258);
    expect([starts[0], starts.at(-1)]).toEqual([0, 1023 * MIB]);
    const gaps = starts.slice(1).map((start, index) => start - starts[index]!);
    expect(Math.max(...gaps) - Math.min(...gaps)).toBeLessThanOrEqual(1);
  });

  it('the fingerprint of standard input is its plain beginning, however it comes, and what was read is not lost', async () => {
    const text = `a,b\n${'12345,abcdef\n'.repeat(20_000)}`;
    const fingerprints: unknown[] = [];
    const pieces = (bytes: Buffer, size: number) =>
      Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.subarray(index * size, (index + 1) * size),
      );
    for (const [bytes, size] of [
      [Buffer.from(text), 1000],
      [Buffer.from(text), text.length],
      [gzipSync(text), 77],
    ] as const) {
      const source = new Source([PIPE], Readable.from(pieces(bytes, size)));
      const first = (await source.next())!;
      const { source: found, head } = await fingerprintOf(source, options('-'), [first]);
      fingerprints.push((found as { files: unknown[] }).files[0]);
      let all = '';
      for await (const chunk of source.stream(head) as AsyncIterable<{ bytes: Buffer }>)
        all += chunk.bytes.toString();
      expect(all).toBe(text);
    }
    const expected = { beginning: sha256(text.slice(0, 64 * 1024)) };
    expect(fingerprints).toEqual([expected, expected, expected]);
    const short = new Source([PIPE], Readable.from([Buffer.from('a\n1\n')]));
    expect((await fingerprintOf(short, options('-'), [])).source).toMatchObject({
      files: [{ beginning: sha256('a\n1\n') }],
    });
  });

  it('refuses what can be read only once and does not come first', async () => {
    await writeFile(path.join(directory, 'a'), 'x');
    const [file] = await findFiles([path.join(directory, 'a')]);
    const source = new Source([file!, PIPE], Readable.from([]));
    await expect(fingerprintOf(source, options('x'), [])).rejects.toThrow(
      /^standard input: can be read only once, and so must be the first with --import/,
    );
  });

  it('the fingerprint of a file that is gone is an error with its name', async () => {
    const file = { name: 'gone.csv', path: path.join(directory, 'gone.csv'), sizeBytes: 5 };
    const source = new Source([file], Readable.from([]));
    await expect(fingerprintOf(source, options('x'), [])).rejects.toThrow('gone.csv: no such file');
  });
});

describe('what differs, in words', () => {
  const files: SourceFile[] = [{ name: 'x.csv', path: 'x.csv', sizeBytes: 1 }];
  const words = (before: object, now: object) => describeDifferences(sourceDifferences(before, now), files);

  it('names the file or the flag', () => {
    expect(words({ files: [{ bytes: 1, sha256: 'a' }] }, { files: [{ bytes: 2, sha256: 'b' }] })).toBe(
      'x.csv had 1 byte and has 2',
    );
    expect(words({ files: [{ bytes: 1, sha256: 'a' }] }, { files: [{ bytes: 1, sha256: 'b' }] })).toBe(
      'x.csv has other contents',
    );
    expect(words({ files: [{ beginning: 'a' }] }, { files: [{ bytes: 1, sha256: 'b' }] })).toBe(
      'x.csv is a file, and was read from a pipe',
    );
    expect(words({ files: [{ bytes: 1, sha256: 'b' }] }, { files: [{ beginning: 'a' }] })).toBe(
      'x.csv is read from a pipe, and was a file',
    );
    expect(words({ files: [] }, { files: [{ bytes: 1 }] })).toBe('the number of files differs');
    expect(words({ format: 'csv', columns: null }, { format: 'ndjson', columns: ['a', 'b'] })).toBe(
      '--format was "csv" and is "ndjson"; --columns was not given and is "a,b"',
    );
  });
});
