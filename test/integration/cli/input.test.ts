/** What the command line reads, beside what PostgreSQL reads: `COPY … (FORMAT csv)` over the same bytes, and `::jsonb` over the same lines. */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { describe, expect, it } from 'vitest';
import { CsvRows } from '../../../src/cli/csv/csv-rows.js';
import { RecordParser } from '../../../src/cli/records/record-parser.js';
import { keepNdjson } from '../../support/cli-records.js';
import { useCli } from '../../support/cli.js';
import { referenceRecords } from '../../support/csv-reference.js';
import { useTestDatabase } from '../../support/postgres.js';
import { fastCheckRuns } from '../../support/test-runs.js';

const cli = useCli();
const database = useTestDatabase();

interface Case {
  bytes: Buffer;
  columns: string[];
  delimiter: string;
  nullText: string;
}

/** The server's own reading: its rows, or its refusal. */
async function byServer(
  client: pg.ClientBase,
  { bytes, columns, delimiter, nullText }: Case,
): Promise<unknown[][] | string> {
  const options = `FORMAT csv, DELIMITER ${client.escapeLiteral(delimiter)}, NULL ${client.escapeLiteral(nullText)}`;
  await client.query('BEGIN');
  try {
    await client.query(`CREATE TEMPORARY TABLE read (${columns.map((name) => `${name} text`).join()})`);
    await pipeline(Readable.from([bytes]), client.query(copyFrom(`COPY read FROM STDIN (${options})`)));
    const { rows } = await client.query<unknown[]>({ text: 'SELECT * FROM read', rowMode: 'array' });
    return rows;
  } catch (error) {
    return (error as Error).message;
  } finally {
    await client.query('ROLLBACK');
  }
}

function byUs({ bytes, columns, delimiter, nullText }: Case): { rows: unknown[][]; faults: string[] } {
  const rows: unknown[][] = [];
  const faults: string[] = [];
  const maxRecordBytes = 1024 * 1024;
  const options = { delimiter, nullText, maxRecordBytes, header: false, names: undefined, columns };
  const parser = new RecordParser<unknown[]>(
    { delimiter, maxRecordBytes, open: (file) => new CsvRows(file, options) },
    (row) => rows.push(row),
    (fault) => faults.push(fault.message),
  );
  const file = { name: 'f', path: 'f', sizeBytes: undefined };
  parser.add({ file, bytes, last: false });
  parser.add({ file, bytes: Buffer.alloc(0), last: true });
  return { rows, faults };
}

/** What the help says that we refuse, and PostgreSQL would read. */
const DOCUMENTED =
  /a quote stands inside an unquoted field|text follows a closing quote|a carriage return stands alone|a quote is not closed/;

const cases: fc.Arbitrary<Case> = fc
  .record({
    columns: fc.constantFrom<string[][]>(['a'], ['a', 'b'], ['a', 'b'], ['a', 'b', 'c']),
    delimiter: fc.constantFrom(',', ',', '\t', ';', '|', ' ', '-', 'x', '0'),
    nullText: fc.constantFrom('', '', 'NULL', '\\N', 'a', 'é'),
    lineBreak: fc.constantFrom('\n', '\r\n'),
    ended: fc.boolean(),
  })
  .chain(({ columns, delimiter, nullText, lineBreak, ended }) => {
    const part = fc.constantFrom(
      ...['a', 'é', '😀', 'NULL', '\\N', '\\', '\t', ' ', '0', '\u2028', '\ufeff', "'", '\u0001', '\u007f'],
    );
    const plain = fc.array(part, { maxLength: 3 }).map((parts) => parts.join('').replaceAll(delimiter, ''));
    const inQuotes = fc
      .array(fc.oneof(part, fc.constantFrom(',', '""', '\n', '\r\n', '\r', delimiter)), { maxLength: 4 })
      .map((parts) => `"${parts.join('')}"`);
    const odd = fc.constantFrom('"a"b', 'a"b"', '"', '"a', 'a\rb', '\r', '"a" ', `"a"${delimiter}`);
    const field = fc.oneof(
      { weight: 8, arbitrary: plain },
      { weight: 6, arbitrary: inQuotes },
      { weight: 1, arbitrary: odd },
    );
    const goodLine = fc.array(field, { minLength: columns.length, maxLength: columns.length });
    const anyLine = fc.array(field, { minLength: 1, maxLength: 4 });
    return fc
      .array(fc.oneof({ weight: 12, arbitrary: goodLine }, { weight: 1, arbitrary: anyLine }), {
        maxLength: 8,
      })
      .map((lines) => {
        const text = lines.map((fields) => fields.join(delimiter)).join(lineBreak) + (ended ? lineBreak : '');
        // We leave out a byte order mark at the beginning, which PostgreSQL takes for data.
        return { bytes: Buffer.from(text.replace(/^\ufeff+/, '')), columns, delimiter, nullText };
      });
  });

