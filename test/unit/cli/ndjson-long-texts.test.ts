import { describe, expect, it } from 'vitest';
import { parseBesideLongTexts } from '../../../src/cli/ndjson/long-texts.js';
import { NdjsonReader } from '../../../src/cli/ndjson-reader.js';

const LONG = 'x'.repeat(5000);

describe('a long text in JSON', () => {
  it.each<[what: string, value: unknown]>([
    ['a value', { a: LONG, b: 'short' }],
    ['an element, and one in an object within', { a: [LONG, { b: [LONG] }, null, true, 1] }],
    ['a key', { [LONG]: { [`${LONG}y`]: 1 } }],
    ['with escapes at its end', { a: `${LONG}\\`, b: `${LONG}"`, c: `${LONG}\\"`, d: `${LONG}\n😀` }],
    ['of escapes only', { a: '"'.repeat(5000), b: '\\'.repeat(5000), c: '\\"'.repeat(5000) }],
    ['the value of the key __proto__', JSON.parse(`{"__proto__":"${LONG}","a":{"__proto__":1}}`)],
  ])('is read as JSON.parse reads it: %s', (_, value) => {
    const seen: string[] = [];
    const parse = (text: string): unknown => {
      seen.push(text);
      return JSON.parse(text) as unknown;
    };
    const read = parseBesideLongTexts(JSON.stringify(value), parse);
    expect(JSON.stringify(read)).toBe(JSON.stringify(value));
    // The parser sees short ones.
    expect(seen).toHaveLength(1);
    expect(seen[0]!.length).toBeLessThan(1000);
  });

  it('that comes with one key twice replaces the first', () => {
    expect(parseBesideLongTexts(`{"a":"${LONG}","a":"${LONG}y"}`, JSON.parse)).toEqual({ a: `${LONG}y` });
  });

  it('beside a number of unusual spelling is read, and the number is kept', () => {
    const records: unknown[] = [];
    const line = `{"a":1.10,"b":"${LONG}","c":[1e5]}\n`;
    new NdjsonReader('x').read(Buffer.from(line), (record) => records.push(record));
    expect(JSON.stringify(records)).toContain(LONG);
    expect(String((records[0] as { a: unknown }).a)).toBe('1.10');
  });
});
