/** Reads the beginning of the input: the header, and a sample of the records. The chunks are kept and loaded with the rest. */

import { WorkPacer } from '../../common/turn-budget.js';
import type { LoadOptions } from '../args/options.js';
import { CsvReader, recordFormat, type CsvOptions, type CsvRow } from '../csv/csv-reader.js';
import { headerNames, headerTexts, emptyFile, isBlankLine, MOST_COLUMNS } from '../csv/csv-rows.js';
import { InputError, UsageError, type InputName as InputFile } from '../common/errors.js';
import { numberedNames } from '../csv/column-names.js';
import { FieldInference, type FieldOptions } from './field-inference.js';
import {
  addField,
  inputNames,
  nameColumns,
  NamedColumn,
  withNulls,
  type InputName,
  type PlacedName,
} from './input-names.js';
import { HAS_NUL } from '../values/value-flags.js';
import { TypeInference } from './infer-types.js';
import { NdjsonReader, type JsonRecord } from '../ndjson/rows/ndjson-reader.js';
import { RecordParser } from '../records/record-parser.js';
import { counted, mebibytes } from '../common/counted.js';
import type { Source, SourceChunk, SourceFile } from '../input/source.js';
import { stopTracingErrors } from '../rejects/reject-file.js';
import { endOfLine } from '../common/text.js';

/** The preview stays in memory: the first record must begin within this many bytes. */
const MOST_BYTES_BEFORE = 4 * 1024 * 1024;

/** The sample ends at the first of these limits, but has at least one record. */
const SAMPLE_RECORDS = 10_000;
const SAMPLE_BYTES = 4 * 1024 * 1024;

export interface Preview {
  /** The chunks that were read. */
  readonly head: readonly SourceChunk[];
  /** Whether the types are those of all records. */
  readonly isWhole: boolean;
  /** CSV: the fields' names, from `--columns` or the header; undefined without both. NDJSON: the keys. */
  readonly names: readonly InputName[] | undefined;
  /** Names of the header that were repaired. */
  readonly notes?: readonly string[];
}

export interface PreviewNeeds {
  /** Whether the names need types. */
  readonly withTypes: boolean;
  /** `true`: skip records that cannot be read, as the load will. `false`: the first one ends the sample. */
  readonly keepsBadRecords?: boolean;
  /** So many records are looked at, however long they are, and their chunks are not kept. Default: a sample of limited size. */
  readonly records?: number | undefined;
}

/** @throws {InputError} naming file and line of what cannot be read. */
export function previewInput(source: Source, options: LoadOptions, needs: PreviewNeeds): Promise<Preview> {
  if (needs.keepsBadRecords === true) stopTracingErrors();
  return options.format === 'ndjson'
    ? previewNdjson(source, options, needs)
    : previewCsv(source, options, needs);
}

