/** `spillway/postgres`: batches into a PostgreSQL table by COPY. */

export { copyInto, type CopyFunction } from './copy-into.js';
export { consumeLog, type LogLoad } from './consume-log.js';
export type { ConsumeOptions } from './consume-options.js';
export type { ConsumeMetrics } from './consume/consume-metrics.js';
export type { ConsumeEvents } from './consume/consume-observer.js';
export type { ConsumeProgress } from './consume/consume-progress.js';
export type { LogStart } from './lanes/log-start.js';
export { LogError, type LogFailureClass } from '../log/log-error.js';
export type * from '../log/log.js';
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
