import { describe, expect, it } from 'vitest';
import { NdjsonTranscoder, type Transcoded } from '../../../../src/cli/ndjson/copy/transcoder.js';
import type { ColumnType } from '../../../../src/postgres/encoding/text/text-encoders.js';
import { columnOf, readable, transcodedBySlowPath } from '../../../support/ndjson-reference.js';

const TEXT_ARRAY: ColumnType = {
  kind: 'array',
  element: { kind: 'scalar', name: 'text', category: 'S' },
  delimiter: ',',
};

/** Both paths over a text, and how many records took the slow one. */
function transcode(
  text: string,
  types: Record<string, ColumnType | string>,
  ignoresOtherKeys = false,
): Omit<Transcoded, 'data'> & { sent: string; slowPathRecords: number } {
  const columns = Object.entries(types).map(([name, type]) => columnOf(name, type));
  const transcoder = new NdjsonTranscoder({ columns, ignoresOtherKeys });
  const block = Buffer.from(text);
  const { data, ...counts } = transcoder.transcode(block);
  const expected = transcodedBySlowPath(block, columns, ignoresOtherKeys);
  expect(readable({ data, ...counts })).toEqual(readable(expected));
  return { sent: data.toString(), ...counts, slowPathRecords: transcoder.slowPathRecords };
}

/** What becomes of a value in a column of the type, and whether it went fast. Undefined where it is refused. */
function field(type: ColumnType | string, value: string): [sent: string | undefined, path: 'fast' | 'slow'] {
  const { sent, records, slowPathRecords } = transcode(`{"a":${value}}\n`, { a: type });
  return [
    records === 0 ? undefined : sent.slice(0, -1),
    slowPathRecords === 0 && records > 0 ? 'fast' : 'slow',
  ];
}

describe('a value takes the fast path', () => {
  it.each<[ColumnType | string, string, string]>([
    ['int4', '0', '0'],
    ['int4', '9', '9'],
    ['int4', '-17', '-17'],
    ['int4', '2147483647', '2147483647'],
    ['int4', '-2147483648', '-2147483648'],
    ['int4', '5.0', '5'],
    ['int2', '32767', '32767'],
    ['oid', '4294967295', '4294967295'],
    ['int8', '999999999999999', '999999999999999'],
    ['int8', '9223372036854775807', '9223372036854775807'],
    ['float8', '0.1', '0.1'],
    ['float8', '-0.000001', '-0.000001'],
    ['float8', '12.50', '12.50'],
    ['float8', '7.00', '7.00'],
    ['float8', '-0', '-0'],
    ['float8', '-0.0', '-0.0'],
    ['float8', '1e3', '1e3'],
    ['float8', '1.5E+2', '1.5E+2'],
    ['float8', '0.0000001', '0.0000001'],
    ['float8', '1e400', '1e400'],
    ['numeric', '1.10', '1.10'],
    ['numeric', '0.12345678901234567890', '0.12345678901234567890'],
    ['text', '1.10', '1.10'],
    ['text', '12E4', '12E4'],
    ['varchar', '12345678901234567890', '12345678901234567890'],
    ['json', '1.10', '1.10'],
    ['jsonb', '-0', '-0'],
    ['jsonb', '[1E5,{"a":1e400}]', '[1E5,{"a":1e400}]'],
    ['float8', '0.8444218515250481', '0.8444218515250481'],
    ['numeric', '12345678901234567890.123456789', '12345678901234567890.123456789'],
    ['text', '12.5', '12.5'],
    ['uuid', '12', '12'],
    ['jsonb', '12.50', '12.50'],
    ['bool', 'true', 't'],
    ['bool', 'false', 'f'],
    ['text', 'true', 'true'],
    ['json', 'false', 'false'],
    ['bool', 'null', '\\N'],
    ['json', 'null', '\\N'],
    ['text', '""', ''],
    ['text', '"a b"', 'a b'],
    ['text', '"é日😀\u007f\u2028"', 'é日😀\u007f\u2028'],
    ['text', '"a\\tb\\nc\\rd\\\\e"', 'a\\tb\\nc\\rd\\\\e'],
    ['text', '"\\"\\/\\b\\f"', '"/\b\f'],
    ['text', '"\\u0041\\u00e9\\u65E5\\ud83d\\uDE00"', 'Aé日😀'],
    ['text', '"\\u0009\\u000a\\u000d\\u005c"', '\\t\\n\\r\\\\'],
    [
      'text',
      '"\\u007f\\u0080\\u07ff\\u0800\\uffff\\ud800\\udc00"',
      '\u007f\u0080\u07ff\u0800\uffff\u{10000}',
    ],
    ['text', '"\\\\N"', '\\\\N'],
    ['timestamp', '"2001-01-01T00:01:00"', '2001-01-01T00:01:00'],
    ['int4', '"12"', '12'],
    [TEXT_ARRAY, '"{a,b}"', '{a,b}'],
    ['jsonb', '"a\\"b\\\\c\\n\\u00e9\\/"', '"a\\\\"b\\\\\\\\c\\\\né/"'],
    ['jsonb', '{}', '{}'],
    ['jsonb', ' [ 1 , { "a" : [ ] } ] ', '[1,{"a":[]}]'],
    [
      'jsonb',
      '{"a":null,"b":{"a":1.50,"c":"\\n"},"d":[true,false]}',
      '{"a":null,"b":{"a":1.50,"c":"\\\\n"},"d":[true,false]}',
    ],
    [
      'jsonb',
      '{"isLosslessNumber":true,"__proto__":[],"":{"":1}}',
      '{"isLosslessNumber":true,"__proto__":[],"":{"":1}}',
    ],
    ['text', '{"a":"b"}', '{"a":"b"}'],
    ['int4', '[1,2]', '[1,2]'],
  ])('into %s: %s', (type, value, sent) => {
    expect(field(type, value)).toEqual([sent, 'fast']);
  });
});

