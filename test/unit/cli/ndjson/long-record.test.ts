import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonScan } from '../../../../src/cli/ndjson/values/json-scan.js';
import { LONG_RECORD, parseLongRecord, WrittenJson } from '../../../../src/cli/ndjson/values/long-record.js';
import { jsonLiteral } from '../../../../src/cli/ndjson/values/json-literal.js';
import type { WrittenArray } from '../../../../src/cli/ndjson/values/written-array.js';
import { WrittenNumber } from '../../../../src/cli/ndjson/values/written-number.js';
import { NdjsonReader } from '../../../../src/cli/ndjson/rows/ndjson-reader.js';
import { fieldEncoder } from '../../../../src/cli/ndjson/rows/ndjson-rows.js';
import { compileEncoder, type ColumnType } from '../../../../src/postgres/encoding/text/text-encoders.js';

/** Keys that `JSON.parse` leaves in their order. */
const KEY = fc.string().map((text) => `k${text}`);
const VALUE = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.string({ unit: 'binary' }),
    fc.constantFrom('"', '\\', '\n', '[', ']', ',', 'null'),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => (number === 0 ? 0 : number)),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(KEY, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value;
const OBJECT = fc.dictionary(KEY, VALUE, { noNullPrototype: true });

/** A text in JSON, each character spelled in one of the ways that JSON has. */
const SPELLED = fc
  .array(
    fc.tuple(
      fc.constantFrom('a', '"', '\\', '/', '\n', '\u0001', '\u007f', 'é', '€', '\ud83d', '\ude00', '😀'),
      fc.nat(3),
    ),
    { maxLength: 20 },
  )
  .map((units) => `"${units.map(([unit, way]) => spelling(unit, way)).join('')}"`);

function spelling(text: string, way: number): string {
  const codes = Array.from(text.split(''), (unit) => unit.charCodeAt(0).toString(16).padStart(4, '0'));
  if (way === 0) return codes.map((code) => `\\u${code}`).join('');
  if (way === 1) return codes.map((code) => `\\u${code.toUpperCase()}`).join('');
  return text === '/' && way === 2 ? '\\/' : JSON.stringify(text).slice(1, -1);
}

/** What a reader of JSON makes of it: the text of values, and of texts themselves. */
function plain(value: unknown): unknown {
  if (value instanceof WrittenJson) return JSON.parse(value.text);
  if (value instanceof WrittenNumber) return Number(value.value);
  return value;
}

describe('a long record', () => {
  it('has the values that JSON.parse gives, whatever white space is in it', () => {
    fc.assert(
      fc.property(OBJECT, fc.constantFrom(undefined, 1, '\t'), (object, space) => {
        const record = parseLongRecord(JSON.stringify(object, undefined, space)) as Record<string, unknown>;
        const read = Object.fromEntries(Object.entries(record).map(([key, value]) => [key, plain(value)]));
        expect(JSON.stringify(read)).toBe(JSON.stringify(object));
        for (const [key, value] of Object.entries(record))
          if (value instanceof WrittenJson) expect(value.text).toBe(JSON.stringify(object[key]));
      }),
      { numRuns: 500 },
    );
  });

  it('has the keys and values that JSON.parse gives, whatever the spelling of its texts', () => {
    fc.assert(
      fc.property(SPELLED, SPELLED, (key, value) => {
        const line = `{${key}:${value},"c":{ ${key} : [${value}, 1]}}`;
        const parsed = JSON.parse(line) as Record<string, unknown>;
        const { c, ...rest } = parseLongRecord(line) as Record<string, unknown>;
        const { c: parsedC, ...parsedRest } = parsed;
        expect(rest).toEqual(parsedRest);
        expect((c as WrittenJson).text).toBe(JSON.stringify(parsedC));
      }),
      { numRuns: 2000 },
    );
  });

  it('is accepted where JSON.parse accepts it, and refused where it refuses', () => {
    const broken = fc
      .tuple(
        OBJECT,
        fc.nat(),
        fc.nat(3),
        fc.constantFrom('', '"', ',', '0', '-', '.', 'e', '\\', '\\u00', '[', '}', ' ', 'n'),
      )
      .map(([object, place, length, text]) => {
        const json = JSON.stringify(object);
        const at = place % (json.length + 1);
        return json.slice(0, at) + text + json.slice(at + length);
      });
    fc.assert(
      fc.property(broken, (text) => {
        expect(isAccepted(() => parseLongRecord(text))).toBe(isAccepted(() => JSON.parse(text)));
      }),
      { numRuns: 3000 },
    );
  });

  it.each([
    '01',
    '-',
    '1.',
    '.5',
    '1e',
    '+1',
    'nul',
    'truee',
    '"\\x"',
    '"\t"',
    '"\\u12g4"',
    '[1,]',
    '{"a":1,}',
    '{"a"}',
    '{a:1}',
    '[',
    '"',
  ])('is refused with %s for a value', (text) => {
    expect(isAccepted(() => parseLongRecord(`{"a":${text}}`))).toBe(false);
  });

  it('may be nested a million times', () => {
    const scan = new JsonScan('['.repeat(1e6) + ']'.repeat(1e6));
    scan.skipValue();
    expect(scan.at).toBe(2e6);
  });

  it('keeps the last of two values of one key, and the key __proto__', () => {
    const record = parseLongRecord('{"a":1,"__proto__":2,"a":3}') as object;
    expect(Object.entries(record)).toEqual([
      ['a', 3],
      ['__proto__', 2],
    ]);
  });

  it('keeps the keys that are named, and the first others', () => {
    const members = Array.from({ length: 10 }, (_, n) => `"k${n}":${n}`).join(',');
    const kept = (names: string[], mostOthers: number) =>
      parseLongRecord(`{${members},"k0":10,"k1":11,"k8":18,"\\u006b9":19}`, {
        names: new Set(names),
        mostOthers,
      });
    expect(kept(['k8', 'k9'], 1)).toEqual({ k0: 10, k8: 18, k9: 19 });
    expect(kept([], 2)).toEqual({ k0: 10, k1: 11 });
    expect(kept(['none'], 0)).toEqual({});
    expect(() => parseLongRecord('{"a":1,"b":[}', { names: new Set(), mostOthers: 1 })).toThrow(/token/);
  });

  it('is what the reader makes of a long line, with numbers as they are written', () => {
    const records: Record<string, unknown>[] = [];
    const line = `{"a":1.10,"b":"${'x'.repeat(LONG_RECORD)}","c":[ 1e5, "\\u0041\\/" ]}\n`;
    new NdjsonReader('x').read(Buffer.from(line), (record) => records.push(record));
    expect(String(records[0]!['a'])).toBe('1.10');
    expect(records[0]!['b']).toHaveLength(LONG_RECORD);
    expect((records[0]!['c'] as WrittenJson).text).toBe('[1e5,"A/"]');
  });
});

describe('a long array', () => {
  const NAMES = ['int2', 'int4', 'int8', 'numeric', 'float8', 'bool', 'text', 'date', 'jsonb', 'bytea'];

  it('has the literal that the array of its values has, or is refused alike', () => {
    const elements = fc.array(
      fc.oneof(
        fc.integer(),
        fc.constantFrom(1.5, 99_999, true, null, 'null', 'a"b', 'a\\b', 'a b', '', '[', { k: [1] }),
        fc.array(fc.oneof(fc.integer(), fc.constant('x')), { maxLength: 2 }),
      ),
      { maxLength: 4 },
    );
    fc.assert(
      fc.property(fc.constantFrom(...NAMES), elements, (name, values) => {
        const category = name === 'text' ? 'S' : 'U';
        const type: ColumnType = {
          kind: 'array',
          element: { kind: 'scalar', name, category },
          delimiter: ',',
        };
        const literal = (value: unknown) =>
          outcomeOf(() => elementsOf(compileEncoder(type).toText(fieldEncoder(type)(value))!));
        expect(literal(new WrittenJson(JSON.stringify(values)))).toEqual(literal(values));
      }),
      { numRuns: 2000 },
    );
  });

  it('has the texts of its values, whatever their spelling, or is refused for half of a surrogate pair', () => {
    const toField = fieldEncoder({
      kind: 'array',
      element: { kind: 'scalar', name: 'text', category: 'S' },
      delimiter: ',',
    });
    const literalOf = (value: unknown) => (toField(value) as WrittenArray).toPostgres();
    fc.assert(
      fc.property(
        fc.array(fc.oneof(SPELLED, fc.constantFrom('1', 'null', 'true')), { maxLength: 4 }),
        (texts) => {
          const json = `[[${texts.join(',')}],["\\u0041"]]`;
          const compacted = JSON.stringify(JSON.parse(json));
          const values = JSON.parse(json) as (string | number | boolean | null)[][];
          const make = () => literalOf(new WrittenJson(compacted));
          if (values.flat().every((value) => String(value).isWellFormed())) {
            const rows = values.map((row) => `{${row.map(elementOf).join(',')}}`);
            expect(elementsOf(make())).toEqual(elementsOf(`{${rows.join(',')}}`));
          } else expect(make).toThrow(/half of a surrogate pair/);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['[[1],["a"]]', '{{1},{"\\"a\\""}}'],
    ['[[[1]],[2]]', '{{{1}},{2}}'],
    ['[[],[[]]]', '{{},{{}}}'],
    ['[[1],2]', '{"[1]",2}'],
    ['[{"a":[[1]]},null]', '{"{\\"a\\":[[1]]}",null}'],
    ['["\\\\\\"[",true]', '{"\\"\\\\\\\\\\\\\\"[\\"",true}'],
  ])('a long array of JSON %s: arrays are dimensions if nothing else stands beside them', (json, literal) => {
    expect(jsonLiteral(json, 0x2c)).toBe(literal);
  });
});

function elementOf(value: string | number | boolean | null): string {
  if (value === null) return 'NULL';
  return typeof value === 'string' ? `"${value.replace(/["\\]/g, '\\$&')}"` : String(value);
}

/** Of a literal, for quotes may be there or not. */
function elementsOf(literal: string): string[] {
  const found = literal.match(/"(?:[^"\\]|\\.)*"|[{},]|[^{},"]+/gs) ?? [];
  return found.map((part) =>
    /^null$/i.test(part) ? 'NULL' : /^".*"$/s.test(part) ? part.slice(1, -1) : part,
  );
}

function isAccepted(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(SyntaxError);
    return false;
  }
}

function outcomeOf(make: () => unknown): unknown {
  try {
    return make();
  } catch (error) {
    return String(error);
  }
}
