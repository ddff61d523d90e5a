/** How the texts of a column are rewritten. */

import { describe, expect, it } from 'vitest';
import {
  conversionFromJson,
  convertBy,
  expectedBy,
  type Conversion,
} from '../../../../src/cli/values/conversion.js';
import { ConvertedField, RefusedField } from '../../../../src/cli/values/converted-field.js';

const PRICE: Conversion = { kind: 'number', format: '1,234.5', unit: '$' };
const ANSWER: Conversion = { kind: 'boolean', words: ['yes', 'no'] };
const DATE: Conversion = { kind: 'date', order: 'dmy' };

describe('a conversion', () => {
  it('takes only numbers of its unit, and zero without one', () => {
    const convert = convertBy(PRICE);
    expect(['$1,000', '5', '0', '€5', '5 %'].map(convert)).toEqual([
      '1000',
      undefined,
      '0',
      undefined,
      undefined,
    ]);
    const bare = convertBy({ ...PRICE, unit: '' });
    expect(['1,000', '$5'].map(bare)).toEqual(['1000', undefined]);
  });

  it('takes only dates of its order', () => {
    expect(['5/3/2024', '31/02/2024'].map(convertBy(DATE))).toEqual(['2024-03-05', undefined]);
  });

  it('takes only words of its pair', () => {
    expect(['Yes', 'NO', 'y', 'true', 'yesterday'].map(convertBy(ANSWER))).toEqual([
      'true',
      'false',
      undefined,
      undefined,
      undefined,
    ]);
    expect(expectedBy(ANSWER)).toBe('yes or no');
  });

  it.each([PRICE, DATE, ANSWER])('is read from its JSON: %j', (conversion) => {
    expect(conversionFromJson(JSON.parse(JSON.stringify(conversion)))).toEqual(conversion);
  });

  it.each([null, 'x', {}, { kind: 'date', order: 'dym' }, { kind: 'number', format: '1', unit: '' }, { kind: 'number', format: '1,234.5' }, { kind: 'boolean', words: ['ja', 'nein'] }, { kind: 'boolean' }])(
    'is not read from %j',
    (json) => {
      expect(conversionFromJson(json)).toBeUndefined();
    },
  ); // prettier-ignore
});

describe('a field', () => {
  it('that was rewritten has both texts', () => {
    const field = new ConvertedField('5/3/2024', '2024-03-05');
    expect([field.toPostgres(), JSON.stringify(field)]).toEqual(['2024-03-05', '"5/3/2024"']);
  });

  it('that does not fit says what was expected, and names the flag', () => {
    const field = new RefusedField('31/02/2024', DATE);
    expect(() => field.toPostgres()).toThrow('must be a date as --dates dmy reads it; got "31/02/2024"');
    expect(expectedBy(PRICE)).toBe('a number written like 1,234.5 with $');
    expect(new RefusedField('x'.repeat(100), DATE).reason.length).toBeLessThan(100);
  });
});
