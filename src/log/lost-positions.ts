/** Finds positions that a log has deleted before they were read. Pure. */

import type { LogPosition, LogRead } from './log.js';

/** Positions from the first to the last, both included. */
export interface PositionRange {
  readonly first: LogPosition;
  readonly last: LogPosition;
}

/**
 * Returns the first positions that were not read and that the log no longer had after the read. Positions without a message that are still
 * within the log are no loss: nobody has written a message there that the reader wants.
 *
 * @param next the first position that the read was to bring
 */
export function lostPositions(
  next: LogPosition,
  { messages, reached, oldest }: LogRead,
): PositionRange | undefined {
  if (oldest === undefined || oldest <= next) return undefined;
  let expected = next;
  for (const { position } of messages) {
    if (position > expected) break;
    expected = position + 1;
  }
  const following = messages.find(({ position }) => position >= expected)?.position ?? reached + 1;
  const last = Math.min(following, oldest) - 1;
  return last < expected ? undefined : { first: expected, last };
}
