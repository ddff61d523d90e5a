/** Summarises a load, for people and as JSON. */

import type { SinkMetrics } from '../../api/metrics.js';
import { showImportId } from '../../postgres/imports/import-id.js';
import { ExitCode, oneLine, placeOf, type CliError } from '../common/errors.js';
import type { LoadOptions } from '../args/options.js';
import type { JsonReading } from '../json/json-reading.js';
import type { ParquetReading } from '../parquet/parquet-reading.js';
import { describeReading, readingToJson, type Reading } from '../detect/reading.js';
import type { RecordPlace } from '../records/record-stream.js';
import { count, counted, mebibytes } from '../common/counted.js';
import { metricsJson, nonZero, peakMemoryBytes, type LoadJson } from './load-json.js';
import type { Widenings } from './widenings.js';
import { showTable } from '../args/table-name.js';

export interface LoadOutcome {
  readonly options: LoadOptions;
  /** The server's name for messages. */
  readonly label: string;
  /** Whether a table that this run has made is there. */
  readonly created: boolean;
  /** Whether a table that this run has made was dropped again. */
  readonly dropped: boolean;
  readonly notes: readonly string[];
  readonly widenings: Widenings;
  /** How the input was read, if that was detected. */
  readonly reading: Reading | JsonReading | ParquetReading | undefined;
  readonly truncated: boolean;
  readonly seconds: number;
  readonly bytesRead: number;
  readonly metrics: SinkMetrics;
  readonly lastRow: RecordPlace | undefined;
  readonly failure: CliError | undefined;
  readonly stoppedBy: 'SIGINT' | 'SIGTERM' | undefined;
  /** `--atomic`: the transaction was committed. `true` for loads without it. */
  readonly committed: boolean;
  /** Rows that may be in the table beside those that count as loaded: their COMMIT was not answered. */
  readonly rowsUnknown: number;
  /** `--atomic`: it was committed, but the server has not waited for its standby to confirm that. */
  readonly isUnconfirmed: boolean;
  /** Rows that were left out, by this run and those of the import before it. */
  readonly rejects: number;
  /** `--import` */
  readonly import: ImportOutcome | undefined;
}

interface ImportOutcome {
  readonly importId: string;
  /** Committed by runs before. */
  readonly rowsBefore: number;
  readonly rejectedBefore: number;
  /** There was nothing left to do. */
  readonly wasFinished: boolean;
  readonly isFinished: boolean;
}

export interface LoadSummary {
  readonly exitCode: ExitCode;
  /** Lines for standard error. */
  readonly lines: readonly string[];
  readonly error: string | undefined;
  readonly json: LoadJson;
}

export function summarise(outcome: LoadOutcome): LoadSummary {
  const { failure } = outcome;
  const reason = failure === undefined ? undefined : oneLine(failure.message);
  const error = reason === undefined ? undefined : `${reason}${inTable(outcome)}`;
  const stopped = outcome.stoppedBy === undefined || failure !== undefined ? undefined : stopLine(outcome);
  const exitCode = exitCodeFor(outcome);
  const peak = peakMemoryBytes();
  return {
    exitCode,
    error: error ?? stopped,
    lines: linesOf(outcome, peak),
    json: { ...jsonOf(outcome), peakMemoryBytes: peak, error: reason ?? null, exitCode },
  };
}

/** Returns the rows that this run has inserted. */
function rowsOf({ metrics, committed }: LoadOutcome): number {
  return committed ? metrics.eventsFlushed : 0;
}

function rowsPerSecond(outcome: LoadOutcome): number {
  return outcome.seconds > 0 ? Math.round(rowsOf(outcome) / outcome.seconds) : 0;
}

