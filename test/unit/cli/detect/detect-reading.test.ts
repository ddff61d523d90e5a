/** How small files are read, and which are refused. */

import { describe, expect, it } from 'vitest';
import { detectReading, Undecided } from '../../../../src/cli/detect/detect-reading.js';
import type { GivenReading, Reading } from '../../../../src/cli/detect/reading.js';

function detect(text: string, given: GivenReading = {}): Promise<Reading> {
  return detectReading(Buffer.from(text), true, given);
}

const THREE = ['', 'x', 'y'];

describe('detectReading', () => {
  it.each<[string, string, Partial<Reading>]>([
    ['a title with delimiters behind it', 'Report,,\nid,name,v\n1,a,2\n2,b,3\n', { skip: 1, header: true, fieldCount: 3 }],
    ['a title, and a line of delimiters', 'Report,,\n,,\nid,name,v\n1,a,2\n', { skip: 2, header: true }],
    ['a line of sizes above the header', '506,13,,,,\na,b,c,d,e,f\n1,2,3,4,5,6\n', { skip: 1, header: true }],
    ['a header whose last names are missing', 'id,name,\n1,a,x\n2,b,y\n', { skip: 0, header: true }],
    ['a first record whose last fields are empty', '1,,\n2,3,4\n5,6,7\n', { skip: 0, header: false }],
    ['a header without a name for the row names', 'x,y\na,1,2\nb,3,4\n', { skip: 0, header: true, names: THREE }],
    ['the same with one name, in quotes', '"x"\n"a",1\n"b",2\n', { header: true, fieldCount: 2, names: ['', 'x'] }],
    ['a delimiter at the end of each record', 'x,y\n1,2,\n1,4,\n', { header: true, names: ['x', 'y', ''] }],
    ['a header with such records, the first of which begins with a #', 'n,t,u\n# no,x,x,\nx,a,NA,\nx,a,b,\n', { skip: 0, header: true, names: ['n', 't', 'u', ''] }],
    ['a delimiter at the end of records, and two lines in one of them', 'n,t\n1,"a\nb",\n1,c,\n1,d,\n', { quote: '"', header: true, names: ['n', 't', ''] }],
    ['one record with a line break in quotes, and a tab at its end', 'n\tt\n1\t"a\nb"\t\n', { quote: '"', delimiter: '\t' }],
    ['names in apostrophes', "'a'\t'b'\n1\t2\n3\t4\n", { quote: "'", delimiter: '\t', header: true }],
    ['names in apostrophes between spaces', "'a' 'b' 'c'\n1 2 3\n4 5 6\n", { quote: "'", delimiter: ' ', header: true }],
    ['a backslash at the end of a field behind lines of other lengths', '3,2,x,y\n"m";"n"\n"C:\\d\\";"x";\n"x";"x";\n"1:3";"N";\n"1:4";"N";\n"y";"1";\n', { escape: '"' }],
    ['one escaped quote', 'a,b\n1,x\n2,y\n3,"an \\"e\\", and"\n4,z\n5,"u, v"\n', { escape: '\\', quote: '"' }],
    ['one record of numbers with a delimiter at its end', ' -2.5, 3.5,\n', { header: false }],
    ['a number above texts with a sign', 'x,0\nx,12:30\nyes,12:30\nz,C:\\d\n', { header: false }],
    ['signs in all texts', 'application/pdf\ntext/css\ntext/html\nimage/png\n', { header: false }],
    ['a title above two columns', 'Report\na,1\nb,2\n', { delimiter: undefined, fieldCount: 1 }],
    ['a text with a comma above numbers with a comma', 'x\nSmith, Ann\n1,5\n1,5\n', { delimiter: undefined, fieldCount: 1 }],
    ['a text in quotes above texts with a comma', '"""q"""\nSmith, Ann\n1,5\n', { delimiter: undefined, fieldCount: 1 }],
    ['one name in quotes above row names in quotes', '"n"\n"a",1\n"b",2\n', { fieldCount: 2, names: ['', 'n'] }],
    ['a title above a header and records', 'x\nname,count\n1,5\n1,5\n', { delimiter: ',', skip: 1, header: true }],
    ['numbers between spaces', '0.7 1.0 0.17\n0.6 0.0 0.23\n1.4 1.0 0.07\n', { delimiter: ' ', header: false, fieldCount: 3 }],
    ['numbers between spaces under a header', 'a b c\n0.6 0.0 0.23\n1.4 1.0 0.07\n', { delimiter: ' ', header: true }],
    ['sentences', 'text\nA few words here\nA few more words\n', { delimiter: undefined, header: true }],
    ['dates with a time', 't\n2024-01-02 10:00\n2024-01-03 11:00\n', { delimiter: undefined, header: true }],
    ['numbers with spaces for thousands', 'n\n1 234 567\n2 345 678\n3 456 789\n', { delimiter: undefined, header: true }],
    ['names with a number', 'room\nRoom 1\nRoom 2\nRoom 3\n', { delimiter: undefined, header: true }],
  ])('%s', async (_name, text, expected) => {
    expect(await detect(text)).toMatchObject(expected);
  }); // prettier-ignore

  it.each<[string, string, RegExp]>([
    ['a first record that lacks a field', 'x,1\na,1,2\nb,3,4\n', /may be a header or data.*--header or --no-header/],
    ['a few names above many columns', 'Date\tTime\tV\n7\t2\t9\t4\t5\t6\t7\t8\n2\t3\t4\t5\t6\t7\t8\t9\n3\t4\t5\t6\t7\t8\t9\t1\n', /line 1 may be a header with 3 names for 8/],
    ['hexadecimal numbers below a name and such a number', 'seed, 0x1f\n0, 0x2e\n1, 0xff\n2, 0xab\n', /may be a header.*--skip 1/],
    ['a first record with hardly a name', 'Export,,\na,b,c\nd,e,f\ng,h,i\n', /two ways: .*--skip decides/],
    ['a first record with hardly a name above lines that are no header', 'Export,,,,,\nMay,,,of,all,\na,b,c,d,e,f\n', /may be a header or data.*--skip 1 leaves/],
    ['records of different lengths below a title', 'Report\n1,a\n2,b,c\n3,d,e,f\n', /two ways: one column .*--delimiter decides/],
    ['a title above a record with a line break in quotes and a delimiter at its end', 'Report\n\nid,name\n1,"a\nb",\n', /two ways: one column.*--delimiter decides/],
    ['a title above a header and one record with a delimiter at its end', 'Report of May\n\nn,t\nhttps://a.example/x?y=1,x,\n', /two ways: .*--delimiter decides/],
    ['the same above lines of which the second has one more field', "Report of May\n\nx,x,'two\nlines','it''s',1,\n", /two ways: /],
    ['apostrophes that may enclose a line break', "Report of May\n\nid,name\nx,'two\nlines',\n", /two ways: .*--quote decides/],
    ['a delimiter in apostrophes behind a # below two other lines', "3,2,x,y\nn|t\n# no|'a|b'|\nx|x|\na|7|\nNA|'q'|\n-|e|\n'it''s'|# no|\n", /two ways: .*--quote decides/],
    ['a record in apostrophes that has more fields without them', "3,2,x,y\nn;t\n'a;b';x;\nx;N;\n'';x;\n# no;x;\na;x;\nit's;x;\n5;x;\nb;x;\n", /two ways: .*--delimiter decides/],
    ['two delimiters', 'a;b,c\nx;y,z\n', /two ways: .*--delimiter decides/],
    ['a title in a table of texts', 'Report,,\nid,name,v\na,b,c\nd,e,f\n', /two ways: .*--skip decides/],
    ['a header with a name too few at its end', '"A","B",\n"x","1",3,\n,"2",4,\n,"3",5,\n', /line 1 may be a header with 3 names for 4 columns.*--skip 1/],
    ['a header behind a # with a name too few', '#id,name\n1,a,2\n2,b,3\n', /line 1 may be a header with 2 names for 3/],
    ['numbers between spaces of changing number', ' 0   0    0\n 1   1    1\n10 100 1000\n', /spaces.*--delimiter , .*sed/],
    ['two numbers in each line', '48.85 2.35\n52.52 13.4\n51.5 0.12\n', /one column, or fields between spaces.*--delimiter " "/],
  ])('%s: refused, with the flag that decides', async (_name, text, message) => {
    await expect(detect(text)).rejects.toThrow(Undecided);
    await expect(detect(text)).rejects.toThrow(message);
  }); // prettier-ignore

  it.each<[string, string, GivenReading, Partial<Reading>]>([
    ['--delimiter', 'a;b,c\nx;y,z\n', { delimiter: ',' }, { delimiter: ',', fieldCount: 2 }],
    ['--delimiter for lines with spaces', '1 2\n3 4\n5 6\n', { delimiter: ' ' }, { delimiter: ' ', fieldCount: 2 }],
    ['--delimiter for one column', '1 2\n3 4\n5 6\n', { delimiter: ',' }, { delimiter: ',', fieldCount: 1 }],
    ['--skip', '#id,name\n1,a,2\n2,b,3\n', { skip: 1 }, { skip: 1, header: false }],
    ['--no-header', 'id,name\na,b\n', { header: false }, { header: false }],
    ['a table of one column', '1 2\n3 4\n5 6\n', { tableColumns: ['t'] }, { delimiter: undefined, fieldCount: 1 }],
  ])('%s decides', async (_name, text, given, expected) => {
    expect(await detect(text, given)).toMatchObject(expected);
  }); // prettier-ignore

  it.each<[GivenReading, Partial<Reading>]>([
    [{}, { quote: '"', escape: '"' }],
    [{ quote: "'" }, { quote: "'", escape: "'" }],
    [
      { quote: "'", escape: '\\' },
      { quote: "'", escape: '\\' },
    ],
    [{ escape: '\\' }, { quote: '"', escape: '\\' }],
    [
      { quote: 'none', delimiter: ';' },
      { quote: undefined, escape: undefined, delimiter: ';' },
    ],
  ])('a sample without a record is read as the flags say: %j', async (given, expected) => {
    expect(await detect('', given)).toMatchObject(expected);
  });
});
