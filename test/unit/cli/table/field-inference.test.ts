/** Types of columns of CSV with markers of missing values and decimal commas. */

import { describe, expect, it } from 'vitest';
import { FieldInference, type InferenceMode } from '../../../../src/cli/table/field-inference.js';

function infer(values: (string | null)[], mode: InferenceMode = 'never') {
  const inference = new FieldInference(mode);
  for (const value of values) inference.add(value);
  return inference.done();
}

describe('a column with markers of missing values', () => {
  it.each<[string, string, (string | null)[], string[]]>([
    ['numbers', 'bigint', ['1', 'NA', null, '-'], ['NA', '-']],
    ['decimals', 'numeric', ['.5', '?', ''], ['?', '']],
    ['dates', 'date', ['N/A', '2024-01-02'], ['N/A']],
    ['booleans', 'boolean', ['true', '#N/A', 'FALSE'], ['#N/A']],
  ])('of %s has their type, and the markers are NULL', (_kind, type, values, nulls) => {
    expect(infer(values)).toEqual({ type, rule: { nulls, decimalComma: false } });
  });

  it.each<[string, (string | null)[]]>([
    ['texts', ['NA', 'no']],
    ['numbers and texts', ['1', 'NA', 'x']],
    ['nothing else', ['NA', '-', null]],
    ['identifiers', ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '-']],
  ])('and %s is text, and the markers stay', (_kind, values) => {
    expect(infer(values)).toEqual({ type: 'text', rule: undefined });
  });

  it('is text under --strict', () => {
    expect(infer(['1', 'NA'], 'strict')).toEqual({ type: 'text', rule: undefined });
  });
});

describe('a column with decimal commas', () => {
  it.each<[string, InferenceMode, string, string[]]>([
    ['is numeric if the comma stands before other than three digits', 'detect', 'numeric', ['3,5', '4', '1,250']],
    ['is text if the comma may divide thousands', 'detect', 'text', ['1,500', '2,250']],
    ['is numeric with --decimal-comma, also before three digits', 'given', 'numeric', ['1,500']],
    ['is text if there are points, too', 'detect', 'text', ['1,5', '2.5']],
    ['is text if it is not looked for', 'never', 'text', ['1,5']],
  ])('%s', (_title, mode, type, values) => {
    const rule = type === 'text' ? undefined : { nulls: [], decimalComma: true };
    expect(infer(values, mode)).toEqual({ type, rule });
  }); // prettier-ignore
});
