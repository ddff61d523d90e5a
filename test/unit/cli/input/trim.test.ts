/** `--trim`: white space at both ends of fields, before anything else sees them. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CsvTranslator, type CsvDialect } from '../../../../src/cli/input/csv-translator.js';
import { afterSpaces, beforeSpaces } from '../../../../src/cli/values/white-space.js';
import { fastCheckRuns } from '../../../support/test-runs.js';

const PLAIN: CsvDialect = { delimiter: ',', quote: '"', escape: '"', lineBreak: 'lf', trim: true };
/** Longer than any field. */
const MOST_BYTES = 1024 * 1024;

function trim(text: string, dialect: Partial<CsvDialect> = {}, size = Infinity): string {
  const translator = new CsvTranslator({ ...PLAIN, ...dialect }, MOST_BYTES);
  const bytes = Buffer.from(text);
  let output = '';
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size)
    parts.push(
      Buffer.from(
        translator.translate(Buffer.from(bytes.subarray(at, at + size)), at + size >= bytes.length),
      ),
    );
  output += Buffer.concat(parts).toString();
  return output;
}

describe('a field without white space at its ends', () => {
  it.each<[string, string, Partial<CsvDialect>?]>([
    ['a,b\n', 'a,b\n'],
    [' a ,\tb\t\n', 'a,b\n'],
    ['a b , c d\n', 'a b,c d\n'],
    ['  ,\u00a0\n', ',\n'],
    ['\u3000a\u2009,\ufeffb\u202f\n', 'a,b\n'],
    ['é ,  ü', 'é,ü'],
    [' a , b \r\n c ,d\r\n', 'a,b\r\nc,d\r\n'],
    ['" a ",b\n', '"a",b\n'],
    ['a, "b, c" ,d\n', 'a,"b, c",d\n'],
    ['a, "b, c" \r\n', 'a,"b, c"\r\n'],
    ['a, "  " , ""\n', 'a,"",""\n'],
    ['" say ""x"" ",b\n', '"say ""x""",b\n'],
    ['" a\nb ",c\n', '"a\nb",c\n'],
    ['"\n a \n",c\n', '"\n a \n",c\n'],
    [' a "b" ,c\n', 'a "b",c\n'],
    ['"a" x ,b\n', '"a" x,b\n'],
    ['"a ', '"a'],
    ['"', '"'],
    [' " a "\r c ,d\r', '"a"\nc,d\n', { lineBreak: 'cr' }],
    [" 'it''s, ' ,b\n", '"it\'s,",b\n', { quote: "'", escape: "'" }],
    [' "a \\" " ,b\n', '"a """,b\n', { escape: '\\' }],
    [' "a" ,b\n', '"""a""",b\n', { quote: undefined, escape: undefined }],
    [' a \t b \n', 'a\tb\n', { delimiter: '\t' }],
    ['\t\t\n', '\t\t\n', { delimiter: '\t' }],
    [' a , b\n', 'a , b\n', { delimiter: undefined }],
    ['# x \n a ,b\n', '\na,b\n', { comment: '#' }],
  ])('of %j is that of %j', (text, expected, dialect) => {
    expect(trim(text, dialect)).toBe(expected);
    expect(trim(text, dialect, 1)).toBe(expected);
    expect(trim(text, dialect, 3)).toBe(expected);
  });

  it('is what JavaScript’s trim makes of any field', () => {
    const field = fc.string({ unit: fc.constantFrom('a', 'é', '漢', ' ', '\t', '\u00a0', '\u3000', '\ufeff', '\u2003', '"') });
    fc.assert(
      fc.property(fc.array(fc.record({ field, quotes: fc.boolean() }), { minLength: 1 }), fc.integer({ min: 1, max: 9 }), (fields, size) => {
        const write = (text: string, quotes: boolean) => (quotes ? `"${text.replaceAll('"', '""')}"` : text);
        const plain = fields.map((each) => (each.quotes ? each : { ...each, field: each.field.replaceAll('"', '') }));
        const line = plain.map((each) => `${each.quotes ? ' ' : ''}${write(each.field, each.quotes)} `).join(',');
        const expected = plain.map((each) => write(each.field.trim(), each.quotes)).join(',');
        expect(trim(`${line}\n`, {}, size)).toBe(`${expected}\n`);
      }),
      fastCheckRuns(500),
    );
  }); // prettier-ignore
});

it('white space is that of JavaScript, but for line breaks', () => {
  const different: number[] = [];
  for (let code = 0; code < 0x10000; code += 1) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const character = String.fromCharCode(code);
    const bytes = Buffer.from(`${character}x${character}`);
    const length =
      character.trim() === '' && !/[\n\r\u2028\u2029]/.test(character) ? Buffer.byteLength(character) : 0;
    const [from, to] = [afterSpaces(bytes, 0, bytes.length, -1), beforeSpaces(bytes, 0, bytes.length)];
    if (from !== length || to !== bytes.length - length) different.push(code);
  }
  expect(different).toEqual([]);
});
