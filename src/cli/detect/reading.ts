/** How a file of CSV is written. */

import type { ReadingFlags } from '../args/options.js';
import { counted } from '../common/counted.js';

/** What lies between fields, around them, and before a quote that is part of a text. */
export interface Dialect {
  /** One character. Undefined: each line is one field. */
  readonly delimiter: string | undefined;
  /** Undefined: quotes are part of the text. */
  readonly quote: string | undefined;
  /** The character before a quote within quotes; the quote itself if it is doubled. */
  readonly escape: string | undefined;
}

export type LineBreak = 'lf' | 'crlf' | 'cr';

/** Everything that must be known of a file before its records can be read. */
export interface Reading extends Dialect {
  /** A label of the WHATWG Encoding Standard, such as `windows-1252`. */
  readonly encoding: string;
  readonly lineBreak: LineBreak;
  /** Lines before the header, or before the first record. */
  readonly skip: number;
  readonly header: boolean;
  readonly fieldCount: number;
  /** Names in place of the header's, if it has one fewer than the records have fields: an empty one is added. */
  readonly names: readonly string[] | undefined;
}

/** What flags say. It is not detected. */
export type GivenReading = Partial<ReadingFlags> & {
  /** The columns of the table, if it is there: a first record that has such names is a header. */
  readonly tableColumns?: readonly string[] | undefined;
  /** White space at both ends of fields is left out. */
  readonly trim?: boolean;
  /** Names are compared in snake_case. */
  readonly normalizesNames?: boolean;
};

/** A reading as JSON. */
export function readingToJson(reading: Reading): ReadingJson {
  const { encoding, lineBreak, delimiter = null, quote = null, escape = null } = reading;
  const { skip, header, fieldCount, names = null } = reading;
  return { encoding, lineBreak, delimiter, quote, escape, skip, header, fieldCount, names };
}

/** Absent values are `null`. */
export type ReadingJson = { readonly [Key in keyof Reading]: Exclude<Reading[Key], undefined> | null };

/** Returns undefined for anything but a reading. */
export function readingFromJson(json: unknown): Reading | undefined {
  if (typeof json !== 'object' || json === null) return undefined;
  const found = json as Record<string, unknown>;
  const isText = (value: unknown): value is string => typeof value === 'string';
  const { encoding, lineBreak, skip, header, fieldCount, names, delimiter, quote, escape } = found;
  if (!isText(encoding) || !['lf', 'crlf', 'cr'].includes(lineBreak as string)) return undefined;
  if (!Number.isSafeInteger(skip) || !Number.isSafeInteger(fieldCount) || typeof header !== 'boolean')
    return undefined;
  return {
    encoding,
    lineBreak: lineBreak as LineBreak,
    skip: skip as number,
    header,
    fieldCount: fieldCount as number,
    names: Array.isArray(names) && names.every(isText) ? names : undefined,
    delimiter: isText(delimiter) ? delimiter : undefined,
    quote: isText(quote) ? quote : undefined,
    escape: isText(escape) ? escape : undefined,
  };
}

/** Returns one line for people. */
export function describeReading(reading: Reading): string {
  const { delimiter, quote, escape, encoding, lineBreak, skip, header, fieldCount } = reading;
  const parts = [ENCODING_NAMES[encoding] ?? encoding];
  if (delimiter === undefined || fieldCount === 1) parts.push('one column');
  else parts.push(`fields divided by ${showDelimiter(delimiter)}`);
  if (quote === undefined) parts.push('no quotes');
  else if (quote !== '"') parts.push(`quote ${quote}`);
  if (escape !== quote && escape !== undefined) parts.push(`escape ${escape}`);
  if (lineBreak === 'cr') parts.push('lines end in CR');
  if (skip > 0) parts.push(`${counted(skip, 'line')} before the table left out`);
  parts.push(header ? 'with a header' : 'without a header');
  return `read as CSV: ${parts.join(', ')}`;
}

const ENCODING_NAMES: Readonly<Record<string, string>> = {
  'utf-8': 'UTF-8',
  'utf-16le': 'UTF-16LE',
  'utf-16be': 'UTF-16BE',
};

export const DELIMITERS = [',', ';', '\t', '|'] as const;

/** Names of delimiters for people. */
export function showDelimiter(delimiter: string | undefined): string {
  if (delimiter === undefined) return 'one column';
  return delimiter === '\t' ? 'tab' : JSON.stringify(delimiter);
}