describe('CSV', () => {
  it('has the values that PostgreSQL reads, and refuses what it reads only where the help says so', async () => {
    const client = await database.pool({ max: 1 }).connect();
    const counts = { same: 0, refusedByUs: 0, refusedByServer: 0, refusedByBoth: 0 };
    try {
      await fc.assert(
        fc.asyncProperty(cases, async (one) => {
          const server = await byServer(client, one);
          const { rows, faults } = byUs(one);
          if (typeof server === 'string') {
            if (faults.length > 0) counts.refusedByBoth += 1;
            else counts.refusedByServer += 1;
          } else if (faults.length === 0) {
            expect(rows).toEqual(server);
            counts.same += 1;
          } else {
            expect(faults.find((fault) => DOCUMENTED.test(fault)) ?? faults.join('\n')).toMatch(DOCUMENTED);
            counts.refusedByUs += 1;
          }
        }),
        fastCheckRuns(1_500),
      );
    } finally {
      client.release();
    }
    // The comparison compares something.
    expect(counts.same).toBeGreaterThan(500);
    expect(counts.refusedByBoth).toBeGreaterThan(50);
  });

  it.each<[string, string, string[][] | RegExp]>([
    ['a line that is not the end', 'a\n\\.\nb\n', [['a'], ['\\.'], ['b']]],
    ['LF and CRLF in one file', 'a\r\nb\n', [['a'], ['b']]],
    ['a byte order mark', '\ufeffa\n', [['a']]],
    ['half a CRLF at the end', 'a\r', [['a']]],
    ['a lone carriage return', 'a\rb\n', /a carriage return stands alone/],
    ['a NUL', 'a\n\0\n', /invalid byte sequence|null character|0x00|U\+0000/i],
  ])('has its own way with %s', async (_, text, expected) => {
    const table = await database.table('a text');
    const file = path.join(cli.directory, 'own.csv');
    await writeFile(file, text);
    const result = await cli.run(
      ['load', file, '--table', table, '--strict', '--no-header', '--connections', '1'],
      {
        env: { DATABASE_URL: database.url },
      },
    );
    if (expected instanceof RegExp)
      expect(result).toMatchObject({ code: 1, stderr: expect.stringMatching(expected) as string });
    else {
      expect(result).toMatchObject({ code: 0 });
      const rows = await database.query<{ a: string }>(`SELECT a FROM ${table}`);
      expect(rows.map(({ a }) => [a])).toEqual(expected);
    }
  });
});

describe('the whole command line', () => {
  /** Any bytes, but alike to CSV. */
  const bytesLikeCsv = fc
    .array(
      fc.constantFrom(
        'a',
        ',',
        ',',
        '\n',
        '\n',
        '\n',
        '\r\n',
        '\r',
        '"',
        '"a\nb"',
        '""',
        'é',
        '😀',
        '\xff',
        '1',
      ),
      { maxLength: 60 },
    )
    .map((parts) =>
      Buffer.concat(parts.map((part) => Buffer.from(part, part === '\xff' ? 'latin1' : 'utf8'))),
    );

  it('loads of any bytes the records before the first bad one, and says which that is', async () => {
    const table = await database.table('a text, b text');
    await fc.assert(
      fc.asyncProperty(bytesLikeCsv, fc.boolean(), async (bytes, compressed) => {
        await database.query(`TRUNCATE ${table}`);
        const result = await cli.run(
          [
            'load',
            '-',
            '--format',
            'csv',
            '--table',
            table,
            '--strict',
            '--no-header',
            '--connections',
            '1',
            '--quiet',
          ],
          { env: { DATABASE_URL: database.url }, stdin: compressed ? gzipSync(bytes) : bytes },
        );
        const records = referenceRecords(bytes);
        const firstBad = records.findIndex((record) => !('row' in record) || record.row.length !== 2);
        const good = (firstBad === -1 ? records : records.slice(0, firstBad)).map((record) =>
          'row' in record ? { a: record.row[0], b: record.row[1] } : record,
        );
        expect(await database.query(`SELECT a, b FROM ${table}`)).toEqual(good);
        expect(result.code).toBe(firstBad === -1 ? 0 : 1);
        if (firstBad === -1) expect(result.stderr).toBe('');
        else expect(result.stderr).toMatch(/^spillway: standard input:\d+: [^\n]*\n$/);
      }),
      fastCheckRuns(15),
    );
  });
});

