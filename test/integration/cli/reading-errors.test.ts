/** Each error of reading names the place, what was expected, and what makes it work; and that does make it work. */

import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { useLoads } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();
const { cli, file, load } = useLoads(database);
let number = 0;

interface Case {
  readonly name: string;
  readonly content: string | Buffer;
  readonly flags?: readonly string[];
  /** The message must have all of these. */
  readonly says: readonly (string | RegExp)[];
  /** Flags, among those that the message names, with which the load succeeds. Default: none are tried. */
  readonly works?: readonly string[];
  /** Its exit code. Default 0. */
  readonly code?: number;
  /** A command that the message names, whose output is loaded. */
  readonly pipe?: readonly [string, ...string[]];
}

const latin1 = (text: string) => Buffer.from(text, 'latin1');
const rows = 'id,name\n1,a\n';
const REJECTS = ['--rejects', '/dev/null'];

const CASES: Readonly<Record<string, Case>> = {
  'a record that is too short': { name: 'x.csv', content: `${rows}2\n`, says: [/x\.csv:3: expected 2 fields, got 1/, '--pad', '--rejects'], works: ['--pad'] },
  'a record that is too long': { name: 'x.csv', content: `${rows}2,b,c\n3,d\n4,e\n`, says: [/x\.csv:3: expected 2 fields, got 3/, 'a field with "," in it must be in quotes', '--rejects'], works: REJECTS, code: 3 },
  'a line that may be a comment': { name: 'x.csv', content: `# of May\n${rows}# later,on\n2,b\n`, says: [/x\.csv:4: the line may be a comment/, '--comment "#"'], works: ['--comment', '#'] },
  'a blank line with --strict': { name: 'x.csv', content: `${rows}\n2,b\n`, flags: ['--strict'], says: [/x\.csv:3: .*got an empty line/, 'without --strict'] },
  'text after a closing quote': { name: 'x.csv', content: `${rows}2,"b"c\n3,d\n4,e\n`, says: [/x\.csv:3: text follows a closing quote \(field 2\)/, '--escape', '--quote none', '--rejects'], works: ['--quote', 'none'] },
  'a quote inside a field': { name: 'x.csv', content: `id,name\n1,"a"\n2,b"c\n3,d\n4,e\n`, says: [/x\.csv:3: a quote stands inside an unquoted field \(field 2\)/, '--quote none'], works: ['--quote', 'none'] },
  'a quote that is left open': { name: 'x.csv', content: `${rows}2,b\n3,"c\n`, flags: ['--strict'], says: [/x\.csv:4: a quote is not closed .*\(field 2\)/, '--quote none'] },
  'a carriage return within a field': { name: 'x.csv', content: `${rows}2,b\rc\n`, says: [/x\.csv:3: a carriage return stands alone/, "tr -d '\\r'"], pipe: ['tr', '-d', '\\r'] },
  'a record that is longer than the limit': { name: 'x.csv', content: `${rows}2,${'b'.repeat(5000)}\n`, flags: ['--max-record-bytes', '1KiB'], says: [/x\.csv:3: .*--max-record-bytes \(1024\)/, '--rejects'] },
  'a byte that is not UTF-8, with --strict': { name: 'x.csv', content: latin1(`${rows}2,\xe9\n`), flags: ['--strict'], says: [/x\.csv:3: not UTF-8: byte 0xE9 at byte 3/, '--encoding'] },
  'UTF-16 with --strict': { name: 'x.csv', content: Buffer.from('\ufeffid,name\n1,a\n', 'utf16le'), flags: ['--strict'], says: [/x\.csv:1: the text is UTF-16/, 'iconv -f UTF-16 -t UTF-8'] },
  'a name twice with --strict': { name: 'x.csv', content: 'id,id\n1,2\n', flags: ['--strict'], says: [/x\.csv:1: the header has "id" twice/, 'without --strict', '--columns'] },
  'a column without a name with --strict': { name: 'x.csv', content: 'id,\n1,2\n', flags: ['--strict'], says: [/x\.csv:1: the header's field 2 has no name/, 'without --strict', '--columns'] },
  'more names than a table has columns': { name: 'x.csv', content: `${Array.from({ length: 1700 }, (_, at) => `c${at}`).join(',')}\n`, says: [/x\.csv:1: the header has 1,700 fields/, '--columns', '--delimiter'] },
  'an empty file': { name: 'x.csv', content: '', says: [/x\.csv: is empty/, '--no-header'] },
  'damaged gzip': { name: 'x.csv.gz', content: gzipSync(rows.repeat(50)).subarray(0, 30), says: [/x\.csv\.gz: the gzip data ends in the middle/] },
  'JSON with an unfinished record': { name: 'x.ndjson', content: '{"id":1}\n{"id":2,\n', says: [/x\.ndjson:2: not JSON/, '--rejects'], works: REJECTS, code: 3 },
  'an array in a file of NDJSON': { name: 'x.ndjson', content: '[{"id":1}]', says: [/x\.ndjson:1: expected a JSON object, got an array/, '--format json'], works: ['--format', 'json'] },
  'NDJSON that is not UTF-8': { name: 'x.ndjson', content: latin1('{"id":1}\n{"n":"\xe9"}\n'), says: [/x\.ndjson:2: not UTF-8: byte 0xE9/, '--encoding'], works: ['--encoding', 'latin1'] },
  'a key that comes late': { name: 'x.ndjson', content: '{"id":1}\n'.repeat(10_001) + '{"idd":2}\n', says: [/x\.ndjson:10002: the key "idd" is not among/, 'did you mean "id"', '--columns', '--rejects'], works: ['--columns', 'id,idd'] },
  'an array that is not closed': { name: 'x.json', content: '[{"id":1},\n{"id":2}', says: [/x\.json:1: the array that begins here is not closed/] },
  'an object with two lists': { name: 'x.json', content: '{"a":[{"id":1}],"b":[{"id":2}]}', says: [/x\.json:1: .*several lists of objects.*"a", "b"/, 'jq'] },
}; // prettier-ignore

describe('an error of reading says where, what, and what helps', () => {
  it.each(Object.keys(CASES))('%s', async (title) => {
    const { name, content, flags = [], says, works, code = 0, pipe } = CASES[title]!;
    const input = await file(name, content);
    const args = ['-q', '--create', '-t', `errors_${++number}`];
    const failed = await load([input, ...args, ...flags]);
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(failed.stderr).toMatch(/^spillway: .*\n$/);
    for (const text of says)
      expect(failed.stderr).toEqual(typeof text === 'string' ? expect.stringContaining(text) : expect.stringMatching(text));
    await database.query(`DROP TABLE IF EXISTS errors_${number}`);
    if (works !== undefined)
      expect(await load([input, ...args, ...flags, ...works])).toMatchObject({ code });
    if (pipe !== undefined) {
      const [command, ...rest] = pipe;
      const stdin = execFileSync(command, rest, { input: typeof content === 'string' ? Buffer.from(content) : content });
      expect(await load(['-', '--format', 'csv', ...args], { stdin })).toMatchObject({ code: 0 });
    }
  }); // prettier-ignore
});

describe('a value that the server refuses', () => {
  it.each<[string, string, string[], RegExp[], string[]]>([
    ['a marker of its own', 'id,n\n1,unknown\n', [], [/x\.csv:2: column "n": .*"unknown"/, /--null-for n=unknown makes it NULL/, /--rejects/], ['--null-for', 'n=unknown']],
    ['-999 for nothing', 'id,n\n1,-99999\n', [], [/x\.csv:2: column "n": .*out of range/, /--null-for n=-99999/], ['--null-for', 'n=-99999']],
    ['a key twice', 'id,n\n1,1\n1,2\n', ['--batch-size', '1', '--connections', '1'], [/x\.csv:3: .*duplicate key/, /--on-conflict ignore.*--on-conflict update/], ['--on-conflict', 'ignore']],
    ['a text that is no number', 'id,n\n1,"1 2 3"\n', [], [/x\.csv:2: column "n": .*"1 2 3"; --rejects FILE/], ['--rejects', '/dev/null']],
  ])('%s', async (_, content, flags, says, works) => {
    const table = await database.table('id int PRIMARY KEY, n smallint');
    const name = await file('x.csv', content);
    const failed = await load([name, '-q', '-t', table, ...flags]);
    expect(failed.code).toBe(1);
    for (const text of says) expect(failed.stderr).toMatch(text);
    await database.query(`TRUNCATE ${table}`);
    const { code, stderr } = await load([name, '-q', '-t', table, ...flags, ...works]);
    expect({ code, stderr }).toEqual({ code: works[0] === '--rejects' ? 3 : 0, stderr: expect.anything() as string });
  }); // prettier-ignore

  it('under --create, of a type that was given, is not offered another type', async () => {
    const name = await file('x.csv', 'id,n\n1,x\n');
    const failed = await load([name, '-q', '-t', 'given_wrong', '--create', '--type', 'n=int']);
    expect(failed.stderr).toMatch(
      /column "n": invalid input syntax .*; --null-for n=x makes it NULL; --rejects FILE/,
    );
    expect(failed.stderr).not.toContain('--type');
  });

  it('has a name that the shell would divide in quotes', async () => {
    const name = await file('x.csv', "id,it's n\n1,x\n");
    const failed = await load([name, '-q', '-t', 'quoted_name', '--create', '--type', "it's n=int"]);
    expect(failed.stderr).toContain(`--null-for 'it'\\''s n=x' makes it NULL`);
  });

  it.each<[string, string, RegExp]>([
    ['that a flag would read', 'id,n\n1,unknown\n', /--null-for n=unknown makes it NULL; --rejects [^;]*; an import keeps its flags, so another one takes a new --import ID and a new table/],
    ['that is too long', `id,n\n1,2\n3,${'4'.repeat(5_000)}\n`, /--max-record-bytes \(4096\).*; an import keeps its flags, so another one takes a new --import ID/],
    ['that no flag would read', 'id,n\n1,"1 2 3"\n', /"1 2 3"; --rejects [^;]*$/],
  ])('of an import, says that another flag needs another import: one %s', async (title, content, says) => {
    const table = await database.table('id int, n smallint');
    const args = [await file('x.csv', content), '-q', '-t', table, '--import', `refused ${title}`];
    const { code, stderr } = await load([...args, '--max-record-bytes', '4096']);
    expect({ code, stderr: stderr.trimEnd() }).toEqual({ code: 1, stderr: expect.stringMatching(says) as string });
  }); // prettier-ignore

  it('is not offered --rejects if that is given', async () => {
    const name = await file('x.csv', 'id,name\n1\n');
    const args = [
      name,
      '-q',
      '-t',
      'rejects_given',
      '--create',
      '--rejects',
      path.join(cli.directory, 'r.ndjson'),
    ];
    const failed = await load([...args, '--max-rejects', '0']);
    expect(failed.stderr).not.toContain('--rejects FILE');
  });
});
