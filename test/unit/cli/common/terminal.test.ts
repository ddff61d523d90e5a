import { describe, expect, it } from 'vitest';
import { count, counted } from '../../../../src/cli/common/counted.js';
import { printable, printableLines, safeJson } from '../../../../src/cli/common/terminal.js';
import { range } from '../../../support/range.js';

/** Every code unit that a terminal may obey, or that changes the order of what a reader sees. */
const UNSAFE = [
  ...range(0x20),
  ...Array.from({ length: 0x21 }, (_, index) => 0x7f + index),
  0x061c,
  0x200e,
  0x200f,
  ...Array.from({ length: 7 }, (_, index) => 0x2028 + index),
  ...Array.from({ length: 4 }, (_, index) => 0x2066 + index),
  0xd800,
  0xdfff,
].map((code) => String.fromCharCode(code));

describe('text for a terminal', () => {
  it('shows every control character, bidirectional mark and separator as an escape', () => {
    for (const character of UNSAFE) {
      expect(printable(`a${character}b`)).toMatch(/^a\\(?:[nrt]|x[0-9a-f]{2}|u[0-9a-f]{4})b$/);
      const kept = character === '\n' || character === '\t';
      expect(printableLines(`a${character}b`)).toBe(kept ? `a${character}b` : printable(`a${character}b`));
    }
    expect(printable('\u001b]0;x\u0007\u009b1m\u202e')).toBe('\\x1b]0;x\\x07\\x9b1m\\u202e');
  });

  it('leaves all other text as it is', () => {
    const text = 'Zürich – 東京 😀 👩‍👩‍👧 é \\n "x" \u00a0';
    expect(printable(text)).toBe(text);
  });

  it('as JSON is escaped within strings, and means the same', () => {
    const value = { [UNSAFE.join('')]: [UNSAFE.join('x'), 1, null] };
    const json = safeJson(JSON.stringify(value));
    expect(json).toBe(printable(json));
    expect(JSON.parse(json)).toEqual(value);
    expect(JSON.parse(safeJson(JSON.stringify(value, null, '\t')))).toEqual(value);
  });
});

describe('a counted noun', () => {
  it.each([
    [0, '0 rows'],
    [1, '1 row'],
    [2, '2 rows'],
    [1000, '1,000 rows'],
  ])('for %i is %s', (number, text) => expect(counted(number, 'row')).toBe(text));

  it('has commas between thousands', () => expect(count(1234567)).toBe('1,234,567'));
});