describe('NDJSON', () => {
  it('takes for JSON what PostgreSQL takes for JSON, and gives it the same value', async () => {
    const lines = [
      '{"a":1e400}',
      '{"a":-0}',
      '{"a":-0.0}',
      '{"a":1E+5}',
      '{"a":123456789012345678901234567890.123456789}',
      '{"a":"\\u00e9\\ud83d\\ude00"}',
      '{"a":"\u2028\u2029"}',
      '{"a":"\\/\\b\\f"}',
      '{"a":1,"a":2}',
      '{"a":{"a":1,"a":[2]}}',
      '{"":1,"__proto__":2,"constructor":3}',
      '{"a":[]}',
      ' {"a" : [ 1 , null ] }\t',
      `{"a":${'['.repeat(500)}${']'.repeat(500)}}`,
      ...['{"a":1,}', '{"a":01}', '{"a":.5}', '{"a":+1}', '{"a":NaN}', "{'a':1}", '{"a":"\t"}', '{"a":1}{}'],
      ...['{"a":0x1}', '{"a":"\\x"}', '{a:1}', '{"a" 1}', '{"a":tru}', '{', '\ufeff{"a":1}', '{"a":1}\u00a0'],
      '{"a":"\\u12"}',
    ];
    for (const line of lines) {
      // Not at the beginning, where a byte order mark is none of the text.
      const [, ours] = keepNdjson(`{}\n${line}\n`).records;
      const table = await database.table('v jsonb');
      const client = await database.pool({ max: 1 }).connect();
      let server: boolean;
      try {
        await client.query(`INSERT INTO ${table} VALUES ($1::jsonb)`, [line]);
        server = true;
      } catch {
        server = false;
      } finally {
        client.release();
      }
      expect([line, ours !== undefined && 'row' in ours]).toEqual([line, server]);
    }
  });

  it('stores in jsonb what PostgreSQL itself would store', async () => {
    const values = [
      ...['1e400', '-0', '-0.0', '0.10', '1E+5', '123456789012345678901234567890.123456789', '1e-400'],
      ...['"\\u00e9\\ud83d\\ude00"', '"\u2028"', '"\\"\\\\"', '{"a":1,"a":2}', '{"b":1,"":2,"__proto__":{}}'],
      ...[
        '[1,[2,{}],null]',
        'true',
        '"null"',
        '"\\\\N"',
        '"\\\\."',
        '""',
        '"9007199254740993"',
        '9007199254740993',
      ],
    ];
    const table = await database.table('i int, v jsonb');
    const file = path.join(cli.directory, 'values.ndjson');
    const lines = values.map((value, index) => `{"i":${index},"v":${value}}`);
    await writeFile(file, lines.join('\n'));
    const result = await cli.run(['load', file, '--table', table], { env: { DATABASE_URL: database.url } });
    expect(result.code).toBe(0);
    // By jsonb's own equality: 0.10 may have become 0.1.
    const differing = await database.query(
      `SELECT i, v, given FROM ${table} JOIN unnest($1::text[]) WITH ORDINALITY AS own(given, n) ON n = i + 1
        WHERE v IS DISTINCT FROM given::jsonb`,
      [values],
    );
    expect(differing).toEqual([]);
    expect(await database.query(`SELECT count(*)::int FROM ${table}`)).toEqual([{ count: values.length }]);
  });
});
