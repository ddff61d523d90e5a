/** Numbers as people write them. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exampleOf, numberFormat, numberReader } from '../../../../src/cli/values/numbers.js';
import { fastCheckRuns } from '../../../support/test-runs.js';

function read(text: string, example: string) {
  return numberReader(numberFormat(example)!)(text);
}

describe('the example of a format', () => {
  it.each<[string, string | undefined]>([
    ['1,234.5', '1,234.5'],
    ['1.234,5', '1.234,5'],
    ['1 234,5', '1 234,5'],
    ['1\u202f234,56', '1 234,5'],
    ['1’234.50', "1'234.5"],
    ['1234,5', '1234,5'],
    ['123,456.7', '1,234.5'],
    ['1,234', undefined],
    ['1,234,5', undefined],
    ['1.234.5', undefined],
    ['1,23.5', undefined],
    ['$1,234.5', undefined],
    ['', undefined],
  ])('%j is understood as %j', (example, expected) => {
    const format = numberFormat(example);
    expect(format && exampleOf(format)).toBe(expected);
    if (expected !== undefined) expect(numberFormat(expected)).toEqual(format);
  });
});

describe('a number', () => {
  it.each<[string, string, string | undefined, string?]>([
    // text, example, read, unit
    ['1,234.50', '1,234.5', '1234.50'],
    ['1234.5', '1,234.5', '1234.5'],
    ['1,234,567', '1,234.5', '1234567'],
    ['12,34,567.8', '1,234.5', '1234567.8'],
    ['1,23', '1,234.5', undefined],
    ['1,2345', '1,234.5', undefined],
    ['1234,567', '1,234.5', undefined],
    ['1,234,56', '1,234.5', undefined],
    [',234', '1,234.5', undefined],
    ['1.234', '1,234.5', '1.234'],
    ['1.234', '1.234,5', '1234'],
    ['12.5', '1.234,5', undefined],
    ['1.234,5', '1.234,5', '1234.5'],
    ['1 234,5', '1 234,5', '1234.5'],
    ['1\u00a0234\u202f567,5', '1 234,5', '1234567.5'],
    ["1'234.5", "1'234.5", '1234.5'],
    ['1’234.5', "1'234.5", '1234.5'],
    ['3,5', '1234,5', '3.5'],
    ['3.5', '1234,5', undefined],
    ['.732', '1,234.5', '.732'],
    [',732', '1.234,5', '.732'],
    ['5.', '1,234.5', '5.'],
    ['.', '1,234.5', undefined],
    ['', '1,234.5', undefined],
    ['-', '1,234.5', undefined],
    ['-5', '1,234.5', '-5'],
    ['\u22125.0', '1,234.5', '-5.0'],
    ['(1,234.5)', '1,234.5', '-1234.5'],
    ['( 5 )', '1,234.5', '-5'],
    ['1,234.50-', '1,234.5', '-1234.50'],
    ['(-5)', '1,234.5', undefined],
    ['(5', '1,234.5', undefined],
    ['5)', '1,234.5', undefined],
    ['-5-', '1,234.5', undefined],
    ['(0.00)', '1,234.5', '0.00'],
    ['-0', '1,234.5', '-0'],
    ['+5', '1,234.5', '+5'],
    ['+5.5', '1,234.5', '5.5'],
    ['+1,000', '1,234.5', '1000'],
    ['007', '1,234.5', '007'],
    ['12E4', '1,234.5', '12E4'],
    ['1,5e3', '1234,5', '1.5e3'],
    ['12 %', '1,234.5', '12', '%'],
    ['12.50%', '1,234.5', '12.50', '%'],
    ['-12.50 %', '1,234.5', '-12.50', '%'],
    ['+5 %', '1,234.5', '5', '%'],
    ['-0 %', '1,234.5', '0', '%'],
    ['$1,234.5', '1,234.5', '1234.5', '$'],
    ['-$5', '1,234.5', '-5', '$'],
    ['$-5', '1,234.5', '-5', '$'],
    ['($5.00)', '1,234.5', '-5.00', '$'],
    ['$(5.00)', '1,234.5', undefined],
    [' $ 5 ', '1,234.5', '5', '$'],
    ['US$ 5', '1,234.5', '5', 'US$'],
    ['1.234,50 €', '1.234,5', '1234.50', '€'],
    ['€5', '1.234,5', '5', '€'],
    ['USD 5', '1,234.5', '5', 'USD'],
    ['5 CHF', "1'234.5", '5', 'CHF'],
    ['5 XQX', '1,234.5', undefined],
    ['5 kg', '1,234.5', undefined],
    ['$5 €', '1,234.5', undefined],
    ['1e5 %', '1,234.5', undefined],
    ['5 5', '1,234.5', undefined],
    ['NaN', '1,234.5', 'NaN'],
    ['-inf', '1,234.5', '-inf'],
    ['Infinite', '1,234.5', undefined],
  ])('%j, written like %s, is %j', (text, example, expected, unit = '') => {
    const found = read(text, example);
    expect(found?.text).toBe(expected);
    if (expected !== undefined) expect(found!.unit).toBe(unit);
  });

  it('needs no unit if it is zero, or not finite', () => {
    expect(['0.00', '0.01', '-Infinity'].map((text) => read(text, '1,234.5')!.needsUnit)).toEqual([
      false,
      true,
      false,
    ]);
  });

  it('with a long run of spaces is refused at once', () => {
    expect(read(`(${' '.repeat(1_000_000)}5`, '1 234,5')).toBeUndefined();
    expect(read(`5${' '.repeat(1_000_000)}%`, '1 234,5')).toBeUndefined();
    expect(read('1,'.repeat(500_000), '1,234.5')).toBeUndefined();
  });
});

describe('any number', () => {
  const LOCALES = { 'en-US': '1,234.5', 'de-DE': '1.234,5', 'fr-FR': '1 234,5', 'de-CH': "1'234.5", 'en-IN': '1,234.5', 'ru-RU': '1 234,5', 'pt-BR': '1.234,5' }; // prettier-ignore
  const styles = fc.constantFrom<Intl.NumberFormatOptions>(
    {},
    { style: 'currency', currency: 'USD' },
    { style: 'currency', currency: 'EUR', currencySign: 'accounting' },
    { style: 'currency', currency: 'CHF', currencyDisplay: 'code' },
    { style: 'unit', unit: 'percent' },
    { useGrouping: false },
  );

  it('that ICU writes is read as it was, with all of its decimals', () => {
    const wholes = fc.bigInt({ min: -(10n ** 18n), max: 10n ** 18n });
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(LOCALES)), wholes, fc.nat({ max: 6 }), styles, (locale, digits, places, style) => {
        const value = decimal(digits, places);
        const format = new Intl.NumberFormat(locale, { ...style, minimumFractionDigits: places, maximumFractionDigits: places });
        const text = format.format(value as unknown as number);
        expect({ text, read: read(text, LOCALES[locale as keyof typeof LOCALES])?.text }).toEqual({ text, read: value });
      }),
      fastCheckRuns(3000),
    ); // prettier-ignore
  });

  function decimal(digits: bigint, places: number): string {
    const text = String(digits < 0n ? -digits : digits).padStart(places + 1, '0');
    const point = text.length - places;
    return `${digits < 0n ? '-' : ''}${text.slice(0, point)}${places === 0 ? '' : `.${text.slice(point)}`}`;
  }
});