async function previewCsv(
  source: Source,
  options: LoadOptions,
  { withTypes, keepsBadRecords = false, records: most }: PreviewNeeds,
): Promise<Preview> {
  const mostRecords = most ?? SAMPLE_RECORDS;
  const { format, header, maxRecordBytes } = options;
  const isLenient = !options.strict || format === 'copy';
  const naming = { isLenient, normalizesNames: options.normalizeNames };
  const fieldOptions = fieldOptionsOf(options);
  const create = (name: PlacedName) => new NamedColumn(new FieldInference(fieldOptions), name);
  const createAll = (names: readonly PlacedName[]) => withNulls(names.map(create), options);
  let columns = options.columns && createAll(options.columns.map((name) => ({ name })));
  if (!header && withTypes && columns === undefined && format === 'csv') {
    throw new UsageError('--create needs names for the columns: a header, or --columns');
  }
  const notes: string[] = [];
  let headerOf: SourceFile | undefined;
  /** For each field of the file that is read. Other files may have the same names in another order. */
  let fields = columns;
  let records = 0;
  const onRow = (row: CsvRow, line: number, file: SourceFile): void => {
    if (isLenient && isBlankLine(row, fields?.length ?? 0, reader!)) return;
    if (header && headerOf !== file) {
      headerOf = file;
      if (options.columns !== undefined && options.unnamed === undefined) return;
      const onNote = (note: string) => columns === undefined && notes.push(note);
      const texts = headerTexts(reader!, options.unnamed);
      const names = headerNames(texts, file, line, naming, onNote);
      columns ??= createAll(names.map((name, at) => ({ name, written: texts[at], file, line })));
      const byName = new Map(columns.map((column) => [column.name, column]));
      // A name that the first file does not have is an error of the load, after the rows before it.
      fields = names.map((name) => byName.get(name) ?? create({ name }));
      return;
    }
    if (columns === undefined && withTypes && format === 'copy')
      fields = columns = createAll(numberedNames(row.length).map((name) => ({ name })));
    if (options.hasComments === true && reader!.written.startsWith('#')) return;
    // Such a record has no place for its fields.
    const isPadded = options.pad && row.length < (fields?.length ?? 0);
    if (fields !== undefined && row.length !== fields.length && !isPadded) return;
    records += 1;
    if (withTypes && records <= mostRecords) {
      fields?.forEach((column, index) => addField(column, row[index] ?? null));
    }
  };
  const passOver = (fault: InputError, _line: number, file: SourceFile): void => {
    if (header && headerOf !== file) throw fault;
  };
  let reader: CsvReader | undefined;
  const parser = new RecordParser(
    {
      ...recordFormat(readerOptions(options)),
      open: (file) => (reader = new CsvReader(file, readerOptions(options))),
    },
    onRow,
    keepsBadRecords ? passOver : undefined,
  );
  const { head, isEnd } = await readHead(source, maxRecordBytes, {
    keeps: most === undefined,
    isEnough: () => (withTypes ? records >= mostRecords : !header || columns !== undefined),
    canBegin: () => columns !== undefined && (!withTypes || records > 0),
    look: (chunk) => lookInTurns(parser, chunk),
    line: () => reader?.nextLine,
  });
  if (header && columns === undefined) throw emptyFile(source.files[0]!);
  const isWhole = isEnd && records <= mostRecords;
  return { head, isWhole, names: columns && inputNames(columns, options, withTypes), notes };
}

/** A decimal comma is looked for only where the comma divides no fields, as programs write both. */
function fieldOptionsOf({ format, delimiter, strict: isStrict, valueFlags }: LoadOptions): FieldOptions {
  // COPY's text format says itself what NULL is.
  const strict = isStrict || format === 'copy';
  return { strict, detectsCommas: !strict && delimiter === ';', flags: valueFlags };
}

function readerOptions(options: LoadOptions): CsvOptions {
  const { format, skipped, otherNulls } = options;
  return {
    ...options,
    isCopyText: format === 'copy',
    firstLine: skipped + 1,
    otherNulls: new Set(otherNulls),
  };
}

async function previewNdjson(
  source: Source,
  options: LoadOptions,
  { withTypes, keepsBadRecords = false, records: most }: PreviewNeeds,
): Promise<Preview> {
  const mostRecords = most ?? SAMPLE_RECORDS;
  const given = options.columns;
  const keys = new RecordKeys(given);
  let records = 0;
  const onRow = (record: JsonRecord, line: number, file: SourceFile): void => {
    if (records < mostRecords) keys.add(record, withTypes, file, line);
    records += 1;
  };
  const { maxRecordBytes } = options;
  // One more than a table has columns is an error.
  const kept = { names: new Set(given), mostOthers: given === undefined ? MOST_COLUMNS + 1 : 1 };
  let reader: NdjsonReader | undefined;
  const parser = new RecordParser(
    {
      delimiter: undefined,
      maxRecordBytes,
      recordEnd: endOfLine,
      open: (file) => (reader = new NdjsonReader(file, kept)),
    },
    onRow,
    keepsBadRecords ? () => undefined : undefined,
  );
  const { head, isEnd } = await readHead(source, maxRecordBytes, {
    keeps: most === undefined,
    isEnough: () => (given !== undefined && !withTypes) || records >= mostRecords,
    canBegin: () => records > 0,
    look: (chunk) => lookInTurns(parser, chunk),
    line: () => reader?.nextLine,
  });
  return { head, isWhole: isEnd && records <= mostRecords, names: keys.names(options, withTypes) };
}

