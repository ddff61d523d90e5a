/** Files as chunks: gzip in all its forms, pipes that deliver single bytes, and what of them the rows must not notice. */

import { execFileSync } from 'node:child_process';
import { appendFile, mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CsvRows } from '../../../../src/cli/csv/csv-rows.js';
import type { CliError } from '../../../../src/cli/common/errors.js';
import type { SourceRow } from '../../../../src/cli/records/record-parser.js';
import { RowStream } from '../../../../src/cli/records/record-stream.js';
import { count } from '../../../../src/cli/common/counted.js';
import { findFiles } from '../../../../src/cli/input/files/find-files.js';
import { Source } from '../../../../src/cli/input/source.js';

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'spillway-source-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function file(name: string, content: Buffer | string): Promise<string> {
  const full = path.join(directory, name);
  await writeFile(full, content);
  return full;
}

/** As `Readable.from` gives it, one buffer at a time. */
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
    pieces.push(chunk.bytes);
  }
  return Buffer.concat(pieces).toString();
}

async function rowsOf(
  paths: string[],
  stdin = Readable.from([]),
): Promise<{ rows: SourceRow[]; failure: CliError | undefined }> {
  const source = new Source(await findFiles(paths), stdin);
  const options = { delimiter: ',', nullText: '', maxRecordBytes: 1_000, header: true, names: undefined };
  let failure: CliError | undefined;
  const rows: SourceRow[] = [];
  const parser = new RowStream(
    {
      delimiter: ',',
      maxRecordBytes: 1_000,
      open: (one) => new CsvRows(one, { ...options, columns: ['a', 'b'] }),
    },
    (error) => (failure = error),
    { keepsBadRecords: true },
  );
  await pipeline(source.stream([]), parser, async (found: AsyncIterable<SourceRow>) => {
    for await (const row of found) rows.push(row);
  });
  return { rows, failure };
}

const outline = ({ ordinal, line, values, text }: SourceRow): unknown[] => [ordinal, line, text ?? values];