describe('a value takes the slow path', () => {
  it.each<[ColumnType | string, string, string | undefined]>([
    ['int4', '-0', '0'],
    ['int4', '1.50', '1.50'],
    ['int4', '120e-1', '12'],
    ['int8', '1e18', '1000000000000000000'],
    ['int8', '1e99', '1e99'],
    ['bool', '1.0', '1'],
    ['text', '1e', undefined],
    ['text', '1e+', undefined],
    ['date', '20240517', undefined],
    ['date', '2024.0', undefined],
    ['int4', '1e2', '100'],
    ['int4', '1.5', undefined],
    ['int4', '2147483648', undefined],
    ['int4', '-2147483649', undefined],
    ['int2', '32768', undefined],
    ['oid', '-1', undefined],
    ['oid', '4294967296', undefined],
    ['int4', '9223372036854775808', '9223372036854775808'],
    ['int4', '01', undefined],
    ['int4', '1.', undefined],
    ['int4', '.5', undefined],
    ['int4', '-', undefined],
    ['int4', '+1', undefined],
    ['int4', 'NaN', undefined],
    ['int4', '', undefined],
    ['int4', 'true', undefined],
    ['int4', 'nul', undefined],
    ['bool', '1', 't'],
    ['bool', '2', undefined],
    ['date', '5', undefined],
    ['text', '"\\u0000"', undefined],
    ['text', '"\\ud83d"', undefined],
    ['text', '"\\ude00"', undefined],
    ['text', '"\\ude00\\ude00"', undefined],
    ['text', '"\\ud83d\\ud83d"', undefined],
    ['text', '"\\ud83d\\uffff"', undefined],
    ['text', '"\\n\u0001"', undefined],
    ['text', '"\\nopen', undefined],
    ['text', '"\\ud83d\\u0041"', undefined],
    ['text', '"a\tb"', undefined],
    ['text', '"a\u0000b"', undefined],
    ['text', '"\\x"', undefined],
    ['text', '"\\u12"', undefined],
    ['text', '"\\u00g0"', undefined],
    ['text', '"open', undefined],
    ['jsonb', '"\\u0001"', '"\\\\u0001"'],
    ['jsonb', '"\\u0022"', '"\\\\""'],
    ['jsonb', '"\\u005c"', '"\\\\\\\\"'],
    ['jsonb', '{"b":1,"1":2}', '{"1":2,"b":1}'],
    ['jsonb', '{"a":1,"b":0,"a":2}', '{"a":2,"b":0}'],
    ['jsonb', '{"\\u0061":1}', '{"a":1}'],
    ['jsonb', '[1,]', undefined],
    ['jsonb', '{"a":1,}', undefined],
    ['jsonb', '{"a"}', undefined],
    ['jsonb', '[1', undefined],
    ['jsonb', '[1e2,{"1":1.0}]', '[1e2,{"1":1.0}]'],
    [TEXT_ARRAY, '[1.10,"1.10",12E4]', '{1.10,1.10,12E4}'],
    [TEXT_ARRAY, '5.0', undefined],
    ['jsonb', `${'['.repeat(100)}${']'.repeat(100)}`, `${'['.repeat(100)}${']'.repeat(100)}`],
    [TEXT_ARRAY, '["a",null]', '{a,NULL}'],
    [TEXT_ARRAY, '5', undefined],
  ])('into %s: %s', (type, value, sent) => {
    expect(field(type, value)).toEqual([sent, 'slow']);
  });
});

