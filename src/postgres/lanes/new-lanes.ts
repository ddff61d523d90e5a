/** Decides which lanes of a log are made, and where each begins. Pure. */

import type { LaneBounds, LogBounds, LogPosition } from '../../log/log.js';
import type { KeptStart } from './log-start.js';

/** Lanes that are made at a time: enough for many workers, and few rows beside those that are read. */
const LANES_AT_ONCE = 64;

/** Lane, first, last and next of each. */
type NewLane = readonly [number, LogPosition, LogPosition, LogPosition];

/**
 * The lanes that there is no row for. Those that an import begins with start at what the log has. A later one starts at its first position: if the
 * log has deleted some of it meanwhile, that is a loss. Pure.
 */
export function lanesToMake(
  bounds: LogBounds,
  through: number | undefined,
  start: KeptStart,
  hasOneOrder: boolean,
): NewLane[] {
  const isNew = through === undefined;
  const begin = isNew && hasOneOrder && start === 'last' ? bounds.lastLane : bounds.firstLane;
  const lanes: NewLane[] = [];
  const most = hasOneOrder ? LANES_AT_ONCE : Infinity;
  for (let lane = isNew ? begin : through + 1; lane <= bounds.lastLane && lanes.length < most; lane += 1) {
    const { first, last, oldest, end }: LaneBounds = bounds.lane(lane);
    const next = start === 'last' ? end : Math.min(Math.max(first, oldest), end);
    lanes.push([lane, first, last, isNew ? next : first]);
  }
  return lanes;
}
