/** How the texts of one column are rewritten before the server reads them. Chosen once for a column; values of JSON, which an import keeps. */

import { BOOLEAN_PAIRS, readBoolean, type BooleanPair } from './booleans.js';
import { DATE_ORDERS, readDate, type DateOrder } from './dates.js';
import { exampleOf, numberFormat, numberReader, type NumberFormat } from './numbers.js';

export type Conversion =
  | { readonly kind: 'date'; readonly order: DateOrder }
  /** `format`: an example. `unit`: the only one that is taken; empty for none. */
  | { readonly kind: 'number'; readonly format: string; readonly unit: string }
  | { readonly kind: 'boolean'; readonly words: BooleanPair };

/** By kind of the column's type. */
export type Conversions = Readonly<Partial<Record<'number' | 'date' | 'boolean', Conversion | undefined>>>;

/** Returns the text for the server; undefined for a text that does not fit. */
export type Convert = (text: string) => string | undefined;

export function convertBy(conversion: Conversion): Convert {
  if (conversion.kind === 'date') {
    const { order } = conversion;
    return (text) => readDate(text, order);
  }
  if (conversion.kind === 'boolean') {
    const { words } = conversion;
    return (text) => readBoolean(text, words);
  }
  const read = numberReader(numberFormat(conversion.format)!);
  const { unit } = conversion;
  return (text) => {
    const number = read(text);
    // Zero needs no unit.
    if (number === undefined) return undefined;
    return number.unit === unit || (number.unit === '' && !number.needsUnit) ? number.text : undefined;
  };
}

/** What a text must be, for messages. */
export function expectedBy(conversion: Conversion): string {
  if (conversion.kind === 'date') return `a date as --dates ${conversion.order} reads it`;
  if (conversion.kind === 'boolean') return conversion.words.join(' or ');
  const { format, unit } = conversion;
  return `a number written like ${format}${unit === '' ? '' : ` with ${unit}`}`;
}

/** The SQLSTATE for a text that does not fit. */
export function sqlStateOf({ kind }: Conversion): string {
  return kind === 'date' ? '22007' : '22P02';
}

export function numberConversion(format: NumberFormat, unit: string): Conversion {
  return { kind: 'number', format: exampleOf(format), unit };
}

/** Returns undefined for anything but a conversion. */
export function conversionFromJson(json: unknown): Conversion | undefined {
  if (typeof json !== 'object' || json === null) return undefined;
  const { kind, order, format, unit, words } = json as Record<string, unknown>;
  const known = DATE_ORDERS.find((each) => each === order);
  if (kind === 'date' && known !== undefined) return { kind, order: known };
  const pair = BOOLEAN_PAIRS.find((each) => Array.isArray(words) && each[0] === words[0]);
  if (kind === 'boolean' && pair !== undefined) return { kind, words: pair };
  if (kind !== 'number' || typeof format !== 'string' || typeof unit !== 'string') return undefined;
  return numberFormat(format) === undefined ? undefined : { kind, format, unit };
}
