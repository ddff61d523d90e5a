/** From argv to typed options. Pure: it reads neither the environment nor a file, and it never ends the process. */

import { Command, CommanderError, Option } from 'commander';
import { BackpressureStrategy } from '../../api/states.js';
import { UsageError } from '../common/errors.js';
import { LOAD_HELP, QUERY_HELP, TOP_HELP } from './help.js';
import { checkRelations } from './option-relations.js';
import {
  integer,
  notEmpty,
  parseBytes,
  collect,
  collectNullFor,
  parseColumns,
  parseComment,
  parseDelimiter,
  parseEncoding,
  parseImportId,
  parseKey,
  parseMark,
  parseQuote,
  parseRejects,
  parseStrategy,
  parseTable,
} from './option-values.js';
import {
  CONFLICT_ACTIONS,
  DEFAULT_MAX_RECORD_BYTES,
  type ConflictAction,
  type Format,
  type Invocation,
  type LoadOptions,
  type QueryOptions,
} from './options.js';
import type { TableName } from './table-name.js';

const LARGEST_BATCH_SIZE = 1_000_000;
const MOST_CONNECTIONS = 100;
const MOST_SKIPPED = 1_000_000;

/**
 * Reads the arguments that follow the program's name.
 *
 * @throws {UsageError} naming the flag, its range and the value that came.
 */
export function parseArguments(argv: readonly string[]): Invocation {
  const found: { invocation?: Invocation } = {};
  let output = '';
  const program = new Command('spillway')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        output += text;
      },
      // Errors come back as exceptions, and are printed once, by the caller.
      writeErr: () => undefined,
      getOutHelpWidth: () => 100,
      getOutHasColors: () => false,
    })
    .usage('<command> [options]')
    .description(TOP_HELP.description)
    // The text is not used: the caller prints the version.
    .version('version', '-V, --version', 'print the version')
    .helpCommand(true)
    .showSuggestionAfterError(true)
    .addHelpText('after', TOP_HELP.after);
  addLoad(program, (options) => (found.invocation = { command: 'load', options }));
  addQuery(program, (options) => (found.invocation = { command: 'query', options }));
  for (const command of program.commands) rejectRepeatedOptions(command);
  try {
    program.parse(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === 'commander.version') return { command: 'version' };
    // Help that was asked for; that which comes with an error is not written to `output`.
    if (output !== '') return { command: 'help', text: output };
    throw new UsageError(wordsOf(error));
  }
  if (found.invocation === undefined) throw new UsageError('a command is missing: load or query');
  return found.invocation;
}

/** Options that may be given more than once. */
const REPEATABLE: ReadonlySet<string> = new Set(['null', 'null-for']);

/** Of two values the last would count, and nobody would learn of the first. */
function rejectRepeatedOptions(command: Command): void {
  for (const option of command.options) {
    if (!option.required || REPEATABLE.has(option.name())) continue;
    let isGiven = false;
    command.on(`option:${option.name()}`, () => {
      if (isGiven) throw new UsageError(`option '${option.flags}' is given more than once`);
      isGiven = true;
    });
  }
}

