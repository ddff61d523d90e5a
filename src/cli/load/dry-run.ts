/** `spillway load --dry-run`: shows how the input is read and what would be stored, from its beginning. It changes nothing. */

import { stringify } from 'lossless-json';
import type { TableDescription } from '../../postgres/table/catalogue.js';
import type { CopyPool } from '../../postgres/protocol/pool.js';
import { quoteIdentifier, quoteTable } from '../../postgres/sql/identifiers.js';
import type { LoadOptions } from '../args/options.js';
import { showTable } from '../args/table-name.js';
import { CliError, ExitCode, InputError, oneLine, placeOf } from '../common/errors.js';
import { printable } from '../common/terminal.js';
import { endOfLine } from '../common/text.js';
import { recordFormat } from '../csv/csv-reader.js';
import { CsvRows } from '../csv/csv-rows.js';
import type { SourceChunk, SourceFile } from '../input/source.js';
import { NdjsonReader, type JsonRecord } from '../ndjson/rows/ndjson-reader.js';
import { RecordParser } from '../records/record-parser.js';
import type { LoadJson } from '../report/load-json.js';
import { readingJson, readingLine } from '../report/summary.js';
import { formatTable } from '../report/value-table.js';
import { connect, type Connection } from '../server/connection.js';
import { resolveDestination } from '../server/destination.js';
import { valuesByColumn } from '../table/flag-columns.js';
import type { InputName } from '../table/input-names.js';
import { previewInput } from '../table/preview.js';
import {
  columnsFor,
  findTable,
  keyColumns,
  nameNotes,
  throwMissingTable,
  wantedName,
  type LoadColumn,
} from '../table/table.js';
import type { Terminal } from './load.js';
import { csvOptionsFor } from './load-pipeline.js';
import { RefusedField, textForServer } from '../values/converted-field.js';
import { HAS_NUL } from '../values/value-flags.js';
import { describeHints } from '../table/value-hints.js';
import type { FieldRules } from '../csv/field-rules.js';
import { fieldNames, rulesFor, rulesOf } from './column-rules.js';
import { startTasks } from '../live/tasks.js';
import { knownOf } from './load-plan.js';
import { openInput } from './reading/open-input.js';
import { readInput } from './reading/read-input.js';

/** Rows and problems that are shown. */
const MOST_ROWS = 10;
const MOST_PROBLEMS = 10;

const SAMPLED =
  'the types are those of the first 10,000 records or 4 MiB; a load widens the type of a later value that does not fit';

interface DryRunJson {
  readonly dryRun: true;
  readonly table: string;
  readonly schema: string | null;
  readonly reading: LoadJson['reading'];
  /** What the user should know besides: names that were repaired, values that a flag would read. */
  readonly notes: readonly string[];
  /** `CREATE TABLE`, with `--create`. */
  readonly statement: string | null;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Whether all of the input was looked at, or its beginning only. */
  readonly isWhole: boolean;
  /** The first rows, as they would be stored: texts, or `null`. */
  readonly rows: readonly (readonly (string | null)[])[];
  /** Records of the sample that cannot be read. */
  readonly problems: readonly {
    readonly file: string;
    readonly line: number | null;
    /** In place of the line: JSON that is not one object a line. */
    readonly record?: number;
    readonly message: string;
  }[];
  readonly exitCode: ExitCode;
}

export interface DryRun {
  readonly json: DryRunJson;
  /** For people. */
  readonly text: string;
}

/**
 * With `--create` no server is asked, and the table is taken to be missing.
 *
 * @throws {CliError} for input that cannot be read at all, and without `--create` if there is no such table
 */
