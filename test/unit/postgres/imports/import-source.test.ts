import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CopyError } from '../../../../src/postgres/errors/copy-error.js';
import { describeImportFailure, SourceChanged } from '../../../../src/postgres/imports/import-errors.js';
import { isImportId, showImportId } from '../../../../src/postgres/imports/import-id.js';
import {
  asciiJson,
  showDifferences,
  sourceDifferences,
} from '../../../../src/postgres/imports/import-source.js';

describe('sourceDifferences', () => {
  it('finds none between equal descriptions, in whatever order their keys come', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const copy: unknown = JSON.parse(JSON.stringify(value));
        expect(sourceDifferences(JSON.parse(JSON.stringify(value)), copy)).toEqual([]);
      }),
    );
    expect(sourceDifferences({ a: 1, b: [1, { c: 2 }] }, { b: [1, { c: 2 }], a: 1 })).toEqual([]);
    expect(sourceDifferences(undefined, undefined)).toEqual([]);
  });

  it('names each part that differs', () => {
    const before = { files: [{ bytes: 10, sha256: 'a' }], format: 'csv' };
    expect(sourceDifferences(before, { files: [{ bytes: 12, sha256: 'b' }], format: 'csv' })).toEqual([
      { path: ['files', '0', 'bytes'], before: 10, now: 12 },
      { path: ['files', '0', 'sha256'], before: 'a', now: 'b' },
    ]);
    expect(sourceDifferences(before, { files: [], format: 'csv' })).toEqual([
      { path: ['files', '0'], before: { bytes: 10, sha256: 'a' }, now: undefined },
    ]);
    expect(sourceDifferences(undefined, before)).toEqual([{ path: [], before: undefined, now: before }]);
    expect(sourceDifferences({ a: null }, { a: {} })).toHaveLength(1);
    expect(sourceDifferences({ a: [] }, { a: {} })).toHaveLength(1);
    expect(sourceDifferences({}, { toString: 1 })).toHaveLength(1);
  });

  it('says at most three of them, each in a few words', () => {
    const words = showDifferences(sourceDifferences({ a: 1, b: 2, c: 3, d: 4 }, { a: 'x'.repeat(500) }));
    expect(words).toMatch(
      /^a was 1 and is "x{79}…; b was 2 and is not given; c was 3 and is not given; 1 more$/,
    );
    expect(new SourceChanged('i', sourceDifferences(undefined, {})).message).toBe(
      'import "i" was begun with another source: its description was not given and is {}; load the same source, or give another import id',
    );
  });
});

describe('asciiJson', () => {
  it('is ASCII, and reads back as the same', () => {
    const value = { 'ключ\u0000': ['\ud800', 'é', '\u007f', '😀', '\\u0000', null] };
    const text = asciiJson(value);
    expect(text).toMatch(/^[\x20-\x7e]*$/);
    expect(JSON.parse(text)).toEqual(value);
  });
});

describe('import ids', () => {
  it('are any text of a bounded length that PostgreSQL can hold', () => {
    for (const id of ['x', "'; DROP TABLE x; --", '"\\$1%s', '😀'.repeat(250), ' ', '\n'])
      expect(isImportId(id)).toBe(true);
    for (const id of ['', 'a\0b', '\ud800', 'x'.repeat(1001), '😀'.repeat(251), 7, null, undefined])
      expect(isImportId(id)).toBe(false);
    expect(showImportId('x\n'.repeat(80)).length).toBeLessThan(170);
  });
});

describe('describeImportFailure', () => {
  const failed = (code: string) => Object.assign(new Error('words'), { code });

  it('keeps its own, retries what passes, and blames no row', () => {
    const own = new CopyError('x', { failureClass: 'row' });
    expect(describeImportFailure(own, 'begin', 'i')).toBe(own);
    expect(describeImportFailure(failed('ECONNRESET'), 'begin', 'i')).toMatchObject({
      message: 'cannot begin import "i": words',
      failureClass: 'transport',
      retryable: true,
    });
    expect(describeImportFailure(failed('23505'), 'finish', 'i')).toMatchObject({
      failureClass: 'setup',
      sqlState: '23505',
    });
    expect(describeImportFailure(failed('55P03'), 'begin', 'i')).toMatchObject({
      message: 'cannot begin import "i": another run of it is still writing',
      failureClass: 'transport',
    });
  });
});
