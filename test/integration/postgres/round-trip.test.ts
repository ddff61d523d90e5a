/** Values in, values out, for every built-in type: what the table holds equals what the server makes of the literal itself. */

import { describe, expect, test } from 'vitest';
import { copyInto } from '../../../src/postgres/index.js';
import { flushContext, useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();

/** Type, value given, and the literal that must have arrived (its text as the server writes it back). */
const CASES: readonly (readonly [type: string, value: unknown, stored: string | null])[] = [
  ['bool', true, 'true'],
  ['bool', false, 'false'],
  ['bool', 1, 'true'],
  ['bool', 0, 'false'],
  ['bool', 'yes', 'true'],
  ['int2', -32768, '-32768'],
  ['int2', 32767, '32767'],
  ['int4', -2147483648, '-2147483648'],
  ['int4', 2147483647, '2147483647'],
  ['int4', 0, '0'],
  ['int4', -0, '0'],
  ['int4', ' 12 ', '12'],
  ['int4', 12n, '12'],
  ['int8', Number.MAX_SAFE_INTEGER, '9007199254740991'],
  ['int8', Number.MIN_SAFE_INTEGER, '-9007199254740991'],
  ['int8', 9223372036854775807n, '9223372036854775807'],
  ['int8', -9223372036854775808n, '-9223372036854775808'],
  ['int8', '9223372036854775807', '9223372036854775807'],
  ['oid', 4294967295, '4294967295'],
  ['float4', 0.5, '0.5'],
  ['float8', 0.1, '0.1'],
  ['float8', 5e-324, '5e-324'],
  ['float8', 1.7976931348623157e308, '1.7976931348623157e+308'],
  ['float8', Number.NaN, 'NaN'],
  ['float8', Number.POSITIVE_INFINITY, 'Infinity'],
  ['float8', Number.NEGATIVE_INFINITY, '-Infinity'],
  ['float8', -0, '0'],
  ['float8', '-0', '-0'],
  ['float8', 123, '123'],
  ['float8', '1.5', '1.5'],
  ['numeric', 1.1, '1.1'],
  ['numeric', 1e21, '1000000000000000000000'],
  ['numeric', 1e-7, '0.0000001'],
  ['numeric', Number.NaN, 'NaN'],
  ['numeric', 10n ** 40n, `1${'0'.repeat(40)}`],
  ['numeric', '123456789012345678901234567890.123456789', '123456789012345678901234567890.123456789'],
  ['numeric(10,2)', 3, '3.00'],
  ['numeric(10,2)', '1.005', '1.01'],
  ['money', '$12.50', '$12.50'],
  ['money', 12.5, '$12.50'],
  ['text', '', ''],
  ['text', 'plain', 'plain'],
  ['text', '\\N', '\\N'],
  ['text', '\\.', '\\.'],
  ['text', 'NULL', 'NULL'],
  ['text', 'a\tb\nc\rd\\e\b\f\v', 'a\tb\nc\rd\\e\b\f\v'],
  ['text', '\r\n', '\r\n'],
  ['text', 'Grüße, 世界 🎉', 'Grüße, 世界 🎉'],
  ['text', '\u{feff}x', '\u{feff}x'],
  ['text', 12.5, '12.5'],
  ['text', 12n, '12'],
  ['text', true, 'true'],
  ['text', new Date(0), '1970-01-01T00:00:00.000+00:00'],
  ['bool', 1n, 'true'],
  ['jsonb', { toPostgres: () => null }, null],
  ['varchar(5)', 'abcde', 'abcde'],
  ['char(4)', 'ab', 'ab  '],
  ['"char"', 'x', 'x'],
  ['name', 'a name', 'a name'],
  ['bytea', Buffer.from([0, 1, 92, 255]), '\\x00015cff'],
  ['bytea', Buffer.alloc(0), '\\x'],
  ['bytea', new Uint8Array([7, 8]), '\\x0708'],
  ['bytea', new Uint8Array([1, 2, 3, 4]).subarray(1, 3), '\\x0203'],
  ['bytea', new Uint8Array([9]).buffer, '\\x09'],
  ['bytea', new Uint16Array([513]), '\\x0102'],
  ['bytea', '\\xdeadbeef', '\\xdeadbeef'],
  ['date', new Date('2024-02-29T23:59:59.999Z'), '2024-02-29'],
  ['date', new Date('-000043-03-15T12:00:00Z'), '0044-03-15 BC'],
  ['date', new Date('0000-01-01T00:00:00Z'), '0001-01-01 BC'],
  ['date', new Date('0001-01-01T00:00:00Z'), '0001-01-01'],
  ['date', new Date('+012345-06-07T00:00:00Z'), '12345-06-07'],
  ['date', '1999-12-31', '1999-12-31'],
  ['date', 'infinity', 'infinity'],
  ['timestamp', new Date('2024-02-29T23:59:59.999Z'), '2024-02-29 23:59:59.999'],
  ['timestamp', new Date('1969-12-31T23:59:59.001Z'), '1969-12-31 23:59:59.001'],
  ['timestamp', new Date(0), '1970-01-01 00:00:00'],
  ['timestamp', new Date('0099-06-07T08:09:10Z'), '0099-06-07 08:09:10'],
  ['timestamp', new Date('+275760-09-13T00:00:00.000Z'), '275760-09-13 00:00:00'],
  ['timestamp', new Date('-000043-03-15T12:34:56.070Z'), '0044-03-15 12:34:56.07 BC'],
  ['timestamp', '2024-01-02T03:04:05.678901', '2024-01-02 03:04:05.678901'],
  ['timestamptz', new Date('2024-02-29T23:59:59.090Z'), '2024-02-29 23:59:59.09+00'],
  ['timestamptz', new Date('+012345-06-07T00:00:00.000Z'), '12345-06-07 00:00:00+00'],
  ['timestamptz', new Date('-000043-03-15T12:34:56.000Z'), '0044-03-15 12:34:56+00 BC'],
  ['timestamptz', '2024-01-02T03:04:05+02:00', '2024-01-02 01:04:05+00'],
  ['timestamptz', '-infinity', '-infinity'],
  ['time', '12:34:56.789', '12:34:56.789'],
  ['timetz', '12:34:56+02', '12:34:56+02'],
  ['interval', '1 day 02:03:04', '1 day 02:03:04'],
  ['interval', { toPostgres: () => '3 mons' }, '3 mons'],
  ['uuid', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  ['inet', '192.168.0.1/24', '192.168.0.1/24'],
  ['inet', '::1', '::1/128'],
  ['cidr', '10.0.0.0/8', '10.0.0.0/8'],
  ['macaddr', '08:00:2b:01:02:03', '08:00:2b:01:02:03'],
  ['macaddr8', '08:00:2b:01:02:03:04:05', '08:00:2b:01:02:03:04:05'],
  ['json', { a: [1, 'x\ty\\"'], b: null }, '{"a":[1,"x\\ty\\\\\\""],"b":null}'],
  ['json', '{"as":  "it is"}', '{"as":  "it is"}'],
  ['json', [1, [2]], '[1,[2]]'],
  ['jsonb', { b: 1, a: 'é\u2028' }, '{"a": "é\u2028", "b": 1}'],
  ['jsonb', [], '[]'],
  ['jsonb', 12, '12'],
  ['jsonb', 12n, '12'],
  ['jsonb', false, 'false'],
  ['jsonb', '"text"', '"text"'],
  ['jsonb', 'null', 'null'],
  ['jsonb', new Date(0), '"1970-01-01T00:00:00.000Z"'],
  ['jsonb', { line: 'a\nb' }, '{"line": "a\\nb"}'],
  ['jsonpath', '$.a[*]', '$."a"[*]'],
  ['xml', '<a>&lt;</a>', '<a>&lt;</a>'],
  ['bit(3)', '101', '101'],
  ['varbit', '10101', '10101'],
  ['tsvector', "'a':1 'b':2", "'a':1 'b':2"],
  ['tsquery', "'a' & 'b'", "'a' & 'b'"],
  ['point', '(1,2)', '(1,2)'],
  ['point', { x: 1.5, y: -2 }, '(1.5,-2)'],
  ['circle', { x: 1, y: 2, radius: 3 }, '<(1,2),3>'],
  ['line', '{1,2,3}', '{1,2,3}'],
  ['lseg', '[(0,0),(1,1)]', '[(0,0),(1,1)]'],
  ['box', '(1,1),(0,0)', '(1,1),(0,0)'],
  ['path', '((0,0),(1,1))', '((0,0),(1,1))'],
  ['polygon', '((0,0),(1,1),(1,0))', '((0,0),(1,1),(1,0))'],
  ['pg_lsn', '16/B374D848', '16/B374D848'],
  ['int4range', '[1,5)', '[1,5)'],
  ['tstzrange', '[2024-01-01,2024-02-01)', '["2024-01-01 00:00:00+00","2024-02-01 00:00:00+00")'],
  ['int4multirange', '{[1,3),[5,7)}', '{[1,3),[5,7)}'],
  ['regclass', 'pg_catalog.pg_class', 'pg_class'],
  ['int2vector', '1 2 3', '1 2 3'],
  ['mood', 'so, so', 'so, so'],
  ['positive', 5, '5'],
  ['tags', ['a b', null], '{"a b",NULL}'],
  ['pair', '(1,"a b")', '(1,"a b")'],
  ['int4[]', [1, null, undefined, -3], '{1,NULL,NULL,-3}'],
  ['int4[]', [], '{}'],
  ['int4[]', '{7,8}', '{7,8}'],
  ['int4[]', new Int32Array([1, 2]), '{1,2}'],
  ['float8[]', new Float64Array([0.5, Number.NaN]), '{0.5,NaN}'],
  ['float8[]', [-0, 1e300], '{0,1e+300}'],
  ['int8[]', [9223372036854775807n], '{9223372036854775807}'],
  ['int4[]', [[1, 2], [3, 4]], '{{1,2},{3,4}}'], // prettier-ignore
  ['int4[]', [[[1], [2]], [[3], [4]]], '{{{1},{2}},{{3},{4}}}'], // prettier-ignore
  ['text[]', ['', 'NULL', 'null', 'a,b', '{}', '"', '\\', ' ', 'x\ty\n', 'é🎉', '\\N'],
    '{"","NULL","null","a,b","{}","\\"","\\\\"," ","x\ty\n",é🎉,"\\\\N"}'], // prettier-ignore
  ['bool[]', [true, false, null], '{t,f,NULL}'],
  ['numeric[]', ['1.10', 2n, 3.5], '{1.10,2,3.5}'],
  [
    'timestamptz[]',
    [new Date(0), '2024-01-01T00:00:00Z'],
    '{"1970-01-01 00:00:00+00","2024-01-01 00:00:00+00"}',
  ],
  ['date[]', [new Date(0)], '{1970-01-01}'],
  ['bytea[]', [Buffer.from('\\"'), null], '{"\\\\x5c22",NULL}'],
  ['uuid[]', ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'], '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'],
  ['jsonb[]', [[1, { a: 2 }], [true, null]], '{{1,"{\\"a\\": 2}"},{true,NULL}}'], // prettier-ignore
  ['jsonb[]', [{ a: 'x"y' }, [1, 2], null], '{"{\\"a\\": \\"x\\\\\\"y\\"}","[1, 2]",NULL}'],
  ['box[]', ['(1,1),(0,0)', '(2,2),(1,1)'], '{(1,1),(0,0);(2,2),(1,1)}'],
  ['mood[]', ['happy', 'so, so'], '{happy,"so, so"}'],
  ['positive[]', [1, '2'], '{1,2}'],
  ['tags[]', [['a', 'b c'], null, ['d']], '{"{a,\\"b c\\"}",NULL,"{d}"}'],
  ['pair[]', ['(1,"a b")', '(2,)'], '{"(1,\\"a b\\")","(2,)"}'],
  ['int4range[]', ['[1,5)', 'empty'], '{"[1,5)",empty}'],
  ['inet[]', ['10.0.0.1', '::1'], '{10.0.0.1,::1}'],
];

const TYPES = `
  CREATE TYPE mood AS ENUM ('happy', 'so, so');
  CREATE DOMAIN positive AS int CHECK (VALUE > 0);
  CREATE DOMAIN tags AS text[];
  CREATE TYPE pair AS (number int, word text);`;

describe('every built-in type', () => {
  test('holds what was given', async () => {
    await database.query(TYPES);
    // Each case has a column of its own, so that one COPY carries them all and the row's fields cannot be confused.
    const table = await database.table(CASES.map(([type], index) => `c${index} ${type}`).join(', '));
    const copy = copyInto<unknown[]>(database.pool(), { table, dates: 'utc' });
    await copy(
      [CASES.map(([, value]) => value), CASES.map(() => null), CASES.map(() => undefined)],
      flushContext(),
    );

    const texts = CASES.map(([type], index) =>
      type === 'char(4)' ? `rpad(c${index}::text, 4)` : `c${index}::text`,
    );
    const [row, ...empty] = await database.query<{ values: (string | null)[] }>(
      `SELECT ARRAY[${texts.join(', ')}] AS values FROM ${table} ORDER BY c0 NULLS LAST`,
    );
    const got = CASES.map(([type, value], index) => [type, value, row!.values[index]]);
    expect(got).toEqual(CASES.map(([type, value, stored]) => [type, value, stored]));
    for (const { values } of empty) expect(new Set(values)).toEqual(new Set([null]));
    expect(empty).toHaveLength(2);
  });

  test('reads back as it was given, for the types that node-postgres reads as values', async () => {
    const row = {
      int4: -5,
      float8: 0.1 + 0.2,
      bool: true,
      text: 'a\tb\\',
      timestamptz: new Date('2024-05-06T07:08:09.123Z'),
      bytea: Buffer.from([0, 92, 10]),
      jsonb: { deep: [{ list: [1, null, 'x'] }] },
      list: ['a', null, 'b"\\'],
      numbers: [[1, 2], [3, 4]], // prettier-ignore
      point: { x: 1, y: 2 },
      circle: { x: 1, y: 2, radius: 0.5 },
    };
    const table = await database.table(
      'int4 int4, float8 float8, bool bool, text text, timestamptz timestamptz, bytea bytea, jsonb jsonb, list text[], numbers int[], point point, circle circle, interval interval',
    );
    const copy = copyInto(database.pool(), { table });
    await copy([{ ...row, interval: null }], flushContext());
    const [first] = await database.query(`SELECT * FROM ${table}`);
    expect(first).toEqual({ ...row, interval: null });
    // And what node-postgres read can be written again as it is.
    await database.query(`UPDATE ${table} SET interval = '1 year 2 days 00:00:03.5'`);
    const [read] = await database.query(`SELECT * FROM ${table}`);
    await copy([read!], flushContext());
    expect(
      await database.query(`SELECT count(*)::int AS n FROM (SELECT DISTINCT ${table}::text FROM ${table}) d`),
    ).toEqual([{ n: 1 }]);
  });

  test('a type that is not built in takes its literal', async () => {
    // A base type of our own, as an extension would bring it, over the functions of text.
    await database.query(`
      CREATE TYPE word;
      CREATE FUNCTION word_in(cstring) RETURNS word AS 'textin' LANGUAGE internal IMMUTABLE STRICT;
      CREATE FUNCTION word_out(word) RETURNS cstring AS 'textout' LANGUAGE internal IMMUTABLE STRICT;
      CREATE TYPE word (INPUT = word_in, OUTPUT = word_out, LIKE = text)`);
    const table = await database.table('a word, b word[]');
    await copyInto(database.pool(), { table })([{ a: 'Häß\\', b: ['x,y', 1] }], flushContext());
    expect(await database.query(`SELECT a::text, b::text FROM ${table}`)).toEqual([
      { a: 'Häß\\', b: '{"x,y",1}' },
    ]);
  });
});

test('a timestamp column that becomes timestamptz between two batches stores the same instant', async () => {
  const table = await database.table('at timestamp');
  const pool = database.pool({ options: '-c TimeZone=Asia/Tokyo' });
  const copy = copyInto(pool, { table });
  const at = new Date('2024-01-01T12:00:00Z');
  await copy([{ at }], flushContext());
  await database.query(`ALTER TABLE ${table} ALTER at TYPE timestamptz USING at AT TIME ZONE 'UTC'`);
  await copy([{ at }], flushContext());
  expect(await database.query(`SELECT DISTINCT at FROM ${table}`)).toEqual([{ at }]);
});