export async function dryRun(
  options: LoadOptions,
  terminal: Omit<Terminal, 'onStopSignal'>,
): Promise<DryRun> {
  const source = await openInput(options, terminal);
  const progress = startTasks('dry run', terminal, options.quiet);
  let server: Connection | undefined;
  try {
    progress.step('connecting to PostgreSQL');
    server = options.create ? undefined : await connectTo(options, terminal);
    const table = server && (await describeTarget(server.pool, options));
    progress.step('reading the beginning of the input');
    const input = await readInput(source, options, { ...knownOf(table), stored: undefined });
    const named = { ...input.options, columns: input.options.columns ?? fieldNames(input.options, table) };
    const preview = await previewInput(source, named, { withTypes: true, keepsBadRecords: true });
    const names = (input.columns ?? preview.names)?.filter(({ name }) => name !== '') ?? namesOf(table);
    if (table === undefined && names.length === 0)
      throw new CliError('the input has no records to infer columns from');
    // As a load would, so that the same names are found, or refused.
    const existing = table && (await columnsFor(server!.pool, table, names, options.normalizeNames));
    const columns = existing ?? names.map((input) => ({ ...input, columnName: wantedName(input) }));
    keyColumns(options.key, columns);
    const nullsFor = valuesByColumn('--null-for', options.nullsFor, columns);
    const read = { ...input.options, nullsFor };
    const rules = existing === undefined ? rulesOf(names) : rulesFor(existing, names);
    const sampled = readRows(preview.head, names, read, rules);
    const statement = table === undefined ? statementFor(options, names) : null;
    const notes = [
      ...(input.notes ?? []),
      ...(preview.notes ?? []),
      ...(table === undefined ? describeHints(names) : []),
      ...(existing === undefined ? longNames(options, names) : nameNotes(options, table!, existing)),
    ];
    const exitCode = exitCodeFor(options, sampled.problems);
    const reading = readingJson(input.reading);
    const { schema = null, table: name } = options.table;
    const json: DryRunJson = {
      dryRun: true,
      table: name,
      schema,
      reading,
      statement,
      columns: existing?.map(columnOfTable) ?? names.map(columnToMake),
      isWhole: preview.isWhole,
      notes,
      ...sampled,
      exitCode,
    };
    const lines = [
      ...(input.reading === undefined ? [] : [readingLine(input.reading)]),
      ...(preview.isWhole || statement === null || input.columns !== undefined ? [] : [SAMPLED]),
      ...notes,
      statement ?? `into the table ${showTable(options.table)}, which is there`,
    ];
    return { json, text: textOf(json, lines) };
  } finally {
    progress.stop();
    source.stop();
    await server?.close();
  }
}

function connectTo(options: LoadOptions, terminal: Omit<Terminal, 'onStopSignal'>): Promise<Connection> {
  return connect(resolveDestination(options.to, terminal.environment), 1, terminal.environment);
}

async function describeTarget(pool: CopyPool, { table }: LoadOptions): Promise<TableDescription> {
  return (await findTable(pool, table)) ?? throwMissingTable(table);
}

function namesOf(table: TableDescription | undefined): InputName[] {
  const loadable = table?.columns.filter(({ isGenerated }) => !isGenerated) ?? [];
  return loadable.map(({ name }) => ({ name, file: undefined, line: undefined, type: 'text' }));
}

const columnOfTable = ({ columnName, typeName }: LoadColumn): DryRunJson['columns'][number] => ({
  name: columnName,
  type: typeName,
});

const columnToMake = (input: InputName): DryRunJson['columns'][number] => ({
  name: wantedName(input),
  type: input.type,
});

/** The longest name of a server, unless it was built otherwise. */
const LONGEST_NAME_BYTES = 63;

/** No server is asked, which would say what it keeps of a name. */
function longNames({ table }: LoadOptions, names: readonly InputName[]): string[] {
  const isLong = (name: string): boolean => Buffer.byteLength(name) > LONGEST_NAME_BYTES;
  const note = (what: string, name: string): string =>
    `the ${what} name ${JSON.stringify(name)} is longer than ${LONGEST_NAME_BYTES} bytes: the server cuts it, and a load numbers names that are equal then`;
  return [
    ...(isLong(table.table) ? [note('table', table.table)] : []),
    ...names
      .map(wantedName)
      .filter(isLong)
      .map((name) => note('column', name)),
  ];
}

