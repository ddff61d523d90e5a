/** Lines of text to binary rows: the same bytes, or the same refusal, as of the values that stand in them. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BinaryChunk, BinaryRefusal } from '../../../../../src/postgres/encoding/binary/binary-chunk.js';
import {
  compileBinaryEncoder,
  type BinaryEncoder,
} from '../../../../../src/postgres/encoding/binary/binary-encoders.js';
import {
  LineTranscoder,
  type TextLines,
} from '../../../../../src/postgres/encoding/binary/line-transcoder.js';
import { compileEncoder } from '../../../../../src/postgres/encoding/text/text-encoders.js';

const PLAIN: TextLines = { delimiter: ',', nullText: '' };

function encoderOf(name: string): BinaryEncoder {
  const type = { kind: 'scalar' as const, name, category: '' };
  return compileBinaryEncoder(type, compileEncoder(type))!;
}

function transcoded(lines: readonly string[], types: readonly string[], how: TextLines): Buffer {
  const transcoder = new LineTranscoder(
    lines.map((line) => Buffer.from(line)),
    how,
    types.map(encoderOf),
  );
  const chunks: Buffer[] = [];
  for (let chunk = transcoder.next(); chunk !== undefined; chunk = transcoder.next()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function writtenFrom(rows: readonly (readonly (string | null)[])[], types: readonly string[]): Buffer {
  const chunk = new BinaryChunk(types.length);
  for (const row of rows) {
    chunk.startRow();
    for (const [index, value] of row.entries()) {
      if (value === null) chunk.writeNull();
      else encoderOf(types[index]!).write(chunk, value);
    }
  }
  chunk.end();
  return chunk.take();
}

/** Undefined: refused. */
function unlessRefused(make: () => Buffer): string | undefined {
  try {
    return make().toString('hex');
  } catch (error) {
    if (error instanceof BinaryRefusal) return undefined;
    throw error;
  }
}

const TYPES = [
  'int2',
  'int4',
  'int8',
  'oid',
  'float4',
  'float8',
  'numeric',
  'bool',
  'date',
  'timestamp',
  'timestamptz',
  'text',
  'varchar',
  'jsonb',
  'uuid',
  'bytea',
] as const;

const two = (most: number) => fc.integer({ min: 0, max: most }).map((n) => String(n).padStart(2, '0'));
const date = fc
  .tuple(fc.integer({ min: 0, max: 9999 }), two(13), two(32))
  .map(([year, month, day]) => `${String(year).padStart(4, '0')}-${month}-${day}`);
const moment = fc
  .tuple(
    date,
    fc.constantFrom('T', ' ', 't', ''),
    two(24),
    two(60),
    two(60),
    fc.constantFrom('', '.1', '.123', '.123456', '.1234567', '.'),
    fc.constantFrom('', 'Z', '+00', '+01', '+00:00', 'z', ' '),
  )
  .map(([day, separator, h, m, s, fraction, zone]) => `${day}${separator}${h}:${m}:${s}${fraction}${zone}`);
const number = fc.oneof(
  fc.integer().map(String),
  fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }).map(String),
  fc.double().map(String),
  fc.constantFrom('0', '-0', '007', '+5', ' 5', '5 ', '-', '1e3', '999999999999999', '9999999999999999'),
);
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 80 }),
  fc.constantFrom(
    '',
    '\\N',
    '\\',
    'a\tb',
    'a\nb',
    'a\rb',
    'true',
    'f',
    '{"a": 1}',
    '\\.',
    'x'.repeat(31),
    'x'.repeat(33),
  ),
);
const literal = fc.oneof(date, moment, number, text, fc.uuid()).filter((value) => !value.includes('\0'));
const table = fc.array(fc.constantFrom(...TYPES), { minLength: 1, maxLength: 5 }).chain((types) =>
  fc.record({
    types: fc.constant(types),
    rows: fc.array(fc.tuple(...types.map(() => fc.option(literal, { freq: 6 }))), { maxLength: 4 }),
  }),
);

