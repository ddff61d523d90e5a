/** `copyInto`: a flush function that writes its batches into a PostgreSQL table by COPY. */

import type { FlushContext, FlushDefaults, FlushFunction } from '../types.js';
import { BatchFailure, copyBatch } from './batch-transaction.js';
import { CopyError } from './copy-error.js';
import { describeBatchFailure } from './copy-failure.js';
import { checkCopyOptions, checkPool, type CopyOptions } from './copy-options.js';
import type { CopyClient, CopyPool } from './pool.js';
import { sampledRowSize } from './row-size.js';
import { hintsAtChangedTable } from './sqlstate.js';
import { TableLayout } from './table-layout.js';

/** A flush function into a table, with the options that suit it. */
export type CopyFunction<T> = FlushFunction<T> & { readonly defaults: FlushDefaults<T> };

const MIB = 1024 * 1024;
/** Of node-postgres, where the pool does not tell. */
const POOL_SIZE = 10;

/**
 * Makes a flush function that copies each batch into a table: one batch, one COPY, one transaction.
 *
 * A batch arrives whole or not at all. When the connection is lost between COMMIT and its answer, nobody knows which: the error says so
 * (`ambiguous`), and the attempt after it may write the batch a second time.
 *
 * Rows are objects (own keys are columns; `Map`s are refused) or arrays. `null` and `undefined` are NULL. A string is taken as the type's
 * own literal, as the server would read it: for `json` and `jsonb` it is JSON text, while any other value is turned into JSON; for arrays
 * `{…}`. A `Date` is an instant: `timestamp` and `date` get it in UTC. Whatever the table cannot take fails the batch with a
 * {@link CopyError} that names row and column; so does U+0000 or half a surrogate pair, which PostgreSQL would refuse or spoil.
 *
 * The pool stays the caller's: its size bounds the connections, and its own 'error' event (an idle client lost) needs the caller's
 * listener, as with any use of a `pg.Pool`.
 *
 * @param pool a `pg.Pool`
 * @throws {InvalidOptionError} a wrong option. The table itself is looked up by the first batch.
 */
export function copyInto<T extends object = Record<string, unknown>, Client extends CopyClient = CopyClient>(
  pool: CopyPool<Client>,
  options: CopyOptions<T, Client>,
): CopyFunction<T> {
  checkPool(pool);
  const { table, schema, columns, beforeCommit } = checkCopyOptions(options);
  const tableLayout = new TableLayout(pool, schema, table, columns);

  const copy = async (items: T[], { signal }: FlushContext): Promise<void> => {
    if (items.length === 0) return;
    for (;;) {
      const cached = tableLayout.known;
      const layout = cached ?? (await tableLayout.find(items[0], signal));
      try {
        await copyBatch({ pool, layout, items, signal, beforeCommit });
        return;
      } catch (error) {
        if (!(error instanceof BatchFailure)) throw error;
        const failure = describeBatchFailure(error, layout, items);
        if (error.stage !== 'copy' || !hintsAtChangedTable(failure.sqlState)) throw failure;
        // The table may have changed since it was looked up: then it is worth another look, once.
        tableLayout.forget(layout);
        if (cached === undefined) throw failure;
      }
    }
  };
  return Object.assign(copy, { defaults: defaultsFor<T>(pool) });
}

/** Measured on two cores against PostgreSQL 18: see benchmarks. */
function defaultsFor<T>(pool: CopyPool): FlushDefaults<T> {
  const size = pool.options?.max ?? POOL_SIZE;
  return {
    batchSize: 20_000,
    batchBytes: 4 * MIB,
    maxBufferBytes: 64 * MIB,
    sizeOf: sampledRowSize(),
    // One connection is left for whatever else the pool serves.
    concurrency: Math.min(3, Math.max(1, size - 1)),
    minFlushIntervalMs: 100,
    maxFlushIntervalMs: 5_000,
    targetLatencyMs: 500,
    flushTimeoutMs: 60_000,
    retry: { attempts: 5, isRetryable: (error) => error instanceof CopyError && error.retryable },
  };
}
