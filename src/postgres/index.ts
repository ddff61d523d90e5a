/** `spillway/postgres`: batches into a PostgreSQL table by COPY. */

export { copyInto, type CopyFunction } from './copy-into.js';
export { CopyError, type CopyErrorDetails, type CopyFailureClass } from './errors/copy-error.js';
export type {
  ColumnOptions,
  ConflictOptions,
  CopyOptions,
  CopyTarget,
  ImportOptions,
  MappedRows,
  OwnRows,
} from './copy-options.js';
export type { DateZone } from './encoding/dates/date-clock.js';
export type { CopyClient, CopyPool } from './protocol/pool.js';
