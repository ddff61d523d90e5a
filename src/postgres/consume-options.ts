/** The options of `consumeLog`, and their check. */

import { InvalidOptionError } from '../api/errors.js';
import { systemClock } from '../common/clock.js';
import { checkBoolean, checkDuration, checkInteger, checkNames, refuse, show } from '../guards/validate.js';
import type { LogMessage } from '../log/log.js';
import { CONSUME_DEFAULTS, type ConsumeSettings } from './consume/consume-settings.js';
import {
  checkCopyOptions,
  type ColumnOptions,
  type CopyOptionFields,
  type CopyTarget,
} from './copy-options.js';
import { IMPORTS, RANGES } from './imports/bookkeeping-trust.js';
import { IMPORT_ID_RANGE, isImportId } from './imports/import-id.js';
import { DEAD_LETTERS, LANES } from './lanes/lane-tables.js';
import { checkStart, type KeptStart, type LogStart } from './lanes/log-start.js';
import type { CopyClient, CopyPool } from './protocol/pool.js';

export type ConsumeOptions<Client extends CopyClient = CopyClient> = Omit<
  CopyTarget<LogMessage, Client>,
  'weightColumn'
> &
  ColumnOptions<string> & {
    /**
     * The name that all workers share. Who has loaded what is kept under it, in tables beside the loaded one. An import is of one log and
     * one table.
     */
    importId: string;
    /**
     * Returns the row that a message stands for: an object or an array. A message for which it throws becomes a dead letter. Default: the
     * message's JSON.
     */
    row?: ((message: LogMessage) => object) | undefined;
    /** The table of dead letters, in the schema of the table. It is made if it is missing. Default `spillway_dead_letters`. */
    deadLetters?: string | undefined;
    /**
     * A subject of the log that each dead letter is copied to, at least once. A stream must store it, and the log must not read it. Default: none.
     */
    deadLetterSubject?: string | undefined;
    /**
     * The most dead letters that the import may have in the table, of all workers together. A batch that would add more is rolled back, and
     * `finished` rejects. Default: no limit.
     */
    maxRejects?: number | undefined;
    /**
     * Where an import begins that nobody has begun yet: `'first'` (default), `'last'`, a position, or a time. An import that has begun goes on,
     * and refuses another start.
     */
    from?: LogStart | undefined;
    /** Lanes that this call reads at the same time, each with a connection of the pool. Default 2, or fewer if the pool is smaller. */
    connections?: number | undefined;
    /** The most messages of a batch. Default 5 000. */
    batchSize?: number | undefined;
    /** The most bytes of a batch's messages, except for a single one that is larger. Default 2 MiB. */
    batchBytes?: number | undefined;
    /** How long a message waits for others of its batch, in milliseconds. Default 500. */
    maxFlushIntervalMs?: number | undefined;
    /**
     * How long a lane stays with a worker that is not heard of, in milliseconds, at least 1 000. Then another one goes on. Default 15 000.
     * The server's clock decides.
     */
    leaseMs?: number | undefined;
    /** How long log or database may be out of reach before `finished` rejects, in milliseconds. Default 600 000. */
    maxOutageMs?: number | undefined;
    /** Goes on if the log has deleted messages that were not loaded. Default `false`: `finished` rejects with a `LogError`. */
    allowGaps?: boolean | undefined;
    /** Ends once all messages are loaded that the log has at the start. Default `false`. */
    untilCaughtUp?: boolean | undefined;
  };

/** Names that `copyInto` has, too. */
const COPY_NAMES = ['table', 'schema', 'columns', 'row', 'format', 'dates', 'beforeCommit', 'onConflict', 'key'] as const; // prettier-ignore

/** All names. A test compares the table in `jetstream/README.md` with them. */
export const CONSUME_OPTIONS: ReadonlySet<string> = new Set([
  ...COPY_NAMES,
  'importId', 'deadLetters', 'deadLetterSubject', 'maxRejects', 'from', 'connections', 'batchSize', 'batchBytes', 'maxFlushIntervalMs', 'leaseMs', 'maxOutageMs', 'allowGaps',
  'untilCaughtUp',
] satisfies (keyof ConsumeOptions)[]); // prettier-ignore

/** The default of node-postgres, for pools that do not show their size. */
const POOL_SIZE = 10;
const SHORTEST_LEASE_MS = 1_000;
const LONGEST_NAME_BYTES = 63;

