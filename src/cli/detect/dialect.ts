/**
 * Detects delimiter, quote and escape, and the lines before the table, by reading the sample in each dialect that may be meant.
 *
 * ```text
 *   score = consistency² · (½ + ½ · known) · preamble
 *
 *   consistency   share of the records, from the table's first one on, that have its number of fields and no fault
 *   known         share of their fields that have no other delimiter and no quotes around them
 *   preamble      0.9 if lines stand before the table that are neither comments nor blank, else 1
 * ```
 *
 * Source of the idea, a score of the rows' shape times one of the fields' contents: van den Burg, Nazábal and Sutton, "Wrangling messy CSV
 * files by detecting row and type patterns" (2019).
 */

import { dialectsFor, firstLineOf } from './candidates.js';
import { kindOf } from './cells/cell-kind.js';
import { MOST_RECORDS, isSameTable, type DialectReading } from './candidates.js';
import { hasHeaderEvidence } from './header.js';
import { choose, type Choice, type Scored } from './likelihood.js';
import {
  mayHaveMore,
  raggedDelimiter,
  readDamaged,
  readEnclosedBreaks,
  readOneColumn,
} from './one-column.js';
import { DELIMITERS, type Dialect, type GivenReading } from './reading.js';
import { headerFieldCount, startOfTable, startsAt, usualFieldCount } from './table-start.js';
import { isBlank, isComment, readSample, type Sample, type SampleRecord } from './sample-records.js';

/** A dialect in which no more records fit is not believed. */
const LEAST_CONSISTENCY = 0.5;
const LEAST_KNOWN = 0.5;
const PREAMBLE_FACTOR = 0.9;

/** Returns undefined if no dialect fits, or for a sample without records. */
export function detectDialect(sample: Sample, given: GivenReading): Choice<DialectReading> | undefined {
  const read = dialectsFor(sample, given).map((dialect) => ({
    dialect,
    records: readSample(sample, dialect, MOST_RECORDS),
  }));
  const sound = given.escape === undefined ? withoutDamaged(read) : read;
  const scored = sound.flatMap((reading) => scoreDialect(sample, reading, given));
  const likely = given.quote === undefined ? withoutNeedlessQuotes(withQuotedNames(scored), sample) : scored;
  const sure = choose(
    likely.filter(({ isDoubtful }) => !isDoubtful),
    isSameTable,
  );
  if (sure !== undefined) {
    // One record says too little.
    const { records, start } = sure.best;
    const other = likely.find(({ value }) => !isSameTable(value, sure.best))?.value;
    const isOne = records.slice(start).filter((record) => !isBlank(record)).length === 1;
    return {
      best: sure.best,
      rival: sure.rival ?? (isOne ? other : undefined) ?? brokenBy(sure.best, sound),
    };
  }
  return chooseDoubtful(sample, choose(likely, isSameTable), readOneColumn(sample, given), given);
}

function chooseDoubtful(
  sample: Sample,
  divided: Choice<DialectReading> | undefined,
  oneColumn: Choice<DialectReading> | undefined,
  given: GivenReading,
): Choice<DialectReading> | undefined {
  const { delimiter, tableColumns } = given;
  if (oneColumn === undefined || delimiter !== undefined) return divided ?? oneColumn;
  const hasDelimiter = mayHaveMore(oneColumn.best);
  if (divided === undefined) {
    if (oneColumn.rival !== undefined) return oneColumn;
    const divider = raggedDelimiter(oneColumn.best);
    if (hasDelimiter) return { best: readDamaged(sample, oneColumn.best), rival: undefined };
    const broken = readEnclosedBreaks(sample, given);
    if (broken !== undefined && tableColumns?.length !== 1) return { best: oneColumn.best, rival: broken };
    if (divider === undefined || tableColumns?.length === 1) return oneColumn;
    return { best: oneColumn.best, rival: readDamaged(sample, oneColumn.best, divider) };
  }
  // The table's columns decide.
  if (tableColumns?.length === 1) return oneColumn;
  if (tableColumns?.length === divided.best.fieldCount) return divided;
  return hasDelimiter
    ? { best: divided.best, rival: divided.rival ?? oneColumn.best }
    : { best: oneColumn.best, rival: oneColumn.rival ?? divided.best };
}

interface ScoredReading extends Scored<DialectReading> {
  /** The lines before the table may be part of it, or the fields are parts of longer ones: then it has one column. */
  readonly isDoubtful: boolean;
}

