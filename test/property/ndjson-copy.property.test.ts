/** Any NDJSON into any columns: the fast path sends the very bytes that the slow path sends, and stops where that one finds a fault. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NdjsonTranscoder } from '../../src/cli/ndjson/copy/transcoder.js';
import type { ColumnType } from '../../src/postgres/encoding/text/text-encoders.js';
import { columnOf, readable, transcodedBySlowPath } from '../support/ndjson-reference.js';
import { fastCheckRuns } from '../support/test-runs.js';

const SCALARS = [
  ...['bool', 'int2', 'int4', 'int8', 'oid', 'xid', 'cid', 'float4', 'float8', 'numeric', 'money', 'text'],
  ...[
    'varchar',
    'bpchar',
    'name',
    'char',
    'xml',
    'json',
    'jsonb',
    'bytea',
    'date',
    'timestamp',
    'timestamptz',
  ],
  ...['point', 'circle', 'uuid', 'inet', 'interval', 'time', 'int4range', ''],
];

const scalarType: fc.Arbitrary<ColumnType> = fc
  .tuple(fc.constantFrom(...SCALARS), fc.constantFrom('S', 'U', 'N', 'E'))
  .map(([name, category]) => ({ kind: 'scalar', name, category }));
const type: fc.Arbitrary<ColumnType> = fc.oneof(
  { weight: 8, arbitrary: scalarType },
  {
    weight: 1,
    arbitrary: scalarType.map((element) => ({ kind: 'array' as const, element, delimiter: ',' })),
  },
);

const digit = fc.constantFrom('0', '0', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '9');
const digits = (minLength: number, maxLength: number) =>
  fc.array(digit, { minLength, maxLength, size: 'max' }).map((all) => all.join(''));
const LIMITS = [
  ...['32767', '32768', '2147483647', '2147483648', '4294967295', '4294967296', '9007199254740991'],
  ...[
    '9007199254740992',
    '9007199254740993',
    '9223372036854775807',
    '9223372036854775808',
    '999999999999999',
  ],
];
const number = fc
  .tuple(
    fc.constantFrom('', '', '-'),
    fc.oneof(
      digits(1, 4),
      digits(1, 20),
      digits(0, 400),
      fc.constantFrom(...LIMITS),
      fc.constantFrom('0', '0', '1'),
    ),
    fc.oneof(
      { weight: 3, arbitrary: fc.constant('') },
      digits(1, 4).map((fraction) => `.${fraction}`),
      digits(0, 20).map((fraction) => `.${fraction}`),
      fc.constantFrom('.0', '.00', '.5', '.50', '.000001', '.0000001', '.00000100', '.000000100', '.'),
    ),
    fc.oneof(
      { weight: 6, arbitrary: fc.constant('') },
      fc.constantFrom('e0', 'E5', 'e+2', 'e-3', 'e', 'e400', '-', 'x'),
    ),
  )
  .map((parts) => parts.join(''));

const PIECES = [
  ...[
    'a',
    'b',
    ' ',
    'null',
    '0',
    "'",
    '/',
    '{',
    '}',
    ',',
    ':',
    'é',
    '日',
    '😀',
    '\u007f',
    '\u2028',
    '\ufeff',
  ],
  ...[
    '\\n',
    '\\t',
    '\\r',
    '\\b',
    '\\f',
    '\\"',
    '\\\\',
    '\\/',
    '\\u0041',
    '\\u00e9',
    '\\u65E5',
    '\\ud83d\\ude00',
  ],
  ...[
    '\\uD83D\\uDE00',
    '\\u0009',
    '\\u000a',
    '\\u000D',
    '\\u0022',
    '\\u005C',
    '\\u001f',
    '\\u007F',
    '\\u2028',
  ],
];
const BAD_PIECES = [
  ...[
    '\\ud83d',
    '\\ude00',
    '\\ud83d\\n',
    '\\ud83d\\u0041',
    '\\u0000',
    '\\x',
    '\\u12',
    '\\u12G4',
    '\\N',
    '\\U0041',
  ],
  ...['\t', '\u0000', '\u001f', '\r', '\\'],
];
const stringOf = (pieces: readonly string[], maxLength: number) =>
  fc.array(fc.constantFrom(...pieces), { maxLength, size: 'max' }).map((all) => `"${all.join('')}"`);
const string = fc.oneof(
  { weight: 4, arbitrary: stringOf(PIECES, 4) },
  { weight: 1, arbitrary: stringOf(PIECES, 60) },
  { weight: 1, arbitrary: stringOf(BAD_PIECES, 2) },
);

const value = fc.oneof(
  { weight: 6, arbitrary: number },
  { weight: 6, arbitrary: string },
  fc.constantFrom('null', 'true', 'false', 'nul', 'trues', '', '0', '1', 'NaN', '+1', 'Infinity'),
  fc.constantFrom('{}', '[]', '[1,2]', '{"a":1.0}', '[null,"x",[1]]', '{"b":1,"b":2}', '[1', '"', '{"a":'),
  fc.json({ maxDepth: 3 }),
);

const space = fc.oneof(
  { weight: 8, arbitrary: fc.constant('') },
  fc.constantFrom(' ', '\t', '\r', '  \t\r ', '\u00a0', '\f'),
);

/** White space and all; mostly JSON. */
const { nested } = fc.letrec((tie) => {
  const inner = fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(number, string, fc.constantFrom('null', 'true', 'false', '')),
    tie('nested') as fc.Arbitrary<string>,
  );
  const spaced = fc.tuple(space, inner, space).map((parts) => parts.join(''));
  const key = fc.oneof(
    fc.constantFrom('"a"', '"b"', '"ab"', '""', '"__proto__"', '"toJSON"', '"é"', '"0"', '"\\u0061"', 'a'),
    string,
  );
  const member = fc
    .tuple(space, key, space, spaced)
    .map(([left, name, right, each]) => `${left}${name}${right}:${each}`);
  const list = (of: fc.Arbitrary<string>) =>
    fc
      .tuple(space, fc.array(of, { maxLength: 4 }))
      .map(([left, all]) => (all.length === 0 ? left : all.join(',')));
  return {
    nested: fc.oneof(
      list(spaced).map((all) => `[${all}]`),
      list(member).map((all) => `{${all}}`),
    ),
  };
});