export interface CheckedConsumeOptions<Client extends CopyClient> {
  readonly copy: CopyOptionFields<LogMessage, Client>;
  readonly importId: string;
  readonly deadLetters: string;
  readonly maxRejects: number | undefined;
  readonly from: KeptStart | undefined;
  readonly isOrdered: boolean;
  readonly settings: ConsumeSettings;
}

/** @throws {InvalidOptionError} naming the option, what it may be, and what came */
export function checkConsumeOptions<Client extends CopyClient>(
  pool: CopyPool<Client>,
  options: ConsumeOptions<Client>,
): CheckedConsumeOptions<Client> {
  if (typeof options !== 'object' || (options as unknown) === null) {
    refuse('options', "an object with 'table' and 'importId'", options);
  }
  checkNames(options, CONSUME_OPTIONS, 'consumeLog');
  const { importId, deadLetters = DEAD_LETTERS, maxRejects, from } = options;
  const given = Object.fromEntries(COPY_NAMES.map((name) => [name, options[name]]));
  const copy = checkCopyOptions({
    ...(given as unknown as CopyOptionFields<LogMessage, Client>),
    row: options.row ?? jsonOf,
  });
  if (!isImportId(importId)) refuse('importId', IMPORT_ID_RANGE, importId);
  checkDeadLetters(deadLetters, options.table);
  const { onConflict = 'error' } = options;
  return {
    copy,
    importId,
    deadLetters,
    maxRejects: maxRejects === undefined ? undefined : checkInteger('maxRejects', maxRejects, 0),
    from: from === undefined ? undefined : checkStart(from, Date.now()),
    isOrdered: onConflict !== 'error',
    settings: settingsOf(pool, options),
  };
}

function settingsOf<Client extends CopyClient>(
  pool: CopyPool<Client>,
  options: ConsumeOptions<Client>,
): ConsumeSettings {
  const poolSize = pool.options?.max ?? POOL_SIZE;
  const { leaseMs, maxFlushIntervalMs, maxOutageMs } = { ...CONSUME_DEFAULTS, ...defined(options) };
  const { batchSize, batchBytes } = { ...CONSUME_DEFAULTS, ...defined(options) };
  const { connections = Math.min(2, poolSize), allowGaps = false, untilCaughtUp = false } = options;
  return {
    connections: checkInteger('connections', connections, 1, poolSize),
    batchSize: checkInteger('batchSize', batchSize, 1),
    batchBytes: checkInteger('batchBytes', batchBytes, 1),
    maxFlushIntervalMs: checkDuration('maxFlushIntervalMs', maxFlushIntervalMs, 0),
    leaseMs: checkInteger('leaseMs', checkDuration('leaseMs', leaseMs, SHORTEST_LEASE_MS), SHORTEST_LEASE_MS),
    maxOutageMs: checkDuration('maxOutageMs', maxOutageMs, 0),
    allowGaps: checkBoolean('allowGaps', allowGaps),
    untilCaughtUp: checkBoolean('untilCaughtUp', untilCaughtUp),
    deadLetterSubject: checkSubject(options.deadLetterSubject),
    clock: systemClock,
  };
}

function defined<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;
}

function jsonOf(message: LogMessage): object {
  return message.json() as object;
}

function checkSubject(subject: unknown): string | undefined {
  if (subject === undefined) return undefined;
  const isText =
    typeof subject === 'string' && subject !== '' && !subject.includes('\0') && subject.isWellFormed();
  return isText ? subject : refuse('deadLetterSubject', 'a subject', subject);
}

/** Tables that say what is loaded. */
const BOOKKEEPING: ReadonlySet<string> = new Set([IMPORTS, RANGES, LANES]);

function checkDeadLetters(name: unknown, table: string): void {
  if (BOOKKEEPING.has(table)) {
    throw new InvalidOptionError(
      'table',
      `option 'table' must not be one that says what is loaded: got ${show(table)}`,
    );
  }
  const isName = typeof name === 'string' && name !== '' && !name.includes('\0') && name.isWellFormed();
  if (!isName || Buffer.byteLength(name) > LONGEST_NAME_BYTES) {
    refuse('deadLetters', `a name of 1 to ${LONGEST_NAME_BYTES} bytes`, name);
  }
  if (name === table || BOOKKEEPING.has(name)) {
    throw new InvalidOptionError(
      'deadLetters',
      `option 'deadLetters' must be a table of its own: got ${show(name)}`,
    );
  }
}