function wordsOf(error: CommanderError): string {
  if (error.code === 'commander.help') return 'a command is missing: load or query';
  return error.message.replace(/^error: /, '').replace(/\n\(?/g, ' (');
}

/** `json` is read as NDJSON, once its records are cut. */
type GivenFormat = Format | 'json';

interface RawLoadOptions {
  table?: TableName;
  to?: string;
  format?: GivenFormat;
  columns?: string[];
  delimiter?: string;
  null?: string[];
  nullFor?: Record<string, string[]>;
  header?: boolean;
  strict?: boolean;
  encoding?: string;
  quote?: string;
  escape?: string;
  skip?: number;
  comment?: string;
  decimalComma?: boolean;
  pad?: boolean;
  create?: boolean;
  truncate?: boolean;
  batchSize?: number;
  connections?: number;
  maxRecordBytes?: number;
  strategy?: BackpressureStrategy;
  onConflict?: ConflictAction;
  key?: string[];
  rejects?: string;
  maxRejects?: number;
  resume?: string;
  atomic?: boolean;
  dryRun?: boolean;
  json?: boolean;
  quiet?: boolean;
}

function addLoad(program: Command, found: (options: LoadOptions) => void): void {
  program
    .command('load')
    .usage('[options] [file …|-]')
    .summary('load CSV, NDJSON or JSON into a PostgreSQL table')
    .description(LOAD_HELP.description)
    .argument('[files...]', LOAD_HELP.files)
    .option('-t, --table <name>', LOAD_HELP.table, parseTable)
    .option('--to <url>', LOAD_HELP.to, notEmpty)
    .addOption(new Option('-f, --format <format>', LOAD_HELP.format).choices(['csv', 'ndjson', 'json']))
    .option('--columns <a,b,…>', LOAD_HELP.columns, parseColumns)
    .option('--delimiter <char>', LOAD_HELP.delimiter, parseDelimiter)
    .option('--null <text>', LOAD_HELP.null, collect)
    .option('--null-for <column=text>', LOAD_HELP.nullFor, collectNullFor)
    .option('--header', LOAD_HELP.header)
    .option('--no-header', LOAD_HELP.noHeader)
    .option('--encoding <name>', LOAD_HELP.encoding, parseEncoding)
    .option('--quote <char>', LOAD_HELP.quote, parseQuote)
    .option('--escape <char>', LOAD_HELP.escape, parseMark)
    .option('--skip <lines>', LOAD_HELP.skip, integer(0, MOST_SKIPPED))
    .option('--comment <text>', LOAD_HELP.comment, parseComment)
    .option('--decimal-comma', LOAD_HELP.decimalComma)
    .option('--pad', LOAD_HELP.pad)
    .option('--strict', LOAD_HELP.strict)
    .option('--create', LOAD_HELP.create)
    .option('--truncate', LOAD_HELP.truncate)
    .option('--batch-size <rows>', LOAD_HELP.batchSize, integer(1, LARGEST_BATCH_SIZE))
    .option('--connections <n>', LOAD_HELP.connections, integer(1, MOST_CONNECTIONS))
    .option('--max-record-bytes <bytes>', LOAD_HELP.maxRecordBytes, parseBytes)
    .option('--strategy <strategy>', LOAD_HELP.strategy, parseStrategy)
    .addOption(new Option('--on-conflict <action>', LOAD_HELP.onConflict).choices(CONFLICT_ACTIONS))
    .option('--key <a,b,…>', LOAD_HELP.key, parseKey)
    .option('--rejects <file>', LOAD_HELP.rejects, parseRejects)
    .option('--max-rejects <n>', LOAD_HELP.maxRejects, integer(0, Number.MAX_SAFE_INTEGER))
    .option('--resume <id>', LOAD_HELP.resume, parseImportId)
    .option('--atomic', LOAD_HELP.atomic)
    .option('--dry-run', LOAD_HELP.dryRun)
    .option('--json', LOAD_HELP.json)
    .option('-q, --quiet', LOAD_HELP.quiet)
    .addHelpText('after', LOAD_HELP.after)
    .action((files: string[], raw: RawLoadOptions) => {
      found(loadOptions(files, raw));
    });
}

function addQuery(program: Command, found: (options: QueryOptions) => void): void {
  program
    .command('query')
    .usage('[options] "SQL"')
    .summary('run one read-only query and print its rows')
    .description(QUERY_HELP.description)
    .argument('<sql>', QUERY_HELP.sql, notEmpty)
    .option('--to <url>', LOAD_HELP.to, notEmpty)
    .option('--json', QUERY_HELP.json)
    .addHelpText('after', QUERY_HELP.after)
    .action((sql: string, raw: { to?: string; json?: boolean }) => {
      found({ sql, to: raw.to, json: raw.json ?? false });
    });
}

function loadOptions(files: string[], raw: RawLoadOptions): LoadOptions {
  const { table } = raw;
  // Not left to the parser, which would miss it before it has seen that an option is misspelt.
  if (table === undefined) throw new UsageError("required option '-t, --table <name>' not specified");
  const given = raw.format ?? formatOf(files);
  const format = given === 'json' ? 'ndjson' : given;
  if (format === 'ndjson') {
    for (const [flag, property] of CSV_FLAGS) rejectForNdjson(flag, raw[property] !== undefined);
    if (raw.columns?.includes('') === true) throw new UsageError('--columns has an empty name');
  }
  const { strict = false } = raw;
  if (strict) {
    for (const [flag, property] of DETECTED_FLAGS) rejectForStrict(flag, raw[property] !== undefined);
  }
  if (files.filter((file) => file === '-').length > 1) {
    throw new UsageError('standard input (-) can be read only once');
  }
  const delimiter = raw.delimiter ?? (files.length > 0 && files.every(isTabSeparated) ? '\t' : ',');
  const nulls = [...new Set(raw.null ?? [''])];
  for (const text of nulls) checkNullText(text, delimiter);
  // The server knows one such text. The empty one is the most frequent in most files.
  const nullText = nulls.includes('') ? '' : nulls[0]!;
  const otherNulls = nulls.filter((text) => text !== nullText);
  const options: LoadOptions = {
    files,
    table,
    to: raw.to,
    format,
    isJsonDocument: given === 'json',
    columns: raw.columns,
    flags: {
      encoding: raw.encoding,
      delimiter: raw.delimiter,
      quote: raw.quote,
      escape: raw.escape,
      skip: raw.skip,
      comment: raw.comment,
      header: raw.header,
    },
    strict,
    delimiter,
    nullText,
    otherNulls,
    nullsFor: raw.nullFor ?? {},
    header: raw.header ?? true,
    skipped: raw.skip ?? 0,
    decimalComma: raw.decimalComma ?? false,
    pad: raw.pad ?? false,
    create: raw.create ?? false,
    truncate: raw.truncate ?? false,
    batchSize: raw.batchSize,
    connections: raw.connections,
    maxRecordBytes: raw.maxRecordBytes ?? DEFAULT_MAX_RECORD_BYTES,
    strategy: raw.strategy ?? BackpressureStrategy.BLOCK,
    onConflict: raw.onConflict ?? 'error',
    key: raw.key,
    rejects: raw.rejects,
    maxRejects: raw.maxRejects,
    resume: raw.resume,
    atomic: raw.atomic ?? false,
    dryRun: raw.dryRun ?? false,
    json: raw.json ?? false,
    quiet: raw.quiet ?? false,
  };
  checkRelations(options);
  return options;
}

/** Flags that strict reading does not have. */
const DETECTED_FLAGS = [
  ['--encoding', 'encoding'],
  ['--quote', 'quote'],
  ['--escape', 'escape'],
  ['--skip', 'skip'],
  ['--comment', 'comment'],
] as const;

const CSV_FLAGS = [
  ...DETECTED_FLAGS,
  ['--delimiter', 'delimiter'],
  ['--null', 'null'],
  ['--null-for', 'nullFor'],
  ['--header and --no-header', 'header'],
  ['--decimal-comma', 'decimalComma'],
  ['--pad', 'pad'],
] as const;

function rejectForStrict(flag: string, given: boolean): void {
  if (given)
    throw new UsageError(
      `${flag} and --strict exclude each other: --strict is PostgreSQL's own CSV format, in UTF-8`,
    );
}

function rejectForNdjson(flag: string, given: boolean): void {
  if (given) throw new UsageError(`${flag} is for CSV, and the input is JSON`);
}

function checkNullText(nullText: string, delimiter: string): void {
  // The limits of PostgreSQL's own CSV format.
  if (/["\r\n]/.test(nullText)) {
    throw new UsageError('--null must not contain a quote or a line break');
  }
  if (nullText.includes(delimiter)) throw new UsageError('--null must not contain the delimiter');
}

const EXTENSIONS: readonly (readonly [RegExp, GivenFormat])[] = [
  [/\.(csv|tsv|tab)(\.(gz|zst|xz|bz2|zip))?$/i, 'csv'],
  [/\.(ndjson|jsonl)(\.(gz|zst|xz|bz2|zip))?$/i, 'ndjson'],
  [/\.(json|geojson)(\.(gz|zst|xz|bz2|zip))?$/i, 'json'],
];

function isTabSeparated(file: string): boolean {
  return /\.(tsv|tab)(\.(gz|zst|xz|bz2|zip))?$/i.test(file);
}

function formatOf(files: readonly string[]): GivenFormat {
  const hint = 'give --format csv, --format ndjson or --format json';
  const formats = new Set<GivenFormat>();
  for (const file of files.length === 0 ? ['-'] : files) {
    if (file === '-') throw new UsageError(`standard input does not say its format: ${hint}`);
    const format = EXTENSIONS.find(([pattern]) => pattern.test(file))?.[1];
    if (format === undefined) throw new UsageError(`the name "${file}" does not say its format: ${hint}`);
    formats.add(format);
  }
  if (formats.size > 1)
    throw new UsageError('the files are of different formats: load them one after another');
  return [...formats][0]!;
}
