/** What the workers of a log are set to. */

import { MIB } from '../../common/bytes.js';
import type { Clock } from '../../common/clock.js';

export interface ConsumeSettings {
  /** Lanes that are read at the same time, each with a connection. */
  readonly connections: number;
  readonly batchSize: number;
  readonly batchBytes: number;
  /** How long a message may wait for others of its batch. */
  readonly maxFlushIntervalMs: number;
  readonly leaseMs: number;
  /** How long log or database may be out of reach. */
  readonly maxOutageMs: number;
  readonly allowGaps: boolean;
  readonly untilCaughtUp: boolean;
  readonly deadLetterSubject?: string | undefined;
  readonly clock: Clock;
}

export const CONSUME_DEFAULTS = {
  // Twice as many are not faster, and two batches of each lane are held.
  batchSize: 5_000,
  // Twice as much takes 25 MiB of memory more for messages of 10 kB, and loads no more of them.
  batchBytes: 2 * MIB,
  maxFlushIntervalMs: 500,
  leaseMs: 15_000,
  // As `copyInto` has it.
  maxOutageMs: 600_000,
} as const;

/** How long a worker that has found no lane waits before it looks again. */
export const POLL_MS = 1_000;

/** How long a short transaction or a request may take: longer than the server waits for a lock. */
export const ATTEMPT_LIMIT_MS = 45_000;
