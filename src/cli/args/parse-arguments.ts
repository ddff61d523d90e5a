/** From argv to typed options. Pure: it reads neither the environment nor a file, and it never ends the process. */

import { Command, CommanderError, type Option } from 'commander';
import { UsageError } from '../common/errors.js';
import { createConsumeFlags, createConsumeOptions, type GivenConsumeFlags } from './consume-flags.js';
import { CONSUME_HELP, LOAD_HELP, QUERY_HELP, TOP_HELP } from './help.js';
import { createLoadOptions, type LoadOption } from './load-flags.js';
import { createOptions, type FileContents, type GivenFlags } from './load-options.js';
import { notEmpty } from './option-values.js';
import type { ConsumeFlags, Invocation, LoadOptions, QueryOptions } from './options.js';

const NOTHING_KNOWN: FileContents = { isParquet: () => false, entryName: (file) => file };

/**
 * Reads the arguments that follow the program's name.
 *
 * @throws {UsageError} naming the flag, its range and the value that came.
 */
export function parseArguments(argv: readonly string[], contents: FileContents = NOTHING_KNOWN): Invocation {
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
  addLoad(program, contents, (options) => (found.invocation = { command: 'load', options }));
  addConsume(program, argv, (options) => (found.invocation = { command: 'consume', options }));
  addQuery(program, (options) => (found.invocation = { command: 'query', options }));
  try {
    program.parse(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === 'commander.version') return { command: 'version' };
    // Help that was asked for; that which comes with an error is not written to `output`.
    if (output !== '') return { command: 'help', text: output };
    throw new UsageError(wordsOf(error));
  }
  if (found.invocation === undefined) throw new UsageError(MISSING_COMMAND);
  return found.invocation;
}

const MISSING_COMMAND = 'a command is missing: load, consume or query';

function wordsOf(error: CommanderError): string {
  if (error.code === 'commander.help') return MISSING_COMMAND;
  return error.message.replace(/^error: /, '').replace(/\n\(?/g, ' (');
}

function addLoad(program: Command, contents: FileContents, found: (options: LoadOptions) => void): void {
  const flags = createLoadOptions();
  const command = program
    .command('load')
    .usage('[options] [file …|-]')
    .summary('load CSV, JSON, Parquet or COPY text into a PostgreSQL table')
    .description(LOAD_HELP.description)
    .argument('[files...]', LOAD_HELP.files)
    .addHelpText('after', LOAD_HELP.after)
    .action((files: string[], given: GivenFlags) => {
      const options = createOptions(files, given, contents);
      for (const flag of flags) if (isGiven(flag.option, given)) assertApplies(flag, options);
      found(options);
    });
  for (const { option, repeats } of flags) addOption(command, option, repeats);
}

function isGiven(option: Option, given: GivenFlags): boolean {
  const value = (given as Readonly<Record<string, unknown>>)[option.attributeName()];
  // `--header` and `--no-header` have one name.
  return value !== undefined && option.negate === (value === false);
}

/** @throws {UsageError} for a flag that says how CSV is written, if the input is not CSV, or is read strictly */
function assertApplies({ option, about, isForCopy }: LoadOption, options: LoadOptions): void {
  const { format, isParquet, strict } = options;
  if (about === undefined) return;
  if (format === 'ndjson' && about !== 'encoding')
    throw new UsageError(`${option.long} is for CSV, and the input is JSON`);
  if (isParquet) throw new UsageError(`${option.long} is for CSV, and the input is Parquet`);
  if (format === 'copy' && !isForCopy)
    throw new UsageError(`${option.long} is for CSV, and the input is COPY's text format`);
  if (strict && about !== 'csv')
    throw new UsageError(
      `${option.long} and --strict exclude each other: --strict is PostgreSQL's own CSV format, in UTF-8`,
    );
}

/** Of two values the last would count, and nobody would learn of the first. */
function addOption(command: Command, option: Option, repeats: boolean): void {
  command.addOption(option);
  if (!option.required || repeats) return;
  let isGivenBefore = false;
  command.on(`option:${option.name()}`, () => {
    if (isGivenBefore) throw new UsageError(`option '${option.flags}' is given more than once`);
    isGivenBefore = true;
  });
}

function addConsume(program: Command, argv: readonly string[], found: (options: ConsumeFlags) => void): void {
  const command = program
    .command('consume')
    .usage('[options] [server …]')
    .summary('load a NATS JetStream stream into a PostgreSQL table, with any number of workers')
    .description(CONSUME_HELP.description)
    .argument('[servers...]', CONSUME_HELP.servers)
    .addHelpText('after', CONSUME_HELP.after)
    .action((servers: string[], given: GivenConsumeFlags) => found(createConsumeFlags(servers, given)));
  // To make them takes time, which other commands need not spend.
  if (!argv.includes('consume')) return;
  for (const { option, repeats } of createConsumeOptions()) addOption(command, option, repeats);
}

function addQuery(program: Command, found: (options: QueryOptions) => void): void {
  const command = program
    .command('query')
    .usage('[options] "SQL"')
    .summary('run one read-only query and print its rows')
    .description(QUERY_HELP.description)
    .argument('<sql>', QUERY_HELP.sql, notEmpty)
    .option('--json', QUERY_HELP.json)
    .addHelpText('after', QUERY_HELP.after)
    .action((sql: string, given: { to?: string; json?: boolean }) => {
      found({ sql, to: given.to, json: given.json ?? false });
    });
  addOption(command, command.createOption('--to <url>', LOAD_HELP.to).argParser(notEmpty), false);
}
