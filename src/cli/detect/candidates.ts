/** The dialects that a sample may be written in, and the sample read in one of them. Pure. */

import { DELIMITERS, type Dialect, type GivenReading } from './reading.js';
import type { Sample, SampleRecord } from './sample-records.js';

export function dialectsFor({ text }: Sample, given: GivenReading): Dialect[] {
  const separated = given.delimiter ?? separatorLine(text);
  const delimiters = separated === undefined ? DELIMITERS.filter((each) => text.includes(each)) : [separated];
  const quotings = quotingsFor(text, given);
  return delimiters.flatMap((delimiter) => quotings.map((quoting) => ({ delimiter, ...quoting })));
}

/** Around a field. */
const APOSTROPHES = /(?:^|[,;\t|\n\r])'(?:[^']|'')*'(?:[,;\t|\n\r]|$)/;
const SPACED_APOSTROPHES = /(?:^|[ \n\r])'(?:[^']|'')*'(?:[ \n\r]|$)/;

type Quoting = Pick<Dialect, 'quote' | 'escape'>;

export function quotingsFor(text: string, { quote, escape, delimiter }: GivenReading): Quoting[] {
  if (quote === 'none') return [{ quote: undefined, escape: undefined }];
  if (quote !== undefined) return [{ quote, escape: escape ?? quote }];
  if (escape !== undefined) return [{ quote: '"', escape }];
  const quotings: Quoting[] = [{ quote: '"', escape: '"' }];
  if (text.includes('\\"')) quotings.push({ quote: '"', escape: '\\' });
  if (text.includes("\\'")) quotings.push({ quote: "'", escape: '\\' });
  if ((delimiter === ' ' ? SPACED_APOSTROPHES : APOSTROPHES).test(text))
    quotings.push({ quote: "'", escape: "'" });
  if (text.includes('"')) quotings.push({ quote: undefined, escape: undefined });
  return quotings;
}

/** The first line that may belong to the table. */
export function firstLineOf({ text }: Sample, { skip }: GivenReading): number {
  return skip ?? (separatorLine(text) === undefined ? 0 : 1);
}

/** `sep=;`, by which spreadsheets say the delimiter. */
export function separatorLine(text: string): string | undefined {
  return /^sep=(.)\r?(?:\n|$)/i.exec(text)?.[1];
}

/** Records that are read in each dialect. */
export const MOST_RECORDS = 1_000;

export interface DialectReading {
  readonly dialect: Dialect;
  /** All records of the sample, those before the table included. */
  readonly records: readonly SampleRecord[];
  /** Index of the table's first record. */
  readonly start: number;
  readonly fieldCount: number;
}

/** Two dialects that find the same fields are no rivals. */
export function isSameTable(a: DialectReading, b: DialectReading): boolean {
  if (a.start !== b.start || a.records.length !== b.records.length) return false;
  return a.records.every(({ fields }, at) => {
    const others = b.records[at]!.fields;
    return fields.length === others.length && fields.every((field, index) => field === others[index]);
  });
}
