/** Counts what one worker has done. */

import type { Clock } from '../../common/clock.js';

/** What one call of `consumeLog` has done, at one instant. Other workers of the same import have metrics of their own. */
export interface ConsumeMetrics {
  /** Messages that have come from the log, and their bodies' bytes. After a takeover or an outage some come twice. */
  messagesRead: number;
  bytesRead: number;
  /** Messages whose rows are committed. With `onConflict` some are not in the table. */
  rowsLoaded: number;
  /** Messages that are committed to the table of dead letters. */
  deadLetters: number;
  /** Dead letters of the import that this worker has copied to `deadLetterSubject`. */
  deadLettersCopied: number;
  /** Batches that are committed. */
  batches: number;
  /** Lanes that are read here at the moment. */
  lanesHeld: number;
  lanesFinished: number;
  /** Lanes that another worker has taken over from this one. */
  lanesLost: number;
  /** With `allowGaps`: positions that the log had deleted before they were read. */
  positionsLost: number;
  /** Messages that were read and wait for their batch, and those of batches that are on their way into the table. */
  messagesQueued: number;
  messagesInFlight: number;
  /** The bytes of both. */
  bytesHeld: number;
  /** Both as a share of the room that the lanes here have; of bytes, if that is more. 0 to 1, and more with messages that are larger than it. */
  roomUtilization: number;
  /** Attempts that failed, and were made again. */
  retries: number;
  lastError: Error | undefined;
  /** It has ended with an error. */
  isFailed: boolean;
  /** What cannot be reached at the moment, and since when on this machine's clock. Undefined: nothing is waited for. */
  waitingFor: 'log' | 'database' | undefined;
  waitingSince: Date | undefined;
}

/** A failure that has not passed yet. */
export interface OngoingOutage {
  readonly of: 'log' | 'database';
  /** On the injected clock. */
  readonly since: number;
  /** Ends the pause before the next attempt. */
  readonly retryNow: () => void;
}

/** As they are counted. */
export interface ConsumeCounts extends Omit<
  ConsumeMetrics,
  'waitingFor' | 'waitingSince' | 'roomUtilization'
> {
  readonly outages: Set<OngoingOutage>;
  /** What the lanes here may hold. */
  roomMessages: number;
  roomBytes: number;
}

/** What users see of them, at one instant. */
export function snapshot(
  { outages, roomMessages, roomBytes, ...counts }: ConsumeCounts,
  clock: Clock,
): ConsumeMetrics {
  let first: OngoingOutage | undefined;
  for (const outage of outages) if (first === undefined || outage.since < first.since) first = outage;
  const waitingSince = first && new Date(Date.now() - (clock.now() - first.since));
  const held = counts.messagesQueued + counts.messagesInFlight;
  const roomUtilization =
    roomMessages === 0 ? 0 : Math.max(held / roomMessages, counts.bytesHeld / roomBytes);
  return { ...counts, roomUtilization, waitingFor: first?.of, waitingSince };
}

export function emptyCounts(): ConsumeCounts {
  return {
    messagesRead: 0,
    bytesRead: 0,
    rowsLoaded: 0,
    deadLetters: 0,
    deadLettersCopied: 0,
    batches: 0,
    lanesHeld: 0,
    lanesFinished: 0,
    lanesLost: 0,
    positionsLost: 0,
    messagesQueued: 0,
    messagesInFlight: 0,
    bytesHeld: 0,
    roomMessages: 0,
    roomBytes: 0,
    retries: 0,
    lastError: undefined,
    isFailed: false,
    outages: new Set(),
  };
}
