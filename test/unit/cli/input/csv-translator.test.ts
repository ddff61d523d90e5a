/** CSV of other dialects, rewritten as the one that the loader reads. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CsvTranslator, isCanonical, type CsvDialect } from '../../../../src/cli/input/csv-translator.js';
import { fastCheckRuns } from '../../../support/test-runs.js';

const LIMIT = 1_000_000;
const PLAIN: CsvDialect = { delimiter: ',', quote: '"', escape: '"', lineBreak: 'lf' };

/** What comes out of the slices, together. */
function translate(slices: readonly string[], dialect: Partial<CsvDialect>, limit = LIMIT): string {
  const translator = new CsvTranslator({ ...PLAIN, ...dialect }, limit);
  const parts = slices.map((slice) => Buffer.from(translator.translate(Buffer.from(slice), false)));
  return Buffer.concat([...parts, translator.translate(Buffer.alloc(0), true)]).toString();
}

/** As slices of one byte: every border between two bytes is one between slices. */
function bytewise(text: string): string[] {
  return text.split('');
}

const APOSTROPHES = { quote: "'", escape: "'" };
const BACKSLASHES = { quote: '"', escape: '\\' };
const NO_QUOTES = { quote: undefined, escape: undefined };
const CARRIAGE_RETURNS = { lineBreak: 'cr' as const };

describe('CsvTranslator', () => {
  it.each<[string, Partial<CsvDialect>, string, string]>([
    ['a doubled apostrophe', APOSTROPHES, "1,'it''s'\n", '1,"it\'s"\n'],
    ['an apostrophe within a field', APOSTROPHES, "it's,1\n", "it's,1\n"],
    ['a double quote within apostrophes', APOSTROPHES, "'a \"b\"'\n", '"a ""b"""\n'],
    ['a double quote at the start of a field, where apostrophes are quotes', APOSTROPHES, '"a,b\n', '"""a",b\n'],
    ['an empty field in apostrophes', APOSTROPHES, "'',1\n", '"",1\n'],
    ['a delimiter and a line break within apostrophes', APOSTROPHES, "'a,\nb',1\n", '"a,\nb",1\n'],
    ['an escaped quote', BACKSLASHES, '"a \\"b\\"",1\n', '"a ""b""",1\n'],
    ['an escaped backslash before a closing quote', BACKSLASHES, '"a\\\\",1\n', '"a\\",1\n'],
    ['a backslash that escapes nothing', BACKSLASHES, '"C:\\dir",1\n', '"C:\\dir",1\n'],
    ['a backslash outside quotes', BACKSLASHES, 'a\\,1\n', 'a\\,1\n'],
    ['quotes that mean nothing', NO_QUOTES, 'a "b",5"\r\n', '"a ""b""","5"""\r\n'],
    ['lines that end in CR', CARRIAGE_RETURNS, 'a,b\r1,2\r', 'a,b\n1,2\n'],
    ['CR within quotes, where lines end in CR', CARRIAGE_RETURNS, 'a,"x\ry"\r1,2', 'a,"x\ry"\n1,2'],
    ['a quote that is not closed', APOSTROPHES, "1,'a\n2,b\n", '1,"a\n2,b\n'],
    ['text behind a closing quote', APOSTROPHES, "'a'b,1\n", '"a"b,1\n'],
    ['a comment', { comment: '#' }, 'a\n# "x\n1\n', 'a\n\n1\n'],
    ['a comment of two characters', { comment: '//' }, '// x\na\n/ b\n//\n/', '\na\n/ b\n\n/'],
    ['a comment in one column', { comment: '#', fieldCount: 1 }, '\n# "x\r\n1\n#', '\n\0,\n1\n\0,'],
    ['a comment mark within quotes', { comment: '#' }, '"a\n# b"\n', '"a\n# b"\n'],
    ['a comment mark in the second field', { comment: '#' }, 'a,#b\n', 'a,#b\n'],
    ['an apostrophe at the very end', APOSTROPHES, "a,'", 'a,\''],
  ])('%s', (_name, dialect, text, expected) => {
    expect(translate([text], dialect)).toBe(expected);
    expect(translate(bytewise(text), dialect)).toBe(expected);
  }); // prettier-ignore

  it('random dialects cut into random slices give what one slice gives', () => {
    const dialects = fc.record({
      delimiter: fc.constantFrom(',', ';', undefined),
      quote: fc.constantFrom('"', "'", undefined),
      escape: fc.constantFrom('"', "'", '\\'),
      lineBreak: fc.constantFrom('lf' as const, 'crlf' as const, 'cr' as const),
      comment: fc.constantFrom('#', '//', undefined),
    });
    const piece = fc.constantFrom('a', ',', ';', '"', "'", '\\', '\n', '\r', '\r\n', '#', '/', 'é', "''", '""');
    fc.assert(
      fc.property(dialects, fc.array(fc.array(piece, { maxLength: 6 }), { maxLength: 12 }), (dialect, slices) => {
        const texts = slices.map((pieces) => pieces.join(''));
        const usual = { ...dialect, escape: dialect.escape === '\\' ? '\\' : dialect.quote };
        const whole = translate([texts.join('')], usual);
        expect(translate(texts, usual)).toBe(whole);
      }),
      fastCheckRuns(2_000),
    );
  }); // prettier-ignore

  it('records of a random dialect come out as records of the plain one', () => {
    const dialects = fc.record({
      delimiter: fc.constantFrom(',', ';', '\t'),
      quote: fc.constantFrom('"', "'"),
      isEscaped: fc.boolean(),
      lineBreak: fc.constantFrom('lf' as const, 'crlf' as const, 'cr' as const),
    });
    const field = fc
      .array(fc.constantFrom('a', ',', ';', '\t', '"', "'", '\\', '\n', '\r', '#', ' ', 'é'), { maxLength: 6 })
      .map((parts) => parts.join(''));
    const records = fc.array(fc.array(field, { minLength: 1, maxLength: 4 }), { maxLength: 6 });
    fc.assert(
      fc.property(dialects, records, ({ delimiter, quote, isEscaped, lineBreak }, rows) => {
        const escape = isEscaped ? '\\' : quote;
        const end = { lf: '\n', crlf: '\r\n', cr: '\r' }[lineBreak];
        const write = (mark: string, before: string, lineEnd: string) =>
          rows
            .map((fields) =>
              fields.map((text) => mark + text.replace(/./gsu, (c) => (c === mark || c === before ? before + c : c)) + mark),
            )
            .map((fields) => fields.join(delimiter) + lineEnd)
            .join('');
        const text = write(quote, escape, end);
        const expected = write('"', '"', lineBreak === 'crlf' ? '\r\n' : '\n');
        expect(translate([text], { delimiter, quote, escape, lineBreak })).toBe(expected);
      }),
      fastCheckRuns(2_000),
    );
  }); // prettier-ignore
});

describe('isCanonical', () => {
  it.each<[string, Partial<CsvDialect>, boolean]>([
    ['the usual dialect is', {}, true],
    ['CRLF is', { lineBreak: 'crlf' }, true],
    ['another delimiter is', { delimiter: ';' }, true],
    ['CR is not', CARRIAGE_RETURNS, false],
    ['apostrophes are not', APOSTROPHES, false],
    ['backslashes are not', BACKSLASHES, false],
    ['no quotes are not', NO_QUOTES, false],
    ['comments are not', { comment: '#' }, false],
  ])('%s', (_name, dialect, expected) => {
    expect(isCanonical({ ...PLAIN, ...dialect })).toBe(expected);
  });
});
