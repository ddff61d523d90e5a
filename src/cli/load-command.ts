/** `spillway load` as a process: signals, lines and the exit code. Loaded by `load` only, so that `--help` stays fast. */

import { systemClock } from '../common/clock.js';
import { SignalRule } from '../shutdown/signal-rule.js';
import { statusOf } from '../shutdown/signal-target.js';
import { writeLineNow } from '../shutdown/standard-error.js';
import { oneLine, type ExitCode } from './common/errors.js';
import { dryRun } from './load/dry-run.js';
import { load, type Terminal } from './load/load.js';
import type { StopSignal } from './load/stop-signal.js';
import type { LoadOptions } from './args/options.js';
import { writeJson, writeLine } from './common/terminal.js';

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
    onStopSignal,
  });
  if (!options.quiet) for (const line of summary.lines) writeLine(terminal.stderr, oneLine(line));
  if (summary.error !== undefined) writeLine(terminal.stderr, `spillway: ${summary.error}`);
  if (options.json) writeJson(terminal.stdout, summary.json);
  return summary.exitCode;
}

function onStopSignal(stop: (signal: StopSignal) => void, openRows: () => number): () => void {
  const rule = new SignalRule(systemClock);
  const handle = (signal: StopSignal): void => {
    const action = rule.decide(signal);
    if (action === 'drain') stop(signal);
    else if (action === 'end') endNow(signal, openRows());
  };
  process.on('SIGINT', handle).on('SIGTERM', handle);
  return () => {
    rule.close();
    process.off('SIGINT', handle).off('SIGTERM', handle);
  };
}

/** Exits at once at a second signal, without waiting for rows in flight. */
function endNow(signal: StopSignal, openRows: number): never {
  const rows =
    openRows === 1
      ? '1 row was read, and it is not known whether it was loaded'
      : `${openRows} rows were read, and it is not known whether they were loaded`;
  writeLineNow(`spillway: ended at once by a second ${signal}${openRows > 0 ? `; ${rows}` : ''}`);
  process.exit(statusOf(signal));
}
