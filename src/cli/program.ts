/** The program `spillway`: runs a command, and turns its result into lines and an exit code. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ExitCode, isCliError, missingPackage, oneLine } from './common/errors.js';
import type { Invocation } from './args/options.js';
import { parseArguments } from './args/parse-arguments.js';
import { beginsWithParquet } from './parquet-magic.js';
import { entryName } from './input/files/zip-name.js';
import { earlyConsumeJson } from './report/consume-json.js';
import { earlyFailureJson } from './report/load-json.js';
import { printableLines, writeJson, writeLine } from './common/terminal.js';

async function main(argv: string[]): Promise<ExitCode> {
  watchOutput();
  watchProcess();
  let invocation: Invocation | undefined;
  try {
    invocation = parseArguments(argv, { isParquet: beginsWithParquet, entryName });
    return await run(invocation);
  } catch (error) {
    const command = invocation === undefined ? argv[0] : invocation.command;
    const cause = missingPackage(error) ?? error;
    const exitCode = fail(cause, command);
    if (wantsSummary(argv, invocation)) {
      writeJson(process.stdout, earlyJson(command, invocation, cause));
    }
    return exitCode;
  }
}

const WITH_SUMMARY = ['load', 'consume'];

/** Returns whether `load --json` or `consume --json` was given, as far as wrong arguments show that. */
function wantsSummary(argv: readonly string[], invocation: Invocation | undefined): boolean {
  if (invocation !== undefined)
    return 'options' in invocation && invocation.command !== 'query' && invocation.options.json;
  const end = argv.indexOf('--');
  return WITH_SUMMARY.includes(argv[0]!) && argv.slice(1, end === -1 ? argv.length : end).includes('--json');
}

function earlyJson(command: string | undefined, invocation: Invocation | undefined, cause: unknown): object {
  if (command === 'consume')
    return earlyConsumeJson(invocation?.command === 'consume' ? invocation.options : undefined, cause);
  return earlyFailureJson(invocation?.command === 'load' ? invocation.options : undefined, cause);
}

async function run(invocation: Invocation): Promise<ExitCode> {
  switch (invocation.command) {
    case 'help':
      process.stdout.write(printableLines(invocation.text));
      return ExitCode.OK;
    case 'version':
      writeLine(process.stdout, version());
      return ExitCode.OK;
    case 'load': {
      const { runLoad } = await import('./load-command.js');
      return runLoad(invocation.options, terminal);
    }
    case 'consume': {
      const { runConsume } = await import('./consume-command.js');
      return runConsume(invocation.options, terminal);
    }
    case 'query': {
      const { query } = await import('./query/query.js');
      await query(invocation.options, terminal);
      return ExitCode.OK;
    }
    default:
      return invocation satisfies never;
  }
}

const COMMANDS = ['load', 'consume', 'query'];

/** Prints one line for an error that the user can correct, and a stack for a bug. */
function fail(error: unknown, command: string | undefined): ExitCode {
  if (!isCliError(error)) {
    const report = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(printableLines(`spillway: unexpected error, please report it: ${report}\n`));
    return ExitCode.FAILED;
  }
  const help =
    command !== undefined && COMMANDS.includes(command) ? `spillway ${command} --help` : 'spillway --help';
  // By its name: each command's bundle has a class of its own, and short names of classes.
  const hint = error.name === 'UsageError' ? ` (see "${help}")` : '';
  writeLine(process.stderr, `spillway: ${oneLine(error.message)}${hint}`);
  return error.exitCode;
}

function version(): string {
  const text = readFileSync(path.join(__dirname, '../../package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

const terminal = {
  environment: process.env,
  // A getter, as the mere access opens it.
  get stdin() {
    return process.stdin;
  },
  stdout: process.stdout,
  stderr: process.stderr,
};

const output = { isLost: false };

/** EPIPE (the reader has exited) is not an error. Any other failure of the output is. */
function watchOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || output.isLost) return;
    output.isLost = true;
    writeLine(process.stderr, `spillway: standard output cannot be written: ${oneLine(error.message)}`);
  });
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    // There is no other stream to report it on.
    if (error.code !== 'EPIPE') output.isLost = true;
  });
}

/** Prints warnings and uncaught errors escaped: they may quote the server, and Node would print them raw. */
function watchProcess(): void {
  process.removeAllListeners('warning').on('warning', ({ name, message }) => {
    if (!process.noDeprecation || name !== 'DeprecationWarning')
      writeLine(process.stderr, `spillway: ${name}: ${oneLine(message)}`);
  });
  process.on('uncaughtException', (error) => {
    process.exit(fail(error, undefined));
  });
}

/** Resolves when all output has left the process, or cannot. */
function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.writable) stream.write('', () => resolve());
    else resolve();
  });
}

async function runToEnd(): Promise<never> {
  const exitCode = await main(process.argv.slice(2));
  await written(process.stdout);
  // Last, as it may report a failure of standard output.
  await written(process.stderr);
  // Does not wait for open handles: node-postgres keeps the socket if a server asks for a password that is missing.
  process.exit(output.isLost && exitCode === ExitCode.OK ? ExitCode.FAILED : exitCode);
}

// If the event loop runs empty before `main` has returned, that is a failure.
process.exitCode = ExitCode.FAILED;
process.once('beforeExit', () => {
  process.stderr.write(
    'spillway: it ended before its work was done, which is a fault of spillway: please report it\n',
  );
});
void runToEnd();
