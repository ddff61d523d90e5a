/** Detects how the input is written, unless flags say it, and sets the source and the options accordingly. */

import { isAscii } from 'node:buffer';
import type { LoadOptions, ReadingFlags } from '../../args/options.js';
import { InputError } from '../../common/errors.js';
import { numberedNames, repairNames, type RepairedNames } from '../../csv/column-names.js';
import { detectReading, Undecided } from '../../detect/detect-reading.js';
import { readingFromJson, readingToJson, type GivenReading, type Reading } from '../../detect/reading.js';
import { rulesFromJson, type FieldRules } from '../../csv/field-rules.js';
import { commentsIn } from './comments.js';
import { converterFor } from '../../input/read-as.js';
import { NulConverter } from '../../input/nul.js';
import { JsonCutter } from '../../json/json-cutter.js';
import { JsonDecoder } from '../../json/json-decoder.js';
import { JsonReading, type JsonShape } from '../../json/json-reading.js';
import type { ByteConverter, Source, SourceFile } from '../../input/source.js';
import type { InputFormatReading, InputReading } from './input-reading.js';

/** Bytes of the first file that are looked at. */
const SAMPLE_BYTES = 256 * 1024;
/** Stands in for a delimiter where lines are not divided. It is not used in texts. */
const NO_DELIMITER = '\x1f';

/** PostgreSQL's own CSV format. */
const STRICT = { encoding: 'utf-8', lineBreak: 'lf', quote: '"', escape: '"', skip: 0 } as const;
export interface StoredReading {
  readonly reading: Reading;
  readonly columns: string[] | undefined;
  readonly rules: FieldRules | undefined;
}

export interface KnownBefore {
  /** Undefined if the table is to be made. */
  readonly tableColumns: readonly string[] | undefined;
  /** Returns a column's type in the table, or the one that the user wants. */
  readonly typeFor: (name: string) => string | undefined;
  /** `--import`: of the first run. */
  readonly stored: StoredReading | undefined;
}

/**
 * @throws {InputError} if two readings are about as likely, naming the flag that decides
 */
export async function readInput(
  source: Source,
  options: LoadOptions,
  { tableColumns, typeFor, stored }: KnownBefore,
): Promise<InputReading> {
  if (options.isJsonDocument) return { options, reading: readJson(source, options) };
  if (options.isParquet) {
    const { readParquet } = await import('./read-parquet.js');
    return readParquet(source, options, typeFor);
  }
  if (options.format === 'copy') return readCopyText(source, options);
  if (options.format !== 'csv') {
    source.convertBy((file) => chained(plainJson(file, options)));
    return { options, reading: undefined };
  }
  if (options.strict) {
    const createConverter = converterFor({ ...STRICT, ...options });
    if (createConverter !== undefined) source.convertBy(createConverter);
    return { options, reading: undefined };
  }
  const { bytes, isWhole } = await source.sample(SAMPLE_BYTES);
  const { maxRecordBytes, trim, nul } = options;
  const isEachRecord = options.flags.comment === NO_COMMENTS;
  const flags = isEachRecord ? { ...options.flags, comment: undefined } : options.flags;
  const reading =
    stored === undefined
      ? await detect(source, bytes, isWhole, {
          ...flags,
          trim,
          tableColumns,
          normalizesNames: options.normalizeNames,
        })
      : withFlags(stored.reading, flags);
  // In one column, the usual delimiter does no harm unless a text has it.
  const delimiter =
    reading.delimiter ?? (bytes.includes(options.delimiter) ? NO_DELIMITER : options.delimiter);
  const createConverter = converterFor({
    ...reading,
    delimiter,
    comment: flags.comment,
    maxRecordBytes,
    trim,
    nul,
    isSkipDetected: flags.skip === undefined,
  });
  if (createConverter !== undefined) source.convertBy(createConverter);
  const { header } = reading;
  const { hasComments, notes } = commentsIn(bytes, isWhole, reading, options);
  const isNamed = options.columns !== undefined || stored !== undefined;
  const named = isNamed ? undefined : namesFor(reading, tableColumns, options.normalizeNames);
  const columns = options.columns ?? stored?.columns ?? named?.names.slice();
  const shortNames = header && options.columns === undefined ? reading.names : undefined;
  const unnamed = shortNames === undefined ? undefined : shortNames[0] === '' ? 'first' : 'last';
  return {
    options: { ...options, delimiter, header, columns, unnamed, skipped: reading.skip, hasComments },
    reading,
    rules: stored?.rules,
    notes: [...(named?.notes ?? []), ...notes, ...nullHint(bytes, delimiter, options)],
  };
}