function linesOf(outcome: LoadOutcome, peak: number): string[] {
  const { metrics, seconds, rejects, options } = outcome;
  const where = `${showTable(options.table)} of ${outcome.label}`;
  const rejected = rejects === 0 ? [] : [rejectLine(outcome)];
  const widened = outcome.widenings.describe();
  if (outcome.import?.wasFinished === true)
    return [`${importLine(outcome, outcome.import)} into ${where}`, ...rejected, ...outcome.notes];
  return [
    `${counted(rowsOf(outcome), 'row')} into ${where} in ` +
      `${seconds.toFixed(2)} s: ${counted(rowsPerSecond(outcome), 'row')}/s, ${mebibytes(outcome.bytesRead)} read`,
    ...(outcome.import === undefined ? [] : [importLine(outcome, outcome.import)]),
    ...(outcome.reading === undefined ? [] : [readingLine(outcome.reading)]),
    ...(widened === undefined ? [] : [widened]),
    `time by state: ${stateShares(metrics)}; peak memory ${mebibytes(peak)}`,
    ...(metrics.eventsDropped > 0 ? [dropLine(metrics)] : []),
    ...rejected,
    ...(outcome.rowsUnknown > 0 && outcome.failure === undefined ? [twiceLine(outcome)] : []),
    ...outcome.notes,
  ];
}

export function readingLine(reading: Reading | JsonReading | ParquetReading): string {
  return 'describe' in reading ? reading.describe() : describeReading(reading);
}

export function readingJson(
  reading: Reading | JsonReading | ParquetReading | undefined,
): LoadJson['reading'] {
  if (reading === undefined) return null;
  return 'toJson' in reading ? reading.toJson() : readingToJson(reading);
}

function lastRowJson({ file, line }: RecordPlace): LoadJson['lastRow'] {
  const { name, countsRecords = false } = file;
  return countsRecords ? { file: name, line: null, record: line } : { file: name, line };
}

function importLine(outcome: LoadOutcome, { importId, rowsBefore, wasFinished }: ImportOutcome): string {
  const now = rowsOf(outcome);
  const name = `import ${showImportId(importId)}`;
  if (wasFinished) return `${name} is complete, nothing was left to do: ${counted(rowsBefore, 'row')}`;
  return `${name}: ${counted(rowsBefore, 'row')} before, ${count(now)} now, ${count(rowsBefore + now)} in all`;
}

function rejectLine({ rejects, options }: LoadOutcome): string {
  const what = `${counted(rejects, 'row')} ${rejects === 1 ? 'was' : 'were'} rejected`;
  return options.rejects === undefined ? `${what} by earlier runs` : `${what}: see ${options.rejects}`;
}

function jsonOf(outcome: LoadOutcome): Omit<LoadJson, 'peakMemoryBytes' | 'error' | 'exitCode'> {
  const { metrics, options, lastRow, import: imported } = outcome;
  const rows = rowsOf(outcome);
  // With --atomic, the rollback undoes that, too.
  const isKept = outcome.committed || outcome.rowsUnknown > 0;
  return {
    table: options.table.table,
    schema: options.table.schema ?? null,
    created: outcome.created && isKept,
    truncated: outcome.truncated && isKept,
    notes: outcome.notes,
    reading: readingJson(outcome.reading),
    widened: outcome.widenings.toJson(),
    restarts: outcome.widenings.restarts,
    rows,
    rowsBefore: imported?.rowsBefore ?? 0,
    rowsUnknown: outcome.rowsUnknown,
    rowsInAll: rows + (imported?.rowsBefore ?? 0),
    rejects: outcome.rejects - (imported?.rejectedBefore ?? 0),
    rejectsInAll: outcome.rejects,
    rejectsFile: options.rejects ?? null,
    reportFile: options.report ?? null,
    importId: imported?.importId ?? null,
    importFinished: imported?.isFinished ?? null,
    bytesRead: outcome.bytesRead,
    seconds: Number(outcome.seconds.toFixed(3)),
    rowsPerSecond: rowsPerSecond(outcome),
    ...metricsJson(metrics),
    stoppedBy: outcome.stoppedBy ?? null,
    lastRow: lastRow === undefined ? null : lastRowJson(lastRow),
  };
}

