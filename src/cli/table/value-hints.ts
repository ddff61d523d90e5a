/** What a user should know of columns that are text: a flag that would read their values, or a value that a flag could not read. Pure. */

import { expectedBy } from '../values/conversion.js';
import { DATE_ORDERS } from '../values/dates.js';
import { numberFormat } from '../values/numbers.js';
import type { ValueFlags } from '../values/value-flags.js';
import { booleanWords, writtenDates, writtenNumbers, type ValueWay } from './value-ways.js';

export interface ValueHint {
  /** What the values are, and what to do about it. Columns with the same are named together. */
  readonly what: string;
  readonly help: string;
  /** One of the values. */
  readonly example: string;
}

/** Values of a column that are looked at for a hint. */
export const HINT_VALUES = 100;
const NUMBER_FORMATS = ['1,234.5', '1.234,5', '1 234,5'];
/** Characters of a value, and columns, that a hint shows. */
const SHOWN = 30;
const COLUMNS_SHOWN = 5;

/** Returns a hint for a column of text if a flag that was not given would read all of these values. */
export function hintFor(
  values: readonly string[],
  { dates, numbers, booleans }: ValueFlags,
): ValueHint | undefined {
  const [example] = values;
  if (example === undefined) return undefined;
  const reads = (way: ValueWay): boolean => {
    for (const value of values) if (way.fits) way.add(value);
    return way.type !== undefined;
  };
  if (dates === undefined) {
    const orders = DATE_ORDERS.filter((order) => reads(writtenDates(order)));
    const flags = orders.map((order) => `--dates ${order}`).join(' or ');
    if (flags !== '') return { what: 'dates', help: `${flags} reads them`, example };
  }
  if (numbers === undefined) {
    const formats = NUMBER_FORMATS.filter((each) => reads(writtenNumbers(numberFormat(each)!)));
    // Without a separator, any of them is right.
    const shown = values.some((value) => /[.,\s]\d/.test(value)) ? formats : formats.slice(0, 1);
    const flags = shown.map((each) => `--numbers '${each}'`).join(' or ');
    if (flags !== '') return { what: 'numbers', help: `${flags} reads them`, example };
  }
  const isBoolean = !booleans && reads(booleanWords());
  return isBoolean ? { what: 'words for true and false', help: '--booleans reads them', example } : undefined;
}

/** A hint for a column of text of which a flag reads at least half of the values. */
export function misfitHint({ conversion, misfit, share }: ValueWay): ValueHint | undefined {
  if (misfit === undefined || share < 1 / 2 || conversion === undefined) return undefined;
  return {
    what: 'a value',
    help: `it is not ${expectedBy(conversion)}, so that the type is text`,
    example: misfit,
  };
}

/** Returns a line for each kind of hint. */
export function describeHints(
  columns: readonly { readonly name: string; readonly hint?: ValueHint | undefined }[],
): string[] {
  const found = new Map<string, { readonly hint: ValueHint; readonly names: string[] }>();
  for (const { name, hint } of columns) {
    if (hint === undefined) continue;
    const key = `${hint.what}\n${hint.help}`;
    const known = found.get(key) ?? { hint, names: [] };
    known.names.push(JSON.stringify(name));
    found.set(key, known);
  }
  return [...found.values()].map(({ hint: { what, help, example }, names }) => {
    const shown = example.length > SHOWN ? `${example.slice(0, SHOWN)}…` : example;
    const listed = names.slice(0, COLUMNS_SHOWN).join(', ') + (names.length > COLUMNS_SHOWN ? ' …' : '');
    const column = names.length === 1 ? 'column' : 'columns';
    return `the ${column} ${listed} of text ${names.length === 1 ? 'has' : 'have'} ${what} such as ${JSON.stringify(shown)}: ${help}`;
  });
}
