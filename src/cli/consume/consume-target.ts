/** The table that messages go to: finds it, or makes it, and matches its columns with the keys of messages. */

import {
  assertGivenTypes,
  CliError,
  columnsFor,
  counted,
  CreatedTable,
  findTable,
  firstCut,
  keyColumns,
  markGivenTypes,
  nameNotes,
  showTable,
  throwMissingTable,
} from '../load/parts.js';
import type { CopyPool } from '../../postgres/protocol/pool.js';
import type { TableDescription } from '../../postgres/table/catalogue.js';
import type { Log } from '../../log/log.js';
import type { ConsumeFlags } from '../args/options.js';
import type { InputName } from '../table/input-names.js';
import type { LoadColumn } from '../table/table.js';
import { sampleColumns, type ColumnSample } from './message-sample.js';

export interface ConsumeTarget {
  readonly table: TableDescription;
  readonly columns: readonly LoadColumn[];
  /** The table's own names of the columns of `--key`. */
  readonly key: readonly string[] | undefined;
  /** This worker has made the table. */
  readonly created: boolean;
  readonly notes: readonly string[];
}

/** @throws {CliError} */
export async function findTarget(
  pool: CopyPool,
  log: Log,
  flags: ConsumeFlags,
  signal: AbortSignal,
): Promise<ConsumeTarget> {
  const existing = await findTable(pool, flags.table);
  if (existing === undefined && !flags.create) throwMissingTable(flags.table, 'the messages');
  const sample = existing === undefined ? await sampleColumns(log, flags, signal) : undefined;
  const names = sample?.names ?? flags.columns?.map((name) => givenName(name));
  signal.throwIfAborted();
  if (sample !== undefined && flags.columns === undefined) await assertUncut(pool, sample.names);
  const made =
    existing === undefined
      ? await CreatedTable.make(pool, flags.table, names!, NO_IMPORT, (work) => work())
      : undefined;
  // Another worker may have made it meanwhile, of another sample.
  const table =
    existing ?? (await findTable(pool, made?.name ?? flags.table)) ?? throwMissingTable(flags.table);
  const isOurs = existing !== undefined || made !== undefined;
  const columns = await columnsFor(pool, table, isOurs || flags.columns !== undefined ? names : undefined);
  if (made === undefined) await assertGivenTypes(pool, table, flags.types, columns);
  return {
    table,
    columns: markGivenTypes(columns, flags.types),
    key: keyColumns(flags.key, columns),
    created: made !== undefined,
    notes: [
      ...(made === undefined ? [] : [madeNote(table, sample!)]),
      ...nameNotes({ table: flags.table, normalizeNames: false }, table, columns),
    ],
  };
}

/** A worker that finds the table later knows the keys by its columns only. @throws {CliError} if a column would be called otherwise */
async function assertUncut(pool: CopyPool, names: readonly InputName[]): Promise<void> {
  const long = await firstCut(pool, names);
  if (long === undefined) return;
  throw new CliError(
    `--create: the key ${JSON.stringify(long)} is longer than the server's longest name, so that its column would have another one; ` +
      'give all workers the keys by --columns',
  );
}

/** What a few messages have shown may be wrong for those to come. */
function madeNote({ schema, table, columns }: TableDescription, { messages }: ColumnSample): string {
  const types = columns.map(({ name, typeName }) => `${name} ${typeName}`).join(', ');
  return (
    `made the table ${showTable({ schema, table })} as ${counted(messages, 'message')} ${messages === 1 ? 'has' : 'have'} it: ${types}; ` +
    'a later value that does not fit makes its message a dead letter (--type)'
  );
}

const NO_IMPORT = { atomic: false, resume: undefined };

function givenName(name: string): InputName {
  return { name, file: undefined, line: undefined, type: 'text' };
}
