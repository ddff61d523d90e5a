/** The flags of `load`: how each is written, what reads its value, and what it is about. A new flag is a line here. */

import { Option } from 'commander';
import { LOAD_HELP } from './help.js';
import {
  collect,
  collectNullFor,
  collectType,
  integer,
  notEmpty,
  parseBytes,
  parseColumns,
  parseComment,
  parseDelimiter,
  parseEncoding,
  parseImportId,
  parseKey,
  parseMark,
  parseNumbers,
  parseQuote,
  parseRejects,
  parseReport,
  parseStrategy,
  parseTable,
} from './option-values.js';
import { CONFLICT_ACTIONS } from './options.js';
import { NUL_ACTIONS } from '../values/value-flags.js';
import { DATE_ORDERS } from '../values/dates.js';

const LARGEST_BATCH_SIZE = 1_000_000;
const MOST_CONNECTIONS = 100;
const MOST_SKIPPED = 1_000_000;

/** A flag of any command. */
export interface Flag {
  /** As commander and the help write it. */
  readonly flags: string;
  readonly help: string;
  /** Without it, and without `choices`, the value is what was given. */
  readonly parse?: (value: string, before: never) => unknown;
  readonly choices?: readonly string[];
  /** `true`: it may be given more than once. */
  readonly repeats?: boolean;
}

interface LoadFlag extends Flag {
  /** `csv`: it is refused for other formats. `encoding`: with `--strict`, which has UTF-8 only. `detected`: in both cases. */
  readonly about?: 'csv' | 'encoding' | 'detected';
  /** It is about COPY's text format, too. */
  readonly isForCopy?: boolean;
}

const LOAD_FLAGS: readonly LoadFlag[] = [
  { flags: '-t, --table <name>', help: LOAD_HELP.table, parse: parseTable },
  { flags: '--to <url>', help: LOAD_HELP.to, parse: notEmpty },
  {
    flags: '-f, --format <format>',
    help: LOAD_HELP.format,
    choices: ['csv', 'ndjson', 'json', 'parquet', 'copy'],
  },
  { flags: '--columns <a,b,…>', help: LOAD_HELP.columns, parse: parseColumns },
  {
    flags: '--delimiter <char>',
    help: LOAD_HELP.delimiter,
    parse: parseDelimiter,
    about: 'csv',
    isForCopy: true,
  },
  {
    flags: '--null <text>',
    help: LOAD_HELP.null,
    parse: collect,
    repeats: true,
    about: 'csv',
    isForCopy: true,
  },
  {
    flags: '--null-for <column=text>',
    help: LOAD_HELP.nullFor,
    parse: collectNullFor,
    repeats: true,
    about: 'csv',
  },
  { flags: '--header', help: LOAD_HELP.header, about: 'csv', isForCopy: true },
  { flags: '--no-header', help: LOAD_HELP.noHeader, about: 'csv', isForCopy: true },
  {
    flags: '--encoding <name>',
    help: LOAD_HELP.encoding,
    parse: parseEncoding,
    about: 'encoding',
    isForCopy: true,
  },
  { flags: '--quote <char>', help: LOAD_HELP.quote, parse: parseQuote, about: 'detected' },
  { flags: '--escape <char>', help: LOAD_HELP.escape, parse: parseMark, about: 'detected' },
  {
    flags: '--skip <lines>',
    help: LOAD_HELP.skip,
    parse: integer(0, MOST_SKIPPED),
    about: 'detected',
    isForCopy: true,
  },
  { flags: '--comment <text>', help: LOAD_HELP.comment, parse: parseComment, about: 'detected' },
  { flags: '--dates <order>', help: LOAD_HELP.dates, choices: DATE_ORDERS, about: 'csv' },
  { flags: '--numbers <example>', help: LOAD_HELP.numbers, parse: parseNumbers, about: 'csv' },
  { flags: '--decimal-comma', help: LOAD_HELP.decimalComma, about: 'csv' },
  { flags: '--booleans', help: LOAD_HELP.booleans, about: 'csv' },
  { flags: '--pad', help: LOAD_HELP.pad, about: 'csv' },
  { flags: '--trim', help: LOAD_HELP.trim, about: 'csv' },
  { flags: '--nul <action>', help: LOAD_HELP.nul, choices: NUL_ACTIONS },
  { flags: '--strict', help: LOAD_HELP.strict },
  { flags: '--create', help: LOAD_HELP.create },
  { flags: '--type <column=type>', help: LOAD_HELP.type, parse: collectType, repeats: true },
  { flags: '--normalize-names', help: LOAD_HELP.normalizeNames },
  { flags: '--truncate', help: LOAD_HELP.truncate },
  { flags: '--batch-size <rows>', help: LOAD_HELP.batchSize, parse: integer(1, LARGEST_BATCH_SIZE) },
  { flags: '--connections <n>', help: LOAD_HELP.connections, parse: integer(1, MOST_CONNECTIONS) },
  { flags: '--max-record-bytes <bytes>', help: LOAD_HELP.maxRecordBytes, parse: parseBytes },
  { flags: '--strategy <strategy>', help: LOAD_HELP.strategy, parse: parseStrategy },
  { flags: '--on-conflict <action>', help: LOAD_HELP.onConflict, choices: CONFLICT_ACTIONS },
  { flags: '--key <a,b,…>', help: LOAD_HELP.key, parse: parseKey },
  { flags: '--rejects <file>', help: LOAD_HELP.rejects, parse: parseRejects },
  { flags: '--max-rejects <n>', help: LOAD_HELP.maxRejects, parse: integer(0, Number.MAX_SAFE_INTEGER) },
  { flags: '--report <file>', help: LOAD_HELP.report, parse: parseReport },
  { flags: '--resume, --import <id>', help: LOAD_HELP.resume, parse: parseImportId },
  { flags: '--atomic', help: LOAD_HELP.atomic },
  { flags: '--dry-run', help: LOAD_HELP.dryRun },
  { flags: '--json', help: LOAD_HELP.json },
  { flags: '-q, --quiet', help: LOAD_HELP.quiet },
];

/** A flag as commander has it. */
export interface FlagOption {
  readonly option: Option;
  readonly repeats: boolean;
}

export interface LoadOption extends FlagOption {
  readonly about: LoadFlag['about'];
  readonly isForCopy: boolean;
}

/** Makes commander's options of the table. */
export function createLoadOptions(): LoadOption[] {
  return LOAD_FLAGS.map((flag) => ({
    ...createFlagOption(flag),
    about: flag.about,
    isForCopy: flag.isForCopy ?? false,
  }));
}

export function createFlagOption({ flags, help, parse, choices, repeats = false }: Flag): FlagOption {
  const option = new Option(flags, help);
  if (choices !== undefined) option.choices(choices);
  if (parse !== undefined) option.argParser(parse as (value: string, before: unknown) => unknown);
  return { option, repeats };
}
