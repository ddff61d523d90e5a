/**
 * Builds the pipeline of a load.
 *
 * ```text
 *   Source ─▶ BlockStream ─▶ BlockSink    blocks of bytes that the server parses: strategy `block`, fields are the columns
 *   Source ─▶ RowStream ───▶ RowSink      rows: everything else
 * ```
 */

import { BlockSizer, MOST_RECORDS_WITH_REJECTS } from '../records/block-sizer.js';
import { BlockSink } from '../write/block-sink.js';
import { CsvBlocks, csvFormats } from '../csv/csv-blocks.js';
import { recordFormat } from '../csv/csv-reader.js';
import { FieldRuleSet, withNulls, type FieldRules } from '../csv/field-rules.js';
import { CsvRows, type CsvRowOptions } from '../csv/csv-rows.js';
import type { CliError } from '../common/errors.js';
import type { LoadSink, LoadTarget } from '../write/load-sink.js';
import { NdjsonBlocks } from '../ndjson/ndjson-blocks.js';
import { NdjsonTranscoder } from '../ndjson/copy/transcoder.js';
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

export interface LoadPipeline {
  readonly records: RecordStream;
  readonly sink: LoadSink;
}

export interface PipelineRequest {
  readonly target: LoadTarget;
  readonly options: LoadOptions;
  readonly onFailure: (error: CliError) => void;
  /** Returns `true` for records that are read, but not loaded. */
  readonly skips: ((ordinal: number) => boolean) | undefined;
}

export type OpenPipeline = (request: PipelineRequest) => LoadPipeline;

export function openPipeline(request: PipelineRequest): LoadPipeline {
  const blocks = blockFormat(request);
  if (blocks === undefined) return openRowPipeline(request);
  const { target, options, onFailure } = request;
  const records = new BlockStream(blocks.format, blocks.open, onFailure, streamOptions(request));
  return { records, sink: new BlockSink(target, options, blocks.open, () => records.passed) };
}

/** Loads row by row: for every input and strategy. Tests compare the blocks with it. */
export function openRowPipeline(request: PipelineRequest): LoadPipeline {
  const { target, options, onFailure } = request;
  const records = new RowStream(rowFormat(request), onFailure, streamOptions(request));
  return { records, sink: new RowSink(target, options) };
}

function streamOptions({ target, skips }: PipelineRequest): RecordStreamOptions {
  return { keepsBadRecords: target.rejects !== undefined, skips };
}

interface BlockReading {
  readonly format: RecordFormat<BlockContent>;
  readonly open: OpenReader;
}

/** Returns undefined for a strategy that drops single rows. */
function blockFormat(request: PipelineRequest): BlockReading | undefined {
  if (request.options.strategy !== 'block') return undefined;
  return request.options.format === 'ndjson' ? ndjsonBlocks(request) : csvBlocks(request);
}

/** Returns undefined if the fields cannot be the columns. */
function csvBlocks(request: PipelineRequest): BlockReading | undefined {
  const { target, options } = request;
  const { delimiter, nullText } = options;
  if (options.columns?.includes('') === true) return undefined;
  const formats = csvFormats(delimiter, nullText, options.format === 'copy');
  if (formats === undefined) return undefined;
  const rowOptions = csvRowOptions(target, options);
  const sizer = createBlockSizer(request);
  const blockOptions = {
    ...rowOptions,
    formats,
    sizer,
    keepsBadRecords: target.rejects !== undefined,
    fit: target.widener?.fit,
  };
  return {
    // Blocks are read in steps by themselves.
    format: {
      ...recordFormat(rowOptions),
      recordEnd: undefined,
      open: (file) => new CsvBlocks(file, blockOptions),
    },
    // A block has no header, and its fields are the columns.
    open: (file, firstLine) => {
      const rows = new CsvRows(file, { ...rowOptions, header: false, names: undefined });
      rows.nextLine = firstLine;
      return rows;
    },
  };
}

function createBlockSizer({ target, options }: PipelineRequest): BlockSizer {
  return new BlockSizer(
    options.batchSize ?? (target.rejects === undefined ? undefined : MOST_RECORDS_WITH_REJECTS),
  );
}

function ndjsonBlocks(request: PipelineRequest): BlockReading {
  const { target, options } = request;
  const { maxRecordBytes } = options;
  const rowOptions = ndjsonRowOptions(target, options);
  const blockOptions = {
    ...rowOptions,
    transcoder: new NdjsonTranscoder(rowOptions),
    fit: target.widener?.fit,
    sizer: createBlockSizer(request),
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

function rowFormat({ target, options }: PipelineRequest): RecordFormat<unknown[]> {
  const { format, maxRecordBytes } = options;
  if (format === 'ndjson') {
    const rowOptions = ndjsonRowOptions(target, options);
    const open = (file: SourceFile) => new NdjsonRows(file, rowOptions);
    return { delimiter: undefined, maxRecordBytes, open, recordEnd: endOfLine };
  }
  const rowOptions = csvRowOptions(target, options);
  const open = (file: SourceFile) => new CsvRows(file, rowOptions);
  return { ...recordFormat(rowOptions), open };
}

const DECIMAL = { kind: 'scalar', name: 'numeric', category: 'N' } as const;

function ndjsonRowOptions(
  { columns, table, widener }: LoadTarget,
  { columns: names, onConflict }: LoadOptions,
): NdjsonRowOptions {
  // The marker is valid only if rows go straight into the table.
  const isDirect = onConflict === 'error' && table.hasRowSecurity !== true;
  const hasDefaults = columns.some(({ hasDefault }) => hasDefault === true);
  return {
    // So that `1.0` stays as it is written: the server refuses it, and the column is widened.
    columns: columns.map((column) =>
      widener?.isWholeNumber(column) === true ? { ...column, type: DECIMAL } : column,
    ),
    ignoresOtherKeys: names !== undefined,
    takesDefaultMarker: isDirect && hasDefaults && table.takesDefaultMarker === true,
  };
}

function csvRowOptions({ columns, rules }: LoadTarget, options: LoadOptions): CsvRowOptions {
  return csvOptionsFor(
    options,
    columns.map(({ name }) => name),
    rules,
  );
}

/** @param columns the input's names of the columns to load */
export function csvOptionsFor(
  options: LoadOptions,
  columns: readonly string[],
  rules: FieldRules | undefined,
): CsvRowOptions {
  const { format, delimiter, nullText, otherNulls, maxRecordBytes, header } = options;
  const { skipped, strict, pad, normalizeNames } = options;
  const allRules = withNulls(rules, options.nullsFor);
  const hasRules = allRules !== undefined || otherNulls.length > 0;
  return {
    isCopyText: format === 'copy',
    firstLine: skipped + 1,
    isLenient: !strict || format === 'copy',
    hasComments: options.hasComments,
    normalizesNames: normalizeNames,
    pads: pad,
    rules: hasRules ? new FieldRuleSet(allRules ?? {}, columns, options) : undefined,
    delimiter,
    nullText,
    otherNulls: otherNulls.length === 0 ? undefined : new Set(otherNulls),
    maxRecordBytes,
    header,
    names: options.columns,
    unnamed: options.unnamed,
    columns,
  };
}
