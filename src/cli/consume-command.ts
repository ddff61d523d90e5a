/** `spillway consume` as a process: signals, lines and the exit code. Loaded by `consume` only. */

import { oneLine, onStopSignal, writeJson, writeLine } from './load/parts.js';
import type { ConsumeFlags } from './args/options.js';
import type { ExitCode } from './common/errors.js';
import { consume, type ConsumeTerminal } from './consume/consume.js';

/** @throws {CliError} before anything was loaded */
export async function runConsume(
  flags: ConsumeFlags,
  { environment, stdout, stderr }: Omit<ConsumeTerminal, 'onStopSignal'> & { stdout: NodeJS.WritableStream },
): Promise<ExitCode> {
  const summary = await consume(flags, {
    environment,
    stderr,
    onStopSignal: (stop, end) =>
      onStopSignal(stop, () => {
        end();
        return 'the batches in flight stay in the stream, and others load them once their lease is over';
      }),
  });
  if (!flags.quiet) for (const line of summary.lines) writeLine(stderr, oneLine(line));
  if (summary.error !== undefined) writeLine(stderr, `spillway: ${summary.error}`);
  if (flags.json) writeJson(stdout, summary.json);
  return summary.exitCode;
}
