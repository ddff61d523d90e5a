/** Memory of chunks: who holds it, when it is used again, and that nothing of a chunk is looked at after that. */

import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BlockSizer } from '../../../../src/cli/records/block-sizer.js';
import { ChunkMemory, ChunkPool } from '../../../../src/cli/common/chunk-memory.js';
import { CsvBlocks, csvFormats } from '../../../../src/cli/csv/csv-blocks.js';
import { CsvRows } from '../../../../src/cli/csv/csv-rows.js';
import type { RecordBlock } from '../../../../src/cli/records/record-block.js';
import {
  BlockStream,
  RowStream,
  type RecordStreamOptions,
} from '../../../../src/cli/records/record-stream.js';
import { findFiles } from '../../../../src/cli/input/files/find-files.js';
import { Source, type SourceFile } from '../../../../src/cli/input/source.js';

const FILE: SourceFile = { name: 'f.csv', path: 'f.csv', sizeBytes: undefined };
const CHUNK_BYTES = 256 * 1024;

describe('the pool', () => {
  it('gives memory again once all who held it have released it', () => {
    const pool = new ChunkPool(10);
    const one = pool.take();
    one.hold();
    one.release();
    const two = pool.take();
    expect(two).not.toBe(one);
    one.release();
    expect(pool.take()).toBe(one);
    one.release();
    two.release();
    expect(new Set([pool.take(), pool.take()])).toEqual(new Set([one, two]));
    expect(one.bytes).toHaveLength(10);
  });

  it('refuses what is released once too often, which would be given to two', () => {
    const pool = new ChunkPool(10);
    const memory = pool.take();
    memory.release();
    expect(() => memory.release()).toThrow('nobody holds');
    expect(pool.take()).toBe(memory);
    expect(pool.take()).not.toBe(memory);
  });
});

describe('a stream of records', () => {
  const ROWS = {
    delimiter: ',',
    nullText: '',
    maxRecordBytes: 1000,
    header: false,
    names: undefined,
    columns: ['a', 'b'],
  };
  const FORMAT = { delimiter: ',', maxRecordBytes: 1000 };

  function openBlocks(options: RecordStreamOptions = {}): BlockStream {
    const blockOptions = {
      ...ROWS,
      formats: csvFormats(',', '')!,
      sizer: new BlockSizer(2),
      keepsBadRecords: false,
    };
    return new BlockStream(
      { ...FORMAT, open: (file) => new CsvBlocks(file, blockOptions) },
      () => new CsvRows(FILE, ROWS),
      (error) => {
        throw error;
      },
      options,
    );
  }

  function chunkOf(
    text: string,
    freed: string[],
  ): { file: SourceFile; bytes: Buffer; last: boolean; memory: ChunkMemory } {
    const memory = new ChunkMemory(Buffer.from(text), () => freed.push(text));
    return { file: FILE, bytes: memory.bytes, last: false, memory };
  }

  it('holds a chunk until all of it was read, and each of its blocks until that is released', async () => {
    const freed: string[] = [];
    const stream = openBlocks();
    stream.write(chunkOf('1,a\n2,b\n3,c\n4,', freed));
    await turn();
    const blocks = [stream.read() as RecordBlock];
    blocks[0]!.release();
    await turn();
    expect(freed).toEqual([]);
    blocks.push(stream.read() as RecordBlock);
    await turn();
    expect(blocks.map(({ records }) => records)).toEqual([2, 1]);
    expect(freed).toEqual([]);
    blocks[1]!.release();
    blocks[1]!.release();
    // The record that it ends with is not complete, but what there is of it is a copy.
    expect(freed).toEqual(['1,a\n2,b\n3,c\n4,']);
  });

  it('holds it for rows, too, that are read only when one is asked for its values', async () => {
    const freed: string[] = [];
    const stream = openBlocks({ skips: (ordinal) => ordinal === 0 });
    stream.write(chunkOf('1,a\n2,b\n', freed));
    await turn();
    const block = stream.read() as RecordBlock;
    await turn();
    expect(freed).toEqual([]);
    expect(block.rows(() => new CsvRows(FILE, ROWS)).map(({ values }) => values)).toEqual([['2', 'b']]);
    block.release();
    expect(freed).toHaveLength(1);
  });

  it('releases a chunk of which all records were left out, and one whose records are rows', async () => {
    const freed: string[] = [];
    const stream = openBlocks({ skips: () => true });
    stream.write(chunkOf('1,a\n', freed));
    await turn();
    const rows = new RowStream({ ...FORMAT, open: (file) => new CsvRows(file, ROWS) }, () => undefined);
    rows.write(chunkOf('2,b\n', freed));
    rows.resume();
    await turn();
    expect(freed).toEqual(['1,a\n', '2,b\n']);
  });
});

describe('a file', () => {
  let directory = '';
  beforeAll(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'spillway-memory-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  async function sourceOf(...contents: Buffer[]): Promise<Source> {
    const paths = contents.map((_, index) => path.join(directory, `file ${index}`));
    for (const [index, content] of contents.entries()) await writeFile(paths[index]!, content);
    return new Source(await findFiles(paths), Readable.from([]));
  }

  it('is read into the same memory again and again, where its chunks are released; the next file as well', async () => {
    const content = Buffer.alloc(4 * CHUNK_BYTES + 10, 'some text\n');
    const source = await sourceOf(content, content);
    const memories = new Set<ChunkMemory>();
    const texts: string[] = [];
    for (let chunk = await source.next(); chunk !== undefined; chunk = await source.next()) {
      texts.push(chunk.bytes.toString());
      if (chunk.memory !== undefined) memories.add(chunk.memory);
      chunk.memory?.release();
    }
    expect(texts.join('')).toBe(content.toString().repeat(2));
    expect(source.bytesRead).toBe(2 * content.length);
    expect(memories.size).toBe(1);
  });

  it('has its chunks side by side, where they are held', async () => {
    const content = Buffer.concat(Array.from({ length: 4 }, (_, index) => Buffer.alloc(CHUNK_BYTES, index)));
    const source = await sourceOf(content);
    const chunks: Buffer[] = [];
    for (let chunk = await source.next(); chunk !== undefined; chunk = await source.next())
      chunks.push(chunk.bytes);
    expect(Buffer.concat(chunks).equals(content)).toBe(true);
  });

  it('a short file, and the end of a long one, hold no more memory than they have bytes', async () => {
    const source = await sourceOf(Buffer.alloc(10), Buffer.alloc(CHUNK_BYTES + 10), gzipSync('text'));
    const held: number[] = [];
    for (let chunk = await source.next(); chunk !== undefined; chunk = await source.next()) {
      if (chunk.memory !== undefined) held.push(chunk.bytes.length);
      else expect(chunk.bytes.length).toBeLessThanOrEqual(10);
    }
    expect(held).toEqual([CHUNK_BYTES]);
  });

  it.skipIf(!existsSync('/proc/self/fd'))(
    'is closed where the source is stopped before its end',
    async () => {
      const source = await sourceOf(Buffer.alloc(3 * CHUNK_BYTES));
      await source.next();
      expect(await openFiles()).toContain(source.files[0]!.path);
      source.stop();
      expect(await source.next()).toBeUndefined();
      while ((await openFiles()).includes(source.files[0]!.path!));
    },
  );

  async function openFiles(): Promise<string[]> {
    const names = await readdir('/proc/self/fd');
    return Promise.all(names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => '')));
  }
});
