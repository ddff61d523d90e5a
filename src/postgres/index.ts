/** `spillway/postgres`: batches into a PostgreSQL table by COPY. */

export { copyInto, type CopyFunction } from './copy-into.js';
export { CopyError, type CopyFailureClass } from './errors/copy-error.js';
export type { CopyOptions } from './copy-options.js';
export type { CopyClient, CopyPool } from './protocol/pool.js';