/** Databases write `\N` for NULL. It stays a text: a guess never changes a value. */
function nullHint(
  sample: Buffer,
  delimiter: string,
  { nullText, otherNulls, nullsFor }: LoadOptions,
): string[] {
  const isGiven = [nullText, ...otherNulls].includes('\\N') || Object.keys(nullsFor).length > 0;
  if (isGiven || !sample.includes('\\N')) return [];
  const lines = sample.toString('latin1').split(/[\r\n]/);
  if (!lines.some((line) => line.split(delimiter).includes('\\N'))) return [];
  return [
    `some fields are \\N, which databases write for NULL: --null '\\N' reads them so, and --format copy also undoes escapes`,
  ];
}

const NO_COMMENTS = 'none';

/** Nothing is detected: flags alone say how COPY's text format is written. */
function readCopyText(source: Source, options: LoadOptions): InputReading {
  const { flags, skipped: skip, delimiter, maxRecordBytes, nul } = options;
  const { encoding = 'utf-8' } = flags;
  const createConverter = converterFor({ ...STRICT, encoding, skip, delimiter, maxRecordBytes, nul });
  if (createConverter !== undefined) source.convertBy(createConverter);
  return { options, reading: undefined };
}

/** Cuts the records of JSON of any layout. */
function readJson(source: Source, options: LoadOptions): JsonReading {
  const { maxRecordBytes } = options;
  const reading = new JsonReading();
  const onShape = (shape: JsonShape): void => reading.add(shape);
  source.convertBy((file) => {
    const cutter = new JsonCutter(file, { maxRecordBytes, onShape });
    return chained([...plainJson(file, options), cutter]);
  });
  return reading;
}

/** Makes UTF-8 of JSON, in which U+0000 is then one byte. */
function plainJson(file: SourceFile, { flags, nul }: LoadOptions): ByteConverter[] {
  const decoder = new JsonDecoder(file, flags.encoding);
  return nul === undefined ? [decoder] : [decoder, new NulConverter(nul)];
}

function chained(converters: readonly ByteConverter[]): ByteConverter {
  return {
    convert: (bytes, isLast) =>
      converters.reduce((input, converter) => converter.convert(input, isLast), bytes),
  };
}

async function detect(
  source: Source,
  sample: Buffer,
  isWhole: boolean,
  given: GivenReading,
): Promise<Reading> {
  try {
    // ASCII says nothing about the encoding of what follows.
    const later = !isWhole && given.encoding === undefined && isAscii(sample);
    return await detectReading(sample, isWhole, given, later ? await source.sampleLater() : undefined);
  } catch (error) {
    if (!(error instanceof Undecided)) throw error;
    throw new InputError(source.files[0]!.name, undefined, error.message, error);
  }
}

/** A flag that differs from the first run's is an error of the import, which compares the two. */
function withFlags(reading: Reading, flags: ReadingFlags): Reading {
  const { encoding, delimiter, quote, escape, skip, header } = reading;
  return {
    ...reading,
    encoding: flags.encoding ?? encoding,
    delimiter: flags.delimiter ?? delimiter,
    quote: flags.quote === undefined ? quote : flags.quote === 'none' ? undefined : flags.quote,
    escape: flags.escape ?? escape,
    skip: flags.skip ?? skip,
    header: flags.header ?? header,
  };
}

/** Returns what an import keeps of the reading, besides the delimiter and the header, which it keeps in any case. */
export function readingToKeep(reading: InputFormatReading, rules: FieldRules | undefined): object {
  if ('describe' in reading) return { layout: reading.toJson().format };
  const { encoding, lineBreak, quote, escape, skip, fieldCount, names } = readingToJson(reading);
  const kept = { encoding, lineBreak, quote, escape, skip, fieldCount, names };
  return rules === undefined ? kept : { ...kept, rules };
}

/**
 * Returns how the first run of an import has read its input.
 *
 * @param source what the import keeps of it
 * @returns undefined if nothing was detected then: by `--strict`, or by a version that did not
 */
export function storedReading(source: unknown): StoredReading | undefined {
  const { reading, columns, delimiter, header } = source as Record<string, unknown>;
  const known = readingFromJson({ ...(reading as object | undefined), delimiter, header });
  if (known === undefined) return undefined;
  const { rules } = reading as { rules?: unknown };
  return {
    reading: known,
    columns: Array.isArray(columns) ? columns.map(String) : undefined,
    rules: rulesFromJson(rules),
  };
}

/** Names in place of the header's, if it has too few, or if a new table has no other. */
function namesFor(
  reading: Reading,
  tableColumns: readonly string[] | undefined,
  normalizes: boolean,
): RepairedNames | undefined {
  if (reading.names !== undefined) return repairNames(reading.names, normalizes);
  if (reading.header || tableColumns !== undefined) return undefined;
  return { names: numberedNames(reading.fieldCount), notes: [] };
}