function statementFor({ table }: LoadOptions, names: readonly InputName[]): string {
  const name =
    table.schema === undefined ? quoteIdentifier(table.table) : quoteTable(table.schema, table.table);
  const columns = names.map((column) => `  ${quoteIdentifier(wantedName(column))} ${column.type}`);
  return `CREATE TABLE ${name} (\n${columns.join(',\n')}\n)`;
}

function exitCodeFor({ rejects }: LoadOptions, problems: readonly unknown[]): ExitCode {
  if (problems.length === 0) return ExitCode.OK;
  return rejects === undefined ? ExitCode.FAILED : ExitCode.INCOMPLETE;
}

type Sampled = Pick<DryRunJson, 'rows' | 'problems'>;

/** Reads the sample once more, now that the columns are known. */
function readRows(
  head: readonly SourceChunk[],
  names: readonly InputName[],
  options: LoadOptions,
  rules: FieldRules | undefined,
): Sampled {
  const rows: (string | null)[][] = [];
  const problems: { file: string; line: number | null; record?: number; message: string }[] = [];
  const onFault = (fault: InputError): void => {
    const { file, line = null, record, reason } = fault;
    if (problems.length < MOST_PROBLEMS) {
      const place = record === undefined ? { line } : { line: null, record };
      problems.push({ file, ...place, message: oneLine(reason) });
    }
  };
  const onRow = (row: readonly unknown[], line: number, file: SourceFile): void => {
    const place = row.findIndex(isRefused);
    if (place !== -1) {
      const { [place]: value } = row;
      const reason = value instanceof RefusedField ? value.reason : HAS_NUL;
      onFault(new InputError(file, line, `column ${JSON.stringify(names[place]!.name)} ${reason}`));
    } else if (rows.length < MOST_ROWS) rows.push(row.map(textOfValue));
  };
  const parser =
    options.format === 'ndjson'
      ? new RecordParser(
          ndjsonFormat(options),
          (record: JsonRecord, line, file) =>
            onRow(
              names.map(({ name }) => record[name]),
              line,
              file,
            ),
          onFault,
        )
      : new RecordParser(csvFormat(names, options, rules), onRow, onFault);
  try {
    for (const chunk of head) parser.add(chunk);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    onFault(error);
  }
  return { rows, problems };
}

function csvFormat(names: readonly InputName[], options: LoadOptions, rules: FieldRules | undefined) {
  const columns = names.map(({ name }) => name);
  const rowOptions = csvOptionsFor(options, columns, rules);
  const open = (file: SourceFile) => new CsvRows(file, rowOptions);
  return { ...recordFormat(rowOptions), open };
}

function ndjsonFormat({ maxRecordBytes }: LoadOptions) {
  const open = (file: SourceFile) => new NdjsonReader(file);
  return { delimiter: undefined, maxRecordBytes, open, recordEnd: endOfLine };
}

function isRefused(value: unknown): boolean {
  return value instanceof RefusedField || (typeof value === 'string' && value.includes('\0'));
}

function textOfValue(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  const text = textForServer(value);
  return typeof text === 'string' ? text : (stringify(value) ?? null);
}

function textOf({ columns, rows, problems }: DryRunJson, lines: readonly string[]): string {
  const fields = columns.map(({ name, type }) => ({ name, dataTypeID: RIGHT.test(type) ? 20 : 25 }));
  const faults = problems.map(({ file, line, record, message }) => {
    const place = placeOf({ name: file, countsRecords: record !== undefined }, record ?? line ?? undefined);
    return printable(`${place}: ${message}`);
  });
  const found = faults.length === 0 ? ['no problem found'] : ['problems:', ...faults];
  const shown = lines.map((line) => line.split('\n').map(printable).join('\n'));
  return `${shown.join('\n')}\n\n${formatTable(fields, rows)}\n${found.join('\n')}\nnothing was changed\n`;
}

/** Types of numbers, and no arrays of them. */
const RIGHT = /^(?:smallint|integer|bigint|numeric|real|double)[^[]*$/;
