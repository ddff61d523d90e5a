/** Files as other programs write them, loaded by the obvious command: `spillway load FILE --create --table t`. */

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { useCli } from '../../support/cli.js';
import { readTable, useTestDatabase, type StoredTable } from '../../support/postgres.js';

const cli = useCli();
const database = useTestDatabase();
let number = 0;

function write(content: string | Buffer, extension: string): string {
  const file = path.join(cli.directory, `any-${++number}.${extension}`);
  writeFileSync(file, content);
  return file;
}

async function run(file: string, ...flags: string[]) {
  const table = `any_${number}`;
  const result = await cli.run(['load', file, '-q', '--create', '-t', table, '--to', database.url, ...flags]);
  return { table, ...result };
}

/** The table after a load, each value as the text that the server has for it. */
async function load(content: string | Buffer, extension = 'csv', ...flags: string[]): Promise<StoredTable> {
  const { table, code, stderr } = await run(write(content, extension), ...flags);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return readTable(database, table);
}

describe('the obvious command', () => {
  it.each<[string, string | Buffer, Record<string, string>, unknown[][]]>([
    ['semicolons', 'id;name\n1;a\n', { id: 'bigint', name: 'text' }, [['1', 'a']]],
    ['semicolons and quotes', '"age";"job"\n1;"x"\n', { age: 'bigint', job: 'text' }, [['1', 'x']]],
    ['a line that says the separator', 'sep=;\nid;name\n1;a\n', { id: 'bigint', name: 'text' }, [['1', 'a']]],
    ['a comment before the header', '# made in 2024\nid,name\n1,a\n', { id: 'bigint', name: 'text' }, [['1', 'a']]],
    ['a title before the header', 'Report of May\n\nid,name\n1,a\n2,b\n', { id: 'bigint', name: 'text' }, [['1', 'a'], ['2', 'b']]],
    ['no header', '5.1,3.5,setosa\n4.9,3.0,setosa\n', { column1: 'numeric', column2: 'numeric', column3: 'text' }, [['5.1', '3.5', 'setosa'], ['4.9', '3.0', 'setosa']]],
    ['a column without a name', ',speed\na,1\nb,2\n', { column1: 'text', speed: 'bigint' }, [['a', '1'], ['b', '2']]],
    ['a header without a name for the row names', 'mpg,cyl\nMazda,21,6\nDatsun,22,4\n', { column1: 'text', mpg: 'bigint', cyl: 'bigint' }, [['Mazda', '21', '6'], ['Datsun', '22', '4']]],
    ['a delimiter at the end of each record', 'id,name\n1,a,\n2,a,\n', { id: 'bigint', name: 'text', column3: 'text' }, [['1', 'a', null], ['2', 'a', null]]],
    ['a first record of a text that comes again below it', 'red,x\nred,y\nblue,z\nred,w\n', { column1: 'text', column2: 'text' }, [['red', 'x'], ['red', 'y'], ['blue', 'z'], ['red', 'w']]],
    ['a title with delimiters behind it', 'Report,,\n,,\nid,name,v\n1,a,2\n', { id: 'bigint', name: 'text', v: 'bigint' }, [['1', 'a', '2']]],
    ['numbers between spaces', '0.7 1 0.17\n0.6 0 0.23\n1.4 1 0.07\n', { column1: 'numeric', column2: 'bigint', column3: 'numeric' }, [['0.7', '1', '0.17'], ['0.6', '0', '0.23'], ['1.4', '1', '0.07']]],
    ['one name twice', 'id,id\n1,2\n', { id: 'bigint', id_2: 'bigint' }, [['1', '2']]],
    ['a blank line at the end', 'id,name\n1,a\n\n', { id: 'bigint', name: 'text' }, [['1', 'a']]],
    ['blank lines with spaces within', 'id,name\n1,a\n  \n2,b\n', { id: 'bigint', name: 'text' }, [['1', 'a'], ['2', 'b']]],
    ['tabs, quotes, and lines that end in CR', '"a"\t"b"\r"1"\t"2"\r', { a: 'bigint', b: 'bigint' }, [['1', '2']]],
    ['CR within quotes, where lines end in CR', 'a,b\r1,"x\ry"\r', { a: 'bigint', b: 'text' }, [['1', 'x\ry']]],
    ['UTF-16LE without a mark', Buffer.from('id,name\n1,ä\n', 'utf16le'), { id: 'bigint', name: 'text' }, [['1', 'ä']]],
    ['UTF-16BE with a mark', Buffer.from('\ufeffid,name\r\n1,ä\r\n', 'utf16le').swap16(), { id: 'bigint', name: 'text' }, [['1', 'ä']]],
    ['an apostrophe of windows-1252', Buffer.from('id,t\n1,it\x92s\n', 'latin1'), { id: 'bigint', t: 'text' }, [['1', 'it’s']]],
    ['a mark before quotes that are apostrophes', "\ufeff'a,b','c'\n'x, y','2'\n'z, y','3'\n", { 'a,b': 'text', c: 'bigint' }, [['x, y', '2'], ['z, y', '3']]],
    ['macintosh', Buffer.from('id,t\r1,caf\x8e\r', 'latin1'), { id: 'bigint', t: 'text' }, [['1', 'café']]],
    ['apostrophes as quotes', "a,b\n1,'x, y'\n2,'it''s \"z\"'\n", { a: 'bigint', b: 'text' }, [['1', 'x, y'], ['2', 'it\'s "z"']]],
    ['quotes after a backslash', 'a,b\n1,"x \\"y\\", z"\n', { a: 'bigint', b: 'text' }, [['1', 'x "y", z']]],
    ['quotes that are part of the text', 'a\tb\n1\t5" pipe\n2\t"x" and y\n3\t"z\n', { a: 'bigint', b: 'text' }, [['1', '5" pipe'], ['2', '"x" and y'], ['3', '"z']]],
    ['one column with commas', 'name\nSmith, John\nDoe, Jane\n', { name: 'text' }, [['Smith, John'], ['Doe, Jane']]],
    ['decimal commas', 'id;v\n1;3,5\n2;4,25\n', { id: 'bigint', v: 'numeric' }, [['1', '3.5'], ['2', '4.25']]],
    ['commas that may divide thousands', 'id;v\n1;1,500\n2;4,250\n', { id: 'bigint', v: 'text' }, [['1', '1,500'], ['2', '4,250']]],
    ['numbers that begin with a point', 'id,share\n1,.732\n2,0.5\n3,5.\n', { id: 'bigint', share: 'numeric' }, [['1', '0.732'], ['2', '0.5'], ['3', '5']]],
    ['empty fields in quotes', '"id","score"\n"1","3.5"\n"2",""\n', { id: 'bigint', score: 'numeric' }, [['1', '3.5'], ['2', null]]],
    ['markers of missing numbers', 'id,t,d\n1,5,2024-01-02\n2,NA,-\n?,7,N/A\n', { id: 'bigint', t: 'bigint', d: 'date' }, [['1', '5', '2024-01-02'], ['2', null, null], [null, '7', null]]],
    ['markers in quotes, and at the end of a line', '"a","b"\n"1","x"\n"NA","NA"\n2,NA\n', { a: 'bigint', b: 'text' }, [['1', 'x'], [null, 'NA'], ['2', 'NA']]],
    ['markers in a column of texts', 'id,t\n1,NA\n2,no\n3,\n4,""\n', { id: 'bigint', t: 'text' }, [['1', 'NA'], ['2', 'no'], ['3', null], ['4', '']]],
    ['nothing but markers', 'id,t\n1,NA\n2,-\n', { id: 'bigint', t: 'text' }, [['1', 'NA'], ['2', '-']]],
    ['names of years', 'country,1990,1991\nfr,1,2\nde,4,5\n', { country: 'text', 1990: 'bigint', 1991: 'bigint' }, [['fr', '1', '2'], ['de', '4', '5']]],
  ])('%s', async (_name, content, columns, rows) => {
    const { rows: loaded, columns: types } = await load(content);
    expect({ ...types }).toEqual(columns);
    expect(loaded).toEqual(rows);
  }); // prettier-ignore

  it.each<[string, string, string, Record<string, string>, unknown[][]]>([
    ['an array', 'json', '[{"a":1},{"a":2}]', { a: 'bigint' }, [['1'], ['2']]],
    ['an array, indented', 'json', '[\r\n  {\r\n\t"a": 1.50,\r\n\t"b": [1, {"c": "] x"}]\r\n  }\r\n]\r\n', { a: 'numeric', b: 'jsonb' }, [['1.50', '[1, {"c": "] x"}]']]],
    ['objects, indented', 'json', '{\n "a": 1\n}\n{\n "a": 2\n}\n', { a: 'bigint' }, [['1'], ['2']]],
    ['objects without a space between', 'json', '\ufeff{"a":1}{"a":2}', { a: 'bigint' }, [['1'], ['2']]],
    ['objects after record separators', 'json', '\u001e{"a":1}\n\u001e{"a":2}\n', { a: 'bigint' }, [['1'], ['2']]],
    ['one object', 'json', '{"a":1,"b":[1]}', { a: 'bigint', b: 'jsonb' }, [['1', '[1]']]],
    ['a wrapper', 'json', '{"meta":{"n":2},"tags":["x"],"data":[{"a":1},{"a":2}],"next":null}', { a: 'bigint' }, [['1'], ['2']]],
    ['GeoJSON', 'geojson', '{"type":"FeatureCollection","features":[{"type":"Feature","id":7,"geometry":{"type":"Point","coordinates":[1.50,2]},"properties":{"name":"x"}}]}', { name: 'text', geometry: 'jsonb', id: 'bigint' }, [['x', '{"type": "Point", "coordinates": [1.50, 2]}', '7']]],
    ['GeoJSON with a property of its own id', 'geojson', '{"type":"FeatureCollection","features":[{"type":"Feature","id":7,"geometry":null,"properties":{"id":1}}]}', { id: 'bigint', geometry: 'text', id_2: 'bigint' }, [['1', null, '7']]],
  ])('JSON: %s', async (_name, extension, content, columns, rows) => {
    const { rows: loaded, columns: types } = await load(content, extension);
    expect({ ...types }).toEqual(columns);
    expect(loaded).toEqual(rows);
  }); // prettier-ignore

  it.each(['utf-16le', 'utf-16be', 'utf-32le', 'utf-32be'])('JSON and NDJSON are read in %s', async (encoding) => {
    const encode = (text: string): Buffer => {
      const [, bits, order] = /(16|32)(.e)/.exec(encoding)!;
      const bytes = bits === '16' ? Buffer.from(text, 'utf16le') : Buffer.from(new Uint32Array(Array.from(text, (c) => c.codePointAt(0)!)).buffer);
      if (order === 'le') return bytes;
      return bits === '16' ? bytes.swap16() : bytes.swap32();
    };
    for (const mark of ['', '\ufeff']) {
      for (const [extension, text] of [['json', '[{"a":1.50,"b":"ä😀"},\n{"a":2}]'], ['ndjson', '{"a":1.50,"b":"ä😀"}\n{"a":2}\n']] as const) {
        const { columns, rows } = await load(encode(mark + text), extension);
        expect(columns).toEqual({ a: 'numeric', b: 'text' });
        expect(rows).toEqual([['1.50', 'ä😀'], ['2', null]]);
      }
    }
  }); // prettier-ignore

  it('JSON is read from gzip, and --json says its shape', async () => {
    const file = write(gzipSync('[{"a":1},{"a":"x"}]'), 'json.gz');
    const { stdout, code } = await run(file, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      rows: 2,
      reading: { format: 'json', shapes: [{ kind: 'array' }] },
      lastRow: { file, line: null, record: 2 },
    });
  });

  it('a bad record of JSON is named by its number, and --rejects keeps it', async () => {
    const file = write('[{"a":1},{"a":01},5,{"a":\n2}]', 'json');
    const rejects = path.join(cli.directory, `rejects-${number}.ndjson`);
    const { code } = await run(file, '--rejects', rejects);
    expect(code).toBe(3);
    const lines = readFileSync(rejects, 'utf8').trim().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { file, line: null, record: 2, text: '{"a":01}' },
      { file, line: null, record: 3, text: '5' },
    ]);
    expect(await database.query(`SELECT a::int FROM any_${number} ORDER BY a`)).toEqual([{ a: 1 }, { a: 2 }]);
    const refused = await run(file);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/json: record 2: not JSON/);
  });

  it('damaged JSON is refused, and nothing is loaded', async () => {
    const refused = await run(write('[{"a":1},\n{"a":2},\n]', 'json'));
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toMatch(/json:3: not JSON: expected a value after record 2, got \]/);
    const several = await run(write('{"a":[{"x":1}],"b":[{"y":1}]}', 'json'));
    expect(several.stderr).toMatch(/several lists of objects.*"a", "b"/);
  });

  it('an empty array has no columns for a table', async () => {
    const none = await run(write('[]', 'json'));
    const empty = await run(write('', 'ndjson'));
    expect(none.code).toBe(empty.code);
    expect(none.stderr.replace(/any_\d+|any-\d+\.\w+/g, '')).toBe(
      empty.stderr.replace(/any_\d+|any-\d+\.\w+/g, ''),
    );
  });

  it.each(['[{"a":1},{"a":2}]', '[\n{"a":1}\n]', '{\n"a":1\n}'])(
    'JSON in a file of NDJSON is refused, naming --format json: %j',
    async (content) => {
      const file = write(content, 'ndjson');
      const refused = await run(file);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toMatch(/:1: .*--format json/);
      expect(await run(file, '--format', 'json')).toMatchObject({ code: 0 });
    },
  );

  it('a record that is too short is refused by its line, and --pad makes the missing field NULL', async () => {
    const file = write('id,name\n1,a\n2\n', 'csv');
    const refused = await run(file);
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toMatch(/:3: expected 2 fields, got 1; --pad /);
    const { rows } = await load('id,name\n1,a\n2\n', 'csv', '--pad');
    expect(rows).toEqual([['1', 'a'], ['2', null]]); // prettier-ignore
  });

  it('a note behind the table is refused, and --comment with its first word leaves it out', async () => {
    const text = 'id,name\n1,a\nSource: a survey\n';
    const refused = await run(write(text, 'csv'));
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toMatch(/:3: expected 2 fields, got 1; --comment "Source:" leaves out .*--pad/);
    expect((await load(text, 'csv', '--comment', 'Source:')).rows).toEqual([['1', 'a']]);
  });

  it('--null may be given more than once, and --null-for is for one column', async () => {
    const text = 'a,b,c\n1,x,-99\nmissing,missing,2\nn/k,n/k,"-99"\n4,"n/k",\n';
    const flags = ['--null', 'missing', '--null', 'n/k', '--null', '', '--null-for', 'c=-99'];
    const { columns, rows } = await load(text, 'csv', ...flags);
    expect(columns).toEqual({ a: 'bigint', b: 'text', c: 'bigint' });
    expect(rows).toEqual([['1', 'x', null], [null, null, '2'], [null, null, null], ['4', 'n/k', null]]); // prettier-ignore
    const refused = await run(write(text, 'csv'), '--null-for', 'd=1');
    expect(refused.stderr).toMatch(/--null-for: "d" is not among the columns/);
  });

  it.each([[['--null', 'NA', '--null', '']], [['--null', 'NA', '--null-for', 'b=', '--null-for', 'NA=']]])(
    'an empty field is NULL beside another text for it: %j',
    async (flags) => {
      const { columns, rows } = await load('a,b,NA\n1,,5\nNA,x,\n3,y,6\n', 'csv', ...flags);
      expect(columns).toEqual({ a: 'bigint', b: 'text', NA: 'bigint' });
      expect(rows).toEqual([['1', null, '5'], [null, 'x', null], ['3', 'y', '6']]); // prettier-ignore
    },
  );

  it('names that were repaired are said', async () => {
    const file = write(',a,a,,b\n1,2,3,4,5\nx,3,4,5,6\n', 'csv');
    const flags = ['--create', '-t', `any_${number}`, '--to', database.url, '--json'];
    const { code, stdout, stderr } = await cli.run(['load', file, ...flags]);
    const notes = [
      'the header has no name for 2 columns: "column1", "column4"',
      'the header has a name more than once: "a_2"',
    ];
    expect({ code, notes: (JSON.parse(stdout) as { notes: string[] }).notes }).toEqual({ code: 0, notes });
    for (const note of notes) expect(stderr).toContain(note);
  });

  it('two readings that are as likely are refused, naming both and the flag', async () => {
    const refused = await run(write('a;b,c\nx;y,z\n', 'csv'));
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toMatch(/two ways: ".".*, or ".".*--delimiter decides/);
  });

  it('--strict reads as PostgreSQL does', async () => {
    const { columns, rows } = await load('id;name\n1;a\n', 'csv', '--strict');
    expect(columns).toEqual({ 'id;name': 'text' });
    expect(rows).toEqual([['1;a']]);
  });

  it.each<[string, string]>([
    ['with as many fields as the table', '# made by x\nid,name\n1,a\n# 2,b\n3,c\n'],
    ['with fewer fields', '# made by x\nid,name\n1,a\n# note\n3,c\n'],
  ])('a comment within a table with comments before it is refused, unless --comment says what it is: %s', async (_, text) => {
    const file = write(text, 'csv');
    const refused = await run(file, '--pad');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/:4: the line may be a comment.*--comment "#" leaves such lines out, and --comment none keeps them/);
    const { rows } = await load(text, 'csv', '--comment', '#');
    expect(rows).toHaveLength(2);
    const { rows: all } = await load(text, 'csv', '--comment', 'none', '--pad');
    expect(all).toHaveLength(3);
    expect(all[1]![0]).toMatch(/^# /);
  }); // prettier-ignore

  it('a comment within a table has another number of fields, and is left out', async () => {
    const text = 'id,name\n# one\n1,a\n# two, three, four\n2,b\n';
    const { rows } = await load(text, 'csv');
    expect(rows).toEqual([['1', 'a'], ['2', 'b']]); // prettier-ignore
    const { stdout } = await cli.run(['load', write(text, 'csv'), '--create', '-t', 'any_said', '--dry-run']);
    expect(stdout).toMatch(/lines that begin with # .* are left out; --comment none keeps them/);
    const refused = await run(write(`${text}# five,c\n`, 'csv'));
    expect(refused.stderr).toMatch(/:6: the line may be a comment/);
    const { stderr } = await run(write(text, 'csv'), '--comment', 'none');
    expect(stderr).toMatch(/:2: expected 2 fields, got 1; --comment "#" leaves such lines out/);
  });

  it('--comment leaves lines out, with their numbers kept', async () => {
    const { rows } = await load('id,name\n# one, two\n1,a\n#3,x\n2,b\n', 'csv', '--comment', '#');
    expect(rows).toEqual([['1', 'a'], ['2', 'b']]); // prettier-ignore
    const refused = await run(write('id,name\n# one\n1,a\n2\n', 'csv'), '--comment', '#');
    expect(refused.stderr).toMatch(/:4: expected 2 fields/);
    const { rows: one } = await load(
      '# "x\nid\n# one, two\n1\n\n#3\n2\n',
      'csv',
      '--comment',
      '#',
      '--skip',
      '0',
    );
    expect(one).toEqual([['1'], [null], ['2']]); // prettier-ignore
  });

  it('a second file may have its columns in another order, also without a name for the row names', async () => {
    const two = write('cyl,mpg\nVolvo,6,21.5\nSaab,7,22\n', 'csv');
    const { columns, rows } = await load('mpg,cyl\nMazda,21,6\nDatsun,22,4\n', 'csv', two);
    expect(columns).toEqual({ column1: 'text', mpg: 'numeric', cyl: 'bigint' });
    expect(rows.slice(2)).toEqual([['Volvo', '21.5', '6'], ['Saab', '22', '7']]); // prettier-ignore
    const refused = await run(
      write('mpg,cyl\nMazda,21,6\nDatsun,22,4\n', 'csv'),
      write('mpg,hp\nVolvo,6,21\n', 'csv'),
    );
    expect(refused.stderr).toMatch(/:1: the header differs from that of the first file: it has "hp" besides/);
  });

  it('a second file without the lines before the table that the first one has is refused', async () => {
    const one = write('# a\n1,x\n2,y\n', 'csv');
    const two = write('3,z\n4,u\n', 'csv');
    const refused = await run(one, two);
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toMatch(/:1: may be a record.*--skip 1/);
  });

  it('lines before the table count in messages', async () => {
    const refused = await run(write('Report\n\nid,name\n1,a\n2\n', 'csv'));
    expect(refused.stderr).toMatch(/:5: expected 2 fields/);
  });

  it('a byte that does not fit the encoding after the sample names its line and --encoding', async () => {
    const lines = Buffer.from('id,t\n1,\u00e4\n', 'utf16le');
    const refused = await run(write(Buffer.concat([lines, Buffer.from([0x01, 0xd8, 0x31, 0x00])]), 'csv'));
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/--encoding/);
  });

  it('a file whose first 256 KiB are ASCII has the encoding of the rest', async () => {
    const lines = Array.from({ length: 40_000 }, (_, index) => `${index},plain text\n`).join('');
    const file = write(Buffer.from(`id,t\n${lines}40000,caf\xe9\n`, 'latin1'), 'csv');
    const { table, code, stderr } = await run(file);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(await database.query(`SELECT t FROM ${table} WHERE id = 40000`)).toEqual([{ t: 'café' }]);
  });

  it('the same from a pipe is an error that names --encoding, and with --rejects a rejected row', async () => {
    const lines = Array.from({ length: 40_000 }, (_, index) => `${index},plain text\n`).join('');
    const stdin = Buffer.from(`id,t\n${lines}40000,caf\xe9\n`, 'latin1');
    const load = (name: string, ...flags: string[]) =>
      cli.run(
        ['load', '-', '-q', '--format', 'csv', '--create', '-t', name, '--to', database.url, ...flags],
        { stdin },
      );
    const refused = await load('any_pipe');
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toMatch(/:40002: not UTF-8: .*--encoding/);
    const rejects = path.join(cli.directory, 'any-pipe.ndjson');
    expect(await load('any_pipe_rejects', '--rejects', rejects)).toMatchObject({ code: 3 });
    expect(readFileSync(rejects, 'utf8')).toMatch(/"line":40002,.*"text":"40000,caf.*--encoding/);
    expect(await load('any_pipe_given', '--encoding', 'windows-1252')).toMatchObject({ code: 0 });
  });
});
