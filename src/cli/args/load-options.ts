/** From the flags that were given to the options of a load: defaults, and what follows from what. Pure. */

import { BackpressureStrategy } from '../../api/states.js';
import { UsageError } from '../common/errors.js';
import { formatOf, isTabSeparated, type EntryName, type GivenFormat } from './input-format.js';
import { checkRelations } from './option-relations.js';
import {
  DEFAULT_MAX_RECORD_BYTES,
  PARQUET_NULL,
  type Format,
  type LoadOptions,
  type ReadingFlags,
} from './options.js';
import type { TableName } from './table-name.js';
import type { DateOrder } from '../values/dates.js';
import { DECIMAL_COMMA, type NumberFormat } from '../values/numbers.js';

/** Options that are what a flag says, by the flag's name. */
const DEFAULTS = {
  to: undefined,
  columns: undefined,
  strict: false,
  pad: false,
  trim: false,
  nul: undefined,
  create: false,
  normalizeNames: false,
  truncate: false,
  batchSize: undefined,
  connections: undefined,
  maxRecordBytes: DEFAULT_MAX_RECORD_BYTES,
  strategy: BackpressureStrategy.BLOCK,
  onConflict: 'error',
  key: undefined,
  rejects: undefined,
  maxRejects: undefined,
  report: undefined,
  atomic: false,
  dryRun: false,
  json: false,
  quiet: false,
} as const satisfies Partial<LoadOptions>;

/** The flags that were given, by commander's names for them. */
export interface GivenFlags extends Partial<Pick<LoadOptions, keyof typeof DEFAULTS> & ReadingFlags> {
  table?: TableName;
  format?: GivenFormat;
  null?: string[];
  type?: LoadOptions['types'];
  /** `--resume` is its older name. */
  import?: string;
  nullFor?: Record<string, string[]>;
  decimalComma?: boolean;
  dates?: DateOrder;
  numbers?: NumberFormat;
  booleans?: boolean;
}

/** What is known of files by a look into them. */
export interface FileContents {
  readonly isParquet: (files: readonly string[]) => boolean;
  readonly entryName: EntryName;
}

const READ_AS: Readonly<Record<GivenFormat, Format>> = {
  csv: 'csv',
  ndjson: 'ndjson',
  json: 'ndjson',
  copy: 'copy',
  parquet: 'copy',
};

/** @throws {UsageError} for flags that need or exclude each other */
export function createOptions(files: string[], given: GivenFlags, contents: FileContents): LoadOptions {
  const {
    table,
    format: givenFormat,
    null: givenNulls,
    nullFor = {},
    type = {},
    import: resume,
    ...others
  } = given;
  const { encoding, delimiter: givenDelimiter, quote, escape, skip, comment, header, ...rest } = others;
  const { decimalComma = false, dates, numbers, booleans = false, ...plain } = rest;
  if (decimalComma && numbers !== undefined)
    throw new UsageError(
      '--decimal-comma and --numbers exclude each other: --decimal-comma is --numbers 1234,5',
    );
  // Not left to the parser, which would miss it before it has seen that an option is misspelt.
  if (table === undefined) throw new UsageError("required option '-t, --table <name>' not specified");
  const format = givenFormat ?? (contents.isParquet(files) ? 'parquet' : formatOf(files, contents.entryName));
  const isCopy = format === 'copy' || format === 'parquet';
  const isTabbed = isCopy || (files.length > 0 && files.every(isTabSeparated));
  const delimiter = givenDelimiter ?? (isTabbed ? '\t' : ',');
  const options: LoadOptions = {
    ...DEFAULTS,
    ...plain,
    files,
    table,
    format: READ_AS[format],
    isParquet: format === 'parquet',
    isJsonDocument: format === 'json',
    flags: { encoding, delimiter: givenDelimiter, quote, escape, skip, comment, header },
    delimiter,
    ...nullTexts(format, givenNulls, delimiter),
    nullsFor: nullFor,
    types: type,
    resume,
    valueFlags: {
      dates,
      numbers: numbers ?? (decimalComma ? DECIMAL_COMMA : undefined),
      booleans,
    },
    header: header ?? !isCopy,
    skipped: skip ?? 0,
  };
  checkRelations(options);
  return options;
}

function nullTexts(
  format: GivenFormat,
  given: readonly string[] = [DEFAULT_NULLS[format] ?? ''],
  delimiter: string,
): Pick<LoadOptions, 'nullText' | 'otherNulls'> {
  for (const text of given) checkNullText(format, text, delimiter);
  // The server knows one such text. The empty one is the most frequent in most files.
  const nullText = given.includes('') ? '' : given[0]!;
  return { nullText, otherNulls: [...new Set(given)].filter((text) => text !== nullText) };
}

const DEFAULT_NULLS: Readonly<Partial<Record<GivenFormat, string>>> = {
  copy: '\\N',
  // In what Parquet is written as.
  parquet: PARQUET_NULL,
};

function checkNullText(format: GivenFormat, nullText: string, delimiter: string): void {
  // The limits of PostgreSQL's own formats.
  if (/[\r\n]/.test(nullText) || (format === 'csv' && nullText.includes('"'))) {
    throw new UsageError(`--null must not contain ${format === 'csv' ? 'a quote or ' : ''}a line break`);
  }
  if (nullText.includes(delimiter)) throw new UsageError('--null must not contain the delimiter');
}
