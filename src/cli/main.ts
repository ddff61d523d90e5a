/** The program `spillway`: hands over to a command, and turns what comes back into lines and an exit code. */

import { readFile } from 'node:fs/promises';
import { boundGarbage } from './bounded-garbage.js';
import { ExitCode, isCliError, missingPackage, oneLine, UsageError } from './common/errors.js';
import type { Invocation } from './args/options.js';
import { parseArguments } from './args/parse-arguments.js';
import { earlyFailureJson } from './report/load-json.js';
import { printableLines, writeJson, writeLine } from './common/terminal.js';

async function main(argv: string[]): Promise<ExitCode> {
  watchOutput();
  watchProcess();
  let invocation: Invocation | undefined;
  try {
    invocation = parseArguments(argv);
    return await run(invocation);
  } catch (error) {
    const command = invocation === undefined ? argv[0] : invocation.command;
    const cause = missingPackage(error) ?? error;
    const exitCode = fail(cause, command);
    if (wantsSummary(argv, invocation)) {
      const options = invocation?.command === 'load' ? invocation.options : undefined;
      writeJson(process.stdout, earlyFailureJson(options, cause));
    }
    return exitCode;
  }
}

/** Whether `load --json` was asked for, as far as that is known where the arguments are wrong. */
function wantsSummary(argv: readonly string[], invocation: Invocation | undefined): boolean {
  if (invocation !== undefined) return invocation.command === 'load' && invocation.options.json;
  const end = argv.indexOf('--');
  return argv[0] === 'load' && argv.slice(1, end === -1 ? argv.length : end).includes('--json');
}

async function run(invocation: Invocation): Promise<ExitCode> {
  switch (invocation.command) {
    case 'help':
      process.stdout.write(printableLines(invocation.text));
      return ExitCode.OK;
    case 'version':
      writeLine(process.stdout, await version());
      return ExitCode.OK;
    case 'load': {
      boundGarbage(invocation.options.rejects !== undefined);
      const { runLoad } = await import('./load-command.js');
      return runLoad(invocation.options, terminal);
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

/** One line for what a user can mend; a bug of ours shows where it is. */
function fail(error: unknown, command: string | undefined): ExitCode {
  if (!isCliError(error)) {
    const report = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(printableLines(`spillway: unexpected error, please report it: ${report}\n`));
    return ExitCode.FAILED;
  }
  const help = command === 'load' || command === 'query' ? `spillway ${command} --help` : 'spillway --help';
  const hint = error.name === UsageError.name ? ` (see "${help}")` : '';
  writeLine(process.stderr, `spillway: ${oneLine(error.message)}${hint}`);
  return error.exitCode;
}

async function version(): Promise<string> {
  // The same number of levels from src/cli and from dist/cli.
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

const terminal = {
  environment: process.env,
  // Looked at only by a command that reads it: the mere access opens it.
  get stdin() {
    return process.stdin;
  },
  stdout: process.stdout,
  stderr: process.stderr,
};

const output = { isLost: false };

/** Where whoever read our output has gone, there is no reason to fail, and none to complain; output that is lost otherwise is a failure. */
function watchOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || output.isLost) return;
    output.isLost = true;
    writeLine(process.stderr, `spillway: standard output cannot be written: ${oneLine(error.message)}`);
  });
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    // Nowhere is left to say it.
    if (error.code !== 'EPIPE') output.isLost = true;
  });
}

/** Node would print a warning, and an error that nobody caught, as they are: they may quote the server. */
function watchProcess(): void {
  process.removeAllListeners('warning').on('warning', ({ name, message }) => {
    if (!process.noDeprecation || name !== 'DeprecationWarning')
      writeLine(process.stderr, `spillway: ${name}: ${oneLine(message)}`);
  });
  process.on('uncaughtException', (error) => {
    process.exit(fail(error, undefined));
  });
}

/** Resolves when what was written has left the process, or cannot any more. */
function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.writable) stream.write('', () => resolve());
    else resolve();
  });
}

// Should nothing be left to wait for before there is an answer, that is no success.
process.exitCode = ExitCode.FAILED;
const exitCode = await main(process.argv.slice(2));
await written(process.stdout);
// Last, for it may have to tell what became of standard output.
await written(process.stderr);
// Not left to end by itself: node-postgres keeps the socket open, for one, when a server asks for a password that was not given.
process.exit(output.isLost && exitCode === ExitCode.OK ? ExitCode.FAILED : exitCode);
