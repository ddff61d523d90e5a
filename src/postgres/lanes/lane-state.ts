/** Reads what is loaded of a log. Pure. */

import type { LogPosition } from '../../log/log.js';

/** A lane that is not finished. */
interface OpenLane {
  readonly lane: number;
  readonly first: LogPosition;
  readonly last: LogPosition;
  readonly next: LogPosition;
  /** A worker reads it: its lease is not over. */
  readonly isHeld: boolean;
}

/** What is loaded of a log. */
export interface LoadedLanes {
  /** The last lane that there is a row for. Undefined: there is none yet. */
  readonly through: number | undefined;
  readonly open: readonly OpenLane[];
}

export interface LaneState extends LoadedLanes {
  /** Over all workers and runs of the import. */
  readonly rows: number;
  readonly deadLetters: number;
  /** Lanes. */
  readonly finished: number;
}

/** @param result of `readLanes` */
export function stateOf({ rows }: { rows: unknown[] }): LaneState {
  const [row] = rows as [
    Record<'open' | 'rows' | 'dead_letters' | 'finished', string> & { through: string | null },
  ];
  return {
    through: row.through === null ? undefined : Number(row.through),
    open: JSON.parse(row.open) as OpenLane[],
    rows: Number(row.rows),
    deadLetters: Number(row.dead_letters),
    finished: Number(row.finished),
  };
}
