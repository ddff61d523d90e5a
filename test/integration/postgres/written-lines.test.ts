/** Lines that are written already: sent in binary or as they stand, the same rows are inserted, and what is refused is refused alike. */

import { describe, expect, test, vi } from 'vitest';
import { createCopy } from '../../../src/postgres/copy-into.js';
import { delimitedFormat } from '../../../src/postgres/merge/copy-plan.js';
import type { TextLines } from '../../../src/postgres/encoding/binary/line-transcoder.js';
import { TableLayout } from '../../../src/postgres/copy/table-layout.js';
import { useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();
const signal = new AbortController().signal;
const COMMAS: TextLines = { delimiter: ',', nullText: '' };
const TABS: TextLines = { delimiter: '\t', nullText: 'NULL' };

interface Sent {
  readonly inserted: boolean;
  readonly format: string;
}

/** `format` is that in which the rows were inserted. */
async function send(
  table: string,
  columns: readonly string[],
  lines: string,
  { how, binary, changed }: { how: TextLines; binary: boolean; changed?: string },
): Promise<Sent> {
  const text = delimitedFormat('text', how.delimiter, how.nullText);
  const pool = database.pool({ max: 1 });
  const statements: string[] = [];
  pool.on('connect', (client) => {
    const query = client.query.bind(client) as (...request: unknown[]) => unknown;
    client.query = ((...request: unknown[]) => {
      const { text: sql } = request[0] as { text?: string };
      if (sql !== undefined) statements.push(sql);
      return query(...request);
    }) as typeof client.query;
  });
  const copy = createCopy<object>(pool, { table, columns, ...(binary ? { format: 'binary' as const } : {}) });
  if (changed !== undefined) {
    await copy.copyWritten({ first: 1, last: 1, rows: 0, format: text, chunks: [] }, signal);
    await database.query(changed);
    statements.length = 0;
  }
  const rows = lines.split('\n').length - 1;
  const written = { first: 1, last: rows, rows, format: text, chunks: [Buffer.from(lines)] };
  const inserted = await copy.copyWritten({ ...written, textLines: binary ? how : undefined }, signal);
  const copies = statements.filter((statement) => statement.includes('COPY'));
  return { inserted, format: copies.map((statement) => (/FORMAT (\w+)/.exec(statement) ?? [])[1]).join() };
}

async function contents(table: string): Promise<unknown[]> {
  return database.query(
    `SELECT encode(record_send(line), 'hex') AS bytes FROM ${table} line ORDER BY record_send(line)`,
  );
}

describe.each([
  ['lines with commas', COMMAS, '\n'],
  ['lines that end in CR and LF', COMMAS, '\r\n'],
  ['lines with tabs and a word for NULL', TABS, '\n'],
] as const)('%s', (_, how, lineEnd) => {
  const { delimiter, nullText } = how;

  test('every type has the same bytes in the table', async () => {
    const types = ['int2', 'int4', 'int8', 'float8', 'numeric', 'bool', 'date', 'timestamp', 'timestamptz'];
    const columns = [...types, 'text', 'varchar(5)', 'char(4)', 'jsonb', 'uuid'];
    const rows = [
      [1, 2, 3, 1.5, '12.340', 't', '2024-02-29', '2001-01-01 00:10:00', '2001-01-01T00:10:00.123456Z'],
      [
        -32768,
        -2147483648,
        '-9223372036854775808',
        '-0.1',
        '0',
        'false',
        '0001-01-01',
        '1969-12-31T23:59:59',
      ],
      [
        32767,
        2147483647,
        '9223372036854775807',
        '1e300',
        '-1e-5',
        'f',
        '9999-12-31',
        '2200-12-31 23:59:59.9',
      ],
      [],
    ];
    rows[1]!.push('1690-06-06 01:02:03.000003Z');
    rows[2]!.push('2262-04-12T00:00:00+00');
    const rest = [
      ['plain', 'abc', 'ab', '{"a":1}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
      ['ä€😀', 'abc  ', 'abcd', '[]', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'],
      ['x'.repeat(100), '😀😀😀😀😀', '', '"s"', null],
      [],
    ];
    const lines = rows
      .map((row, index) => {
        const values: (string | number | null)[] = [...row, ...rest[index]!];
        while (values.length < columns.length) values.push(null);
        return values.map((value) => value ?? nullText).join(delimiter) + lineEnd;
      })
      .join('');
    const names = columns.map((__, index) => `c${index}`);
    const declared = columns.map((type, index) => `c${index} ${type}`).join();
    const tables = [await database.table(declared), await database.table(declared)] as const;
    // An exponent is the server's to read.
    const readable = lines.replaceAll('1e300', '1.25').replaceAll('-1e-5', '-0.00001');
    expect(await send(tables[0], names, readable, { how, binary: false })).toEqual({
      inserted: true,
      format: 'text',
    });
    expect(await send(tables[1], names, readable, { how, binary: true })).toEqual({
      inserted: true,
      format: 'binary',
    });
    expect(await contents(tables[1])).toEqual(await contents(tables[0]));
    // Not all of it can be read here: the same batch goes as text.
    const table = await database.table(declared);
    expect(await send(table, names, lines, { how, binary: true })).toEqual({
      inserted: true,
      format: 'binary,text',
    });
  });

  test('what the table refuses is refused in both, and nothing of it is inserted', async () => {
    const bad = [
      `1${delimiter}late${lineEnd}`,
      `1${delimiter}99999999999${lineEnd}`,
      `5${delimiter}7${lineEnd}`,
    ];
    for (const line of bad) {
      for (const binary of [false, true]) {
        const table = await database.table('a int CHECK (a < 5), b int');
        const lines = `1${delimiter}2${lineEnd}${line}`;
        const { inserted } = await send(table, ['a', 'b'], lines, { how, binary });
        expect(inserted).toBe(false);
        expect(await contents(table)).toEqual([]);
      }
    }
  });

  test('a column that has another type by now gets what the text means', async () => {
    const table = await database.table('a int4, b int4');
    const sent = await send(table, ['a', 'b'], `1${delimiter}1065353216${lineEnd}`, {
      how,
      binary: true,
      changed: `ALTER TABLE ${table} DROP COLUMN b, ADD COLUMN b float4`,
    });
    expect(sent).toEqual({ inserted: true, format: 'binary,text' });
    expect(await database.query(`SELECT a, b::text FROM ${table}`)).toEqual([{ a: 1, b: '1.0653532e+09' }]);
  });
});

test('after a batch that a changed type sends as text, the table is looked up again, and the next goes in binary', async () => {
  const table = await database.table('a int4, b int4');
  const pool = database.pool({ max: 1 });
  const copy = createCopy<object>(pool, { table, columns: ['a', 'b'], format: 'binary' });
  const written = {
    rows: 1,
    format: delimitedFormat('text', ',', ''),
    chunks: [Buffer.from('1,7\n')],
    textLines: COMMAS,
  };
  expect(await copy.copyWritten({ ...written, first: 1, last: 1 }, signal)).toBe(true);
  await database.query(`ALTER TABLE ${table} ALTER COLUMN b TYPE int8`);
  const lookUps = vi.spyOn(TableLayout.prototype, 'find');
  expect(await copy.copyWritten({ ...written, first: 2, last: 2 }, signal)).toBe(true);
  expect(lookUps).not.toHaveBeenCalled();
  expect(await copy.copyWritten({ ...written, first: 3, last: 3 }, signal)).toBe(true);
  expect(await copy.copyWritten({ ...written, first: 4, last: 4 }, signal)).toBe(true);
  expect(lookUps).toHaveBeenCalledTimes(1);
  lookUps.mockRestore();
  expect(await database.query(`SELECT count(*)::int AS n, sum(b)::int AS sum FROM ${table}`)).toEqual([
    { n: 4, sum: 28 },
  ]);
});
