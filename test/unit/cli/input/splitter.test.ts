import { MIB } from '../../../../src/common/bytes.js';
import { describe, expect, it } from 'vitest';
import { GrowingBuffer } from '../../../../src/cli/input/growing-buffer.js';
import { RecordSplitter } from '../../../../src/cli/input/splitter.js';

/** Memory of buffers and of objects that is in use while `run` says so. */
function memoryOf(): number {
  const { arrayBuffers, heapUsed } = process.memoryUsage();
  return arrayBuffers + heapUsed;
}

interface Split {
  readonly blocks: string[];
  readonly bad: string[];
  readonly add: (bytes: Buffer) => void;
  readonly end: () => void;
}

function split(delimiter: string | undefined, maxRecordBytes = 16 * MIB): Split {
  const blocks: string[] = [];
  const bad: string[] = [];
  const splitter = new RecordSplitter({
    delimiter,
    maxRecordBytes,
    skips: true,
    onRecords: (block) => blocks.push(block.toString('latin1')),
    onBadLine: (fault, line) => bad.push(`${fault}: ${line.toString('latin1')}`),
  });
  const run = (): void => {
    while (splitter.step());
  };
  return {
    blocks,
    bad,
    add: (bytes) => {
      splitter.add(bytes);
      run();
    },
    end: () => {
      splitter.end();
      run();
    },
  };
}

describe('a record that comes byte by byte', () => {
  it('takes about as much memory as it has bytes', () => {
    const { add, blocks } = split(undefined);
    const byte = Buffer.from('x');
    const before = memoryOf();
    let most = 0;
    for (let count = 0; count < 2 * MIB; count += 1) {
      // Each a view of its own, as they come from a pipe.
      add(byte.subarray());
      if (count % 100_000 === 0) most = Math.max(most, memoryOf() - before);
    }
    add(Buffer.from('\n'));
    expect(blocks.map(({ length }) => length)).toEqual([2 * MIB + 1]);
    // A view by itself takes over a hundred bytes. With garbage that is not collected yet.
    expect(most).toBeLessThan(64 * MIB);
  });

  it('comes out as it went in, whatever the pieces are', () => {
    const text = '1,"a\nb"\n2,"c""d",e\n3,f"\n4,"g\n5,h\n';
    for (let size = 1; size <= text.length; size += 1) {
      const { add, end, blocks, bad } = split(',');
      for (let at = 0; at < text.length; at += size) add(Buffer.from(text.slice(at, at + size)));
      end();
      expect(blocks.join('')).toBe('1,"a\nb"\n2,"c""d",e\n5,h\n');
      expect(bad).toEqual(['quote_in_field: 3,f"\n', 'open_quote: 4,"g\n']);
    }
  });

  it('leaves the blocks before it as they are', () => {
    const seen: Buffer[] = [];
    const splitter = new RecordSplitter({
      delimiter: undefined,
      maxRecordBytes: 100,
      skips: true,
      onRecords: (block) => seen.push(block),
      onBadLine: () => undefined,
    });
    const written = Array.from({ length: 500 }, (_, n) => `record ${n}\n`).join('');
    for (const character of written) {
      splitter.add(Buffer.from(character));
      while (splitter.step());
    }
    expect(Buffer.concat(seen).toString()).toBe(written);
  });
});

describe('bytes that are kept', () => {
  it('stay as they are where more are appended', () => {
    const kept = new GrowingBuffer(10);
    kept.append(Buffer.from('ab'));
    const before = kept.bytes;
    for (const piece of ['c', '', 'defgh', 'i'.repeat(20)]) kept.append(Buffer.from(piece));
    expect(before.toString()).toBe('ab');
    expect(kept.bytes.toString()).toBe(`abcdefgh${'i'.repeat(20)}`);
  });
});
