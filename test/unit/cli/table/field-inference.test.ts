/** Types of columns of CSV with markers of missing values, and with values that flags speak of. */

import { describe, expect, it } from 'vitest';
import { FieldInference } from '../../../../src/cli/table/field-inference.js';
import { numberFormat } from '../../../../src/cli/values/numbers.js';
import type { DateOrder } from '../../../../src/cli/values/dates.js';

interface Given {
  readonly strict?: boolean;
  readonly detectsCommas?: boolean;
  readonly dates?: DateOrder;
  readonly numbers?: string;
  readonly booleans?: boolean;
}

function infer(
  values: (string | null)[],
  { strict = false, detectsCommas = false, dates, numbers, booleans = false }: Given = {},
) {
  const flags = { dates, numbers: numbers === undefined ? undefined : numberFormat(numbers), booleans };
  const inference = new FieldInference({ strict, detectsCommas, flags });
  for (const value of values) inference.add(value);
  return inference.done();
}

function inferred(values: (string | null)[], given?: Given) {
  const { type, rule } = infer(values, given);
  return { type, rule };
}

describe('a column with markers of missing values', () => {
  it.each<[string, string, (string | null)[], string[]]>([
    ['numbers', 'bigint', ['1', 'NA', null, '-'], ['NA', '-']],
    ['decimals', 'numeric', ['.5', '?', ''], ['?', '']],
    ['decimals with a trailing point', 'numeric', ['5.', '.', '-.5'], ['.']],
    ['dates', 'date', ['N/A', '2024-01-02'], ['N/A']],
    ['booleans', 'boolean', ['true', '#N/A', 'FALSE'], ['#N/A']],
  ])('of %s has their type, and the markers are NULL', (_kind, type, values, nulls) => {
    expect(inferred(values)).toEqual({ type, rule: { nulls } });
  });

  it.each<[string, (string | null)[]]>([
    ['texts', ['NA', 'no']],
    ['numbers and texts', ['1', 'NA', 'x']],
    ['nothing else', ['NA', '-', null]],
    ['identifiers', ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '-']],
    ['numbers of which one has a plus', ['5', '+5', '-']],
    ['numbers of which one has leading zeros', ['5', '007', '']],
  ])('and %s is text, and the markers stay', (_kind, values) => {
    expect(inferred(values)).toEqual({ type: 'text', rule: undefined });
  });

  it('is text under --strict', () => {
    expect(inferred(['1', 'NA'], { strict: true })).toEqual({ type: 'text', rule: undefined });
  });
});

describe('a column with decimal commas', () => {
  const detect = { detectsCommas: true };
  const given = { numbers: '1234,5' };
  it.each<[string, Given, string, string[]]>([
    ['is numeric if the comma stands before other than three digits', detect, 'numeric', ['3,5', '4', '1,250']],
    ['is numeric if the comma stands first', detect, 'numeric', [',732', '0,500']],
    ['is numeric if the comma stands last', detect, 'numeric', ['5,', '6']],
    ['is text if the comma may divide thousands', detect, 'text', ['1,500', '2,250']],
    ['is numeric with the flag, also before three digits', given, 'numeric', ['1,500']],
    ['is text if there are points, too', detect, 'text', ['1,5', '2.5']],
    ['is text if there are points, too, with the flag', given, 'text', ['1,5', '2.5']],
    ['is text if it is not looked for', {}, 'text', ['1,5']],
  ])('%s', (_title, flags, type, values) => {
    const conversion = { kind: 'number', format: '1234,5', unit: '' };
    const rule = type === 'text' ? undefined : { nulls: [], conversion };
    expect(inferred(values, flags)).toEqual({ type, rule });
  }); // prettier-ignore

  it('and no comma is left as it is', () => {
    expect(inferred(['1.5'], given)).toEqual({ type: 'numeric', rule: undefined });
  });
});

