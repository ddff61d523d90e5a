/** Says how far an import is, over all of its workers. Nothing is looked up unless somebody asks, and those who ask share what was found. */

import type { Clock } from '../../common/clock.js';
import { handled } from '../../guards/user-callbacks.js';
import type { LaneBounds, LogBounds, LogPosition, MessagePlace, OpenLog } from '../../log/log.js';
import type { LaneLedger } from '../lanes/lane-ledger.js';
import type { LoadedLanes } from '../lanes/lane-state.js';

/** How far an import is, with all of its workers. */
export interface ConsumeProgress {
  /** When it was looked up, on this machine's clock. */
  readonly at: Date;
  /** Positions that are not loaded yet. With a filter, or deleted messages, there are fewer messages. 0: everything is loaded. */
  readonly lagMessages: number;
  /** The age of the oldest message that is not loaded, in milliseconds, on this machine's clock. 0: everything is loaded. */
  readonly lagMs: number;
  /** Lanes that this worker reads. */
  readonly lanesHeldHere: number;
  readonly lanesHeldElsewhere: number;
  /** Lanes that nobody reads at the moment, and that are not finished. */
  readonly lanesFree: number;
  readonly lanesFinished: number;
  /** Of all workers, in all of their runs. */
  readonly rowsLoaded: number;
  readonly deadLetters: number;
}

/** Those who ask within it share one look. */
const SHARED_MS = 1_000;

type AskedLog = Pick<OpenLog, 'hasOneOrder' | 'bounds' | 'find'>;

export class ImportProgress {
  readonly #log: AskedLog;
  readonly #ledger: Pick<LaneLedger, 'state'>;
  readonly #clock: Clock;
  readonly #lanesHeld: () => number;
  #look: { readonly at: number; readonly result: Promise<ConsumeProgress> } | undefined;

  /** @param lanesHeld returns how many lanes this worker reads */
  constructor(log: AskedLog, ledger: Pick<LaneLedger, 'state'>, clock: Clock, lanesHeld: () => number) {
    this.#log = log;
    this.#ledger = ledger;
    this.#clock = clock;
    this.#lanesHeld = lanesHeld;
  }

  /** @throws {CopyError | LogError} if one of them cannot be asked */
  get(
    attempt: (work: (signal: AbortSignal) => Promise<ConsumeProgress>) => Promise<ConsumeProgress>,
  ): Promise<ConsumeProgress> {
    const now = this.#clock.now();
    if (this.#look !== undefined && now - this.#look.at < SHARED_MS) return this.#look.result;
    const look = { at: now, result: handled(attempt((signal) => this.#find(signal))) };
    this.#look = look;
    // A failure is not kept.
    look.result.catch(() => {
      if (this.#look === look) this.#look = undefined;
    });
    return look.result;
  }

  async #find(signal: AbortSignal): Promise<ConsumeProgress> {
    const { hasOneOrder } = this.#log;
    const state = await this.#ledger.state(signal);
    const lanesHeldHere = this.#lanesHeld();
    // After the state: meanwhile the log has only grown.
    const bounds = await this.#log.bounds(signal);
    const gaps = unloaded(state, bounds, hasOneOrder);
    const { positions, oldest } = await this.#behind(gaps, signal);
    const held = state.open.filter(({ isHeld }) => isHeld).length;
    return {
      at: new Date(),
      lagMessages: positions,
      lagMs: oldest === undefined ? 0 : Math.max(0, Date.now() - oldest.getTime()),
      lanesHeldHere,
      lanesHeldElsewhere: Math.max(0, held - lanesHeldHere),
      lanesFree: state.open.length - held + notMade(state, bounds),
      lanesFinished: state.finished,
      rowsLoaded: state.rows,
      deadLetters: state.deadLetters,
    };
  }

  /** Positions before the first message that is not loaded are none that anybody waits for. */
  async #behind(
    gaps: readonly Gap[],
    signal: AbortSignal,
  ): Promise<{ positions: number; oldest: Date | undefined }> {
    const { hasOneOrder } = this.#log;
    let positions = 0;
    let oldest: Date | undefined;
    let found: MessagePlace | undefined;
    for (const { bounds, next, end } of gaps) {
      if (hasOneOrder && oldest !== undefined) {
        positions += end - next;
        continue;
      }
      // It may have been found in a lane that is loaded.
      const isKnown = hasOneOrder && found !== undefined && found.position >= next;
      if (!isKnown) found = await this.#log.find(bounds, next, signal);
      // Nor is there any in a later lane.
      if (found === undefined && hasOneOrder) break;
      if (found === undefined || found.position >= end) continue;
      positions += end - found.position;
      if (oldest === undefined || found.timestamp < oldest) oldest = found.timestamp;
    }
    return { positions, oldest };
  }
}

/** Positions of a lane, or of several that follow it, which are not loaded. */
export interface Gap {
  readonly bounds: LaneBounds;
  readonly next: LogPosition;
  /** The first position behind them. */
  readonly end: LogPosition;
}

/** What is not loaded, in order. Lanes that there is no row for are one gap in a log with one order. Pure. */
export function unloaded({ through, open }: LoadedLanes, log: LogBounds, hasOneOrder: boolean): Gap[] {
  const gaps: Gap[] = [];
  const add = (bounds: LaneBounds, from: LogPosition, end: LogPosition): void => {
    const next = Math.max(from, bounds.oldest);
    if (next < end) gaps.push({ bounds, next, end });
  };
  for (const { lane, next } of open) {
    if (lane > log.lastLane) continue;
    const bounds = log.lane(lane);
    add(bounds, next, bounds.end);
  }
  const first = Math.max(through === undefined ? log.firstLane : through + 1, log.firstLane);
  if (first > log.lastLane) return gaps;
  const last = log.lane(log.lastLane);
  if (hasOneOrder) add(log.lane(first), log.lane(first).first, last.end);
  else
    for (let lane = first; lane <= log.lastLane; lane += 1)
      add(log.lane(lane), log.lane(lane).first, log.lane(lane).end);
  return gaps;
}

/** Lanes of the log that there is no row for. */
function notMade({ through }: LoadedLanes, { firstLane, lastLane }: LogBounds): number {
  return Math.max(0, lastLane - Math.max(firstLane, through === undefined ? firstLane : through + 1) + 1);
}