function exitCodeFor({ failure, stoppedBy, metrics, rejects }: LoadOutcome): ExitCode {
  if (failure !== undefined) return failure.exitCode;
  if (stoppedBy === 'SIGINT') return ExitCode.INTERRUPTED;
  if (stoppedBy === 'SIGTERM') return ExitCode.TERMINATED;
  return metrics.eventsDropped > 0 || rejects > 0 ? ExitCode.INCOMPLETE : ExitCode.OK;
}

export const DROPPED = 'the table that --create had made was dropped again';

function inTable(outcome: LoadOutcome): string {
  const rows = rowsOf(outcome);
  if (outcome.rowsUnknown > 0) return ` (${openLine(outcome, rows)})`;
  if (rows === 0) return outcome.dropped ? ` (nothing was loaded; ${DROPPED})` : ' (nothing was loaded)';
  return ` (${counted(rows, 'row')} ${rows === 1 ? 'was' : 'were'} loaded)`;
}

/** Warns of batches that were loaded again after a COMMIT without an answer. */
function twiceLine({ rowsUnknown }: LoadOutcome): string {
  const rows = rowsUnknown === 1 ? '1 row' : `${count(rowsUnknown)} rows`;
  return `up to ${rows} may be in the table twice: COMMIT was sent and not answered; --import ID rules that out`;
}

function openLine({ rowsUnknown, options }: LoadOutcome, rows: number): string {
  const known = rows === 0 ? '' : `${rows === 1 ? '1 row was' : `${count(rows)} rows were`} loaded; `;
  const many = rowsUnknown === 1 ? '1 row' : `${count(rowsUnknown)} rows`;
  if (options.atomic) return `either all of ${many} are in the table, or none: look before you load again`;
  const more = rows === 0 ? '' : ' more';
  return `${known}up to ${many}${more} may be in the table: COMMIT was sent and not answered`;
}

function stopLine(outcome: LoadOutcome): string {
  const { stoppedBy, lastRow, options, committed, isUnconfirmed } = outcome;
  if (options.atomic && committed) {
    const standby = isUnconfirmed ? ', but the standby has not confirmed it' : '';
    return `stopped by ${stoppedBy} during COMMIT; all rows were loaded${standby}: ${count(rowsOf(outcome))}`;
  }
  if (options.atomic) return `stopped by ${stoppedBy}; nothing was loaded, as --atomic has it`;
  const again =
    options.resume === undefined
      ? 'with --import ID a load can go on from where it stopped'
      : 'run the same command again to go on';
  if (lastRow === undefined) {
    return `stopped by ${stoppedBy} before the first row${outcome.dropped ? `; ${DROPPED}` : ''}`;
  }
  const place = placeOf(lastRow.file, lastRow.line);
  return `stopped by ${stoppedBy} after ${place}; the rows up to there were loaded: ${count(rowsOf(outcome))}; ${again}`;
}

function dropLine(metrics: SinkMetrics): string {
  const reasons = Object.entries(nonZero(metrics.dropsByReason)).map(
    ([reason, rows]) => `${count(rows)} ${reason}`,
  );
  const verb = metrics.eventsDropped === 1 ? 'was' : 'were';
  return `${count(metrics.eventsDropped)} of ${counted(metrics.eventsOffered, 'row')} ${verb} dropped (${reasons.join(', ')})`;
}

/** Returns the share of each state in the time so far. */
export function stateShares(metrics: SinkMetrics): string {
  const entries = Object.entries(metrics.timeInStateMs).filter(([, milliseconds]) => milliseconds >= 0.5);
  const total = entries.reduce((sum, [, milliseconds]) => sum + milliseconds, 0);
  return entries
    .map(([state, milliseconds]) => `${state} ${Math.round((100 * milliseconds) / total)} %`)
    .join(', ');
}
