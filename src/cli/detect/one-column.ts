/** Reads the sample without dividing its lines. Pure. */

import { dialectsFor, firstLineOf, quotingsFor, separatorLine } from './candidates.js';
import { MOST_RECORDS, isSameTable, type DialectReading } from './candidates.js';
import { kindOf } from './cells/cell-kind.js';
import { hasHeaderEvidence } from './header.js';
import type { Choice } from './likelihood.js';
import { DELIMITERS, type Dialect, type GivenReading } from './reading.js';
import { isBlank, isComment, readSample, type Sample } from './sample-records.js';

/** Lines that begin with # before one column may be its first records, unless a header follows. */
function withComments(reading: DialectReading, { comment, skip }: GivenReading): DialectReading | undefined {
  const { records, start } = reading;
  const first = records.findIndex((record) => isComment(record, '#'));
  if (comment !== undefined || skip !== undefined || first === -1 || first >= start) return undefined;
  const body = records.slice(start).filter((record) => !isBlank(record));
  return hasHeaderEvidence(body) ? undefined : { ...reading, start: first };
}

/** No dialect fits, and the first record has a delimiter: the load will name the records that do not fit it. */
export function readDamaged(sample: Sample, oneColumn: DialectReading, divider?: string): DialectReading {
  const first = oneColumn.records[oneColumn.start]!;
  const delimiter = divider ?? DELIMITERS.find((each) => first.fields[0]!.includes(each));
  const dialect: Dialect = { delimiter, quote: '"', escape: '"' };
  const records = readSample(sample, dialect, MOST_RECORDS);
  const start = Math.max(
    0,
    records.findIndex(({ line }) => line === first.line),
  );
  return { dialect, records, start, fieldCount: records[start]!.fields.length };
}

/** Returns a delimiter that most lines have, other than in sentences and numbers: they may be records of different lengths. */
export function raggedDelimiter({ records, start }: DialectReading): string | undefined {
  const lines = records.slice(start + 1).filter((record) => !isBlank(record));
  return DELIMITERS.find((delimiter) => {
    const mark = delimiter === ',' ? /,\S/ : delimiter;
    const found = lines.filter(({ fields, quoted }) => {
      const text = fields[0]!;
      const isDivided = typeof mark === 'string' ? text.includes(mark) : mark.test(text);
      return isDivided && quoted[0] !== true && kindOf(text) === 'text';
    });
    // As many in each line are part of its text.
    const counts = new Set(found.map(({ fields }) => fields[0]!.split(delimiter).length));
    return found.length > lines.length / 2 && counts.size > 1;
  });
}

/** Returns a reading without faults in which quotes behind a delimiter enclose a line break: as one column, the line would be broken. */
export function readEnclosedBreaks(sample: Sample, given: GivenReading): DialectReading | undefined {
  for (const dialect of dialectsFor(sample, given)) {
    if (dialect.quote === undefined || dialect.delimiter === undefined) continue;
    const records = readSample(sample, dialect, MOST_RECORDS);
    if (records.some(({ fault }) => fault !== undefined)) continue;
    const broken = records.find(
      ({ fields, quoted }) =>
        fields.length > 1 && fields.some((field, at) => quoted[at] === true && /[\r\n]/.test(field)),
    );
    if (broken === undefined) continue;
    const start = records.findIndex(({ fields }) => fields.length > 1);
    return { dialect, records, start, fieldCount: broken.fields.length };
  }
  return undefined;
}

/** The first record has a delimiter after all. */
export function mayHaveMore({ records, start }: DialectReading): boolean {
  const { fields, quoted } = records[start]!;
  return quoted[0] !== true && DELIMITERS.some((delimiter) => fields[0]!.includes(delimiter));
}

/** Returns undefined for a sample without a record. */
export function readOneColumn(sample: Sample, given: GivenReading): Choice<DialectReading> | undefined {
  const readings = quotingsFor(sample.text, given).flatMap((quoting) => {
    // A delimiter that is given, or that spreadsheets say, may be absent from the text.
    const dialect = { delimiter: given.delimiter ?? separatorLine(sample.text), ...quoting };
    const records = readSample(sample, dialect, MOST_RECORDS);
    const start = records.findIndex(
      (record) =>
        record.line >= firstLineOf(sample, given) &&
        !isBlank(record) &&
        !isComment(record, given.comment ?? '#'),
    );
    return start === -1 ? [] : [{ dialect, records, start, fieldCount: records[start]!.fields.length }];
  });
  const plain = readings.find(({ dialect }) => dialect.quote === '"' || given.quote !== undefined);
  if (plain === undefined) return undefined;
  const isSound = ({ records }: DialectReading) => !records.some(({ fault }) => fault !== undefined);
  const hasQuoted = ({ records }: DialectReading) => records.some(({ quoted }) => quoted[0]);
  const others = readings.filter((reading) => reading !== plain && isSound(reading));
  if (isSound(plain)) {
    const asRecord = withComments(plain, given);
    if (asRecord !== undefined) return { best: plain, rival: asRecord };
    const rival = others.find((other) => hasQuoted(other) && !isSameTable(other, plain));
    const isWhollyQuoted = rival?.records.every((record) => isBlank(record) || record.quoted[0]) === true;
    return isWhollyQuoted && !hasQuoted(plain) ? { best: rival, rival: undefined } : { best: plain, rival };
  }
  // A quote that begins a field encloses it, or is damaged.
  const best = hasQuoted(plain) ? plain : (others[0] ?? plain);
  return { best, rival: withComments(best, given) };
}
