/** The one object that `spillway consume --json` prints: the same fields however the worker ends. */

import type { ConsumeMetrics } from '../../postgres/consume/consume-metrics.js';
import type { ConsumeProgress } from '../../postgres/consume/consume-progress.js';
import type { ConsumeFlags } from '../args/options.js';
import { ExitCode, isCliError, oneLine } from '../common/errors.js';
import type { StopSignal } from '../common/stop-signal.js';
import { peakMemoryBytes } from './load-json.js';

export type ConsumeJson = {
  /** `null` if the arguments could not be read, as are the tables and the import. */
  readonly stream: string | null;
  readonly filter: string | null;
  readonly table: string | null;
  readonly schema: string | null;
  readonly importId: string | null;
  /** This worker has made the table. */
  readonly created: boolean;
  /** Messages of which this worker has loaded the rows. */
  readonly rows: number;
  /** Messages that this worker has stored as dead letters. */
  readonly deadLetters: number;
  readonly deadLetterTable: string | null;
  readonly messagesRead: number;
  readonly bytesRead: number;
  readonly batches: number;
  readonly lanesFinished: number;
  /** Lanes that another worker has taken over. */
  readonly lanesLost: number;
  /** `--allow-gaps`: positions that the stream had deleted before they were loaded. */
  readonly positionsLost: number;
  readonly retries: number;
  /** Positions of the stream that are not loaded, and the age of the oldest message of them. `null`: it is not known. */
  readonly lagMessages: number | null;
  readonly lagSeconds: number | null;
  /** Of all workers, in all of their runs. `null`: it is not known. */
  readonly rowsInAll: number | null;
  readonly deadLettersInAll: number | null;
  /** `--until-caught-up`: everything that was there at the start is loaded. */
  readonly caughtUp: boolean;
  readonly seconds: number;
  readonly rowsPerSecond: number;
  readonly stoppedBy: StopSignal | null;
  readonly notes: readonly string[];
  /** `--report`; `null` if it could not be written. */
  readonly reportFile: string | null;
  readonly peakMemoryBytes: number;
  readonly error: string | null;
  readonly exitCode: ExitCode;
};

export interface ConsumeSummary {
  readonly exitCode: ExitCode;
  /** Lines for standard error. */
  readonly lines: readonly string[];
  readonly error: string | undefined;
  readonly json: ConsumeJson;
}

export interface ConsumeOutcome {
  readonly flags: ConsumeFlags;
  readonly created: boolean;
  readonly notes: readonly string[];
  readonly metrics: ConsumeMetrics;
  /** At the end. Undefined: it could not be found out. */
  readonly progress: ConsumeProgress | undefined;
  readonly seconds: number;
  readonly caughtUp: boolean;
  readonly stoppedBy: StopSignal | undefined;
  readonly error: string | undefined;
  readonly exitCode: ExitCode;
}

export function outcomeJson(outcome: ConsumeOutcome): ConsumeJson {
  const { metrics, flags, seconds, created, notes, caughtUp, exitCode } = outcome;
  const { rowsLoaded, deadLetters, messagesRead, bytesRead, batches } = metrics;
  const { lanesFinished, lanesLost, positionsLost, retries } = metrics;
  return {
    ...namesOf(flags),
    created,
    rows: rowsLoaded,
    deadLetters,
    ...{ messagesRead, bytesRead, batches, lanesFinished, lanesLost, positionsLost, retries },
    ...progressJson(outcome.progress),
    caughtUp,
    seconds: Number(seconds.toFixed(3)),
    rowsPerSecond: rateOf(rowsLoaded, seconds),
    stoppedBy: outcome.stoppedBy ?? null,
    notes,
    reportFile: flags.report ?? null,
    peakMemoryBytes: peakMemoryBytes(),
    error: outcome.error ?? null,
    exitCode,
  };
}

function progressJson(
  progress: ConsumeProgress | undefined,
): Pick<ConsumeJson, 'lagMessages' | 'lagSeconds' | 'rowsInAll' | 'deadLettersInAll'> {
  return {
    lagMessages: progress?.lagMessages ?? null,
    lagSeconds: progress === undefined ? null : progress.lagMs / 1_000,
    rowsInAll: progress?.rowsLoaded ?? null,
    deadLettersInAll: progress?.deadLetters ?? null,
  };
}

export function rateOf(rows: number, seconds: number): number {
  return seconds > 0 ? Math.round(rows / seconds) : 0;
}

/** For a worker that failed before it began. @param flags undefined if the arguments could not be read */
export function earlyConsumeJson(flags: ConsumeFlags | undefined, error: unknown): ConsumeJson {
  return {
    ...namesOf(flags),
    created: false,
    rows: 0,
    deadLetters: 0,
    messagesRead: 0,
    bytesRead: 0,
    batches: 0,
    lanesFinished: 0,
    lanesLost: 0,
    positionsLost: 0,
    retries: 0,
    ...progressJson(undefined),
    caughtUp: false,
    seconds: 0,
    rowsPerSecond: 0,
    stoppedBy: null,
    notes: [],
    reportFile: flags?.report ?? null,
    peakMemoryBytes: peakMemoryBytes(),
    error: oneLine(error instanceof Error ? error.message : String(error)),
    exitCode: isCliError(error) ? error.exitCode : ExitCode.FAILED,
  };
}

function namesOf(
  flags: ConsumeFlags | undefined,
): Pick<ConsumeJson, 'stream' | 'filter' | 'table' | 'schema' | 'importId' | 'deadLetterTable'> {
  return {
    stream: flags?.stream ?? null,
    filter: flags?.filter ?? null,
    table: flags?.table.table ?? null,
    schema: flags?.table.schema ?? null,
    importId: flags?.import ?? null,
    deadLetterTable: flags?.deadLetter ?? null,
  };
}
