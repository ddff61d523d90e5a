/** Detects how a file of CSV is written, from a sample of its beginning. What flags say is taken as it is. */

import { snakeCase } from '../common/snake-case.js';
import { createDecoder } from '../common/text-decoder.js';
import { kindOf } from './cells/cell-kind.js';
import { detectDialect } from './dialect.js';
import { quotingsFor, type DialectReading } from './candidates.js';
import { detectEncoding } from './encoding.js';
import { judgeHeader, judgeShortHeader } from './header.js';
import type { Choice } from './likelihood.js';
import { showDelimiter, type GivenReading, type Reading } from './reading.js';
import { spacingOf } from './spaced-columns.js';
import { isBlank, isComment, lineBreakOf, type Sample, type SampleRecord } from './sample-records.js';

/** Bytes in which the dialect is looked for. The encoding is looked for in the whole sample. */
const DIALECT_BYTES = 64 * 1024;

/** Of that text, so many lines are enough, or so many characters if it has a few lines. */
const ENOUGH_LINES = 100;
const FEW_LINES = 10;
const [LEAST_CHARACTERS, MOST_CHARACTERS] = [12 * 1024, 24 * 1024];

/** Why a file cannot be read by itself: two readings are about as likely, or none fits. */
export class Undecided extends Error {}

/**
 * @param sample the beginning of the file, plain bytes
 * @param isWhole the file ends with the sample
 * @param later lines from further on in the file, in which only the encoding is looked for
 * @throws {Undecided} naming both readings and the flag that decides
 */
export async function detectReading(
  sample: Buffer,
  isWhole: boolean,
  given: GivenReading,
  later?: Buffer,
): Promise<Reading> {
  const bytes = later === undefined ? sample : Buffer.concat([sample, later]);
  const encoding = given.encoding ?? (await encodingOf(bytes, isWhole));
  const beginning = beginningOf(sample, encoding);
  const text = shorten(beginning, given);
  const isTextWhole = isWhole && sample.length <= DIALECT_BYTES && text === beginning;
  const lines: Sample = {
    text,
    isWhole: isTextWhole,
    lineBreak: lineBreakOf(text, isTextWhole),
    trim: given.trim,
  };
  const choice = detectDialect(lines, given);
  // The loader will say what is wrong with it.
  if (choice === undefined) return { ...PLAIN, ...defined(given), encoding, lineBreak: lines.lineBreak };
  const { best, rival } = readSpaced(lines, choice, given);
  if (rival !== undefined) {
    throw new Undecided(
      `it can be read in two ways: ${describe(best)}, or ${describe(rival)}; ${flagFor(best, rival)} decides`,
    );
  }
  return {
    ...best.dialect,
    encoding,
    lineBreak: lines.lineBreak,
    skip: given.skip ?? linesBefore(best),
    fieldCount: best.fieldCount,
    ...headerOf(best, given),
  };
}

/** @throws {Undecided} if the lines may have fields between spaces, or have some that no delimiter divides */
function readSpaced(
  lines: Sample,
  choice: Choice<DialectReading>,
  given: GivenReading,
): Choice<DialectReading> {
  const isDecided = given.delimiter !== undefined || given.tableColumns?.length === 1;
  const spacing = isDecided || choice.rival !== undefined ? undefined : spacingOf(choice.best);
  if (spacing === undefined) return choice;
  if (spacing === 'even') return detectDialect(lines, { ...given, delimiter: ' ' }) ?? choice;
  const shown = preview(choice.best.records[choice.best.start]!);
  throw new Undecided(
    `its lines may be one column, or fields between spaces (${shown}); --delimiter , reads one column, and ` +
      (spacing === 'unsure'
        ? '--delimiter " " the fields, if there is one space between them'
        : "sed -E 's/^ +//; s/ +/,/g' makes commas of the spaces"),
  );
}

const PLAIN: Omit<Reading, 'encoding' | 'lineBreak'> = {
  delimiter: ',',
  quote: '"',
  escape: '"',
  skip: 0,
  header: true,
  fieldCount: 1,
  names: undefined,
};

/** Without the properties that are not given: they would take the place of a default. */
function defined(given: GivenReading): Partial<Reading> {
  const { delimiter, skip, header } = given;
  const entries = Object.entries({ delimiter, skip, header }).filter(([, value]) => value !== undefined);
  return { ...(Object.fromEntries(entries) as Partial<Reading>), ...quotingsFor('', given)[0] };
}

async function encodingOf(sample: Buffer, isWhole: boolean): Promise<string> {
  const choice = await detectEncoding(sample, isWhole);
  if (choice === undefined) {
    throw new Undecided('its text is not UTF-8, and of no other encoding that can be told; give --encoding');
  }
  if (choice.rival !== undefined) {
    throw new Undecided(
      `its text may be ${choice.best} or ${choice.rival}; --encoding ${choice.best} or --encoding ${choice.rival} decides`,
    );
  }
  return choice.best;
}

/** The text in which the dialect is looked for: more only if the first line is longer. */
function beginningOf(sample: Buffer, encoding: string): string {
  const text = decodeLeniently(sample.subarray(0, DIALECT_BYTES), encoding);
  if (sample.length <= DIALECT_BYTES || /[\r\n]/.test(text)) return text;
  return decodeLeniently(sample, encoding);
}

