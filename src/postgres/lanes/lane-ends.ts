/** Compares the ends of a log's lanes with what is loaded. Pure. */

import { LogError } from '../../log/log-error.js';
import type { LogBounds } from '../../log/log.js';
import type { LaneClaim } from './lane-ledger.js';
import type { LoadedLanes } from './lane-state.js';

/** @throws {LogError} `setup`, if the log ends before what was loaded */
export function checkEnds({ through, open }: LoadedLanes, bounds: LogBounds, hasOneOrder: boolean): void {
  if (hasOneOrder && through !== undefined && through > bounds.lastLane) {
    throw new LogError(
      'setup',
      `the log ends in lane ${bounds.lastLane}, and lane ${through} has been begun: it is another log by the same name`,
    );
  }
  for (const lane of open) if (lane.lane <= bounds.lastLane) checkEnd(lane, bounds);
}

/** @throws {LogError} `setup`, if the log ends before what was loaded */
export function checkEnd({ lane, next }: Pick<LaneClaim, 'lane' | 'next'>, bounds: LogBounds): void {
  const { end, oldest } = bounds.lane(lane);
  if (next <= Math.max(end, oldest)) return;
  throw new LogError(
    'setup',
    `lane ${lane} of the log ends before position ${end}, and was loaded up to position ${next - 1}: it is another log by the same name`,
  );
}

/** True if everything before the ends of the lanes is loaded. Pure. */
export function isReached(target: LogBounds, { through, open }: LoadedLanes): boolean {
  if (through === undefined || through < target.lastLane) return false;
  return open.every(({ lane, next }) => lane > target.lastLane || next >= target.lane(lane).end);
}
