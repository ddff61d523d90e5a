import fc from 'fast-check';
import { LosslessNumber } from 'lossless-json';
import { describe, expect, it } from 'vitest';
import type { TableColumn } from '../../../../src/postgres/table/catalogue.js';
import { NdjsonRows } from '../../../../src/cli/ndjson/rows/ndjson-rows.js';
import { readNdjson } from '../../../support/cli-records.js';
import { range } from '../../../support/range.js';

describe('NDJSON', () => {
  it('has an object on each line; blank lines are skipped and counted', () => {
    const { rows, error } = readNdjson('{"a":1}\r\n\n  \t\n {"b":[null,"é"]} \n{"c":{}}');
    expect(error).toBeUndefined();
    expect(rows).toEqual([
      { row: { a: 1 }, line: 1 },
      { row: { b: [null, 'é'] }, line: 4 },
      { row: { c: {} }, line: 5 },
    ]);
    expect(readNdjson('')).toEqual({ rows: [], error: undefined });
    expect(readNdjson('\ufeff{"a":1}\n').rows).toHaveLength(1);
  });

  it.each([
    ['9007199254740993'],
    ['-12345678901234567890'],
    ['0.12345678901234567890'],
    ['1e400'],
    ['1e-400'],
    ['1E-0400'],
    ['123456789012345680'],
  ])('keeps the digits of %s', (digits) => {
    const { rows } = readNdjson(`{"n":${digits},"deep":[{"n":${digits}}]}\n`);
    expect(rows[0]!.row).toEqual({
      n: new LosslessNumber(digits),
      deep: [{ n: new LosslessNumber(digits) }],
    });
  });

  it('gives plain numbers where they are exact, whatever stands beside them', () => {
    const { rows } = readNdjson(
      '{"a":1.5,"b":0.30000000000000004,"c":9007199254740991,"d":"1234567890123456789"}\n',
    );
    expect(rows[0]!.row).toEqual({
      a: 1.5,
      b: 0.30000000000000004,
      c: 9007199254740991,
      d: '1234567890123456789',
    });
  });

  it('takes the last of two equal keys, beside long numbers too', () => {
    expect(readNdjson('{"a":1,"a":2}\n').rows[0]!.row).toEqual({ a: 2 });
    expect(readNdjson('{"a":1,"a":2,"b":12345678901234567890}\n').rows[0]!.row).toMatchObject({ a: 2 });
  });

  // The reason is the engine's own, and differs a little from one to the next.
  it.each<[string, RegExp]>([
    ['{"a":1,}', /^f:3: not JSON: .+ at character 8$/],
    ['{bad}', /^f:3: not JSON: .+ at character 2$/],
    ['{"a":1} x', /^f:3: not JSON: .+ at character 9$/],
    ['{"a":01}', /^f:3: not JSON: .+ at character 7$/],
    ['{"n":12345678901234567890,}', /^f:3: not JSON: .+ at character 27$/],
    ['{"a":', /^f:3: not JSON: the text ends in the middle of a value$/],
    ['{"a', /^f:3: not JSON: the text ends in the middle of a value$/],
    ['hello, my secret', /^f:3: not JSON: unexpected token 'h'$/],
    ['[1]', /^f:3: expected a JSON object, got an array$/],
    ['null', /^f:3: expected a JSON object, got null$/],
    ['"secret"', /^f:3: expected a JSON object, got a string$/],
    ['12345678901234567890', /^f:3: expected a JSON object, got a number$/],
  ])('refuses %j with its line, after the rows before it, and does not repeat it', (line, message) => {
    const { rows, error } = readNdjson(`{"a":1}\n\n${line}\n{"a":2}\n`);
    expect(error).toMatch(message);
    expect(error).not.toContain('secret');
    expect(rows).toHaveLength(1);
  });

  it('refuses what is no UTF-8, after the rows before it', () => {
    const bytes = Buffer.from('{"a":"x"}\n{"a":"\xe9"}\n', 'latin1');
    const { rows, error } = readNdjson(bytes);
    expect(error).toBe(
      'f:2: not UTF-8: byte 0xE9 at byte 7 of the line; --encoding says how the file is encoded',
    );
    expect(rows).toHaveLength(1);
  });

  it('refuses a record over --max-record-bytes, wherever it is cut', () => {
    const text = `{"a":1}\n{"a":"${'é'.repeat(50)}"}\n`;
    for (const cuts of [[], [5, 20], [100], range(116)]) {
      const { rows, error } = readNdjson(text, cuts, 100);
      expect(error).toBe('f:2: the record is longer than --max-record-bytes (100)');
      expect(rows).toHaveLength(1);
    }
    expect(readNdjson(text, [], 108).error).toBeUndefined();
  });

  it('gives the same wherever the bytes are cut', () => {
    const lines = fc.array(
      fc.oneof(
        fc
          .dictionary(fc.string({ maxLength: 3 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 })
          .map((value) => JSON.stringify(value)),
        fc.constantFrom('', ' ', '\r', '[1]', '{"n":12345678901234567890}', '{"é":"😀"}', '{'),
      ),
      { maxLength: 8 },
    );
    const bytesWithCuts = fc
      .tuple(lines, fc.constantFrom('\n', '\r\n'), fc.boolean())
      .map(([texts, lineBreak, ended]) => Buffer.from(texts.join(lineBreak) + (ended ? lineBreak : '')))
      .chain((bytes) =>
        fc.tuple(fc.constant(bytes), fc.array(fc.nat({ max: bytes.length }), { maxLength: 12 })),
      );
    fc.assert(
      fc.property(bytesWithCuts, ([bytes, cuts]) => {
        expect(readNdjson(bytes, cuts)).toEqual(readNdjson(bytes));
      }),
      { numRuns: 1000 },
    );
  });
});

function column(name: string, type: string): TableColumn {
  return { name, typeName: type, isGenerated: false, type: { kind: 'scalar', name: type, category: '' } };
}

function arrayColumn(name: string): TableColumn {
  const element = { kind: 'scalar', name: 'int4', category: 'N' } as const;
  return {
    name,
    typeName: 'integer[]',
    isGenerated: false,
    type: { kind: 'array', element, delimiter: ',' },
  };
}

function rowsOf(text: string, columns: TableColumn[], ignoresOtherKeys = false): unknown[][] {
  const rows: unknown[][] = [];
  const file = { name: 'f', path: 'f', sizeBytes: undefined };
  const reader = new NdjsonRows(file, { columns, ignoresOtherKeys });
  reader.read(Buffer.from(text), (row) => rows.push(row));
  return rows;
}

describe('rows of NDJSON', () => {
  it('have undefined for an absent key, and null for null', () => {
    const columns = [column('a', 'int4'), column('b', 'text')];
    expect(rowsOf('{"b":"x","a":1}\n{"a":2}\n{"a":null,"b":null}\n{}\n', columns)).toEqual([
      [1, 'x'],
      [2, undefined],
      [null, null],
      [undefined, undefined],
    ]);
  });

  it('take no value from what objects inherit', () => {
    const columns = [column('constructor', 'text'), column('__proto__', 'text'), column('toString', 'text')];
    expect(rowsOf('{}\n{"__proto__":"x","constructor":"y"}\n', columns)).toEqual([
      [undefined, undefined, undefined],
      ['y', 'x', undefined],
    ]);
  });

  it('refuse a key that no column stands for, unless --columns names the keys', () => {
    const columns = [column('a', 'int4')];
    expect(() => rowsOf('{"a":1}\n{"a":1,"b":2}\n', columns)).toThrow(
      'f:2: the key "b" is not among those that are loaded',
    );
    expect(() => rowsOf('{"toString":2}\n', columns)).toThrow('f:1: the key "toString"');
    expect(rowsOf('{"a":1,"b":2}\n', columns, true)).toEqual([[1]]);
  });

  it('have JSON for json columns, and the literal elsewhere', () => {
    const value = '{"v":VALUE}\n';
    const into = (type: string, json: string): unknown =>
      rowsOf(value.replace('VALUE', json), [column('v', type)])[0]![0];
    expect(into('jsonb', '"text"')).toBe('"text"');
    expect(into('json', '{"a":[1,12345678901234567890]}')).toBe('{"a":[1,12345678901234567890]}');
    expect(into('jsonb', '12345678901234567890')).toBe('12345678901234567890');
    expect(into('jsonb', 'true')).toBe('true');
    expect(into('text', '"text"')).toBe('text');
    expect(into('text', '{"a":1}')).toBe('{"a":1}');
    expect(into('int8', '9007199254740993')).toBe('9007199254740993');
    expect(into('int8', '5')).toBe(5);
    expect(into('bool', 'true')).toBe(true);
  });

  it('name the line of a record that is nested too deeply', () => {
    const nested = (inner: string) => `${'['.repeat(30_000)}${inner}${']'.repeat(30_000)}`;
    for (const text of [`{}\n{"v":${nested('')}}\n`, `{}\n{"v":${nested('12345678901234567890')}}\n`]) {
      for (const to of [column('v', 'jsonb'), column('v', 'text'), arrayColumn('v')]) {
        expect(() => rowsOf(text, [to])).toThrow(/^f:2: the record is nested too deeply$/);
      }
    }
  });

  it('give arrays to array columns as arrays', () => {
    const text = '{"v":[1,null,9007199254740993,[2]]}\n{"v":"{1,2}"}\n';
    expect(rowsOf(text, [arrayColumn('v')])).toEqual([[[1, null, '9007199254740993', [2]]], ['{1,2}']]);
  });
});