/** Leaves out what hardly says more, as the text is read in each dialect: unless quotes first come there. */
function shorten(text: string, given: GivenReading): string {
  if (text.length <= LEAST_CHARACTERS) return text;
  const enough = Math.max(LEAST_CHARACTERS, endOfLines(text, ENOUGH_LINES));
  const end = Math.max(Math.min(enough, MOST_CHARACTERS), endOfLines(text, FEW_LINES));
  const beginning = text.slice(0, end);
  return quotingsFor(beginning, given).length === quotingsFor(text, given).length ? beginning : text;
}

/** Returns where so many lines end, at the latest the end of the text. */
function endOfLines(text: string, count: number): number {
  const lineEnds = /\r\n?|\n/g;
  for (let lines = 0; lines < count; lines += 1) if (lineEnds.exec(text) === null) return text.length;
  return lineEnds.lastIndex;
}

function decodeLeniently(bytes: Buffer, encoding: string): string {
  try {
    return withoutMark(createDecoder(encoding).decode(bytes));
  } catch {
    // The load will name the place.
    return withoutMark(new TextDecoder(encoding).decode(bytes));
  }
}

function withoutMark(text: string): string {
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

/** The number of lines before the table. */
function linesBefore({ records, start }: DialectReading): number {
  return records[start]!.line;
}

function headerOf(reading: DialectReading, given: GivenReading): Pick<Reading, 'header' | 'names'> {
  const { records, start, fieldCount } = reading;
  const body = records.slice(start).filter((record) => !isBlank(record) && !isComment(record, given.comment));
  const first = body[0];
  // Into a table that is there, the header's names are all that count.
  const isShort =
    first !== undefined && first.fields.length === fieldCount - 1 && given.tableColumns === undefined;
  const names = isShort ? namesOf(body) : undefined;
  if (given.header !== undefined) return { header: given.header, names: given.header ? names : undefined };
  const header =
    names === undefined ? (judgeByTable(first, given) ?? judgeHeader(body)) : judgeShortHeader(body, names);
  if (header === false && given.skip === undefined) assertNoHeaderBefore(reading);
  if (header === undefined) {
    throw new Undecided(
      `its first record may be a header or data (${preview(first!)}); --header or --no-header decides, and --skip ${first!.line + 1} leaves it out`,
    );
  }
  return { header, names };
}

/** @throws {Undecided} if the line right before a table without a header has too few names, and may be its header all the same */
function assertNoHeaderBefore({ records, start, fieldCount }: DialectReading): void {
  const before = records[start - 1];
  if (before === undefined || isBlank(before) || (isComment(before, '#') && /^#\s/.test(before.fields[0]!)))
    return;
  const { fields, line } = before;
  const areNames = fields.length > 2 && fields.every((field) => kindOf(field) === 'text');
  if (fields.length < 2 || (fields.length < fieldCount / 2 && !areNames)) return;
  throw new Undecided(
    `its line ${line + 1} may be a header with ${fields.length} names for ${fieldCount} columns (${preview(before)}); --skip ${line + 1} leaves it out`,
  );
}

/** `true`: all fields are names of the table's columns. */
function judgeByTable(
  first: SampleRecord | undefined,
  { tableColumns, normalizesNames = false }: GivenReading,
): boolean | undefined {
  if (first === undefined || tableColumns === undefined) return undefined;
  const nameOf = (name: string): string => (normalizesNames ? snakeCase(name) : name);
  const known = new Set(tableColumns.map(nameOf));
  return first.fields.every((field) => known.has(nameOf(field))) ? true : undefined;
}

/** Of a header with a field less than the records, the column without a name is the first, unless the last one is always empty. */
function namesOf([first, ...rest]: readonly SampleRecord[]): readonly string[] {
  const { fields } = first!;
  const others = rest.filter((record) => record.fields.length > fields.length);
  const endsInDelimiter = others.every((record) => record.fields.at(-1) === '' && !record.quoted.at(-1)!);
  return endsInDelimiter ? [...fields, ''] : ['', ...fields];
}

function describe({ dialect, records, start, fieldCount }: DialectReading): string {
  const { delimiter, quote, escape } = dialect;
  const quoting =
    quote === undefined ? ', no quotes' : escape === quote ? '' : `, escape ${JSON.stringify(escape)}`;
  const quotes = quote === undefined || quote === '"' ? quoting : `, quote ${quote}${quoting}`;
  return `${showDelimiter(delimiter)}${quotes} (${fieldCount} fields: ${preview(records[start]!)})`;
}

function preview({ fields }: SampleRecord): string {
  const shown = fields.slice(0, 4).map((field) => JSON.stringify(field.slice(0, 20)));
  return shown.join(' ') + (fields.length > 4 ? ' …' : '');
}

/** The flag in which two readings differ. */
function flagFor(a: DialectReading, b: DialectReading): string {
  if (a.dialect.delimiter !== b.dialect.delimiter) return '--delimiter';
  if (a.dialect.quote !== b.dialect.quote) return '--quote';
  return a.dialect.escape === b.dialect.escape ? '--skip' : '--escape';
}