/** The keys of JSON records, with the types of their values. */
export class RecordKeys {
  readonly #given: boolean;
  readonly #columns: Map<string, NamedColumn<TypeInference>>;

  /** @param given the keys to load; undefined: all that come */
  constructor(given: readonly string[] | undefined) {
    this.#given = given !== undefined;
    this.#columns = new Map(given?.map((name) => [name, new NamedColumn(new TypeInference(), { name })]));
  }

  /** @throws {InputError} for too many keys, or one that no column can be called by */
  add(record: JsonRecord, withTypes: boolean, file: InputFile, line: number): void {
    const columns = this.#columns;
    for (const key of Object.keys(record)) {
      // No column can be called by an empty key: the record is refused later, as one with a key that has no column.
      if (!this.#given && key !== '' && !columns.has(key)) {
        if (columns.size === MOST_COLUMNS) throw tooManyKeys(file, line);
        if (key.includes('\0')) throw new InputError(file, line, `the key ${JSON.stringify(key)} ${HAS_NUL}`);
        columns.set(key, new NamedColumn(new TypeInference(), { name: key, file, line }));
      }
      if (withTypes) columns.get(key)?.inference.addJson(record[key]);
    }
  }

  /** Undefined without a record: there is no key, and no row that would need one. */
  names(options: Pick<LoadOptions, 'types' | 'normalizeNames'>, withTypes: boolean): InputName[] | undefined {
    const columns = [...this.#columns.values()];
    nameColumns(columns, options);
    return columns.length === 0 ? undefined : inputNames(columns, options, withTypes);
  }
}

function tooManyKeys(file: InputFile, line: number): InputError {
  const most = counted(MOST_COLUMNS, 'column');
  return new InputError(
    file,
    line,
    `the records up to here have more keys than a table has columns (${most}); --columns names those to load`,
  );
}

interface Look {
  /** The chunks are kept, and so bounded. */
  readonly keeps: boolean;
  readonly isEnough: () => boolean;
  readonly canBegin: () => boolean;
  readonly look: (chunk: SourceChunk) => Promise<void>;
  /** On which the next record begins. */
  readonly line: () => number | undefined;
}

/** Parses a chunk in several turns: if every record is bad, it takes many times as long as usual. */
async function lookInTurns(
  parser: Pick<RecordParser<unknown>, 'begin' | 'step'>,
  chunk: SourceChunk,
): Promise<void> {
  parser.begin(chunk);
  const pacer = new WorkPacer();
  while (parser.step()) if (pacer.isTurnSpent()) await pacer.nextTurn();
}

async function readHead(
  source: Source,
  maxRecordBytes: number,
  { keeps, isEnough, canBegin, look, line }: Look,
): Promise<{ head: SourceChunk[]; isEnd: boolean }> {
  const head: SourceChunk[] = [];
  let bytes = 0;
  // A first record may be longer than the sample; --max-record-bytes bounds it.
  while (!isEnough() && (!keeps || bytes < SAMPLE_BYTES || !canBegin())) {
    const chunk = await source.next();
    if (chunk === undefined) return { head, isEnd: true };
    if (keeps) head.push(chunk);
    bytes += chunk.bytes.length;
    try {
      await look(chunk);
      if (!keeps) chunk.memory?.release();
    } catch (error) {
      // Enough was read before the error; the load will meet it again, after the rows before it.
      if (canBegin()) break;
      throw error;
    }
    if (bytes > maxRecordBytes + MOST_BYTES_BEFORE && !canBegin()) {
      throw new InputError(
        chunk.file,
        line(),
        `no record can be read in the ${mebibytes(bytes)} up to here; is it another format? --format, --delimiter and --quote say how it is written`,
      );
    }
  }
  return { head, isEnd: false };
}
