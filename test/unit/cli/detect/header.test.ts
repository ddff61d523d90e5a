/** Whether the first record of a table names its columns. */

import { describe, expect, it } from 'vitest';
import { judgeHeader, judgeShortHeader } from '../../../../src/cli/detect/header.js';
import { readSample } from '../../../../src/cli/detect/sample-records.js';

const PLAIN = { delimiter: ',', quote: '"', escape: '"' };

describe('judgeHeader', () => {
  it.each<[string, string, boolean | undefined]>([
    ['names above numbers', 'id,v\n1,2\n', true],
    ['numbers above numbers', '1,2\n3,4\n', false],
    ['texts above texts', 'a,b\nc,d\n', true],
    ['a text above numbers, and a number above numbers', 'x,1\n2,3\n4,5\n', undefined],
    ['a text above dates', 'day\n2024-01-02\n2024-01-03\n', true],
    ['years above numbers', 'country,1990,1991\nfr,1,2\nde,4,5\n', true],
    ['a missing value above numbers', 'NA,x\n1,y\n2,z\n', true],
    ['one record of numbers', '1,2\n', false],
    ['one record of texts', 'a,b\n', true],
    ['one record of a text and a number', 'a,1\n', undefined],
    ['one record of a name and years', 'country,1990,1991\n', true],
    ['names above numbers, and a number among the names', '3,2,ann,bob\n1,2,3,4\n5,6,7,8\n9,1,2,3\n', undefined],
    ['many names above numbers, and one number', 'a,b,c,d,7\n1,2,3,4,5\n3,4,5,6,7\n5,6,7,8,9\n', true],
    ['a number above a number, and names above one record', 'a,b,c,d,7\n1,2,3,4,5\n', undefined],
    ['a number above dates', 'x,7\ny,2024-01-02\nz,2024-01-03\n', false],
    ['a name and numbers that count up', 'id,1,2,3\n8,4,5,6\n9,7,8,9\n', true],
    ['numbered names above codes', 'V1,V2,V3\nA1,x,B2\nC3,y,D4\nE5,z,F6\n', undefined],
    ['numbered names with row names above codes', ',V1,V2\na,A1,B2\nb,C3,D4\nc,E5,F6\n', true],
    ['a code above codes', 'A-1,x\nB-2,y\nC-3,z\nD-4,w\n', false],
    ['a name above codes', 'code,x\nB-2,y\nC-3,z\nD-4,w\n', true],
    ['an address above addresses', 'x,http://a.example/1\ny,https://b.example\n', false],
    ['a name above addresses', 'x,mail\ny,ann@example.org\n', true],
    ['a text that comes again below, often', 'red,x\nred,y\nblue,z\nred,w\n', false],
    ['a text that comes again below, once', 'red,x\nblue,y\nred,z\n', undefined],
    ['a header that comes again', 'name,kind\na,x\nname,kind\nb,y\n', undefined],
    ['a number above texts with some numbers', '7,x\na,y\n8,z\n', false],
    ['a number above texts', 'x,7\ny,b\nz,c\n', false],
    ['a name above numbers with a few texts', 'red,n\nred,1\nblue,2\nred,3\nblue,4\nred,none\n', undefined],
    ['numbers that count down above texts', '3,2\na,b\nc,d\n', false],
    ['a sorted list', 'aal\naas\nabel\nacre\nadd\nago\nair\nall\nalso\n', undefined],
    ['a name above a sorted list', 'word\naas\nabel\nacre\nadd\nago\nair\nall\nalso\n', true],
    ['codes in capitals', 'DE,Germany\nFR,France\nIT,Italy\nES,Spain\nAT,Austria\nCH,Switzerland\n', undefined],
    ['a name above codes in capitals', 'code,name\nFR,France\nIT,Italy\nES,Spain\nAT,Austria\nCH,Switzerland\n', true],
    ['a note behind the table', 'x,y\n1,2\n3,4\nSource: a survey\n', true],
    ['numbers above texts', '1,2\na,b\n', true],
    ['no record', '', true],
  ])('%s', (_title, text, expected) => {
    expect(judgeHeader(readSample({ text, isWhole: true, lineBreak: 'lf' }, PLAIN, 100))).toBe(expected);
  }); // prettier-ignore
});

describe('judgeShortHeader', () => {
  it.each<[string, string, readonly string[], boolean | undefined]>([
    ['row names', 'x,y\na,1,2\nb,3,4\n', ['', 'x', 'y'], true],
    ['row names that are not distinct', 'x,y\na,1,2\na,3,4\n', ['', 'x', 'y'], undefined],
    ['a record that lacks a field', 'c,5\na,1,2\nb,3,4\n', ['', 'c', '5'], undefined],
    ['a delimiter at the end of each record', 'x,y\n1,1,\n1,2,\n', ['x', 'y', ''], true],
  ])('%s', (_title, text, names, expected) => {
    const body = readSample({ text, isWhole: true, lineBreak: 'lf' }, PLAIN, 100);
    expect(judgeShortHeader(body, names)).toBe(expected);
  }); // prettier-ignore
});