/** The sample in one dialect, whether it is a table or not. */
type SampleReading = Pick<DialectReading, 'dialect' | 'records'>;

/** Leaves out readings with damaged records if another escape explains them all: also where the records stand before the table. */
function withoutDamaged(read: readonly SampleReading[]): readonly SampleReading[] {
  const isSound = ({ records }: SampleReading) => records.every(({ fault }) => fault !== 'damaged');
  return read.filter((each) => {
    const { delimiter, quote } = each.dialect;
    const isLike = ({ dialect }: SampleReading) => dialect.delimiter === delimiter && dialect.quote === quote;
    return quote === undefined || isSound(each) || !read.some((other) => isLike(other) && isSound(other));
  });
}

/** Returns a reading without faults in which other quotes enclose a delimiter or a line break, where `best` ends a field or a record. */
function brokenBy(best: DialectReading, read: readonly SampleReading[]): DialectReading | undefined {
  const { delimiter, quote } = best.dialect;
  const isJoined = (field: string) => field.includes(delimiter ?? '\n') || /[\r\n]/.test(field);
  const other = read.find(
    ({ dialect, records }) =>
      dialect.delimiter === delimiter &&
      dialect.quote !== undefined &&
      dialect.quote !== quote &&
      records.every(({ fault }) => fault === undefined) &&
      records.some(({ fields, quoted }) =>
        fields.some((field, at) => quoted[at] === true && isJoined(field)),
      ),
  );
  return other && { ...best, ...other, start: Math.min(best.start, other.records.length - 1) };
}

/** Apostrophes around each field of a whole record are its quotes: leaves out readings without any quoted field. */
function withQuotedNames(scored: readonly ScoredReading[]): readonly ScoredReading[] {
  const quoted = scored.filter(
    ({ value: { dialect, records } }) =>
      dialect.quote === "'" &&
      records.every(({ fault }) => fault === undefined) &&
      records.some((record) => record.quoted.length > 1 && record.quoted.every(Boolean)),
  );
  return scored.filter(({ value: { dialect, records } }) => {
    const isRival = quoted.some(({ value }) => value.dialect.delimiter === dialect.delimiter);
    return !isRival || dialect.quote === "'" || records.some((record) => record.quoted.includes(true));
  });
}

/**
 * Leaves out readings in which quotes mean nothing, unless all quotes stand within fields: a quote at the beginning of a field encloses it,
 * or is damaged. Tabs are rare in texts, so that files with tabs are often written without quotes.
 */
function withoutNeedlessQuotes(scored: readonly ScoredReading[], sample: Sample): ScoredReading[] {
  return scored.filter(({ value: { dialect, records } }) => {
    if (dialect.quote !== undefined) return true;
    let enclosed = 0;
    let opened = 0;
    for (const field of records.flatMap(({ fields }) => fields)) {
      if (!field.startsWith('"')) continue;
      if (field.length > 1 && field.endsWith('"')) enclosed += 1;
      else opened += 1;
    }
    if (dialect.delimiter === '\t' && enclosed < opened && !isSoundWithQuotes(sample, dialect)) return true;
    // The last record of the sample may be cut off, and have a quote.
    return (
      enclosed + opened === 0 && (sample.isWhole || !sample.text.includes(`${dialect.delimiter ?? ''}"`))
    );
  });
}

/** Quotes that open a field and close one on a later line enclose line breaks. Of a part of a file, that is not known. */
function isSoundWithQuotes(sample: Sample, { delimiter }: Dialect): boolean {
  if (!sample.isWhole) return false;
  const records = readSample(sample, { delimiter, quote: '"', escape: '"' }, MOST_RECORDS);
  return records.every(({ fault }) => fault === undefined);
}

/** Returns no reading if the dialect does not fit, and two if the table may begin at either of two lines. */
function scoreDialect(
  sample: Sample,
  { dialect, records }: SampleReading,
  given: GivenReading,
): ScoredReading[] {
  const usual = usualFieldCount(records);
  if (usual === undefined) return [];
  const skip = firstLineOf(sample, given);
  const fieldCount = headerFieldCount(records, usual, { ...given, skip }) ?? usual;
  const start = startOfTable(records, fieldCount, given, skip);
  if (start === undefined) return [];
  const starts = given.skip === undefined ? startsAt(records, start, fieldCount, given) : [start];
  const isCut = fieldCount > usual;
  return starts.flatMap(
    (at) => scoreReading({ dialect, records, start: at, fieldCount }, isCut, given) ?? [],
  );
}

