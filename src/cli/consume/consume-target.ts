/** The table that messages go to: finds it, or makes it, and matches its columns with the keys of messages. */

import {
  assertGivenTypes,
  columnsFor,
  CreatedTable,
  findTable,
  keyColumns,
  nameNotes,
  throwMissingTable,
} from '../load/parts.js';
import type { CopyPool } from '../../postgres/protocol/pool.js';
import type { TableDescription } from '../../postgres/table/catalogue.js';
import type { Log } from '../../log/log.js';
import type { ConsumeFlags } from '../args/options.js';
import type { InputName } from '../table/input-names.js';
import type { LoadColumn } from '../table/table.js';
import { sampleColumns } from './message-sample.js';

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
  const names =
    existing === undefined
      ? await sampleColumns(log, flags, signal)
      : flags.columns?.map((name) => givenName(name));
  signal.throwIfAborted();
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
    columns,
    key: keyColumns(flags.key, columns),
    created: made !== undefined,
    notes: nameNotes({ table: flags.table, normalizeNames: false }, table, columns),
  };
}

const NO_IMPORT = { atomic: false, resume: undefined };

function givenName(name: string): InputName {
  return { name, file: undefined, line: undefined, type: 'text' };
}