const NAMES = [
  'a',
  'b',
  'c d',
  'é',
  '__proto__',
  'constructor',
  'toString',
  '0',
  '',
  'isLosslessNumber',
  'a"b',
];
const keyText = (name: string) =>
  fc.oneof(
    { weight: 12, arbitrary: fc.constant(JSON.stringify(name)) },
    fc.constant(
      `"${name.replace(/./g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)}"`,
    ),
  );

/** The keys of a record and what stands around them: several records have the same. */
const shape = (names: readonly string[]) =>
  fc.record({
    keys: fc
      .oneof(
        { weight: 3, arbitrary: fc.constant([...names]) },
        fc.shuffledSubarray([...names]),
        fc.array(fc.constantFrom(...names, 'z', 'other'), { maxLength: 5 }),
      )
      .chain((keys) => fc.tuple(...keys.map((name) => keyText(name)))),
    space: fc.array(space, { minLength: 6, maxLength: 6 }),
  });

interface Shape {
  keys: readonly string[];
  space: readonly string[];
}

function recordText({ keys, space: s }: Shape, values: readonly string[]): string {
  const fields = keys.map(
    (key, index) => `${s[1]}${key}${s[2]}:${s[3]}${values[index % values.length]}${s[4]}`,
  );
  return `${s[0]}{${fields.join(',')}}${s[5]}`;
}

/** A line with a byte more or less. */
const damaged = (line: fc.Arbitrary<string>) =>
  fc
    .tuple(line, fc.nat(), fc.constantFrom('', '"', '\\', ',', '}', '{', 'x', '0', ' '))
    .map(([text, at, put]) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + put + text.slice(put === '' ? place + 1 : place);
    });

