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
import { isBlank, isComment, readSample, type Sample, type SampleRecord } from './sample-records.js';

/** Lines before the table. */
const MOST_PREAMBLE = 100;
/** A dialect in which no more records fit is not believed. */
const LEAST_CONSISTENCY = 0.5;
const LEAST_KNOWN = 0.5;
const PREAMBLE_FACTOR = 0.9;

/** Returns undefined if no dialect fits, or for a sample without records. */
export function detectDialect(sample: Sample, given: GivenReading): Choice<DialectReading> | undefined {
  const scored = dialectsFor(sample, given).flatMap((dialect) => scoreDialect(sample, dialect, given));
  const sound = given.escape === undefined ? withoutDamaged(scored) : scored;
  const likely = given.quote === undefined ? withoutNeedlessQuotes(withQuotedNames(sound), sample) : sound;
  const sure = choose(
    likely.filter(({ isDoubtful }) => !isDoubtful),
    isSameTable,
  );
  if (sure !== undefined) {
    // One record says too little.
    const { records, start } = sure.best;
    const other = likely.find(({ value }) => !isSameTable(value, sure.best))?.value;
    const isOne = records.slice(start).filter((record) => !isBlank(record)).length === 1;
    return !isOne ? sure : { best: sure.best, rival: sure.rival ?? other };
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

/** Leaves out readings with damaged records if another escape explains them all. */
function withoutDamaged(scored: readonly ScoredReading[]): readonly ScoredReading[] {
  const isSound = ({ value: { records } }: ScoredReading) =>
    records.every(({ fault }) => fault !== 'damaged');
  return scored.filter((each) => {
    const { delimiter, quote } = each.value.dialect;
    const isLike = ({ value: { dialect } }: ScoredReading) =>
      dialect.delimiter === delimiter && dialect.quote === quote;
    return quote === undefined || isSound(each) || !scored.some((other) => isLike(other) && isSound(other));
  });
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
function scoreDialect(sample: Sample, dialect: Dialect, given: GivenReading): ScoredReading[] {
  const records = readSample(sample, dialect, MOST_RECORDS);
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
  const isUnclear = preamble.length > 0 && given.skip === undefined && !isClearOf(preamble, body, isSetOff);
  const isSentence =
    body.length === 1 && body[0]!.fields.every((field, at) => at === 0 || field.startsWith(' '));
  const isDoubtful = given.delimiter === undefined && (isUnclear || isSentence || known <= LEAST_KNOWN);
  const factor = preamble.length === 0 || given.skip !== undefined ? 1 : PREAMBLE_FACTOR;
  const score = consistency ** 2 * (0.5 + 0.5 * known) * factor;
  return { value, score, isDoubtful };
}

/**
 * Returns where the table may begin. A line that begins with # and has as many fields as the table may be a comment, its header, or a
 * record. It is a header if the # belongs to a name, and the columns' values say so.
 */
function startsAt(
  records: readonly SampleRecord[],
  start: number,
  fieldCount: number,
  { comment }: GivenReading,
): number[] {
  const afterTitles = startAfterTitles(records, start, fieldCount);
  if (afterTitles !== undefined) {
    const body = records.slice(afterTitles).filter((record) => !isBlank(record));
    return hasHeaderEvidence(body) ? [afterTitles] : [afterTitles, start];
  }
  if (comment !== undefined) return [start];
  const first = records.slice(0, start).findLastIndex((record) => !isLikeRecord(record, fieldCount)) + 1;
  if (first === start) return [start];
  const body = records.slice(first).filter((record) => !isBlank(record));
  const isName = first === start - 1 && /^#\S/.test(records[first]!.fields[0]!);
  return isName && hasHeaderEvidence(body) ? [first] : [start, first];
}

/** A line that begins with # and has as many fields as the table. */
function isLikeRecord(record: SampleRecord, fieldCount: number): boolean {
  return record.fields.length === fieldCount && isComment(record, '#');
}

/**
 * Spreadsheets write a title with as many delimiters as the table has. Returns the first record behind such lines that has a text in every
 * field; undefined without titles.
 */
function startAfterTitles(
  records: readonly SampleRecord[],
  start: number,
  fieldCount: number,
): number | undefined {
  let at = start;
  while (at < records.length && at < start + MOST_PREAMBLE && isTitle(records[at]!, fieldCount)) at += 1;
  const header = records[at];
  if (at === start || header?.fields.length !== fieldCount) return undefined;
  return header.fields.every((field) => kindOf(field) === 'text') ? at : undefined;
}

/** At most half of the fields, the first ones, have a text. */
function isTitle(record: SampleRecord, fieldCount: number): boolean {
  const { fields, quoted } = record;
  if (isBlank(record)) return true;
  const last = fields.findLastIndex((field, at) => field !== '' || quoted[at] === true);
  return fields.length === fieldCount && fieldCount > 2 && last + 1 <= fieldCount / 2;
}

/** Returns the number of fields that most records have, of those with more than one. */
function usualFieldCount(records: readonly SampleRecord[]): number | undefined {
  const counts = new Map<number, number>();
  for (const { fields } of records) {
    if (fields.length > 1) counts.set(fields.length, (counts.get(fields.length) ?? 0) + 1);
  }
  let best: number | undefined;
  // Of two that are as frequent, the first: it is the header's.
  for (const [fields, found] of counts) if (best === undefined || found > counts.get(best)!) best = fields;
  return best;
}

/** The first record has more fields than any other: a header above records whose last fields are left out. Returns their number. */
function headerFieldCount(
  records: readonly SampleRecord[],
  usual: number,
  { comment, skip = 0 }: GivenReading,
): number | undefined {
  const body = records.filter(
    (record) => record.line >= skip && !isBlank(record) && !isComment(record, comment ?? '#'),
  );
  const count = body[0]?.fields.length ?? 0;
  return count > usual && body.every(({ fields }) => fields.length <= count) ? count : undefined;
}

/** The first record with the usual number of fields, or one before it with a field less: a header without a name for the row names. */
function startOfTable(
  records: readonly SampleRecord[],
  fieldCount: number,
  { skip, comment }: GivenReading,
  firstLine: number,
): number | undefined {
  if (skip !== undefined) {
    const start = records.findIndex(
      (record) => record.line >= skip && !isBlank(record) && !isComment(record, comment),
    );
    return start === -1 ? undefined : start;
  }
  const fits = (record: SampleRecord) => record.line >= firstLine && record.fields.length === fieldCount;
  const found = records.findIndex((record) => fits(record) && !isComment(record, comment ?? '#'));
  // Every record may begin with a #.
  const first = found === -1 && comment === undefined ? records.findIndex(fits) : found;
  if (first === -1 || first > MOST_PREAMBLE) return undefined;
  // A line that begins with # and is as long as a record may be one, right below its header.
  const above = records.slice(0, first).findLastIndex((record) => !isLikeRecord(record, fieldCount));
  const before = comment === undefined ? records[above] : records[first - 1];
  const isShortHeader =
    before !== undefined &&
    before.fields.length === fieldCount - 1 &&
    // A title is no text in quotes.
    (fieldCount > 2 || before.quoted[0] === true) &&
    !isComment(before, comment ?? '#') &&
    before.fields.every((field) => field !== '');
  return isShortHeader ? records.indexOf(before) : first;
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
  return preamble.length === 1 && line!.fields.length === 1 && !hasHeaderEvidence(body);
}

/** Lines before the table are set off by a blank line, or are much fewer than its records. Otherwise the table is none. */
function isClearOf(
  preamble: readonly SampleRecord[],
  body: readonly SampleRecord[],
  isSetOff: boolean,
): boolean {
  return isSetOff ? body.length >= 2 : body.length > 2 * preamble.length;
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
