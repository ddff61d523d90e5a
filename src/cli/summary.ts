/** What came of a load, for people and as JSON. */

import type { SinkMetrics } from '../metrics.js';
import { ExitCode, oneLine, placeOf, type CliError } from './errors.js';
import type { LoadOptions } from './options.js';
import type { SourceRow } from './record-parser.js';
import { showTable } from './table-name.js';

export interface LoadOutcome {
  readonly options: LoadOptions;
  /** The server, as people see it. */
  readonly label: string;
  readonly created: boolean;
  readonly seconds: number;
  readonly bytesRead: number;
  readonly metrics: SinkMetrics;
  readonly lastRow: SourceRow | undefined;
  readonly failure: CliError | undefined;
  readonly stoppedBy: 'SIGINT' | 'SIGTERM' | undefined;
}

export interface LoadSummary {
  readonly exitCode: ExitCode;
  /** Lines for standard error; errors are among them even where the rest is not wanted. */
  readonly lines: readonly string[];
  readonly error: string | undefined;
  readonly json: Record<string, unknown>;
}

export function summarise(outcome: LoadOutcome): LoadSummary {
  const { metrics, seconds, failure } = outcome;
  const exitCode = exitCodeFor(outcome);
  const rowsPerSecond = seconds > 0 ? Math.round(metrics.eventsFlushed / seconds) : 0;
  const reason = failure === undefined ? undefined : oneLine(failure.message);
  const error = reason === undefined ? undefined : `${reason}${inTable(metrics.eventsFlushed)}`;
  const stopped = outcome.stoppedBy === undefined || failure !== undefined ? undefined : stopLine(outcome);
  const peakMemoryBytes = process.resourceUsage().maxRSS * 1024;
  return {
    exitCode,
    error: error ?? stopped,
    lines: [
      `${count(metrics.eventsFlushed)} rows into ${showTable(outcome.options.table)} of ${outcome.label} in ` +
        `${seconds.toFixed(2)} s: ${count(rowsPerSecond)} rows/s, ${mebibytes(outcome.bytesRead)} read`,
      `time by state: ${stateShares(metrics)}; peak memory ${mebibytes(peakMemoryBytes)}`,
      ...(metrics.eventsDropped > 0 ? [dropLine(metrics)] : []),
    ],
    json: {
      table: outcome.options.table.table,
      schema: outcome.options.table.schema ?? null,
      created: outcome.created,
      truncated: outcome.options.truncate,
      rows: metrics.eventsFlushed,
      rowsRead: metrics.eventsOffered,
      rowsDropped: metrics.eventsDropped,
      dropsByReason: nonZero(metrics.dropsByReason),
      bytesRead: outcome.bytesRead,
      seconds: Number(seconds.toFixed(3)),
      rowsPerSecond,
      timeInStateMs: rounded(metrics.timeInStateMs),
      producerBlockedMs: Math.round(metrics.producerBlockedMs),
      flushes: metrics.flushes,
      retries: metrics.retries,
      peakMemoryBytes,
      stoppedBy: outcome.stoppedBy ?? null,
      lastRow:
        outcome.lastRow === undefined
          ? null
          : { file: outcome.lastRow.file.name, line: outcome.lastRow.line },
      error: reason ?? null,
      exitCode,
    },
  };
}

function exitCodeFor({ failure, stoppedBy, metrics }: LoadOutcome): ExitCode {
  if (failure !== undefined) return failure.exitCode;
  if (stoppedBy === 'SIGINT') return ExitCode.INTERRUPTED;
  if (stoppedBy === 'SIGTERM') return ExitCode.TERMINATED;
  return metrics.eventsDropped > 0 ? ExitCode.INCOMPLETE : ExitCode.OK;
}

function inTable(rows: number): string {
  if (rows === 0) return ' (nothing was loaded)';
  return rows === 1 ? ' (1 row was loaded)' : ` (${count(rows)} rows were loaded)`;
}

function stopLine({ stoppedBy, lastRow, metrics }: LoadOutcome): string {
  if (lastRow === undefined) return `stopped by ${stoppedBy} before the first row`;
  const place = placeOf(lastRow.file.name, lastRow.line);
  return `stopped by ${stoppedBy} after ${place}; the rows up to there were loaded: ${count(metrics.eventsFlushed)}`;
}

function dropLine(metrics: SinkMetrics): string {
  const reasons = Object.entries(nonZero(metrics.dropsByReason)).map(
    ([reason, rows]) => `${count(rows)} ${reason}`,
  );
  return `${count(metrics.eventsDropped)} of ${count(metrics.eventsOffered)} rows were dropped (${reasons.join(', ')})`;
}

/** The share of each state in the time so far. */
export function stateShares(metrics: SinkMetrics): string {
  const entries = Object.entries(metrics.timeInStateMs).filter(([, milliseconds]) => milliseconds >= 0.5);
  const total = entries.reduce((sum, [, milliseconds]) => sum + milliseconds, 0);
  return entries
    .map(([state, milliseconds]) => `${state} ${Math.round((100 * milliseconds) / total)} %`)
    .join(', ');
}

function nonZero(counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([, number]) => number > 0));
}

function rounded(durations: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(durations).map(([name, value]) => [name, Math.round(value)]));
}

export function count(number: number): string {
  return number.toLocaleString('en-US');
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}
