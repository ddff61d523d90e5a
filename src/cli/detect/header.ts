/** Judges whether the first record of a table names its columns. Pure. */

import { kindOf, type CellKind } from './cells/cell-kind.js';
import { isNumbered, isSeries, isYear } from './cells/number-names.js';
import type { SampleRecord } from './sample-records.js';
import { pointsOf, type Points } from './cells/text-columns.js';

/** Records that are compared with the first one. */
const MOST_COMPARED = 200;
/** Of wide tables fewer are enough, as there are more columns that say something. */
const MOST_CELLS = 2_000;
const LEAST_COMPARED = 20;
/** Fewer codes may be alike by chance. */
const LEAST_CODES = 3;

/** What a column whose values are of one kind says of the first record. `text`: they are not, or its field is of another. */
type Vote = 'header' | 'data' | 'year' | 'text' | 'none';

/** Points of a vote, besides those of texts. */
const VOTE = 3;
/** Of a vote for a header if fewer records follow: their values may be of one kind by chance. */
const WEAK_VOTE = 2;
const LEAST_RECORDS = 3;
/** Points from which on a record is data, if nothing says that it is a header. */
const ENOUGH = 3;
/** So many times the points of the other side outweigh it: a name among many is a number. */
const CLEARLY = 4;

/**
 * `true`: the first record is a header; `false`: it is data; undefined: either may be.
 *
 * A column whose values are all of one kind, such as numbers, decides by the first record's field. Years and numbers in even steps may be
 * names of columns. A table of texts has a header, unless its first record is like those below it.
 */
export function judgeHeader(body: readonly SampleRecord[]): boolean | undefined {
  const [first, ...others] = body;
  if (first === undefined) return true;
  const rest = comparable(first, others);
  if (rest.length === 0) return judgeOne(first);
  const votes = votesOf(first, rest);
  const fieldsOf = (vote: Vote) => first.fields.filter((_, at) => votes[at] === vote);
  const hasVotesForHeader = votes.includes('header');
  const data = fieldsOf('data');
  const isCounted = isSeries(data, 3) || isNumbered(first.fields.filter((field) => field !== ''));
  if (!hasVotesForHeader) {
    const years = fieldsOf('year');
    if (isSeries(years, 2)) return true;
    if (years.length > 0 || isCounted) {
      // A name is missing above the row names, which are not: the first record is no row.
      return isEmptyAbove(first, rest) ? true : undefined;
    }
  }
  const { alike, unlike } = sumOf(first, rest, isCounted ? votes.map(withoutData) : votes);
  if (alike === 0 || (alike < ENOUGH ? unlike > alike : unlike >= CLEARLY * alike))
    return isMostlyEmpty(first) ? undefined : true;
  if (hasVotesForHeader || alike < ENOUGH || alike < CLEARLY * unlike) return undefined;
  // A header comes again where files were joined.
  const isRepeated = first.fields.length > 1 && rest.some((record) => isSameRecord(record, first));
  return isRepeated && data.length === 0 ? undefined : false;
}

/** A title with the delimiters of the table behind it, above lines that are none. */
function isMostlyEmpty({ fields }: SampleRecord): boolean {
  return fields.length > 2 && fields.filter((field) => field.trim() === '').length > fields.length / 2;
}

function withoutData(vote: Vote): Vote {
  return vote === 'data' ? 'none' : vote;
}

/** Adds the points of all columns: those with a vote, and those of texts. */
function sumOf(first: SampleRecord, rest: readonly SampleRecord[], votes: readonly Vote[]): Points {
  const numbers = first.fields.filter((field) => kindOf(field) === 'number');
  const mayBeNumbers = isSeries(numbers, 2) && Number(numbers[1]) - Number(numbers[0]) === 1;
  let alike = 0;
  let unlike = 0;
  votes.forEach((vote, column) => {
    if (vote === 'header') unlike += rest.length < LEAST_RECORDS ? WEAK_VOTE : VOTE;
    else if (vote === 'data') alike += VOTE;
    else if (vote === 'text') {
      const values = rest.map((record) => record.fields[column] ?? '');
      const points = pointsOf(first.fields[column]!, values, mayBeNumbers);
      alike += points.alike;
      unlike += points.unlike;
    }
  });
  return { alike, unlike };
}

