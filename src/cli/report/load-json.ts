/** The one object that `spillway load --json` prints: the same fields however the load ends. */

import { readFileSync } from 'node:fs';
import type { SinkMetrics } from '../../api/metrics.js';
import { BackpressureState } from '../../api/states.js';
import { ExitCode, isCliError, oneLine } from '../common/errors.js';
import type { LoadOptions } from '../args/options.js';
import type { JsonReadingJson } from '../json/json-reading.js';
import type { ParquetReadingJson } from '../parquet/parquet-reading.js';
import type { WideningJson } from './widenings.js';
import type { ReadingJson } from '../detect/reading.js';

export type LoadJson = {
  /** `null` if the arguments could not be read. */
  readonly table: string | null;
  readonly schema: string | null;
  readonly created: boolean;
  /** `null` if it is not known: TRUNCATE was sent and not answered. */
  readonly truncated: boolean | null;
  /** Rows that this run has brought into the table. */
  readonly rows: number;
  /** `--import`: rows of earlier runs. */
  readonly rowsBefore: number;
  /** Rows that may be in the table beside `rows`: their COMMIT was not answered. */
  readonly rowsUnknown: number;
  readonly rowsInAll: number;
  readonly rowsRead: number;
  readonly rowsDropped: number;
  /** Without the reasons for which no row was dropped. */
  readonly dropsByReason: Readonly<Record<string, number>>;
  readonly rejects: number;
  readonly rejectsInAll: number;
  readonly rejectsFile: string | null;
  readonly reportFile: string | null;
  readonly importId: string | null;
  readonly importFinished: boolean | null;
  readonly bytesRead: number;
  readonly seconds: number;
  readonly rowsPerSecond: number;
  readonly timeInStateMs: Readonly<Record<string, number>>;
  readonly producerBlockedMs: number;
  readonly flushes: number;
  readonly retries: number;
  readonly stoppedBy: 'SIGINT' | 'SIGTERM' | null;
  /** What the user should know besides, such as names that the server has cut. */
  readonly notes: readonly string[];
  /** How CSV was read, if that was detected; what the records of JSON are; what Parquet files say of themselves. */
  readonly reading: ReadingJson | JsonReadingJson | ParquetReadingJson | null;
  /** Columns of a new table that got another type than the first records had. */
  readonly widened: readonly WideningJson[];
  /** How often the load started over, with wider types. */
  readonly restarts: number;
  /** `record`, counted in its file, in place of the line: JSON that is not one object a line, and Parquet. */
  readonly lastRow: { readonly file: string; readonly line: number | null; readonly record?: number } | null;
  readonly peakMemoryBytes: number;
  readonly error: string | null;
  readonly exitCode: ExitCode;
};

/** The part that comes from the sink's metrics. */
export function metricsJson(
  metrics: SinkMetrics,
): Pick<
  LoadJson,
  'rowsRead' | 'rowsDropped' | 'dropsByReason' | 'timeInStateMs' | 'producerBlockedMs' | 'flushes' | 'retries'
> {
  return {
    rowsRead: metrics.eventsOffered,
    rowsDropped: metrics.eventsDropped,
    dropsByReason: nonZero(metrics.dropsByReason),
    timeInStateMs: rounded(metrics.timeInStateMs),
    producerBlockedMs: Math.round(metrics.producerBlockedMs),
    flushes: metrics.flushes,
    retries: metrics.retries,
  };
}

export function nonZero(counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([, number]) => number > 0));
}

function rounded(durations: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(durations).map(([name, value]) => [name, Math.round(value)]));
}

/**
 * For a load that failed before its first row.
 *
 * @param options undefined if the arguments could not be read
 */
export function earlyFailureJson(options: LoadOptions | undefined, error: unknown): LoadJson {
  const exitCode = isCliError(error) ? error.exitCode : ExitCode.FAILED;
  return {
    table: options?.table.table ?? null,
    schema: options?.table.schema ?? null,
    created: false,
    truncated: isCliError(error) ? error.truncated : false,
    rows: 0,
    rowsBefore: 0,
    rowsUnknown: 0,
    rowsInAll: 0,
    rowsRead: 0,
    rowsDropped: 0,
    dropsByReason: {},
    rejects: 0,
    rejectsInAll: 0,
    rejectsFile: options?.rejects ?? null,
    reportFile: options?.report ?? null,
    importId: options?.resume ?? null,
    importFinished: options?.resume === undefined ? null : false,
    bytesRead: 0,
    seconds: 0,
    rowsPerSecond: 0,
    timeInStateMs: Object.fromEntries(Object.values(BackpressureState).map((state) => [state, 0])),
    producerBlockedMs: 0,
    flushes: 0,
    retries: 0,
    stoppedBy: STOPPED_BY[exitCode] ?? null,
    notes: [],
    reading: null,
    widened: [],
    restarts: 0,
    lastRow: null,
    peakMemoryBytes: peakMemoryBytes(),
    error: oneLine(error instanceof Error ? error.message : String(error)),
    exitCode,
  };
}

const STOPPED_BY: Readonly<Partial<Record<ExitCode, 'SIGINT' | 'SIGTERM'>>> = {
  [ExitCode.INTERRUPTED]: 'SIGINT',
  [ExitCode.TERMINATED]: 'SIGTERM',
};

/** Of this process alone: on Linux `maxRSS` begins with that of the process which has started it. */
export function peakMemoryBytes(): number {
  return 1024 * (ownPeakKibibytes() ?? process.resourceUsage().maxRSS);
}

function ownPeakKibibytes(): number | undefined {
  try {
    const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    return kibibytes === undefined ? undefined : Number(kibibytes);
  } catch {
    // There is no /proc.
    return undefined;
  }
}