describe('gzip', () => {
  const text = Array.from({ length: 20_000 }, (_, index) => `${index},x\n`).join('');

  it('is undone, in one member or several, also where they are cut anywhere', async () => {
    const one = gzipSync(text);
    const two = Buffer.concat([gzipSync(text.slice(0, 1_001)), gzipSync(''), gzipSync(text.slice(1_001))]);
    expect(await textOf([await file('one.gz', one), await file('two.gz', two)])).toBe(text + text);
    for (const pieceBytes of [5, 1_000]) {
      expect(await textOf(['-'], pipe(two.subarray(), pieceBytes))).toBe(text);
    }
  });

  it('is nothing where it holds nothing', async () => {
    expect(await textOf([await file('nothing.gz', gzipSync(''))])).toBe('');
    expect(await textOf([await file('empty', '')])).toBe('');
  });

  it('may be padded with zeros', async () => {
    const padded = Buffer.concat([gzipSync(text), Buffer.alloc(600_000)]);
    expect(await textOf([await file('padded.gz', padded)])).toBe(text);
    expect(await textOf(['-'], pipe(padded, 10_000))).toBe(text);
  });

  it.each<[string, (bytes: Buffer) => Buffer, RegExp]>([
    ['cut short', (bytes) => bytes.subarray(0, -20), /the gzip data ends in the middle/],
    ['cut within its header', (bytes) => bytes.subarray(0, 5), /the gzip data ends in the middle/],
    ['cut within its checksum', (bytes) => bytes.subarray(0, -1), /the gzip data ends in the middle/],
    [
      'damaged in its checksum',
      (bytes) => Buffer.concat([bytes.subarray(0, -8), Buffer.alloc(4, 1), bytes.subarray(-4)]),
      /the gzip data is damaged/,
    ],
    [
      'followed by what is not gzip',
      (bytes) => Buffer.concat([bytes, Buffer.from('1,2\n')]),
      /the gzip data is damaged/,
    ],
    [
      'followed by zeros and more',
      (bytes) => Buffer.concat([bytes, Buffer.alloc(1), Buffer.from('1,2\n')]),
      /the gzip data is damaged \(something follows/,
    ],
    [
      'followed by many zeros and more gzip',
      (bytes) => Buffer.concat([bytes, Buffer.alloc(600_000), bytes]),
      /the gzip data is damaged \(something follows/,
    ],
  ])('gzip that is %s ends the input with an error', async (_, damage, message) => {
    const damaged = await file('damaged.gz', damage(gzipSync(text)));
    await expect(textOf([damaged])).rejects.toThrow(message);
    await expect(textOf([damaged])).rejects.toThrow(damaged);
  });
});

describe('a file that changes while it is read', () => {
  const text = Array.from({ length: 100_000 }, (_, index) => `${index},x\n`).join('');

  it.each([
    ['shorter', 300_000],
    ['empty', 0],
  ])('is an error when it becomes %s: rows of it are missing', async (_, bytes) => {
    const name = await file('shorter.csv', text);
    const source = new Source(await findFiles([name]), Readable.from([]));
    await source.next();
    await truncate(name, bytes);
    const rest = async (): Promise<void> => {
      while ((await source.next()) !== undefined);
    };
    await expect(rest()).rejects.toThrow(
      `${name}: became shorter while it was read: it had ${count(text.length)} bytes and has ${count(bytes)}`,
    );
  });

  it('may grow: what comes is read, too', async () => {
    const name = await file('longer.csv', text);
    const source = new Source(await findFiles([name]), Readable.from([]));
    let length = (await source.next())!.bytes.length;
    await appendFile(name, '1,y\n');
    for (let chunk = await source.next(); chunk !== undefined; chunk = await source.next())
      length += chunk.bytes.length;
    expect(length).toBe(text.length + 4);
  });
});

describe.runIf(process.platform === 'linux')('a named pipe', () => {
  function fifo(name: string): string {
    const full = path.join(directory, name);
    execFileSync('mkfifo', [full]);
    return full;
  }

  it('is read to its end', async () => {
    const name = fifo('whole');
    const text = 'x,y\n'.repeat(100_000);
    const [read] = await Promise.all([textOf([name]), writeFile(name, text)]);
    expect(read).toBe(text);
  });

  it('is left where it is when the source stops, also while nobody writes to it', async () => {
    const source = new Source(await findFiles([fifo('without a writer')]), Readable.from([]));
    const pulled = source.next();
    source.stop();
    expect(await pulled).toBeUndefined();
  });

  it('is left where it is when the source stops, also while its writer is silent', async () => {
    const name = fifo('silent');
    const source = new Source(await findFiles([name]), Readable.from([]));
    const writer = await open(name, 'r+');
    await writer.write('a,b\n');
    expect((await source.next())?.bytes.toString()).toBe('a,b\n');
    const pulled = source.next();
    source.stop();
    expect(await pulled).toBeUndefined();
    await writer.close();
  });
});

describe('the sample of a pipe', () => {
  it.each([
    ['lines that end in CRLF', ['a;b\r\n', '1;2\r', '\n', '3;4\r\n'], 'a;b\r\n1;2\r'],
    ['lines that end in CR', ['a;b\r', '1;2\r', '3;4\r'], 'a;b\r1;2\r'],
    ['comments and blank lines', ['# x\n', '# y\n\n', '  #\n', 'a;b\n', '1;2\n', '3;4\n'], '# x\n# y\n\n  #\na;b\n1;2\n'],
  ])('has two lines that may be records: %s', async (_name, pieces, expected) => {
    const stream = Readable.from(pieces.map((piece) => Buffer.from(piece)), { objectMode: false });
    const file = { name: 'standard input', path: undefined, sizeBytes: undefined };
    const { bytes } = await new Source([file], stream).sample(1_000_000);
    expect(bytes.toString()).toBe(expected);
  }); // prettier-ignore
});

describe('rows', () => {
  const good = '\ufeffa,b\r\n1,é\r\n2\r\n"3\n",😀\r\n';
  const expected = [
    [0, 2, ['1', 'é']],
    [1, 3, '2'],
    [2, 4, ['3\n', '😀']],
  ];

  it('have the same ordinals, lines and values from a file, a pipe of single bytes, and gzip', async () => {
    const bytes = Buffer.from(good);
    const readings = [
      await rowsOf([await file('x.csv', bytes)]),
      await rowsOf([await file('x.csv.gz', gzipSync(bytes))]),
      await rowsOf(['-'], pipe(bytes, 1)),
      await rowsOf(['-'], pipe(bytes, 2)),
      await rowsOf(['-'], pipe(gzipSync(bytes), 1)),
    ];
    for (const { rows, failure } of readings) {
      expect(failure).toBeUndefined();
      expect(rows.map(outline)).toEqual(expected);
    }
  });

  it('are counted over all files, each with its own byte order mark', async () => {
    const one = await file('one.csv', good);
    const two = await file('two.csv.gz', gzipSync(good));
    const header = await file('header.csv', '\ufeffb,a');
    const { rows } = await rowsOf([one, header, two]);
    expect(rows.map(({ ordinal }) => ordinal)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(rows.map(({ line }) => line)).toEqual([2, 3, 4, 2, 3, 4]);
  });

  it('end with a file of nothing but a byte order mark, which has no header', async () => {
    for (const stdin of [pipe(Buffer.from('\ufeff'), 1), pipe(Buffer.from('\ufeff'), 3)]) {
      expect((await rowsOf(['-'], stdin)).failure?.message).toMatch(/standard input: is empty/);
    }
  });

  it('may have a header longer than a chunk, and records longer than one', async () => {
    const a = `"${'a\n'.repeat(200_000)}"`;
    const source = new Source(await findFiles([await file('long.csv', `${a},b\n1,2\n`)]), Readable.from([]));
    const options = { delimiter: ',', nullText: '', maxRecordBytes: 1e6, header: true, names: ['a', 'b'] };
    const parser = new RowStream(
      {
        delimiter: ',',
        maxRecordBytes: 1e6,
        open: (one) => new CsvRows(one, { ...options, columns: ['a', 'b'] }),
      },
      () => undefined,
    );
    const rows: SourceRow[] = [];
    await pipeline(source.stream([]), parser, async (found: AsyncIterable<SourceRow>) => {
      for await (const row of found) rows.push(row);
    });
    expect(rows.map(outline)).toEqual([[0, 200_002, ['1', '2']]]);
  });
});
