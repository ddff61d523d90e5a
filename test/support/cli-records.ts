/** Runs the command line's readers over bytes that are cut at given places. */

import type { CsvRow } from '../../src/cli/csv-reader.js';
import { CsvReader } from '../../src/cli/csv-reader.js';
import { NdjsonReader, type JsonRecord } from '../../src/cli/ndjson-reader.js';
import { RecordParser, type RecordFormat } from '../../src/cli/record-parser.js';
import type { SourceFile } from '../../src/cli/source.js';

export interface Records<Row> {
  rows: { row: Row; line: number }[];
  /** The message of what ended it, if anything did. */
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
  const { delimiter = ',', nullText = '', maxRecordBytes = 1024 * 1024 } = settings;
  return read(bytes, cuts, {
    quotes: true,
    maxRecordBytes,
    open: (file) => new CsvReader(file.name, { delimiter, nullText, maxRecordBytes }),
  });
}

export function readNdjson(
  bytes: Buffer | string,
  cuts: readonly number[] = [],
  maxRecordBytes = 1024 * 1024,
): Records<JsonRecord> {
  return read(bytes, cuts, {
    quotes: false,
    maxRecordBytes,
    open: (file) => new NdjsonReader(file.name, maxRecordBytes),
  });
}

function read<Row>(input: Buffer | string, cuts: readonly number[], format: RecordFormat<Row>): Records<Row> {
  const bytes = Buffer.from(input);
  const parser = new RecordParser(format);
  const result: Records<Row> = { rows: [], error: undefined };
  const take = (row: Row, line: number): void => {
    result.rows.push({ row, line });
  };
  const ends = [...cuts.filter((cut) => cut <= bytes.length).toSorted((a, b) => a - b), bytes.length];
  let start = 0;
  try {
    for (const end of ends) {
      // A copy, so that nothing can look beyond its end.
      parser.add({ file: FILE, bytes: Buffer.from(bytes.subarray(start, end)), last: false }, take);
      start = end;
    }
    parser.add({ file: FILE, bytes: NOTHING, last: true }, take);
  } catch (error) {
    result.error = (error as Error).message;
  }
  return result;
}
