/** `copyInto`: a flush function that writes its batches into a PostgreSQL table by COPY. */

import { MIB } from '../common/bytes.js';
import type { FlushContext, FlushDefaults, FlushResult, SizeOf } from '../api/flush-function.js';
import { checkPool } from './connection/check-pool.js';
import { OutageNotice } from './connection/outage-notice.js';
import { freshProbe } from './connection/probe-server.js';
import { checkCopyOptions, type CopyOptionFields, type CopyOptions } from './copy-options.js';
import { CopyError } from './errors/copy-error.js';
import type { CopyClient, CopyPool } from './protocol/pool.js';
import type { WrittenRange } from './batch-checkpoints.js';
import { TableCopy, type CopyInternals, type WrittenBatch } from './table-copy.js';

/** A flush function into a table, with the options that suit it. */
export interface CopyFunction<T> {
  (items: T[], context: FlushContext): Promise<FlushResult | undefined>;
  readonly defaults: FlushDefaults<T>;
}

/** What only the command line uses. */
export type RowCopy<T> = CopyFunction<T> & {
  /** See `TableCopy.begin`. */
  readonly begin: (range: WrittenRange) => void;
  /** See `TableCopy.copyWritten`. */
  readonly copyWritten: (batch: WrittenBatch, signal: AbortSignal) => Promise<boolean>;
  /** See `TableCopy.forgetTable`. */
  readonly forgetTable: () => void;
};

/** The default of node-postgres, for pools that do not show their size. */
const POOL_SIZE = 10;

/**
 * Makes a flush function that copies each batch into a table: one batch, one COPY, one transaction.
 *
 * A batch is inserted as a whole or not at all. If the stream has `onFailed`, rows that the table refuses are left out and passed to it, each
 * as an `ItemError` whose `cause` is a {@link CopyError}; the other rows are inserted. If the connection is lost between COMMIT and its
 * response, the error is `ambiguous`: the next attempt asks the server, and may write the batch a second time if the server cannot say. With
 * `importId` it never does.
 *
 * Rows are objects (own keys are columns; `Map`s are refused) or arrays. `null` is NULL. A column that a row leaves out, or has as
 * `undefined`, gets its default. A string is the type's own literal, as the server reads it: JSON text for `json` and `jsonb`, `{…}` for
 * arrays. Any other value for JSON is turned into JSON. A `Date` is stored as node-postgres' INSERT stores it: by its local time in `date`
 * and `timestamp` (see `dates`). A value that the table cannot take fails with a {@link CopyError} that names row and column. So does U+0000
 * or half a surrogate pair, which PostgreSQL would refuse or spoil.
 *
 * The pool stays the caller's. Its size bounds the connections, and its 'error' event (an idle client lost) needs the caller's listener.
 *
 * @example
 * ```ts
 * import pg from 'pg';
 * import { BackpressureWritable } from 'spillway';
 * import { copyInto } from 'spillway/postgres';
 *
 * const pool = new pg.Pool();
 * pool.on('error', console.error);
 * const sink = new BackpressureWritable(copyInto(pool, { table: 'readings' }));
 * sink.write({ sensor: 's1', value: 21.5 });
 * await sink.drain();
 * await pool.end();
 * ```
 * @param pool a `pg.Pool`
 * @throws {InvalidOptionError} a wrong option, or a pool that cannot be used. The table itself is looked up by the first batch.
 */
export function copyInto<T extends object = Record<string, unknown>, Client extends CopyClient = CopyClient>(
  pool: CopyPool<Client>,
  options: CopyOptions<T, Client>,
): CopyFunction<T> {
  const { copy, defaults } = buildCopy<T, Client>(pool, options);
  OutageNotice.watch(pool);
  return Object.assign(copy, { defaults });
}

/** `copyInto` as the command line uses it, which warns of outages itself. */
export function createCopy<T extends object, Client extends CopyClient = CopyClient>(
  pool: CopyPool<Client>,
  options: CopyOptionFields<T, Client>,
  internals: CopyInternals<T> = {},
): RowCopy<T> {
  const { copy, ...others } = buildCopy(pool, options, internals);
  return Object.assign(copy, others);
}

function buildCopy<T extends object, Client extends CopyClient>(
  pool: CopyPool<Client>,
  options: CopyOptionFields<T, Client>,
  internals: CopyInternals<T> = {},
) {
  checkPool(pool);
  const table = new TableCopy<T, Client>(pool, checkCopyOptions(options), internals);
  const defaults: FlushDefaults<T> = {
    ...defaultsFor<T>(pool, table.isExactlyOnce, table.sizeOf),
    ...(table.isOrdered && { concurrency: 1, maxConcurrency: 1 }),
  };
  return {
    copy: (items: T[], context: FlushContext) => table.copy(items, context),
    defaults,
    begin: (range: WrittenRange) => table.begin(range),
    copyWritten: (batch: WrittenBatch, signal: AbortSignal) => table.copyWritten(batch, signal),
    forgetTable: () => table.forgetTable(),
  };
}

/** Measured on two cores against PostgreSQL 18: see benchmarks. */
function defaultsFor<T>(pool: CopyPool, isIdempotent: boolean, sizeOf: SizeOf<T>): FlushDefaults<T> {
  const size = pool.options?.max ?? POOL_SIZE;
  return {
    batchSize: 40_000,
    batchBytes: 4 * MIB,
    maxBufferBytes: 64 * MIB,
    // A producer that may write again fills the buffer in one go, and no row is sent meanwhile: so it may write again early.
    lowWatermark: 0.75,
    // Rows in memory come without I/O: the responses to the first batches would have to wait until the buffer is full.
    yieldEvery: 10_000,
    sizeOf,
    // One connection is left for other users of the pool.
    concurrency: Math.min(3, Math.max(1, size - 1)),
    minFlushIntervalMs: 100,
    maxFlushIntervalMs: 5_000,
    targetLatencyMs: 500,
    flushTimeoutMs: 60_000,
    // Longer than a failover, a restart with recovery or a small upgrade. To wait costs only bounded memory; to fail costs the sink.
    breaker: { maxOutageMs: 600_000, probe: freshProbe(pool) },
    retry: {
      attempts: 5,
      isRetryable: (error) =>
        error instanceof CopyError && (error.retryable || (isIdempotent && error.ambiguous)),
      afterTimeout: isIdempotent,
    },
  };
}
