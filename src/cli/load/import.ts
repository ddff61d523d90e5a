/** `--import`: opens the import's log, and describes how a source differs from that of earlier runs. */

import type { TableDescription } from '../../postgres/table/catalogue.js';
import { SourceChanged } from '../../postgres/imports/import-errors.js';
import { showImportId } from '../../postgres/imports/import-id.js';
import { ImportLog } from '../../postgres/imports/import-log.js';
import type { SourceDifference } from '../../postgres/imports/import-source.js';
import type { CopyClient, CopyPool } from '../../postgres/protocol/pool.js';
import { CliError, ExitCode } from '../common/errors.js';
import type { SourceFile } from '../input/source.js';
import { count, counted } from '../common/counted.js';

export interface ImportRequest {
  readonly importId: string;
  readonly table: TableDescription;
  /** `source` of the fingerprint. */
  readonly source: object;
  readonly files: readonly SourceFile[];
  readonly onFirstRun: (client: CopyClient) => Promise<unknown>;
  readonly signal: AbortSignal;
}

/** @throws {CliError} if the source or the table differs from the import's earlier runs */
export async function openImport(pool: CopyPool, request: ImportRequest): Promise<ImportLog> {
  const { importId, table, source, onFirstRun, files, signal } = request;
  try {
    return await ImportLog.open(
      pool,
      { importId, schema: table.schema, table: table.table, source, onFirstRun },
      signal,
    );
  } catch (error) {
    if (!(error instanceof SourceChanged)) throw error;
    throw new CliError(
      `import ${showImportId(importId)} was begun with other input: ${describeDifferences(error.differences, files)}; ` +
        'give the same files and flags as before, or another id',
      ExitCode.FAILED,
      error,
    );
  }
}

/**
 * Checks at the end of the input that it is not shorter than in earlier runs: of a pipe only the beginning was compared.
 *
 * @param lastOrdinal of the last record, counted from 0
 * @throws {CliError} if records are missing
 */
export function assertInputNotShorter({ importId, lastCommitted }: ImportLog, lastOrdinal: number): void {
  if (lastCommitted === undefined || lastCommitted <= lastOrdinal) return;
  throw new CliError(
    `the input has ended after record ${count(lastOrdinal + 1)}, but import ${showImportId(importId)} has loaded it ` +
      `up to record ${count(Number(lastCommitted) + 1)} before; give the same input as before, or another id`,
  );
}

const FLAGS: Readonly<Record<string, string>> = {
  format: '--format',
  columns: '--columns',
  maxRecordBytes: '--max-record-bytes',
  header: 'the header (--no-header)',
  delimiter: '--delimiter',
  null: '--null',
  comment: '--comment',
  otherNulls: '--null',
  nullsFor: '--null-for',
  types: '--type',
  normalizeNames: '--normalize-names',
  trim: '--trim',
  nul: '--nul',
  dates: '--dates',
  numbers: '--numbers',
  booleans: '--booleans',
  encoding: '--encoding',
};

/** Exported for its test. */
export function describeDifferences(
  differences: readonly SourceDifference[],
  files: readonly SourceFile[],
): string {
  const found = new Set<string>();
  for (const { path, before, now } of differences) {
    const [part = '', index, property] = path;
    if (part === 'reading') found.add(describeReadingDifference(index, before, now));
    else if (part !== 'files') found.add(`${FLAGS[part] ?? part} was ${show(before)} and is ${show(now)}`);
    else if (property === undefined) found.add('the number of files differs');
    else {
      const name = files[Number(index)]?.name ?? 'a file';
      // A file of another size has other contents, too: the size says more.
      const size = differences.find((other) => other.path[1] === index && other.path[2] === 'bytes');
      found.add(`${name} ${size === undefined ? 'has other contents' : describeSize(size)}`);
    }
  }
  return [...found].join('; ');
}

const READING_FLAGS: Readonly<Record<string, string>> = {
  encoding: '--encoding',
  quote: '--quote',
  escape: '--escape',
  skip: '--skip',
};

function describeReadingDifference(property: string | undefined, before: unknown, now: unknown): string {
  return `${READING_FLAGS[property ?? ''] ?? `the reading of the file (${property ?? 'detected'})`} was ${show(before)} and is ${show(now)}`;
}

function describeSize({ before, now }: SourceDifference): string {
  if (typeof before !== 'number') return 'is a file, and was read from a pipe';
  return typeof now === 'number'
    ? `had ${counted(before, 'byte')} and has ${count(now)}`
    : 'is read from a pipe, and was a file';
}

function show(value: unknown): string {
  if (Array.isArray(value)) return JSON.stringify(value.join(','));
  return value === null || value === undefined ? 'not given' : JSON.stringify(value);
}
