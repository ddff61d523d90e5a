import { LosslessNumber } from 'lossless-json';
import { describe, expect, it } from 'vitest';
import { TypeInference } from '../../../../src/cli/table/infer-types.js';

function ofTexts(...values: (string | null)[]): string {
  const inference = new TypeInference();
  for (const value of values) inference.addText(value);
  return inference.type;
}

function ofJson(...values: unknown[]): string {
  const inference = new TypeInference();
  for (const value of values) inference.addJson(value);
  return inference.type;
}

describe('types inferred from text', () => {
  it.each<[string, (string | null)[]]>([
    ['bigint', ['1', '-20', '0', null]],
    ['bigint', ['9223372036854775807', '-9223372036854775808']],
    ['numeric', ['9223372036854775808']],
    ['numeric', ['1', '2.50']],
    ['numeric', ['1.10', '.5', '-.5', '-0.0', '5.']],
    ['numeric', ['9007199254740993', '2.5']],
    ['numeric', ['1'.repeat(131_072)]],
    ['boolean', ['true', 'False', null]],
    ['date', ['2001-02-28', '2004-02-29']],
    ['timestamp', ['2001-01-01 10:00', '2001-01-01T10:00:59.123456']],
    ['timestamp', ['2001-01-01', '2001-01-01T10:00']],
    ['timestamptz', ['2001-01-01T10:00:00.000Z', '2001-01-01 10:00:00+02', '2001-01-01 10:00+05:30']],
    ['uuid', ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']],
    ['text', []],
    ['text', [null, null]],
  ])('%s: %j', (type, values) => {
    expect(ofTexts(...values)).toBe(type);
  });

  it.each<[string, (string | null)[]]>([
    ['a leading zero', ['007']],
    ['a plus', ['+1']],
    ['spaces', [' 1']],
    ['an empty text, which is not NULL', ['1', '']],
    ['a day that does not exist', ['2001-02-29']],
    ['the year 0', ['0000-01-01']],
    ['an hour that does not exist', ['2001-01-01 24:30']],
    ['nanoseconds, which the server would round', ['2001-01-01 10:00:00.123456789']],
    ['an exponent', ['12E4']],
    ['an exponent among decimals', ['1', '2.5', '1e-7']],
    ['an exponent with a sign', ['7E+59']],
    ['an exponent beyond double precision', ['1e999']],
    ['a minus before zero', ['-0']],
    ['leading zeros of a decimal', ['00.5']],
    ['a leading zero after a minus', ['-01']],
    ['hexadecimal digits', ['0x1F']],
    ['binary digits', ['0b10']],
    ['underscores', ['1_000']],
    ['thousands separators', ['1,000']],
    ['infinity', ['Infinity']],
    ['NaN', ['NaN']],
    ['more digits than numeric holds', ['1'.repeat(131_073)]],
    ['more decimals than numeric holds', [`0.${'1'.repeat(16_384)}`]],
    ['times with and without zone', ['2001-01-01 10:00', '2001-01-01 10:00Z']],
    ['numbers and booleans', ['1', 'true']],
    ['a UUID that the server would rewrite', ['A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11']],
  ])('stays text for %s', (_, values) => {
    expect(ofTexts(...values)).toBe('text');
  });

  it('does not depend on the order of the values', () => {
    const values = ['1', '2.5', '.50', null];
    expect(ofTexts(...values)).toBe(ofTexts(...values.toReversed()));
  });
});

describe('types inferred from JSON', () => {
  it.each<[string, unknown[]]>([
    ['bigint', [1, 2, null, undefined]],
    ['numeric', [1, 2.5]],
    ['text', [1e-7]],
    ['text', [new LosslessNumber('12E4')]],
    ['numeric', [new LosslessNumber('1.10')]],
    ['bigint', [new LosslessNumber('9007199254740993')]],
    ['numeric', [1, new LosslessNumber('12345678901234567890123')]],
    ['numeric', [new LosslessNumber('0.12345678901234567890')]],
    ['boolean', [true]],
    ['date', ['2001-01-01']],
    ['timestamptz', ['2001-01-01T00:00:00Z']],
    ['text', ['1', '2']],
    ['text', [1, 'x']],
    ['jsonb', [{ a: 1 }]],
    ['jsonb', [[1]]],
    ['jsonb', ['x', [1]]],
    ['jsonb', [{}, 1]],
    ['text', [null]],
  ])('%s: %j', (type, values) => {
    expect(ofJson(...values)).toBe(type);
  });
});
