/** A sample, read in one dialect whether it fits or not. */

import { describe, expect, it } from 'vitest';
import type { Dialect, LineBreak } from '../../../../src/cli/detect/reading.js';
import { lineBreakOf, readSample, type SampleRecord } from '../../../../src/cli/detect/sample-records.js';

const PLAIN: Dialect = { delimiter: ',', quote: '"', escape: '"' };

function read(text: string, dialect: Partial<Dialect> = {}, isWhole = true, lineBreak: LineBreak = 'lf') {
  return readSample({ text, isWhole, lineBreak }, { ...PLAIN, ...dialect }, 1_000);
}

function fieldsOf(records: readonly SampleRecord[]): (readonly string[])[] {
  return records.map(({ fields }) => fields);
}

describe('readSample', () => {
  it.each<[string, string, Partial<Dialect>, string[][]]>([
    ['fields and lines', 'a,b\n1,2\n', {}, [['a', 'b'], ['1', '2']]],
    ['lines that end in CRLF', 'a,b\r\n1,2\r\n', {}, [['a', 'b'], ['1', '2']]],
    ['a last line without a line break', 'a\nb', {}, [['a'], ['b']]],
    ['a blank line', 'a\n\nb\n', {}, [['a'], [''], ['b']]],
    ['a doubled quote', '"a ""b""",c\n', {}, [['a "b"', 'c']]],
    ['a delimiter and a line break in quotes', '"a,\nb",c\n', {}, [['a,\nb', 'c']]],
    ['a delimiter in apostrophes', "'a,b',c\n", { quote: "'", escape: "'" }, [['a,b', 'c']]],
    ['no quotes', '"a,b"\n', { quote: undefined, escape: undefined }, [['"a', 'b"']]],
    ['no delimiter', 'a,b\n', { delimiter: undefined }, [['a,b']]],
  ])('%s', (_title, text, dialect, expected) => {
    expect(fieldsOf(read(text, dialect))).toEqual(expected);
  }); // prettier-ignore

  it('lines end in CR', () => {
    expect(fieldsOf(read('a,"b\rc"\r1,2\r', {}, true, 'cr'))).toEqual([['a', 'b\rc'], ['1', '2']]); // prettier-ignore
  });

  it('the last record of a sample that goes on is left out', () => {
    expect(fieldsOf(read('a,b\n1', {}, false))).toEqual([['a', 'b']]);
    expect(fieldsOf(read('a,b\n1,"x\ny', {}, false))).toEqual([['a', 'b']]);
  });

  it('a record has the line it begins on', () => {
    expect(read('a\n"b\n\nc"\nd\n').map(({ line }) => line)).toEqual([0, 1, 4]);
  });

  it.each<[string, string, SampleRecord['fault']]>([
    ['a sound record', '"a",b\n', undefined],
    ['a quote that is not closed', 'a,"b\n', 'damaged'],
    ['text behind a closing quote', '"a"b,c\n', 'damaged'],
    ['a quote within a field', 'a"b,c\n', 'stray'],
  ])('%s has its fault', (_title, text, fault) => {
    expect(read(text)[0]!.fault).toBe(fault);
  });
});

describe('lineBreakOf', () => {
  it.each<[string, string, LineBreak]>([
    ['no line break', 'a,b', 'lf'],
    ['line feeds', 'a\nb\n', 'lf'],
    ['CRLF', 'a\r\nb\r\n', 'crlf'],
    ['CR', 'a\rb\r', 'cr'],
    ['line feeds in quotes', 'a\r"b\n\n\n"\rc\r', 'cr'],
    ['line feeds in apostrophes', "'a\nb','5\" c'\r'd','5\" e'\r", 'cr'],
    ['quotes within fields', '5" a\nb\'c\nd\re" f\r\'\rg\n', 'lf'],
    ['an odd quote, which encloses nothing', 'a"\nb\nc\r', 'lf'],
    ['the most frequent one', 'a\r\nb\r\nc\n', 'crlf'],
  ])('%s', (_title, text, expected) => {
    expect(lineBreakOf(text, true)).toBe(expected);
  });
});