describe('the same bytes, or the same refusal, as of the values', () => {
  test('with any delimiter, NULL text and line end, in one piece or in many', () => {
    fc.assert(
      fc.property(
        table,
        fc.constantFrom(',', ';', '|', ' ', '-'),
        fc.constantFrom('', 'NULL', '-', '0'),
        fc.constantFrom('\n', '\r\n'),
        fc.boolean(),
        ({ types, rows }, delimiter, nullText, lineEnd, isSplit) => {
          fc.pre(nullText !== delimiter);
          const plain = rows.map((row) =>
            row.map((value) => {
              const kept = value?.replaceAll(/[\\\r\n]/g, '').replaceAll(delimiter, '') ?? null;
              return kept === nullText ? null : kept;
            }),
          );
          const lines = plain.map((row) => row.map((value) => value ?? nullText).join(delimiter) + lineEnd);
          const sent = isSplit ? lines : [lines.join('')];
          expect(unlessRefused(() => transcoded(sent, types, { delimiter, nullText }))).toBe(
            unlessRefused(() => writtenFrom(plain, types)),
          );
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('one type after another is read from its bytes', () => {
    for (const [type, value] of [
      ['int4', '-2147483648'],
      ['int8', '-9223372036854775808'],
      ['date', '2024-02-29'],
      ['timestamptz', '2001-01-01T00:10:00.123Z'],
      ['timestamp', '2001-01-01 00:10:00'],
      ['text', 'ä€😀'],
      ['jsonb', '{"a":["ä"]}'],
      ['numeric', '12345.6789'],
      ['float8', '-0.5'],
      ['bool', 't'],
    ] as const) {
      const rows = [[value], [null], [value]];
      expect(transcoded([`${value}\n\n${value}\n`], [type], PLAIN)).toEqual(writtenFrom(rows, [type]));
    }
  });
});

test('dates one after another, each of which differs from the one before in one place', () => {
  const days = [
    '2001-01-05',
    '2001-01-06',
    '2001-02-06',
    '2002-02-06',
    '1902-02-06',
    '1902-02-16',
    '1912-02-16',
  ];
  const expected = new BinaryChunk(1);
  for (const day of days) {
    expected.startRow();
    encoderOf('date').write(expected, new Date(`${day}T00:00:00Z`));
  }
  expected.end();
  expect(transcoded([`${days.join('\n')}\n`], ['date'], PLAIN)).toEqual(expected.take());
});

describe('what only the server can read is refused', () => {
  test.each([
    ['too few fields', '1\n', ['int4', 'int4']],
    ['too many fields', '1,2,3\n', ['int4', 'int4']],
    ['no line end', '1,2', ['int4', 'int4']],
    ['no line end after a text', '1,x', ['int4', 'text']],
    ['no line end after a long text', `1,${'x'.repeat(100)}`, ['int4', 'text']],
    ['too many fields before a text', '1,x,y\n', ['int4', 'text']],
    ['too few fields before a text', 'x\n1,y\n', ['text', 'text']],
    ['a word for a number', 'late,2\n', ['int4', 'int4']],
    ['a number out of range', '32768\n', ['int2']],
    ['a moment without a zone', '2001-01-01 00:00:00\n', ['timestamptz']],
    ['a backslash', 'a\\tb\n', ['text']],
    ['a backslash in a long text', `${'x'.repeat(50)}\\tb\n`, ['text']],
    ['a backslash in another type', '\\x41\n', ['numeric']],
  ] as const)('%s', (_, line, types) => {
    expect(() => transcoded([line], types, PLAIN)).toThrow(BinaryRefusal);
  });
});

test('chunks stay small however much there is, and are the caller’s own', () => {
  const line = `2001-01-01T00:10:00Z,${'x'.repeat(100)}\n`;
  const transcoder = new LineTranscoder(
    [Buffer.from(line.repeat(20_000))],
    PLAIN,
    ['timestamptz', 'text'].map(encoderOf),
  );
  const chunks: Buffer[] = [];
  for (let chunk = transcoder.next(); chunk !== undefined; chunk = transcoder.next()) chunks.push(chunk);
  expect(chunks.length).toBeGreaterThan(5);
  expect(Math.max(...chunks.map(({ length }) => length))).toBeLessThan(300_000);
  const expected = writtenFrom(
    Array.from({ length: 20_000 }, () => ['2001-01-01T00:10:00Z', 'x'.repeat(100)]),
    ['timestamptz', 'text'],
  );
  expect(Buffer.concat(chunks).equals(expected)).toBe(true);
});

test('ordinary fields become binary from their bytes, without a value being made of them', () => {
  const fields = {
    int4: ['0', '-17', '2147483647'],
    int8: ['0', '900719925474099'],
    date: ['2001-01-31'],
    timestamp: ['2001-01-31 23:59:59', '2001-01-31T23:59:59.123456'],
    timestamptz: ['2001-01-31 23:59:59+00', '2001-01-31T23:59:59.123Z'],
  };
  const values: string[] = [];
  for (const [type, texts] of Object.entries(fields)) {
    const encoder = encoderOf(type);
    const watched: BinaryEncoder = {
      ...encoder,
      write: (chunk, value) => {
        values.push(`${type} ${String(value)}`);
        encoder.write(chunk, value);
      },
    };
    const transcoder = new LineTranscoder([Buffer.from(texts.map((text) => `${text}\n`).join(''))], PLAIN, [
      watched,
    ]);
    while (transcoder.next() !== undefined);
  }
  expect(values).toEqual([]);
});