describe('a column of written numbers', () => {
  it.each<[string, string, string, string, string[]]>([
    ['thousands', '1,234.5', 'bigint', '', ['1,000', '5']],
    ['plain numbers', '1,234.5', 'bigint', '', ['1', '2']],
    ['decimals', '1.234,5', 'numeric', '', ['1.000', '5,25']],
    ['points that divide thousands', '1.234,5', 'bigint', '', ['1.000', '2.500']],
    ['per cent', '1,234.5', 'numeric', '%', ['12.5 %', '0', '3%']],
    ['a currency', '1,234.5', 'numeric', '$', ['$1,000.00', '($5)']],
  ])('with %s is one of numbers', (_title, numbers, type, unit, values) => {
    const rule = { nulls: [], conversion: { kind: 'number', format: numbers, unit } };
    expect(inferred(values, { numbers })).toEqual({ type, rule });
  });

  it.each<[string, string, string[]]>([
    ['two units', '1,234.5', ['$5', '€5']],
    ['a unit in some values', '1,234.5', ['5', '12 %']],
    ['a unit in some values, the first one', '1,234.5', ['12 %', '5']],
    ['points where they divide thousands', '1.234,5', ['12.5', '3.25']],
    ['codes', '1,234.5', ['007', '5']],
  ])('with %s is text', (_title, numbers, values) => {
    expect(inferred(values, { numbers })).toEqual({ type: 'text', rule: undefined });
  });

  it.each<[string, string[], unknown]>([
    ['by the unit of its sample', ['5 %', 'NA'], { kind: 'number', format: '1234,5', unit: '%' }],
    ['strictly if it fits neither way', ['1.5', 'x'], { kind: 'number', format: '1234,5', unit: '' }],
    ['strictly without a value', [], { kind: 'number', format: '1234,5', unit: '' }],
    ['by the server if all are numbers for it', ['1.5', '2'], undefined],
  ])('that is there is read %s', (_title, values, numbers) => {
    expect(infer(values, { numbers: '1234,5' }).conversions?.number).toEqual(numbers);
  });
});

describe('a column of written dates', () => {
  it.each<[string, DateOrder, string, string[]]>([
    ['days', 'dmy', 'date', ['5/3/2024', '31/12/1999']],
    ['times', 'mdy', 'timestamp', ['5/3/2024 10:00', '12/31/1999']],
    ['zones', 'ymd', 'timestamptz', ['2024/5/3 10:00Z']],
    ['ISO 8601', 'dmy', 'date', ['2024-01-02']],
  ])('with %s has their type', (_title, dates, type, values) => {
    const rule = { nulls: [], conversion: { kind: 'date', order: dates } };
    expect(inferred(values, { dates })).toEqual({ type, rule });
  });

  it.each<[string, DateOrder | undefined, string[]]>([
    ['that do not fit the order', 'mdy', ['31/12/1999', '5/3/2024']],
    ['and texts', 'dmy', ['5/3/2024', 'soon']],
    ['without the flag, also if they can be read in one way only', undefined, ['31/12/1999', '5 March 2024']],
  ])('%s is text', (_title, dates, values) => {
    expect(inferred(values, dates && { dates })).toEqual({ type: 'text', rule: undefined });
  });

  it('keeps its markers as NULL, and whole numbers as numbers', () => {
    const conversion = { kind: 'date', order: 'dmy' };
    expect(inferred(['5/3/2024', 'NA', ''], { dates: 'dmy' })).toEqual({
      type: 'date',
      rule: { nulls: ['NA', ''], conversion },
    });
    expect(inferred(['20240305'], { dates: 'dmy' })).toEqual({ type: 'bigint', rule: undefined });
  });
});

describe('a column of words for true and false', () => {
  it.each<[string, string[] | undefined, string[]]>([
    ['of one pair', ['yes', 'no'], ['yes', 'NO', 'Yes']],
    ['of one word', ['yes', 'no'], ['no', 'no']],
    ['of letters', ['y', 'n'], ['Y', 'n']],
    ['of both cases', ['on', 'off'], ['On', 'off']],
    ['that need no flag', ['true', 'false'], ['TRUE', 'false']],
  ])('%s is boolean', (_title, words, values) => {
    const rule = { nulls: [], conversion: { kind: 'boolean', words } };
    expect(inferred(values, { booleans: true })).toEqual({ type: 'boolean', rule });
  });

  it.each<[string, string, string[]]>([
    ['of one letter is text', 'text', ['F', 'F']],
    ['of two pairs is text', 'text', ['yes', 'true']],
    ['of a pair and letters is text', 'text', ['yes', 'n']],
    ['and others is text', 'text', ['yes', 'no', 'maybe']],
    ['of digits is one of numbers', 'bigint', ['1', '0']],
  ])('%s', (_title, type, values) => {
    expect(inferred(values, { booleans: true })).toEqual({ type, rule: undefined });
  });

  it('is text without the flag', () => {
    expect(inferred(['yes', 'no'])).toEqual({ type: 'text', rule: undefined });
  });
});
