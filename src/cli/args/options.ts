/** The options of the commands, as `parseArguments` makes them. */

import type { BackpressureStrategy } from '../../api/states.js';
import type { TableName } from './table-name.js';
import type { NulAction, ValueFlags } from '../values/value-flags.js';
import type { TypeName } from './type-name.js';

export type Format = 'csv' | 'ndjson' | 'copy';
export const CONFLICT_ACTIONS = ['error', 'ignore', 'update'] as const;
type ConflictAction = (typeof CONFLICT_ACTIONS)[number];

/** What the flags say of how CSV is written. Undefined: it is detected. */
export interface ReadingFlags {
  /** A label of the WHATWG Encoding Standard. */
  encoding: string | undefined;
  delimiter: string | undefined;
  /** One character, or `none`. */
  quote: string | undefined;
  escape: string | undefined;
  /** Lines before the header, or before the first record. */
  skip: number | undefined;
  /** Lines that begin with it are left out. `none`: every line is a record. */
  comment: string | undefined;
  header: boolean | undefined;
}

/** A column that the header has no field for: the row names, or what follows a delimiter at the end of each record. */
export type Unnamed = 'first' | 'last';

export interface LoadOptions {
  /** Paths; `-` is standard input. Empty if none was given. */
  files: string[];
  table: TableName;
  to: string | undefined;
  format: Format;
  /** `--format json`: JSON of any layout. It is read as NDJSON, once its records are cut. */
  isJsonDocument: boolean;
  /** `--format parquet`. It is read as COPY's text format, once it is written as that. */
  isParquet: boolean;
  /** Names of the fields in their order (CSV; an empty one leaves its field out) or the keys to load (NDJSON). */
  columns: string[] | undefined;
  /** The header has no name for this one of `columns`: it has the names of the others. Found by the reading. */
  unnamed?: Unnamed | undefined;
  /** Comments stand before the table, and `--comment` is not given. Found by the reading. */
  hasComments?: boolean;
  flags: ReadingFlags;
  /** Nothing is detected: CSV is read as PostgreSQL's own format. */
  strict: boolean;
  /** The delimiter of CSV and COPY text: the flag's or the format's own; in place of it that which is detected. */
  delimiter: string;
  nullText: string;
  /** Further texts of `--null`. */
  otherNulls: readonly string[];
  /** `--null-for`: texts that mean NULL in one column, quoted or not. */
  nullsFor: Readonly<Record<string, readonly string[]>>;
  header: boolean;
  /** Lines at the beginning of each file that are left out. */
  skipped: number;
  /** White space at both ends of fields is left out. */
  trim: boolean;
  /** What is done with U+0000; undefined: the row is refused. */
  nul: NulAction | undefined;
  /** How values are written. */
  valueFlags: ValueFlags;
  /** Fields that a record lacks at its end are NULL. */
  pad: boolean;
  create: boolean;
  /** `--type`: types of columns of the table that `create` makes. They are never changed. */
  types: Readonly<Record<string, TypeName>>;
  /** Names of the input's columns become snake_case. */
  normalizeNames: boolean;
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
  /** Where a page about the load goes. */
  report: string | undefined;
  /** The import's id: what its earlier runs have loaded is left out. */
  resume: string | undefined;
  /** All rows in one transaction. */
  atomic: boolean;
  /** Show what would happen, and change nothing. */
  dryRun: boolean;
  json: boolean;
  quiet: boolean;
}

export interface QueryOptions {
  sql: string;
  to: string | undefined;
  json: boolean;
}

/** Where an import begins that nobody has begun: its oldest message, what comes from now on, a sequence, or a time. */
export type ConsumeStart = 'first' | 'last' | number | Date;

/** The flags of `consume`, with their defaults. Undefined: the library's default, or the environment's. */
export interface ConsumeFlags {
  /** URLs of NATS. Empty: those of `NATS_URL`. */
  servers: string[];
  stream: string;
  filter: string | undefined;
  domain: string | undefined;
  creds: string | undefined;
  nkey: string | undefined;
  tlsca: string | undefined;
  tlscert: string | undefined;
  tlskey: string | undefined;
  table: TableName;
  to: string | undefined;
  /** The keys to load; others are left out. */
  columns: string[] | undefined;
  create: boolean;
  types: LoadOptions['types'];
  import: string;
  from: ConsumeStart | undefined;
  untilCaughtUp: boolean;
  allowGaps: boolean;
  onConflict: ConflictAction;
  key: string[] | undefined;
  deadLetter: string;
  deadLetterSubject: string | undefined;
  maxRejects: number | undefined;
  connections: number | undefined;
  batchSize: number | undefined;
  flushInterval: number | undefined;
  lease: number | undefined;
  maxOutage: number | undefined;
  laneSize: number | undefined;
  report: string | undefined;
  json: boolean;
  quiet: boolean;
}

export type Invocation =
  | { command: 'help'; text: string }
  | { command: 'version' }
  | { command: 'load'; options: LoadOptions }
  | { command: 'query'; options: QueryOptions }
  | { command: 'consume'; options: ConsumeFlags };

/**
 * NULL in the text that Parquet is written as. In a value, it has an escape. It is no backslash: blocks without one can be sent in binary.
 */
export const PARQUET_NULL = '\x7f';

export const DEFAULT_MAX_RECORD_BYTES = 16 * 1024 * 1024;
