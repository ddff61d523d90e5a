/** `spillway load` as a process: signals, lines and the exit code. Loaded by `load` only, so that `--help` stays fast. */

import { oneLine, type ExitCode } from './common/errors.js';
import { dryRun } from './load/dry-run.js';
import { load, type Terminal } from './load/load.js';
import { onStopSignal } from './common/stop-signal.js';
import type { LoadOptions } from './args/options.js';
import { writeJson, writeLine } from './common/terminal.js';

export * from './load/parts.js';

/** @throws {CliError} before anything was loaded */
export async function runLoad(
  options: LoadOptions,
  terminal: Omit<Terminal, 'onStopSignal'>,
): Promise<ExitCode> {
  if (options.dryRun) {
    const { json, text } = await dryRun(options, terminal);
    if (options.json) writeJson(terminal.stdout, json);
    else terminal.stdout.write(text);
    return json.exitCode;
  }
  const summary = await load(options, {
    environment: terminal.environment,
    // A getter, as the mere access opens it.
    get stdin() {
      return terminal.stdin;
    },
    stdout: terminal.stdout,
    stderr: terminal.stderr,
    onStopSignal: (stop, end) => onStopSignal(stop, () => lastWords(end())),
  });
  if (!options.quiet) for (const line of summary.lines) writeLine(terminal.stderr, oneLine(line));
  if (summary.error !== undefined) writeLine(terminal.stderr, `spillway: ${summary.error}`);
  if (options.json) writeJson(terminal.stdout, summary.json);
  return summary.exitCode;
}

function lastWords(openRows: number): string {
  if (openRows === 0) return '';
  return openRows === 1
    ? '1 row was read, and it is not known whether it was loaded'
    : `${openRows} rows were read, and it is not known whether they were loaded`;
}
