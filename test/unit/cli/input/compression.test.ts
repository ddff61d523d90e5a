/** Compressed files, made by the usual programs: what they hold, and what damages them. */

import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkFiles } from '../../../../src/cli/input/check-files.js';
import { crcByTable } from '../../../../src/cli/input/compression/crc.js';
import { findFiles } from '../../../../src/cli/input/files/find-files.js';
import { Source } from '../../../../src/cli/input/source.js';

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'spillway-compression-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const TEXT = Array.from({ length: 60_000 }, (_, index) => `${index},${(index * 7919) % 10_007}\n`).join('');

function isMissing(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`]);
    return false;
  } catch {
    return true;
  }
}

async function file(name: string, content: Buffer | string): Promise<string> {
  const full = path.join(directory, name);
  await writeFile(full, content);
  return full;
}

function compress(program: string, args: string[], content: Buffer | string = TEXT): Buffer {
  return execFileSync(program, args, { input: content, maxBuffer: 1e9, stdio: ['pipe', 'pipe', 'ignore'] });
}

/** An archive of files with these contents, as `zip` makes it. */
async function zip(name: string, contents: Record<string, string>, ...flags: string[]): Promise<Buffer> {
  for (const [entry, content] of Object.entries(contents)) await file(entry, content);
  const archive = path.join(directory, name);
  await rm(archive, { force: true });
  execFileSync('zip', ['-q', '-X', ...flags, archive, ...Object.keys(contents)], { cwd: directory });
  return readFile(archive);
}

function pipe(bytes: Buffer, pieceBytes: number): Readable {
  const pieces: Buffer[] = [];
  for (let start = 0; start < bytes.length; start += pieceBytes) {
    pieces.push(bytes.subarray(start, start + pieceBytes));
  }
  return Readable.from(pieces, { objectMode: false });
}

async function textOf(paths: string[], stdin = Readable.from([])): Promise<string> {
  const source = new Source(await findFiles(paths), stdin);
  const pieces: Buffer[] = [];
  for (let chunk = await source.next(); chunk !== undefined; chunk = await source.next()) {
    pieces.push(Buffer.from(chunk.bytes));
    chunk.memory?.release();
  }
  return Buffer.concat(pieces).toString();
}

const fromPipe = (bytes: Buffer, pieceBytes = 1_000) => textOf(['-'], pipe(bytes, pieceBytes));

describe.each<[string, string, string[][]]>([
  ['zstd', 'zstd', [['-c'], ['-c', '-19'], ['-c', '--no-check'], ['-c', '--fast']]],
  ['xz', 'xz', [['-c'], ['-c', '-9'], ['-c', '--check=crc32'], ['-c', '--block-size=100000']]],
  ['bzip2', 'bzip2', [['-c'], ['-c', '-1']]],
])('%s', (container, program, ways) => {
  describe.skipIf(isMissing(program))(`made by ${program} (skipped if the program is missing)`, () => {
    const make = (content: string | Buffer = TEXT) => compress(program, ['-c'], content);

    it.each(ways)('%j is undone', async (...args) => {
      expect((await textOf([await file('a', compress(program, args))])) === TEXT).toBe(true);
    });

    it('is undone from pipes that cut it anywhere', async () => {
      const bytes = make();
      for (const pieceBytes of [7, 1_000, 70_000]) expect((await fromPipe(bytes, pieceBytes)) === TEXT).toBe(true);
    });

    it('several after one another are one file', async () => {
      const bytes = Buffer.concat([make('a,b\n'), make(''), make(TEXT), make('1,2\n')]);
      const expected = `a,b\n${TEXT}1,2\n`;
      expect((await textOf([await file('several', bytes)])) === expected).toBe(true);
      expect((await fromPipe(bytes, 13)) === expected).toBe(true);
    });

    it('an empty one holds nothing', async () => {
      expect(await textOf([await file('empty', make(''))])).toBe('');
    });

    it.each([1, 2, 5, 9, 100, 30_000])('is an error if its last %d bytes are missing', async (missing) => {
      const bytes = make();
      const cut = await file('cut', bytes.subarray(0, -missing));
      await expect(textOf([cut])).rejects.toThrow(`${cut}: the ${container} data ends in the middle (truncated file?)`);
    });

    it('is an error if something follows', async () => {
      const bytes = Buffer.concat([make(), Buffer.from('1,2\n'.repeat(9))]);
      await expect(fromPipe(bytes)).rejects.toThrow(`the ${container} data is damaged (`);
    });

    it('is an error if bytes differ', async () => {
      const bytes = make();
      for (let at = 40; at < bytes.length; at += Math.ceil(bytes.length / 20)) {
        const damaged = Buffer.from(bytes);
        damaged[at]! ^= 0x55;
        const read = fromPipe(damaged).then((text) => text === TEXT);
        await expect(read).rejects.toThrow(new RegExp(`the ${container} data (is damaged|ends)`));
      }
    });
  });
}); // prettier-ignore

it.skipIf(isMissing('xz')).each([['--x86', '--lzma2'], ['--check=sha256'], ['--lzma2=dict=128MiB']])('xz with %s is refused, with the command that helps (skipped if xz is missing)', async (...args) => {
  const bytes = compress('xz', ['-c', ...args]);
  await expect(fromPipe(bytes)).rejects.toThrow('give it to: xz -dc FILE | spillway load -');
}); // prettier-ignore

describe.skipIf(isMissing('zip'))('zip (skipped if the program is missing)', () => {
  it.each([
    ['deflated', []],
    ['stored', ['-0']],
    ['with descriptors', ['-fd']],
    ['zip64', ['-fz']],
    ['zip64 with descriptors', ['-fz', '-fd']],
  ])('an archive of one file, %s, is undone, also from a pipe', async (_name, flags) => {
    const bytes = await zip('one.zip', { 'a.csv': TEXT }, ...flags);
    await checkFiles(await findFiles([path.join(directory, 'one.zip')]));
    expect((await textOf([path.join(directory, 'one.zip')])) === TEXT).toBe(true);
    for (const pieceBytes of [7, 1_000, 70_000]) expect((await fromPipe(bytes, pieceBytes)) === TEXT).toBe(true);
  });

  it('an archive that was made by a pipe is undone', async () => {
    const bytes = execFileSync('sh', ['-c', 'cat | zip -q - -'], { input: TEXT, maxBuffer: 1e9 });
    expect((await fromPipe(bytes)) === TEXT).toBe(true);
  });

  it('an archive of more files is refused with their names, from a file before one is read', async () => {
    const bytes = await zip('two.zip', { 'a.csv': 'a\n1\n', 'b.csv': 'a\n2\n' });
    const message = /several files \("a\.csv", "b\.csv"\); load one of them with: unzip -p FILE "a\.csv" \|/;
    await expect(checkFiles(await findFiles([path.join(directory, 'two.zip')]))).rejects.toThrow(message);
    await expect(fromPipe(bytes)).rejects.toThrow(message);
  });

  it('what macOS adds to an archive is passed over', async () => {
    execFileSync('mkdir', ['-p', path.join(directory, '__MACOSX')]);
    const bytes = await zip('mac.zip', { 'a.csv': TEXT, '__MACOSX/._a.csv': '\0\x05' });
    await checkFiles(await findFiles([path.join(directory, 'mac.zip')]));
    expect((await fromPipe(bytes)) === TEXT).toBe(true);
  });

  it('an encrypted entry is refused by name', async () => {
    const bytes = await zip('secret.zip', { 'a.csv': 'a\n1\n' }, '-P', 'x');
    await expect(fromPipe(bytes)).rejects.toThrow('its entry "a.csv" is encrypted');
  });

  it('an .xlsx is refused by what it is', async () => {
    execFileSync('mkdir', ['-p', path.join(directory, 'xl')]);
    const bytes = await zip('a.xlsx', { '[Content_Types].xml': '<?xml version="1.0"?>', 'xl/workbook.xml': '<a/>' }, '-nw');
    await expect(checkFiles(await findFiles([path.join(directory, 'a.xlsx')]))).rejects.toThrow(/Excel workbook/);
    await expect(fromPipe(bytes)).rejects.toThrow(/document of Microsoft Office/);
  });

  it.each([1, 10, 21, 40, 200, 5_000])('is an error if its last %d bytes are missing', async (missing) => {
    const bytes = await zip('whole.zip', { 'a.csv': TEXT });
    const cut = await file('cut.zip', bytes.subarray(0, -missing));
    await expect(textOf([cut])).rejects.toThrow(`${cut}: the zip data ends in the middle (truncated file?)`);
    await expect(checkFiles(await findFiles([cut]))).rejects.toThrow('the zip data ends in the middle');
  });

  it('is an error if bytes differ', async () => {
    const bytes = await zip('whole.zip', { 'a.csv': TEXT });
    for (let at = 60; at < bytes.length - 200; at += Math.ceil(bytes.length / 20)) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 0x55;
      await expect(fromPipe(damaged).then((text) => text.length)).rejects.toThrow(/the zip data (is damaged|ends)/);
    }
  });
}); // prettier-ignore

it.skipIf((crc32 as unknown) === undefined)(
  'the CRC by table is that of Node (skipped if Node has none)',
  () => {
    expect(crcByTable(Buffer.from(TEXT.slice(5)), crcByTable(Buffer.from(TEXT.slice(0, 5)), 0))).toBe(
      crc32(TEXT),
    );
  },
);
