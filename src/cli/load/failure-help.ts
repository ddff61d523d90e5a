/** Adds to a failure what helps: the flags with which the same load goes on. Pure. */

import { CopyError } from '../../postgres/errors/copy-error.js';
import { IMPORT_TABLES } from '../../postgres/imports/bookkeeping-trust.js';
import type { CopyPool } from '../../postgres/protocol/pool.js';
import { causesOf, CliError, InputError } from '../common/errors.js';
import { columnFlag } from '../args/column-flag.js';
import type { LoadOptions } from '../args/options.js';
import { messageFor } from '../rejects/reject.js';
import { withMissingRights, type RightsNeeded } from '../server/missing-rights.js';
import { hintFor } from '../table/value-hints.js';
import { kindOfType } from './column-rules.js';
import type { LoadColumn } from '../table/table.js';
import { MisfitError } from '../write/column-widener.js';

export interface LoadFacts {
  readonly options: LoadOptions;
  /** Set if an import has begun. */
  readonly importLog?: unknown;
  /** This load has made the table. */
  readonly created: boolean;
  readonly columns: readonly LoadColumn[];
}

/** In characters. What would make the line longer is left out: the line would be cut. */
const LONGEST_HELPED = 440;

/** Flags that an import keeps: another value is refused. */
const KEPT_FLAGS = new RegExp(
  `--(?:${[
    ...['format', 'columns', 'header', 'no-header', 'max-record-bytes', 'type', 'normalize-names'],
    ...['delimiter', 'quote', 'escape', 'encoding', 'skip', 'comment', 'trim', 'null', 'null-for', 'nul'],
    ...['dates', 'numbers', 'decimal-comma', 'booleans'],
  ].join('|')})(?![\\w-])`,
);
const KEPT_NOTE = 'an import keeps its flags, so another one takes a new --import ID and a new table';

/** What the role must be allowed. @param columns those that are loaded, once that is known */
function rightsNeeded(options: LoadOptions, columns?: readonly LoadColumn[]): RightsNeeded {
  return {
    table: options.table,
    columns: columns?.map(({ columnName }) => columnName),
    onConflict: options.onConflict,
    truncates: options.truncate,
    bookkeeping: options.resume === undefined ? [] : [...IMPORT_TABLES.keys()],
  };
}

/** Returns the error, with the rights that are missing. */
export function namingRights(error: unknown, pool: CopyPool, options: LoadOptions): Promise<unknown> {
  return withMissingRights(error, pool, rightsNeeded(options));
}

export async function withRightsAndHelp(
  failure: CliError,
  pool: CopyPool,
  facts: LoadFacts,
): Promise<CliError> {
  return withMissingRights(withHelp(failure, facts), pool, rightsNeeded(facts.options, facts.columns));
}

/** Returns the failure, or one with more of a message. */
export function withHelp(failure: CliError, facts: LoadFacts): CliError {
  const { message } = failure;
  const help = helpFor(failure, facts);
  const isKept = facts.importLog !== undefined && KEPT_FLAGS.test([message, ...help].join(' '));
  const note = isKept ? [KEPT_NOTE] : [];
  for (const added of [[...help, ...note], KEPT_FLAGS.test(message) ? note : []]) {
    const helped = [message, ...added].join('; ');
    if (added.length > 0 && helped.length <= LONGEST_HELPED)
      return new CliError(helped, failure.exitCode, failure);
  }
  return failure;
}

function helpFor(failure: CliError, facts: LoadFacts): string[] {
  // It says by itself what makes room for the value, which is no bad row.
  if (failure instanceof MisfitError) return [];
  const causes = causesOf(failure);
  const copyError = causes.find((cause) => cause instanceof CopyError);
  const isOfRecord = causes.some((cause) => cause instanceof InputError && cause.isOfRecord);
  const { resume, rejects } = facts.options;
  const help: string[] = [];
  if (copyError?.failureClass === 'row') help.push(...helpForRow(copyError, facts));
  const isRow = isOfRecord || copyError?.failureClass === 'row';
  if (isRow && rejects === undefined) help.push('--rejects FILE leaves such records out');
  if (resume !== undefined && copyError?.retryable === true) help.push('run the same command again to go on');
  return help;
}

/** SQLSTATEs of values that are not of their column's type. */
const WRONG_VALUES = new Set(['22P02', '22003', '22007', '22008']);

/** Returns the type with room for a value that an inferred type has refused. Undefined: the refusal is not about the type. */
export function roomierType(sqlState = ''): 'numeric' | 'text' | undefined {
  if (!WRONG_VALUES.has(sqlState)) return undefined;
  return sqlState === '22003' ? 'numeric' : 'text';
}

function helpForRow(error: CopyError, { options, created, columns }: LoadFacts): string[] {
  if (error.sqlState === '23505' && options.onConflict === 'error')
    return [
      '--on-conflict ignore leaves rows out whose key is there, and --on-conflict update replaces them',
    ];
  const column = columns.find(({ columnName }) => columnName === error.column);
  const type = roomierType(error.sqlState);
  if (column === undefined || type === undefined) return [];
  const value = /"([^"]*)"(?: is out of range .*)?$/.exec(messageFor(error))?.[1];
  const help: string[] = [];
  if (created && column.hasGivenType !== true)
    help.push(`${columnFlag('--type', column.columnName, type)} makes room for it`);
  // A value that is out of range was read.
  const mayBeRead = options.format === 'csv' && error.sqlState !== '22003';
  const hint = mayBeRead && value !== undefined ? hintFor([value], options.valueFlags) : undefined;
  if (hint !== undefined && KINDS_OF_HINTS[hint.what] === kindOfType(column.type)) help.push(hint.help);
  else if (options.format === 'csv' && value !== undefined && MARKER.test(value))
    help.push(`${columnFlag('--null-for', column.columnName, value)} makes it NULL`);
  return help;
}

/** Kinds of columns that hints are about. */
const KINDS_OF_HINTS: Readonly<Record<string, string>> = { dates: 'date', numbers: 'number' };

/** A text that may stand for a missing value: a few letters or signs, or a number that repeats a digit, such as -999. */
const MARKER = /^(?:[^\d\s]{0,8}|-?(\d)\1{1,5})$/;
