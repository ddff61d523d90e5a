/** Runs the command line's readers over bytes that are cut at given places. */

import type { CsvRow } from '../../src/cli/csv/csv-reader.js';
import { CsvReader } from '../../src/cli/csv/csv-reader.js';
import { NdjsonReader, type JsonRecord } from '../../src/cli/ndjson/rows/ndjson-reader.js';
import { RecordParser, type RecordFormat } from '../../src/cli/records/record-parser.js';
import type { SourceFile } from '../../src/cli/input/source.js';

export interface Records<Row> {
  rows: { row: Row; line: number }[];
  /** The message of what ended it, if anything did. */
  error: string | undefined;
}

/** A record as it comes where bad ones are kept: with its row, or with what was wrong with it and how it was written. */
export type KeptRecord<Row> = { line: number } & ({ row: Row } | { fault: string; text: string });

export interface KeptRecords<Row> {
  records: KeptRecord<Row>[];
  error: string | undefined;
}

const FILE: SourceFile = { name: 'f', path: 'f', sizeBytes: undefined };
const NOTHING = Buffer.alloc(0);

export interface CsvSettings {
  delimiter?: string;
  nullText?: string;
  maxRecordBytes?: number;
}

/** `cuts`: offsets at which a new chunk begins. */
export function readCsv(
  bytes: Buffer | string,
  cuts: readonly number[] = [],
  settings: CsvSettings = {},
): Records<CsvRow> {
  return read(bytes, cuts, csvFormat(settings));
}

export function readNdjson(
  bytes: Buffer | string,
  cuts: readonly number[] = [],
  maxRecordBytes = 1024 * 1024,
): Records<JsonRecord> {
  return read(bytes, cuts, ndjsonFormat(maxRecordBytes));
}

export function keepCsv(
  bytes: Buffer | string,
  cuts: readonly number[] = [],
  settings: CsvSettings = {},
): KeptRecords<CsvRow> {
  return keep(bytes, cuts, csvFormat(settings));
}

export function keepNdjson(
  bytes: Buffer | string,
  cuts: readonly number[] = [],
  maxRecordBytes = 1024 * 1024,
): KeptRecords<JsonRecord> {
  return keep(bytes, cuts, ndjsonFormat(maxRecordBytes));
}

function csvFormat(settings: CsvSettings): RecordFormat<CsvRow> {
  const { delimiter = ',', nullText = '', maxRecordBytes = 1024 * 1024 } = settings;
  return {
    delimiter,
    maxRecordBytes,
    open: (file) => new CsvReader(file.name, { delimiter, nullText, maxRecordBytes }),
  };
}

function ndjsonFormat(maxRecordBytes: number): RecordFormat<JsonRecord> {
  return { delimiter: undefined, maxRecordBytes, open: (file) => new NdjsonReader(file.name) };
}

function read<Row>(input: Buffer | string, cuts: readonly number[], format: RecordFormat<Row>): Records<Row> {
  const rows: Records<Row>['rows'] = [];
  const parser = new RecordParser<Row>(format, (row, line) => rows.push({ row, line }));
  return { rows, error: feed(parser, input, cuts) };
}

/** Reads on after bad records. Expects the ordinals to count all. */
function keep<Row>(
  input: Buffer | string,
  cuts: readonly number[],
  format: RecordFormat<Row>,
): KeptRecords<Row> {
  const records: KeptRecord<Row>[] = [];
  const place = (ordinal: number): void => {
    if (ordinal !== records.length) throw new Error(`ordinal ${ordinal} of record ${records.length}`);
  };
  const parser = new RecordParser<Row>(
    format,
    (row, line, _file, ordinal) => {
      place(ordinal);
      records.push({ row, line });
    },
    (fault, line, _file, ordinal, text) => {
      place(ordinal);
      records.push({ fault: fault.message, text, line });
    },
  );
  return { records, error: feed(parser, input, cuts) };
}

function feed(
  parser: { add: RecordParser<unknown>['add'] },
  input: Buffer | string,
  cuts: readonly number[],
): string | undefined {
  const bytes = Buffer.from(input);
  const ends = [...cuts.filter((cut) => cut <= bytes.length).toSorted((a, b) => a - b), bytes.length];
  let start = 0;
  try {
    for (const end of ends) {
      // A copy, so that nothing can look beyond its end; nor at it once it was read, for other bytes may stand there then.
      const chunk = Buffer.from(bytes.subarray(start, end));
      parser.add({ file: FILE, bytes: chunk, last: false });
      chunk.fill('"');
      start = end;
    }
    parser.add({ file: FILE, bytes: NOTHING, last: true });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
