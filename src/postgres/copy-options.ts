/** The options of `copyInto`, and their check. */

import { InvalidOptionError } from '../api/errors.js';
import { checkFunction, checkNames, refuse, show, wrongOption } from '../guards/validate.js';
import { FORMATS, type FormatOption } from './rows/copy-format.js';
import type { ConflictRule } from './merge/plan-request.js';
import type { DateZone } from './encoding/dates/date-clock.js';
import { IMPORT_ID_RANGE, isImportId } from './imports/import-id.js';
import type { CopyClient } from './protocol/pool.js';

/**
 * The names that `columns` and `key` may hold: the keys of the rows. Any name if the rows are arrays, or their keys are not known to the compiler.
 */
type ColumnOf<T> = T extends readonly unknown[]
  ? string
  : [keyof T] extends [never]
    ? string
    : Extract<keyof T, string>;

/** The options of `copyInto`. Those that go together are one type each, so that the compiler refuses what would throw. */
export type CopyOptions<T = unknown, Client extends CopyClient = CopyClient> = CopyTarget<T, Client> &
  (OwnRows<T> | MappedRows<T>) &
  ImportOptions<T>;

export interface CopyTarget<T, Client extends CopyClient> {
  /** The table's name: one identifier as it is in the catalogue, without quotes and without its schema. */
  table: string;
  /** Its schema. Default: the first schema on the connection's search path that has such a table. */
  schema?: string | undefined;
  /**
   * A numeric column that gets `context.weights`: how many offered items each row stands for (1, except under the strategy `sample`). Rows must
   * not have a value for it.
   */
  weightColumn?: string | undefined;
  /**
   * How rows are sent: `'text'`, `'binary'`, or `'auto'` (default): binary if every column's type has a binary encoder and it is the
   * faster one. It changes nothing of what is accepted and stored: a batch with a value that has no exact binary form, or that the table
   * refuses, is sent again as text at once; with `'auto'` many batches that follow go as text too. `'binary'` needs a binary encoder for
   * every column; otherwise the first batch fails with an error that names column and type.
   */
  format?: FormatOption | undefined;
  /**
   * How a `Date` is written into `date`, `timestamp` and text columns: `'local'`: by the wall clock of the process's time zone; `'utc'`: by
   * that of UTC. Default: as node-postgres' own INSERT does, which is local unless `pg.defaults.parseInputDatesAsUTC` is set. It is read once
   * a batch.
   */
  dates?: DateZone | undefined;
  /**
   * Runs in the transaction of each batch, after its rows and before COMMIT: for statements that must hold or fall with them. When it
   * rejects, the batch is rolled back. It is called again for each attempt, and must leave COMMIT and ROLLBACK alone.
   */
  beforeCommit?: ((client: Client, items: readonly T[]) => Promise<unknown>) | undefined;
}

/** Keeps the compiler from inferring `T` out of the names in `columns` and `key`, as `NoInfer` does since TypeScript 5.4. */
type Uninferred<T> = [T][T extends unknown ? 0 : never];

/** Items are the rows. */
export type OwnRows<T> = ColumnOptions<ColumnOf<Uninferred<T>>> & {
  row?: undefined;
};

/** Each item stands for a row of other keys. */
export type MappedRows<T> = ColumnOptions<string> & {
  /** Returns the row that an item stands for: an object or an array. An error that it throws is a fault of that row. Default: the item itself. */
  row: (item: T) => object;
};

export type ColumnOptions<Column extends string> = {
  /**
   * The columns to fill. Rows that are objects may hold more, which is left out; rows that are arrays give their values in this order.
   *
   * Default: the keys of the first row, and of later rows that have others for which the table has a column; with `onConflict: 'update'` of
   * the first row only. If the first row is an array: all columns in the table's order, except generated ones. A column that a row leaves
   * out (absent or `undefined`) gets its default, as do columns that are not among these; `null` is NULL.
   */
  columns?: readonly Column[] | undefined;
} & ConflictOptions<Column>;

export type ConflictOptions<Column extends string> =
  | {
      /**
       * What is done with a row whose key the table has already: `'error'`: it is at fault (default); `'ignore'`: it is left out; `'update'`:
       * it replaces the other one. As if the rows had come one by one: of several with the same key the last one counts for `'update'`,
       * the first one for `'ignore'`. So batches go one after another: the stream's `concurrency` is lowered to 1. By way of a temporary
       * table, for which the role needs the right TEMPORARY.
       */
      onConflict?: 'error' | undefined;
      /**
       * The columns that a unique constraint or index of the table is made of, also within expressions (`lower(email)`). `'update'` needs it.
       * Without it `'ignore'` leaves out rows that any unique constraint refuses.
       */
      key?: undefined;
    }
  | { onConflict: 'ignore'; key?: readonly Column[] | undefined }
  | { onConflict: 'ignore' | 'update'; key: readonly Column[] };

export type ImportOptions<T> =
  | { importId?: undefined; positionOf?: undefined }
  | {
      /**
       * Exactly once: each batch writes a checkpoint under this name, in its own transaction. So neither a retry nor another run of the same
       * import writes a row again. Any text. Needs `positionOf`. The checkpoints are in the tables `spillway_imports` and
       * `spillway_import_ranges`, which are made in the schema of the table if they are missing.
       */
      importId: string;
      /**
       * Place of an item in its source, the same in each run, higher for each item than for the one before: for several files, say, counted
       * on from one to the next. A source that is read again from its beginning needs a function of its own. All that lies between the first
       * and the last item of a batch counts as written with it.
       */
      positionOf: (item: T) => number | bigint;
    };