const lines = (names: readonly string[], valueOfLine: fc.Arbitrary<string>, isClean: boolean) =>
  fc.array(shape(names), { minLength: 1, maxLength: 3 }).chain((shapes) => {
    const line = fc
      .tuple(fc.constantFrom(...shapes), fc.array(valueOfLine, { minLength: 1, maxLength: 6 }))
      .map(([chosen, values]) => recordText(chosen, values));
    if (isClean) return fc.array(line, { maxLength: 8, size: 'max' });
    const others = fc.constantFrom(
      '',
      ' ',
      '\r',
      ' \t\r',
      '\u00a0',
      '\ufeff',
      '[]',
      '1',
      'null',
      '"a"',
      '{',
      '{}',
    );
    return fc.array(
      fc.oneof(
        { weight: 12, arbitrary: line },
        { weight: 1, arbitrary: damaged(line) },
        { weight: 1, arbitrary: others },
      ),
      { maxLength: 8, size: 'max' },
    );
  });

const load = (valueOfLine: fc.Arbitrary<string>, isClean = false) =>
  fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 4 }).chain((names) =>
    fc.record({
      columns: fc
        .tuple(...names.map(() => type))
        .map((types) => types.map((each, index) => columnOf(names[index]!, each))),
      ignoresOtherKeys: fc.boolean(),
      blocks: fc.array(
        fc.tuple(lines(names, valueOfLine, isClean), fc.constantFrom('\n', '\n', '\r\n', '')),
        { minLength: 1, maxLength: 3 },
      ),
    }),
  );

type Load = typeof load extends (...all: never[]) => fc.Arbitrary<infer Found> ? Found : never;

/** The blocks one after another, each from the record on after the one with a fault, as the command line does. */
function compare({ columns, ignoresOtherKeys, blocks }: Load, spoil: (block: Buffer) => Buffer): void {
  const transcoder = new NdjsonTranscoder({ columns, ignoresOtherKeys });
  for (const [blockLines, end] of blocks) {
    let block = spoil(
      Buffer.from(
        blockLines
          .map((line) => `${line}\n`)
          .join('')
          .replace(/\n$/, end),
      ),
    );
    while (block.length > 0) {
      const expected = transcodedBySlowPath(block, columns, ignoresOtherKeys);
      expect(readable(transcoder.transcode(block))).toEqual(readable(expected));
      const lineFeed = block.indexOf('\n', expected.bytes);
      block = lineFeed === -1 ? Buffer.alloc(0) : block.subarray(lineFeed + 1);
    }
  }
}

describe('any NDJSON into any columns', { timeout: 120_000 }, () => {
  it('gives the bytes that the slow path gives, up to its first fault', () => {
    fc.assert(
      fc.property(load(value), (each) => compare(each, (block) => block)),
      fastCheckRuns(1_500),
    );
  });

  it('also where every record has a number', () => {
    fc.assert(
      fc.property(load(number, true), (each) => compare(each, (block) => block)),
      fastCheckRuns(1_500),
    );
  });

  it('also where every record has a text', () => {
    fc.assert(
      fc.property(load(string, true), (each) => compare(each, (block) => block)),
      fastCheckRuns(1_000),
    );
  });

  it('also where every record has an object or an array', () => {
    fc.assert(
      fc.property(load(nested, true), (each) => compare(each, (block) => block)),
      fastCheckRuns(1_500),
    );
  });

  it('also where bytes are no UTF-8', () => {
    fc.assert(
      fc.property(load(string), fc.nat(), fc.constantFrom(0xff, 0xc3, 0xe2, 0xed, 0x80), (each, at, byte) =>
        compare(each, (block) => {
          const place = at % (block.length + 1);
          return Buffer.concat([block.subarray(0, place), Buffer.of(byte), block.subarray(place)]);
        }),
      ),
      fastCheckRuns(1_000),
    );
  });
});
