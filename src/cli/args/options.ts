/** The options of the commands, as `parseArguments` makes them. */

import type { BackpressureStrategy } from '../../api/states.js';
import type { TableName } from './table-name.js';

export type Format = 'csv' | 'ndjson';
export const CONFLICT_ACTIONS = ['error', 'ignore', 'update'] as const;
export type ConflictAction = (typeof CONFLICT_ACTIONS)[number];

export interface LoadOptions {
  /** Paths; `-` is standard input. Empty if none was given. */
  files: string[];
  table: TableName;
  to: string | undefined;
  format: Format;
  /** Names of the fields in their order (CSV; an empty one leaves its field out) or the keys to load (NDJSON). */
  columns: string[] | undefined;
  delimiter: string;
  nullText: string;
  header: boolean;
  create: boolean;
  truncate: boolean;
  batchSize: number | undefined;
  connections: number | undefined;
  maxRecordBytes: number;
  strategy: BackpressureStrategy;
  onConflict: ConflictAction;
  /** The columns of the unique constraint that `onConflict` is about. */
  key: string[] | undefined;
  /** Where rows that the table refuses go. Without it the first one ends the load. */
  rejects: string | undefined;
  maxRejects: number | undefined;
  /** The import's id: what its earlier runs have loaded is left out. */
  resume: string | undefined;
  /** All rows in one transaction. */
  atomic: boolean;
  json: boolean;
  quiet: boolean;
}

export interface QueryOptions {
  sql: string;
  to: string | undefined;
  json: boolean;
}

export type Invocation =
  | { command: 'help'; text: string }
  | { command: 'version' }
  | { command: 'load'; options: LoadOptions }
  | { command: 'query'; options: QueryOptions };

export const DEFAULT_MAX_RECORD_BYTES = 16 * 1024 * 1024;