function isSameRecord(a: SampleRecord, b: SampleRecord): boolean {
  return a.fields.length === b.fields.length && a.fields.every((field, at) => field === b.fields[at]);
}

/** A record of another length is damaged, or none: a note behind the table. */
function comparable(first: SampleRecord, others: readonly SampleRecord[]): readonly SampleRecord[] {
  const alike = others.filter(({ fields }) => fields.length === first.fields.length);
  const most = Math.min(MOST_COMPARED, Math.max(LEAST_COMPARED, Math.ceil(MOST_CELLS / first.fields.length)));
  return (alike.length === 0 ? others : alike).slice(0, most);
}

/** Without another record to compare it with. */
function judgeOne(first: SampleRecord): boolean | undefined {
  const fields = first.fields.filter((field) => field.trim() !== '');
  const values = fields.filter((field) => ['number', 'date', 'address'].includes(kindOf(field)));
  if (values.length === fields.length && values.length > 0) return false;
  return values.length === 0 || isSeries(values, values.every(isYear) ? 2 : 3) ? true : undefined;
}

/**
 * Whether a first record with a field less than the others is a header.
 *
 * @param names its fields, with an empty one in the place of the one that it lacks
 * @returns undefined if it may be a record that is damaged: names are no values, and row names are distinct
 */
export function judgeShortHeader(
  [first, ...others]: readonly SampleRecord[],
  names: readonly string[],
): true | undefined {
  if (first === undefined) return true;
  const header = { ...first, fields: names };
  const rest = comparable(header, others);
  const rowNames = new Set(rest.map(({ fields }) => fields[0]));
  if (names[0] === '' && rowNames.size < rest.length) return undefined;
  return judgeHeader([header, ...rest]) === true ? true : undefined;
}

/** Whether a column says that the first record is a header. */
export function hasHeaderEvidence(body: readonly SampleRecord[]): boolean {
  const [first, ...rest] = body;
  return first !== undefined && votesOf(first, comparable(first, rest)).includes('header');
}

function votesOf(first: SampleRecord, rest: readonly SampleRecord[]): Vote[] {
  return first.fields.map((field, column) =>
    voteOf(
      field,
      rest.map((record) => record.fields[column] ?? ''),
    ),
  );
}

function voteOf(field: string, values: readonly string[]): Vote {
  const kind = kindOf(field);
  if (kind === 'empty') return 'none';
  const usual = commonKind(values.map(kindOf));
  if (usual === undefined) return 'text';
  if (usual === 'text') return voteOfCodes(field, values);
  // Dates name the columns of a series.
  if (kind === 'text' || (kind === 'date' && usual === 'number')) return 'header';
  if (kind !== usual) return 'text';
  return isYear(field) && !values.some(isYear) ? 'year' : 'data';
}

/**
 * Codes such as `A-17`, `B-3` are as good as numbers. A name may have digits, too, but hardly in the same places. The same holds for texts
 * that all have a sign, such as `text/html`, `text/css`.
 */
function voteOfCodes(field: string, values: readonly string[]): Vote {
  const codes = values.filter((value) => kindOf(value) !== 'empty');
  const shape = shapeOf(codes[0] ?? '');
  if (codes.length < LEAST_CODES) return 'text';
  const sign = SIGNS.find((each) => codes.every((code) => code.includes(each)));
  if (sign !== undefined && field.includes(sign)) return 'data';
  // A number is hardly a name.
  if (sign !== undefined) return kindOf(field) === 'text' ? 'header' : 'text';
  if (!shape.includes('0') || !codes.every((code) => shapeOf(code) === shape)) return 'text';
  if (shapeOf(field) === shape) return 'data';
  return /\d/.test(field) ? 'text' : 'header';
}

/** Names have them, too, but not all values of a column. */
const SIGNS = ['/', ':', '@', '=', '\\', '<', '{', '[', '#', '+', '$', '%', '*', '~'];

function shapeOf(text: string): string {
  return text
    .trim()
    .replace(/\d+/g, '0')
    .replace(/\p{Lu}+/gu, 'A')
    .replace(/\p{Ll}+/gu, 'a');
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
