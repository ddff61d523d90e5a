/** A file's bytes as the loader reads them: in UTF-8, without a byte order mark and the lines before the table. */

import { describe, expect, it } from 'vitest';
import { InputError } from '../../../../src/cli/common/errors.js';
import { converterFor, type ReadAs } from '../../../../src/cli/input/read-as.js';
import type { SourceFile } from '../../../../src/cli/input/source.js';

const FILE: SourceFile = { name: 'f.csv', path: undefined, sizeBytes: undefined };
const PLAIN: ReadAs = {
  encoding: 'utf-8',
  skip: 0,
  delimiter: ',',
  quote: '"',
  escape: '"',
  lineBreak: 'lf',
  maxRecordBytes: 1_000_000,
};

function convert(slices: readonly Buffer[], reading: Partial<ReadAs>): string {
  const converter = converterFor({ ...PLAIN, ...reading })!(FILE);
  const parts = slices.map((slice) => Buffer.from(converter.convert(slice, false)));
  return Buffer.concat([...parts, converter.convert(Buffer.alloc(0), true)]).toString();
}

function bytewise(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (byte) => Buffer.of(byte));
}

const APOSTROPHES = { quote: "'", escape: "'" };

describe('converterFor', () => {
  it('what the loader reads as it is needs none', () => {
    expect(converterFor(PLAIN)).toBeUndefined();
  });

  it.each<[string, Partial<ReadAs>, Buffer, string]>([
    ['a mark before a quote', APOSTROPHES, Buffer.from("\ufeff'a,b',c\n"), '"a,b",c\n'],
    ['a mark before a comment', { comment: '#' }, Buffer.from('\ufeff# x\na\n'), '\na\n'],
    ['a mark before lines that are left out', { skip: 1 }, Buffer.from('\ufeffx\na\n'), 'a\n'],
    ['a mark and no more', { skip: 1 }, Buffer.from('\ufeff'), ''],
    ['the beginning of a mark and no more', APOSTROPHES, Buffer.from('\ufeff').subarray(0, 2), '\ufffd'],
    ['a mark in UTF-16', { encoding: 'utf-16le' }, Buffer.from('\ufeffä\n', 'utf16le'), 'ä\n'],
    ['UTF-16 with characters of two halves', { encoding: 'utf-16le' }, Buffer.from('a\u{1F600}b\n', 'utf16le'), 'a\u{1F600}b\n'],
    ['windows-1252', { encoding: 'windows-1252' }, Buffer.from('it\x92s\n', 'latin1'), 'it’s\n'],
    ['lines that are left out, which end in CR', { skip: 2, lineBreak: 'cr' }, Buffer.from('x\r\ra\rb\r'), 'a\nb\n'],
    ['more lines to leave out than there are', { skip: 3 }, Buffer.from('x\ny'), ''],
  ])('%s', (_name, reading, bytes, expected) => {
    expect(convert([bytes], reading)).toBe(expected);
    expect(convert(bytewise(bytes), reading)).toBe(expected);
  }); // prettier-ignore

  it.each<[string, string, string, string | RegExp]>([
    ['the same title', 'Report\na,b\n', 'Report\n1,2\n', '1,2\n'],
    ['another title', 'May\na,b\n', 'June\n1,2\n', '1,2\n'],
    ['another comment', '# 1,2\na,b\n', '# 3,4\n1,2\n', '1,2\n'],
    ['a blank line', '\na,b\n', '\n1,2\n', '1,2\n'],
    ['a record in the place of a title', 'Report\na,b\n', '1,2\n3,4\n', /^g\.csv:1: may be a record.*--skip 1 /],
    ['a record in the place of a comment', '# x\na,b\n', '1,2\n3,4\n', /^g\.csv:1: may be a record/],
    ['a record in the place of a blank line', '\na,b\n', '1,2\n3,4\n', /^g\.csv:1: may be a record/],
  ])('a second file that has %s where the first one has a line before the table', (_name, one, two, expected) => {
    const create = converterFor({ ...PLAIN, skip: 1, isSkipDetected: true })!;
    create(FILE).convert(Buffer.from(one), true);
    for (const slices of [[Buffer.from(two)], bytewise(Buffer.from(two))]) {
      const second = create({ ...FILE, name: 'g.csv' });
      const act = () => slices.map((slice) => second.convert(slice, false).toString()).join('');
      if (typeof expected === 'string') expect(act()).toBe(expected);
      else expect(act).toThrow(expected);
    }
    const given = converterFor({ ...PLAIN, skip: 1 })!;
    given(FILE).convert(Buffer.from(one), true);
    expect(() => given(FILE).convert(Buffer.from(two), true)).not.toThrow();
  }); // prettier-ignore

  it('a second file of one column may not have another text where the first one has a comment', () => {
    const create = converterFor({ ...PLAIN, skip: 1, isSkipDetected: true, fieldCount: 1 })!;
    create(FILE).convert(Buffer.from('# x\na\n'), true);
    expect(() => create(FILE).convert(Buffer.from('b\nc\n'), true)).toThrow(InputError);
  });

  it.each<[string, Partial<ReadAs>, Buffer]>([
    ['half a character', { encoding: 'utf-16le' }, Buffer.concat([Buffer.from('a\nb\n', 'utf16le'), Buffer.of(0x3d, 0xd8, 0x31, 0x00)])],
    ['an end within a character', { encoding: 'utf-16le' }, Buffer.concat([Buffer.from('a\nb\n', 'utf16le'), Buffer.of(0x3d, 0xd8)])],
    ['a byte that is not used', { encoding: 'windows-1252' }, Buffer.from('a\nb\n\x81\n', 'latin1')],
  ])('%s is an error that names its line and --encoding', (_name, reading, bytes) => {
    for (const slices of [[bytes], bytewise(bytes)]) {
      const act = () => convert(slices, reading);
      expect(act).toThrow(InputError);
      expect(act).toThrow(/^f\.csv:3: .*--encoding/);
    }
  }); // prettier-ignore
});
