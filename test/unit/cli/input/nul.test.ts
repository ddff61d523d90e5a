/** `--nul`: U+0000 as a byte, and as an escape of JSON. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NulConverter, withoutNul } from '../../../../src/cli/input/nul.js';
import { fastCheckRuns } from '../../../support/test-runs.js';

describe('bytes without U+0000', () => {
  it.each<[string, 'strip' | 'replace', string]>([
    ['a\0b', 'strip', 'ab'],
    ['a\0b', 'replace', 'a\ufffdb'],
    ['\0\0', 'strip', ''],
    ['\0é\0', 'replace', '\ufffdé\ufffd'],
  ])('of %j by %s are %j', (text, action, expected) => {
    expect(withoutNul(Buffer.from(text), action).toString()).toBe(expected);
  });

  it('are the same object if there is none', () => {
    const bytes = Buffer.from('abc');
    expect(withoutNul(bytes, 'strip')).toBe(bytes);
  });
});

describe('JSON without U+0000', () => {
  function convert(text: string, action: 'strip' | 'replace', size = Infinity): string {
    const converter = new NulConverter(action);
    const bytes = Buffer.from(text);
    const parts: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += size) {
      const slice = Buffer.from(bytes.subarray(at, at + size));
      parts.push(Buffer.from(converter.convert(slice, at + size >= bytes.length)));
      slice.fill(0x78);
    }
    return Buffer.concat(parts).toString();
  }

  it.each<[string, string]>([
    [String.raw`"a\u0000b"`, '"ab"'],
    [String.raw`"a\\u0000b"`, String.raw`"a\\u0000b"`],
    [String.raw`"a\\\u0000b"`, String.raw`"a\\b"`],
    [String.raw`"\u00000"`, '"0"'],
    [String.raw`"\u0001\u0000"`, String.raw`"\u0001"`],
    ['"a\0b"', '"ab"'],
    [String.raw`"\u0000\u0000"`, '""'],
    [String.raw`"\u000`, String.raw`"\u000`],
    ['"\\', '"\\'],
  ])('of %s is %s', (text, expected) => {
    for (const size of [1, 2, 3, 5, 7, Infinity]) expect(convert(text, 'strip', size)).toBe(expected);
  });

  it('is what JSON makes of any text, with U+FFFD in its place', () => {
    const text = fc.string({ unit: fc.constantFrom('\0', '\\', '"', 'u', '0', '\u0001', 'é') });
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 9 }), (value, size) => {
        expect(JSON.parse(convert(JSON.stringify(value), 'replace', size))).toBe(
          value.replaceAll('\0', '\ufffd'),
        );
        expect(JSON.parse(convert(JSON.stringify(value), 'strip', size))).toBe(value.replaceAll('\0', ''));
      }),
      fastCheckRuns(500),
    );
  });
});
