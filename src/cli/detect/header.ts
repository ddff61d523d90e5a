/** Judges whether the first record of a table names its columns. Pure. */

import { kindOf, type CellKind } from './cell-kind.js';
import type { SampleRecord } from './sample-records.js';

/** Records that are compared with the first one. */
const MOST_COMPARED = 200;

/** What one column says of the first record. */
type Vote = 'header' | 'data' | 'year' | 'none';

/**
 * `true`: the first record is a header; `false`: it is data; undefined: either may be.
 *
 * A column whose values are all of one kind, such as numbers, decides by the first record's field. A table of texts has a header. Years may
 * be names of columns: they decide only if the column has years, too.
 */
export function judgeHeader(body: readonly SampleRecord[]): boolean | undefined {
  const [first, ...rest] = body;
  if (first === undefined) return true;
  if (rest.length === 0) return !first.fields.every((field) => ['number', 'date'].includes(kindOf(field)));
  const votes = votesOf(first, rest);
  const forHeader = votes.filter((vote) => vote === 'header').length;
  const forData = votes.filter((vote) => vote === 'data').length;
  if (forHeader > forData) return true;
  if (forHeader > 0) return undefined;
  const years = first.fields.filter((_, at) => votes[at] === 'year');
  if (isSeries(years, 2)) return true;
  const mayBeNames =
    years.length > 0 ||
    isSeries(
      first.fields.filter((_, at) => votes[at] === 'data'),
      3,
    );
  if (!mayBeNames) return forData === 0;
  // A name is missing above the row names, which are not: the first record is no row.
  return isEmptyAbove(first, rest) ? true : undefined;
}

/** Whether a column says that the first record is a header. */
export function hasHeaderEvidence(body: readonly SampleRecord[]): boolean {
  const [first, ...rest] = body;
  return first !== undefined && rest.length > 0 && votesOf(first, rest).includes('header');
}

function votesOf(first: SampleRecord, rest: readonly SampleRecord[]): Vote[] {
  const compared = rest.slice(0, MOST_COMPARED);
  return first.fields.map((field, column) =>
    voteOf(
      field,
      compared.map((record) => record.fields[column] ?? ''),
    ),
  );
}

function voteOf(field: string, values: readonly string[]): Vote {
  const usual = commonKind(values.map(kindOf));
  if (usual === undefined || usual === 'text') return 'none';
  const kind = kindOf(field);
  if (kind === 'empty') return 'none';
  if (kind === 'text') return 'header';
  if (kind !== usual) return 'none';
  return isYear(field) && !values.some(isYear) ? 'year' : 'data';
}

function isYear(field: string): boolean {
  return /^\s*(?:1[5-9]|2[01])\d\d\s*$/.test(field);
}

/** The first record has no field in a column in which every other one has. */
function isEmptyAbove(first: SampleRecord, rest: readonly SampleRecord[]): boolean {
  return first.fields.some(
    (field, column) =>
      field.trim() === '' && rest.every((record) => (record.fields[column] ?? '').trim() !== ''),
  );
}

/** Returns the kind that all values have, apart from missing ones; undefined without a value. */
function commonKind(kinds: readonly CellKind[]): CellKind | undefined {
  let common: CellKind | undefined;
  for (const kind of kinds) {
    if (kind === 'empty') continue;
    if (common !== undefined && common !== kind) return 'text';
    common = kind;
  }
  return common;
}

/** At least so many whole numbers in even steps: 1990, 2000, 2010. */
function isSeries(fields: readonly string[], least: number): boolean {
  if (fields.length < least) return false;
  const numbers = fields.map((field) => (/^\s*\d{1,4}\s*$/.test(field) ? Number(field) : NaN));
  const step = numbers[1]! - numbers[0]!;
  const isEven = numbers.every((number, at) => at === 0 || number - numbers[at - 1]! === step);
  return isEven && [1, 5, 10].includes(Math.abs(step));
}
