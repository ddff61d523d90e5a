/** The options of `copyInto`, and their check. */

import { InvalidOptionError } from '../errors.js';
import { checkFunction, checkNames, refuse, show } from '../validate.js';
import type { CopyClient, CopyPool } from './pool.js';

export interface CopyOptions<T = unknown, Client extends CopyClient = CopyClient> {
  /** The table's name: one identifier as it is in the catalogue, without quotes and without its schema. */
  table: string;
  /** Its schema. Default: the first schema on the connection's search path that has such a table. */
  schema?: string | undefined;
  /**
   * The columns to fill. Rows that are objects may hold more, which is left out; rows that are arrays give their values in this order.
   *
   * Default: the keys of the first row, for as long as the function lives. A column among them that a later row does not have becomes
   * NULL; a key that the first row did not have is the later row's fault. Columns that are not among them keep their defaults. Where the
   * first row is an array: all columns in the table's order, but for generated ones.
   */
  columns?: readonly string[] | undefined;
  /**
   * Runs in the transaction of each batch, after its rows and before COMMIT: for statements that must hold or fall with them. When it
   * rejects, the batch is rolled back. It is called again for each attempt, and must leave COMMIT and ROLLBACK alone.
   */
  beforeCommit?: ((client: Client, items: readonly T[]) => Promise<unknown>) | undefined;
}

const OPTIONS: ReadonlySet<string> = new Set(['table', 'schema', 'columns', 'beforeCommit']);
const HINTS = {
  pool: '; the pool is the first argument',
  batchSize: '; it is an option of the stream',
  concurrency: '; it is an option of the stream',
};

/** @throws {InvalidOptionError} naming the option, what it may be, and what came */
export function checkCopyOptions<T, Client extends CopyClient>(
  options: CopyOptions<T, Client>,
): CopyOptions<T, Client> {
  if (typeof options !== 'object' || (options as unknown) === null) {
    refuse('options', "an object with 'table'", options);
  }
  checkNames(options, OPTIONS, 'copyInto', HINTS);
  checkIdentifier('table', options.table);
  if (options.schema !== undefined) checkIdentifier('schema', options.schema);
  if (options.columns !== undefined) checkColumns(options.columns);
  if (options.beforeCommit !== undefined) checkFunction('beforeCommit', options.beforeCommit);
  return {
    ...options,
    ...(options.columns !== undefined && { columns: [...options.columns] }),
  };
}

function checkIdentifier(option: string, name: unknown): void {
  if (typeof name !== 'string' || name === '' || name.includes('\0') || !name.isWellFormed()) {
    refuse(option, 'a name: a string that is not empty', name);
  }
}

function checkColumns(columns: readonly unknown[]): void {
  if (!Array.isArray(columns) || columns.length === 0)
    refuse('columns', 'an array of at least one name', columns);
  const seen = new Set<unknown>();
  for (const [index, name] of columns.entries()) {
    checkIdentifier(`columns[${index}]`, name);
    if (seen.has(name)) {
      throw new InvalidOptionError('columns', `option 'columns' names ${show(name)} twice`);
    }
    seen.add(name);
  }
}

/** @throws {InvalidOptionError} */
export function checkPool(pool: CopyPool): void {
  if (typeof pool !== 'object' || (pool as unknown) === null || typeof pool.connect !== 'function') {
    refuse('pool', 'a pool, as `new pg.Pool(…)` makes one', pool);
  }
  if ('connectionParameters' in pool) {
    throw new InvalidOptionError(
      'pool',
      "option 'pool' must be a pool, as `new pg.Pool(…)` makes one; got a single client, which cannot be shared between batches",
    );
  }
}