describe('a record', () => {
  const ab = { a: 'int4', b: 'text' };

  it('may have white space wherever JSON has it, and blank lines before it', () => {
    const text = '\n \t\r\n \t{ "a"\t:\r1 ,\t"b" : "x" } \r\n{}\r\n{"b":"y"}';
    expect(transcode(text, ab)).toEqual({
      isPaused: false,
      sent: '1\tx\n\\N\t\\N\n\\N\ty\n',
      records: 3,
      lines: 5,
      linesBeforeLast: 4,
      bytes: text.length,
      slowPathRecords: 0,
    });
  });

  it('may have its keys in any order, and another one than the record before', () => {
    const text = '{"b":"x","a":1}\n{"a":2,"b":"y"}\n{"b":"z"}\n{"b":"x","a":3}\n{"a":4}\n';
    const { sent, slowPathRecords } = transcode(text, ab);
    expect(sent).toBe('1\tx\n2\ty\n\\N\tz\n3\tx\n4\t\\N\n');
    expect(slowPathRecords).toBe(0);
  });

  it('may have keys that are left out, if those were asked for', () => {
    const text = '{"c":[{"x":"\\n"}],"a":1,"d":-0.5,"b":"x","e":null}\n{"e":true,"b":"y","c":"","a":2}\n';
    const { sent, slowPathRecords } = transcode(text, ab, true);
    expect(sent).toBe('1\tx\n2\ty\n');
    expect(slowPathRecords).toBe(0);
    expect(transcode('{"a":1,"c":1x}\n', ab, true)).toMatchObject({ records: 0, bytes: 0 });
    expect(transcode('{"a":1,"c\td":1}\n', ab, true)).toMatchObject({ records: 0, bytes: 0 });
    expect(transcode('{"a":1,"c\n', ab, true)).toMatchObject({ records: 0, bytes: 0 });
    expect(transcode('{"a":1,"\\u0062":"x"}\n', ab, true)).toMatchObject({
      sent: '1\tx\n',
      slowPathRecords: 1,
    });
  });

  it('takes the slow path with a key that comes twice or is escaped', () => {
    const text = '{"a":1,"b":"x","a":2}\n{"\\u0061":3,"b":"y"}\n{"b":"x","b":null}\n';
    const { sent, slowPathRecords } = transcode(text, ab);
    expect(sent).toBe('2\tx\n3\ty\n\\N\t\\N\n');
    expect(slowPathRecords).toBe(3);
  });

  it('stands in its place where those around it take the fast path', () => {
    const fast = (a: number) => `{"a":${a},"b":"x"}\n`;
    const long = (a: number) => `{"a":${a}e0,"b":"x"}\n`;
    const text = long(1) + long(2) + fast(3) + long(4) + fast(5) + fast(6) + long(7);
    const { sent, slowPathRecords } = transcode(text, ab);
    expect(sent.replace(/\tx\n/g, '')).toBe('1234567');
    expect(slowPathRecords).toBe(4);
  });

  it('with a fault ends it, before that record', () => {
    const good = '{"a":1,"b":"x"}\n\n{"a":1e0}\n';
    for (const bad of [
      ...['{"a":1.5}', '{"a":1', '[]', 'x', '{"c":1}', '{"a":1,"c":null}', '{"a":1}}', '{"a":1 "b":""}'],
      ...['"a":1}', '{\f"a":1}', '{"a" 1}', '{,"a":1}', '{"a":1,}', '{"a":1}x'],
    ]) {
      const found = transcode(`${good}${bad}\n${good}`, ab);
      expect(found).toMatchObject({ sent: '1\tx\n1\t\\N\n', records: 2, lines: 3, bytes: good.length });
    }
  });

  it('a record that is not UTF-8 ends the block before it', () => {
    const columns = [columnOf('a', 'text')];
    const block = Buffer.concat([
      Buffer.from('{"a":"é"}\n{"a":"'),
      Buffer.of(0xff),
      Buffer.from('"}\n{"a":"x"}\n'),
    ]);
    const { data, ...counts } = new NdjsonTranscoder({ columns, ignoresOtherKeys: false }).transcode(block);
    expect(data.toString()).toBe('é\n');
    expect(counts).toEqual({ isPaused: false, records: 1, lines: 1, linesBeforeLast: 0, bytes: 11 });
  });
});