/** The same options one by one, before it is known that they fit together. */
export type CopyOptionFields<T = unknown, Client extends CopyClient = CopyClient> = CopyTarget<T, Client> & {
  row?: ((item: T) => object) | undefined;
  columns?: readonly string[] | undefined;
  onConflict?: 'error' | 'ignore' | 'update' | undefined;
  key?: readonly string[] | undefined;
  importId?: string | undefined;
  positionOf?: ((item: T) => number | bigint) | undefined;
};

/** All names. A test compares the table in `postgres/README.md` with them. */
export const COPY_OPTIONS: ReadonlySet<string> = new Set([
  'table', 'schema', 'columns', 'row', 'weightColumn', 'format', 'dates', 'beforeCommit', 'onConflict', 'key', 'importId', 'positionOf',
] satisfies (keyof CopyOptionFields)[]); // prettier-ignore
const DATE_ZONES = ['local', 'utc'] as const satisfies readonly DateZone[];
const CONFLICT_ACTIONS = ['error', 'ignore', 'update'] as const;
const HINTS = {
  pool: '; the pool is the first argument',
  batchSize: '; it is an option of the stream',
  concurrency: '; it is an option of the stream',
};

/** @throws {InvalidOptionError} naming the option, what it may be, and what came */
export function checkCopyOptions<T, Client extends CopyClient>(
  options: CopyOptionFields<T, Client>,
): CopyOptionFields<T, Client> {
  if (typeof options !== 'object' || (options as unknown) === null) {
    refuse('options', "an object with 'table'", options);
  }
  checkNames(options, COPY_OPTIONS, 'copyInto', HINTS);
  checkIdentifier('table', options.table);
  if (options.schema !== undefined) checkIdentifier('schema', options.schema);
  if (options.columns !== undefined) checkNameList('columns', options.columns);
  if (options.row !== undefined) checkFunction('row', options.row);
  checkWeightColumn(options);
  if (options.format !== undefined && !FORMATS.includes(options.format)) {
    refuse('format', "'auto', 'text' or 'binary'", options.format);
  }
  if (options.dates !== undefined && !DATE_ZONES.includes(options.dates)) {
    refuse('dates', "'local' or 'utc'", options.dates);
  }
  if (options.beforeCommit !== undefined) checkFunction('beforeCommit', options.beforeCommit);
  checkConflict(options);
  checkImport(options);
  return {
    ...options,
    ...(options.columns !== undefined && { columns: [...options.columns] }),
    ...(options.key !== undefined && { key: [...options.key] }),
  };
}

function checkWeightColumn({ weightColumn, columns, key }: CopyOptionFields<never, never>): void {
  if (weightColumn === undefined) return;
  checkIdentifier('weightColumn', weightColumn);
  for (const [option, names] of [
    ['columns', columns],
    ['key', key],
  ] as const) {
    if (names?.includes(weightColumn) === true) {
      wrongOption('weightColumn', `must not be among '${option}': got ${show(weightColumn)}`);
    }
  }
}

function checkConflict({ onConflict, key }: CopyOptionFields<never, never>): void {
  if (onConflict !== undefined && !CONFLICT_ACTIONS.includes(onConflict)) {
    refuse('onConflict', "'error', 'ignore' or 'update'", onConflict);
  }
  if (key !== undefined) {
    checkNameList('key', key);
    if ((onConflict ?? 'error') === 'error') {
      wrongOption('key', "needs 'onConflict', 'ignore' or 'update'");
    }
  } else if (onConflict === 'update') {
    throw new InvalidOptionError('key', "option 'onConflict' with 'update' needs 'key'");
  }
}

function checkImport({ importId, positionOf }: CopyOptionFields<never, never>): void {
  if (importId !== undefined) {
    if (!isImportId(importId)) refuse('importId', IMPORT_ID_RANGE, importId);
    if (positionOf === undefined) {
      throw new InvalidOptionError('positionOf', "option 'importId' needs 'positionOf'");
    }
  }
  if (positionOf !== undefined) {
    checkFunction('positionOf', positionOf);
    if (importId === undefined) {
      throw new InvalidOptionError(
        'importId',
        "option 'positionOf' needs 'importId'; for 'committedPosition' it is an option of the stream",
      );
    }
  }
}

export function conflictRuleOf({ onConflict, key }: CopyOptionFields<never, never>): ConflictRule {
  switch (onConflict) {
    case 'ignore':
      return { onConflict, key };
    case 'update':
      return { onConflict, key: key! };
    case 'error':
    case undefined:
      return { onConflict: 'error' };
  }
}

function checkIdentifier(option: string, name: unknown): void {
  if (typeof name !== 'string' || name === '' || name.includes('\0') || !name.isWellFormed()) {
    refuse(option, 'a name: a string that is not empty', name);
  }
}

function checkNameList(option: 'columns' | 'key', names: readonly unknown[]): void {
  if (!Array.isArray(names) || names.length === 0) refuse(option, 'an array of at least one name', names);
  const seen = new Set<unknown>();
  for (const [index, name] of names.entries()) {
    checkIdentifier(`${option}[${index}]`, name);
    if (seen.has(name)) {
      wrongOption(option, `names ${show(name)} twice`);
    }
    seen.add(name);
  }
}