/** @param isCut records may lack their last fields */
function scoreReading(value: DialectReading, isCut: boolean, given: GivenReading): ScoredReading | undefined {
  const { dialect, records, start, fieldCount } = value;
  const body = records.slice(start).filter((record) => !isBlank(record) && !isComment(record, given.comment));
  const fitting = body.filter(
    ({ fields, fault }, at) =>
      fault === undefined &&
      (fields.length === fieldCount ||
        (isCut && fields.length > 1) ||
        // A header without a name for one column.
        (at === 0 && fields.length > 1 && fields.length === fieldCount - 1)),
  ).length;
  const consistency = fitting / body.length;
  if (consistency <= LEAST_CONSISTENCY) return undefined;
  // A title with all of the table's delimiters is no text of one column.
  const preamble = records
    .slice(0, start)
    .filter((record) => isProse(record) && record.fields.length !== fieldCount);
  const before = records.slice(0, start).findLast((record) => !isComment(record, '#'));
  const isSetOff = before !== undefined && isBlank(before);
  if (given.delimiter === undefined && !isSetOff && isOneColumn(preamble, body)) return undefined;
  const known = knownShare(body, dialect);
  // A line with more fields than the table is one of its records rather, read with other quotes.
  const isClear =
    isClearOf(preamble, body, isSetOff) && preamble.every(({ fields }) => fields.length < fieldCount);
  const isUnclear = preamble.length > 0 && given.skip === undefined && !isClear;
  const isSentence =
    body.length === 1 && body[0]!.fields.every((field, at) => at === 0 || field.startsWith(' '));
  const isDoubtful = given.delimiter === undefined && (isUnclear || isSentence || known <= LEAST_KNOWN);
  const factor = preamble.length === 0 || given.skip !== undefined ? 1 : PREAMBLE_FACTOR;
  const score = consistency ** 2 * (0.5 + 0.5 * known) * factor;
  return { value, score, isDoubtful };
}

function isProse(record: SampleRecord): boolean {
  const isSeparatorLine = record.line === 0 && /^sep=/i.test(record.fields[0]!);
  return !isBlank(record) && !isComment(record, '#') && !isSeparatorLine;
}

/**
 * A single line of one field, and right behind it records without a header of their own: this is one column, whose values happen to contain
 * the delimiter.
 */
function isOneColumn(preamble: readonly SampleRecord[], body: readonly SampleRecord[]): boolean {
  const [line] = preamble;
  if (preamble.length !== 1 || line!.fields.length > 1) return false;
  // Names of columns are written like their values: a space behind the delimiter of the first line alone belongs to a text.
  const isSpaced = body.map(({ fields }) => fields.some((field, at) => at > 0 && field.startsWith(' ')));
  return !hasHeaderEvidence(body) || (isSpaced[0] === true && !isSpaced.includes(true, 1));
}

/** Lines before the table are set off by a blank line, or are much fewer than its records. Otherwise the table is none. */
function isClearOf(
  preamble: readonly SampleRecord[],
  body: readonly SampleRecord[],
  isSetOff: boolean,
): boolean {
  if (!isSetOff) return body.length > 2 * preamble.length;
  // Two lines of different lengths are no table yet.
  return body.length > 2 || (body.length === 2 && body[0]!.fields.length === body[1]!.fields.length);
}

/** The share of fields without signs of another dialect. */
function knownShare(body: readonly SampleRecord[], { delimiter }: Dialect): number {
  let fields = 0;
  let known = 0;
  const others = DELIMITERS.filter((other) => other !== delimiter);
  for (const record of body.slice(0, MOST_KNOWN)) {
    record.fields.forEach((field, index) => {
      fields += 1;
      if (record.quoted[index] === true || !hasSigns(field, others)) known += 1;
    });
  }
  return fields === 0 ? 0 : known / fields;
}

/** Records in which fields are looked at. */
const MOST_KNOWN = 200;

function isQuote(character: string): boolean {
  return character === '"' || character === "'";
}

/** Whether an unquoted field has another delimiter, or quotes around it. A comma may be a decimal comma, or part of a sentence. */
function hasSigns(field: string, others: readonly string[]): boolean {
  // One quote alone: its other one is in another field.
  if (field.length > 1 && (isQuote(field[0]!) || isQuote(field.at(-1)!))) return true;
  return others.some((other) =>
    other === ',' ? /,\S/.test(field) && kindOf(field) !== 'number' : field.includes(other),
  );
}
