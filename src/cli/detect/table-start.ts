/** Where the table begins, and how many fields its records have. Pure. */

import { kindOf } from './cells/cell-kind.js';
import { hasHeaderEvidence } from './header.js';
import type { GivenReading } from './reading.js';
import { isBlank, isComment, type SampleRecord } from './sample-records.js';

/** Lines before the table. */
const MOST_PREAMBLE = 100;

/** Returns the number of fields that most records have, of those with more than one. */
export function usualFieldCount(records: readonly SampleRecord[]): number | undefined {
  const counts = new Map<number, number>();
  for (const { fields } of records) {
    if (fields.length > 1) counts.set(fields.length, (counts.get(fields.length) ?? 0) + 1);
  }
  let best: number | undefined;
  // Of two that are as frequent, the first: it is the header's.
  for (const [fields, found] of counts) if (best === undefined || found > counts.get(best)!) best = fields;
  if (best === undefined || counts.get(best) !== counts.get(best + 1)) return best;
  // Unless each of the others ends in a delimiter, so that the header has a field less.
  const longer = records.filter(({ fields }) => fields.length === best + 1);
  return longer.every(({ fields, quoted }) => fields[best] === '' && quoted[best] === false)
    ? best + 1
    : best;
}

/** The first record has more fields than any other: a header above records whose last fields are left out. Returns their number. */
export function headerFieldCount(
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
export function startOfTable(
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
    // A title is no text in quotes, and quotes around names are around row names, too.
    (fieldCount > 2 || (before.quoted[0] === true && records[first]!.quoted[0] === true)) &&
    !isComment(before, comment ?? '#') &&
    before.fields.every((field) => field !== '');
  return isShortHeader ? records.indexOf(before) : first;
}

/**
 * Returns where the table may begin. A line that begins with # and has as many fields as the table may be a comment, its header, or a
 * record. It is a header if the # belongs to a name, and the columns' values say so.
 */
export function startsAt(
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