describe('a block', () => {
  it('may be of any size, and become larger than it was', () => {
    const backslashes = `{"a":"${'\\\\'.repeat(100_000)}"}\n`;
    expect(transcode(backslashes.repeat(3), { a: 'json' })).toMatchObject({ records: 3, slowPathRecords: 0 });
    const wide = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`c${index}`, 'text']));
    expect(transcode('{}\n'.repeat(500), wide)).toMatchObject({ records: 500, slowPathRecords: 0 });
    expect(transcode('{"c299":"x","c0":"y"}\n'.repeat(500), wide)).toMatchObject({
      records: 500,
      slowPathRecords: 0,
    });
  });

  it('leaves what it gave before as it is', () => {
    const transcoder = new NdjsonTranscoder({ columns: [columnOf('a', 'text')], ignoresOtherKeys: false });
    const first = transcoder.transcode(Buffer.from('{"a":"first"}\n{"a":1e1}\n'));
    const second = transcoder.transcode(Buffer.from('{"a":"second"}\n{"a":2e1}\n'));
    expect(second.data.toString()).toBe('second\n2e1\n');
    expect(first.data.toString()).toBe('first\n1e1\n');
  });

  it('a block of no bytes gives none', () => {
    const counts = { records: 0, lines: 0, linesBeforeLast: 0, bytes: 0, isPaused: false };
    expect(transcode('', { a: 'text' })).toEqual({ sent: '', ...counts, slowPathRecords: 0 });
  });

  it('with more forms of records than are remembered is read all the same', () => {
    const lines = Array.from({ length: 10_000 }, (_, index) => {
      const space = ' '.repeat(1 + (index % 200));
      const tabs = '\t'.repeat(Math.floor(index / 200));
      return `{${space}"a":${tabs}${index},"b":"x"${space}}\n`;
    });
    expect(transcode(lines.join(''), { a: 'int4', b: 'text' })).toMatchObject({
      records: 10_000,
      slowPathRecords: 0,
    });
    const long = `{${' '.repeat(2_000)}"a":1}\n`;
    expect(transcode(long, { a: 'int4' })).toMatchObject({ sent: '1\n', slowPathRecords: 1 });
  });

  it('may name columns as JavaScript names what all objects have', () => {
    const text = '{"__proto__":"x","constructor":1}\n{"constructor":2}\n{"toString":"z"}\n';
    const { sent, slowPathRecords } = transcode(text, {
      ['__proto__']: 'text',
      constructor: 'int4',
      toString: 'text',
    });
    expect(sent).toBe('x\t1\t\\N\n\\N\t2\t\\N\n\\N\t\\N\tz\n');
    expect(slowPathRecords).toBe(0);
  });
});
