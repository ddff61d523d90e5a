/** How records come into the table: by blocks, where the server can read them as they are, or row by row. */

import { BlockCut, MOST_RECORDS_WITH_REJECTS } from '../records/block-cut.js';
import { BlockSink } from '../write/block-sink.js';
import { CsvBlocks, csvFormats } from '../csv/csv-blocks.js';
import { endOfRecord } from '../csv/csv-reader.js';
import { CsvRows, type CsvRowOptions } from '../csv/csv-rows.js';
import type { CliError } from '../common/errors.js';
import type { LoadSink, LoadTarget } from '../write/load-sink.js';
import { NdjsonBlocks } from '../ndjson/ndjson-blocks.js';
import { NdjsonTranscoder } from '../ndjson/copy/ndjson-copy.js';
import { NdjsonRows, type NdjsonRowOptions } from '../ndjson/rows/ndjson-rows.js';
import type { LoadOptions } from '../args/options.js';
import type { OpenReader } from '../records/record-block.js';
import type { BlockContent } from '../records/block-content.js';
import type { RecordFormat } from '../records/record-parser.js';
import {
  BlockStream,
  RowStream,
  type RecordStream,
  type RecordStreamOptions,
} from '../records/record-stream.js';
import { RowSink } from '../write/row-sink.js';
import type { SourceFile } from '../input/source.js';
import { endOfLine } from '../common/text.js';

export interface LoadWay {
  readonly records: RecordStream;
  readonly sink: LoadSink;
}

export interface WayRequest {
  readonly target: LoadTarget;
  readonly options: LoadOptions;
  readonly onFailure: (error: CliError) => void;
  /** Records that are read, but not loaded. */
  readonly skips: ((ordinal: number) => boolean) | undefined;
}

export type OpenWay = (request: WayRequest) => LoadWay;

export function openWay(request: WayRequest): LoadWay {
  const blocks = blockFormat(request);
  if (blocks === undefined) return openRowWay(request);
  const { target, options, onFailure } = request;
  const records = new BlockStream(blocks.format, blocks.open, onFailure, streamOptions(request));
  return { records, sink: new BlockSink(target, options, blocks.open, () => records.passed) };
}

/** For all that there is; and what the other way is measured against. */
export function openRowWay(request: WayRequest): LoadWay {
  const { target, options, onFailure } = request;
  const records = new RowStream(rowFormat(request), onFailure, streamOptions(request));
  return { records, sink: new RowSink(target, options) };
}

function streamOptions({ target, skips }: WayRequest): RecordStreamOptions {
  return { keepsBadRecords: target.rejects !== undefined, skips };
}

interface BlockWay {
  readonly format: RecordFormat<BlockContent>;
  readonly open: OpenReader;
}

/** Undefined where it would be of no use: the strategy may drop rows one by one. */
function blockFormat(request: WayRequest): BlockWay | undefined {
  if (request.options.strategy !== 'block') return undefined;
  return request.options.format === 'csv' ? csvBlocks(request) : ndjsonBlocks(request);
}

/** Undefined where the fields are not the columns. */
function csvBlocks(request: WayRequest): BlockWay | undefined {
  const { target, options } = request;
  const { delimiter, nullText, maxRecordBytes } = options;
  if (options.columns?.includes('') === true) return undefined;
  const formats = csvFormats(delimiter, nullText);
  if (formats === undefined) return undefined;
  const rowOptions = csvRowOptions(target, options);
  const cut = blockCut(request);
  const blockOptions = { ...rowOptions, formats, cut, keepsBadRecords: target.rejects !== undefined };
  return {
    format: { delimiter, maxRecordBytes, open: (file) => new CsvBlocks(file, blockOptions) },
    // A block has no header, and its fields are the columns.
    open: (file, firstLine) => {
      const rows = new CsvRows(file, { ...rowOptions, header: false, names: undefined });
      rows.nextLine = firstLine;
      return rows;
    },
  };
}

function blockCut({ target, options }: WayRequest): BlockCut {
  return new BlockCut(
    options.batchSize ?? (target.rejects === undefined ? undefined : MOST_RECORDS_WITH_REJECTS),
  );
}

function ndjsonBlocks(request: WayRequest): BlockWay {
  const { target, options } = request;
  const { maxRecordBytes } = options;
  const rowOptions = ndjsonRowOptions(target, options);
  const blockOptions = {
    ...rowOptions,
    transcoder: new NdjsonTranscoder(rowOptions),
    cut: blockCut(request),
    keepsBadRecords: target.rejects !== undefined,
  };
  return {
    format: { delimiter: undefined, maxRecordBytes, open: (file) => new NdjsonBlocks(file, blockOptions) },
    open: (file, firstLine) => {
      const rows = new NdjsonRows(file, rowOptions);
      rows.nextLine = firstLine;
      return rows;
    },
  };
}

function rowFormat({ target, options }: WayRequest): RecordFormat<unknown[]> {
  const { format, maxRecordBytes, delimiter } = options;
  if (format === 'ndjson') {
    const rowOptions = ndjsonRowOptions(target, options);
    const open = (file: SourceFile) => new NdjsonRows(file, rowOptions);
    return { delimiter: undefined, maxRecordBytes, open, recordEnd: endOfLine };
  }
  const rowOptions = csvRowOptions(target, options);
  const open = (file: SourceFile) => new CsvRows(file, rowOptions);
  return { delimiter, maxRecordBytes, open, recordEnd: endOfRecord };
}

function ndjsonRowOptions(
  { columns, table }: LoadTarget,
  { columns: names, onConflict }: LoadOptions,
): NdjsonRowOptions {
  // Rows go straight into the table, and there is something for the marker to stand for.
  const isDirect = onConflict === 'error' && table.hasRowSecurity !== true;
  const hasDefaults = columns.some(({ hasDefault }) => hasDefault === true);
  return {
    columns,
    ignoresOtherKeys: names !== undefined,
    takesDefaultMarker: isDirect && hasDefaults && table.takesDefaultMarker === true,
  };
}

function csvRowOptions({ columns }: LoadTarget, options: LoadOptions): CsvRowOptions {
  const { delimiter, nullText, maxRecordBytes, header, columns: names } = options;
  return {
    delimiter,
    nullText,
    maxRecordBytes,
    header,
    names,
    columns: columns.map(({ name }) => name),
  };
}
