/**
 * Numbers as people write them, rewritten as PostgreSQL reads them: with thousands separators, a currency, a per cent sign. Pure.
 *
 * ```text
 *   1,234.50   1.234,50   1 234,50   1'234.50   12,34,567     separators by the format; a group has three digits, or two in India
 *   -$5   $-5   ($5)   5 €   USD 5   12.5 %   5-   −5         one sign, and one unit, which is left out: 12.5 % is 12.5
 * ```
 *
 * Digits are kept as they are. The unit belongs to the column: all of its values must have the same, but for zero.
 */

export interface NumberFormat {
  readonly decimal: '.' | ',';
  /** Between thousands; empty: nothing. A space stands for any space of that kind, an apostrophe for both. */
  readonly group: '' | '.' | ',' | ' ' | "'";
}

/** `3,5` is a number, and thousands are not divided. */
export const DECIMAL_COMMA: NumberFormat = { decimal: ',', group: '' };

const EXAMPLE = /^\d{1,3}([.,'’ \u00a0\u2009\u202f]?)\d{3}([.,])\d+$/;

/** Reads an example: `1,234.5`. @returns undefined if it does not show both separators */
export function numberFormat(example: string): NumberFormat | undefined {
  const match = EXAMPLE.exec(example);
  if (match === null || match[1] === match[2]) return undefined;
  const [, group = '', decimal] = match;
  const plain = /\s/.test(group) ? ' ' : group === '’' ? "'" : group;
  return { group: plain as NumberFormat['group'], decimal: decimal as NumberFormat['decimal'] };
}

/** The example of a format. */
export function exampleOf({ decimal, group }: NumberFormat): string {
  return `1${group}234${decimal}5`;
}

interface ReadNumber {
  readonly text: string;
  /** Empty without one. */
  readonly unit: string;
  /** Zero, and what is no finite number, needs none. */
  readonly needsUnit: boolean;
}

export type NumberReader = (text: string) => ReadNumber | undefined;

/** Words that the server knows. */
const NOT_FINITE = /^[-+]?(?:nan|inf(?:inity)?)$/i;
const MINUS = '[-\u2212]';
const GROUPS: Readonly<Record<NumberFormat['group'], string>> = {
  '': '',
  '.': '\\.',
  ',': ',',
  ' ': '[ \\u00a0\\u2009\\u202f]',
  "'": "['’]",
};

/** Returns a function that reads a number of this format, and returns undefined for anything else. */
export function numberReader({ decimal, group }: NumberFormat): NumberReader {
  const pattern = patternOf(decimal, group);
  const groups = new RegExp(GROUPS[group], 'g');
  return (text) => {
    const match = pattern.exec(text.trim());
    if (match === null) return NOT_FINITE.test(text) ? { text, unit: '', needsUnit: false } : undefined;
    const {
      open,
      close,
      first,
      second,
      last,
      before,
      after,
      whole = '',
      point,
      places = '',
      power = '',
    } = match.groups!;
    const signs = [open, first, second, last].filter((sign) => sign !== undefined);
    if ((open === undefined) !== (close === undefined) || signs.length > 1) return undefined;
    if (before !== undefined && after !== undefined) return undefined;
    const unit = before ?? after ?? '';
    if (!isUnit(unit) || (unit !== '' && power !== '')) return undefined;
    const digits = group === '' ? whole : whole.replace(groups, '');
    const number = `${digits}${point === undefined ? '' : '.'}${places}${power}`;
    const isZero = !/[1-9]/.test(digits + places);
    // A bare +5 or -0 may be a code: its spelling decides.
    const isBare = unit === '' && open === undefined && last === undefined && digits === whole;
    return {
      text: `${signOf(signs[0], isBare && point === undefined, isZero)}${number}`,
      unit,
      needsUnit: !isZero,
    };
  };
}

function patternOf(decimal: string, group: NumberFormat['group']): RegExp {
  const between = GROUPS[group];
  const point = decimal === '.' ? '\\.' : ',';
  const grouped =
    group === '' ? '' : `\\d{1,3}(?:${between}\\d{3})+|\\d{1,2}(?:${between}\\d{2})+${between}\\d{3}|`;
  const number = `(?=${point}?\\d)(?<whole>(?:${grouped}\\d+)?)(?:(?<point>${point})(?<places>\\d*))?(?<power>[eE][-+]?\\d+)?`;
  const unit = '%|[A-Z]{0,3}\\p{Sc}[A-Z]{0,3}|[A-Z]{3}';
  // Bounded: a long run of spaces could be divided between many of them.
  const gap = '\\s{0,3}';
  const sign = `${MINUS}|\\+`;
  const before = `(?<open>\\()?${gap}(?<first>${sign})?${gap}(?<before>${unit})?${gap}(?<second>${sign})?${gap}`;
  const after = `${gap}(?<after>${unit})?${gap}(?<last>${MINUS})?${gap}(?<close>\\))?`;
  return new RegExp(`^${before}${number}${after}$`, 'u');
}

/** @param isSpelt a plus, and the sign of zero, are kept */
function signOf(sign: string | undefined, isSpelt: boolean, isZero: boolean): string {
  if (sign === undefined) return '';
  if (sign === '+') return isSpelt ? '+' : '';
  return isZero && !isSpelt ? '' : '-';
}

let currencies: ReadonlySet<string> | undefined;

/** Three letters are a unit only if they are the code of a currency. */
function isUnit(unit: string): boolean {
  if (!/^[A-Z]{3}$/.test(unit)) return true;
  currencies ??= new Set(Intl.supportedValuesOf('currency'));
  return currencies.has(unit);
}
