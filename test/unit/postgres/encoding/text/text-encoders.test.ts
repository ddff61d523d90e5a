import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChunkWriter, escapeText } from '../../../../../src/postgres/encoding/text/chunk-writer.js';
import { compileEncoder, type ColumnType } from '../../../../../src/postgres/encoding/text/text-encoders.js';
import { ValueFault } from '../../../../../src/postgres/encoding/text/value-fault.js';

const scalar = (name: string, category = ''): ColumnType => ({ kind: 'scalar', name, category });
const arrayOf = (element: ColumnType, delimiter = ','): ColumnType => ({ kind: 'array', element, delimiter });

function text(type: ColumnType, value: unknown): string | null {
  return compileEncoder(type).toText(value);
}

const NAMES = [
  'bool', 'int2', 'int4', 'int8', 'oid', 'float4', 'float8', 'numeric', 'money', 'text', 'varchar', 'json', 'jsonb', 'bytea', 'date',
  'timestamp', 'timestamptz', 'time', 'uuid', 'inet', 'point', 'circle', '',
]; // prettier-ignore

const anything = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.bigInt(),
  fc.boolean(),
  fc.string({ unit: 'binary' }),
  fc.date({ noInvalidDate: false }),
  fc.uint8Array(),
  fc.object(),
  fc.array(fc.oneof(fc.integer(), fc.string(), fc.constant(null))),
);

test('the fast path into a chunk writes the bytes of the slow path, for any value of any type', () => {
  fc.assert(
    fc.property(fc.constantFrom(...NAMES), anything, (name, value) => {
      const encoder = compileEncoder(scalar(name));
      const outcome = (work: () => string) => {
        try {
          return work();
        } catch (error) {
          expect(error).toBeInstanceOf(ValueFault);
          return 'refused';
        }
      };
      const short = outcome(() => {
        const writer = new ChunkWriter();
        encoder.write(writer, value);
        return writer.take().toString('utf8');
      });
      const long = outcome(() => {
        const plain = encoder.toText(value)!;
        if (plain.includes('\0') || !plain.isWellFormed()) throw new ValueFault('22021', '');
        return escapeText(plain);
      });
      expect(short).toBe(long);
    }),
    { numRuns: 3000 },
  );
});

describe('a value of the wrong kind', () => {
  test.each<[string, unknown, RegExp]>([
    ['int4', {}, /must be an integer .*got an object/],
    ['int4', [1], /got an array/],
    ['int4', new Date(0), /got a Date/],
    ['int4', true, /got the boolean true/],
    ['int4', 1.5, /got the number 1.5/],
    ['int4', Number.NaN, /got the number NaN/],
    ['int4', Symbol('x'), /got a symbol/],
    ['int2', 32768, /out of range: 32768/],
    ['int4', 2 ** 31, /out of range/],
    ['int8', 2n ** 63n, /out of range/],
    ['int8', 2 ** 53, /not exact/],
    ['oid', -1, /out of range/],
    ['bool', 2, /must be a boolean/],
    ['float8', '', /^$/],
    ['float8', true, /must be a number/],
    ['text', {}, /must be a string/],
    ['text', Buffer.from('x'), /got bytes/],
    ['text', () => 1, /got a function/],
    ['jsonb', () => 1, /must be JSON/],
    ['jsonb', Buffer.from('x'), /must be JSON; got bytes/],
    ['bytea', 5, /must be a Buffer/],
    ['bytea', [1, 2], /got an array/],
    ['timestamptz', new Date(Number.NaN), /got an invalid Date/],
    ['date', new Date(Number.NaN), /got an invalid Date/],
    ['text', new Date(Number.NaN), /got an invalid Date/],
    ['timestamp', 0, /must be a Date or a string/],
    ['uuid', {}, /must be a string/],
    ['point', { x: 1 }, /must be a string or/],
  ])('%s refuses %s', (name, value, message) => {
    if (message.source === '^$') {
      expect(text(scalar(name), value)).toBe('');
      return;
    }
    expect(() => text(scalar(name), value)).toThrow(message);
  });

  test('a long string is not quoted whole', () => {
    expect(() => text(arrayOf(scalar('int4')), true)).toThrow(ValueFault);
    try {
      text(scalar('int4'), { toPostgres: () => ({ toPostgres: () => 1 }) });
      expect.unreachable();
    } catch (error) {
      expect((error as Error).message.length).toBeLessThan(120);
    }
  });

  test('circular objects are refused for json, in one line', () => {
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    expect(() => text(scalar('jsonb'), circle)).toThrow(/cannot be turned into JSON: [^\n]*$/);
  });
});

describe('arrays', () => {
  test('each element is quoted where its text needs it, and only there', () => {
    const values = ['plain', '', 'null', 'NULL', 'a b', 'a,b', '{}', '"', '\\', null, undefined];
    expect(text(arrayOf(scalar('text')), values)).toBe(
      '{plain,"","null","NULL","a b","a,b","{}","\\"","\\\\",NULL,NULL}',
    );
  });

  test('a string given for a number cannot become two', () => {
    expect(text(arrayOf(scalar('int4')), ['1,2'])).toBe('{"1,2"}');
  });

  test('nested arrays are dimensions, but within json they are values', () => {
    expect(text(arrayOf(scalar('int4')), [[1], [2]])).toBe('{{1},{2}}');
    expect(text(arrayOf(scalar('jsonb')), [[1], 2])).toBe('{"[1]",2}');
  });

  test('the elements of an array of a domain over an array are arrays of their own', () => {
    const type = arrayOf(arrayOf(scalar('text')));
    expect(text(type, [['a', 'b c'], null, [], '{x}'])).toBe('{"{a,\\"b c\\"}",NULL,"{}","{x}"}');
    expect(text(type, [[['a'], ['b']]])).toBe('{"{{a},{b}}"}');
  });

  test("the type's own delimiter, typed arrays, holes", () => {
    expect(text(arrayOf(scalar(''), ';'), ['(1,1)', 'x'])).toBe('{"(1,1)";x}');
    expect(text(arrayOf(scalar('float8')), new Float32Array([0.5, 2]))).toBe('{0.5,2}');
    // eslint-disable-next-line no-sparse-arrays -- what is tested
    expect(text(arrayOf(scalar('int4')), [1, , 3])).toBe('{1,NULL,3}');
  });

  test('a DataView or a Buffer is no array', () => {
    for (const value of [Buffer.from([1]), new DataView(new ArrayBuffer(1))]) {
      expect(() => text(arrayOf(scalar('int4')), value)).toThrow(/must be an array/);
    }
  });
});

test("a string is the type's own literal everywhere", () => {
  for (const name of NAMES) expect(text(scalar(name), 'as it is')).toBe('as it is');
  expect(text(arrayOf(scalar('int4')), '{1,2}')).toBe('{1,2}');
});

test('types of the category "string" take what text takes; others no dates', () => {
  const date = new Date(0);
  expect(text(scalar('', 'S'), date)).toBe(text(scalar('text'), date));
  expect(text(scalar('', 'U'), true)).toBe('true');
  expect(() => text(scalar('', 'U'), date)).toThrow(ValueFault);
});

test('objects that know their literal are asked for it, as node-postgres does', () => {
  const interval = { toPostgres: (prepare: (value: unknown) => unknown) => prepare('1 day') };
  expect(text(scalar('interval'), interval)).toBe('1 day');
  expect(text(arrayOf(scalar('interval')), [interval])).toBe('{"1 day"}');
  expect(text(scalar('int4'), { toPostgres: () => 5 })).toBe('5');
});
