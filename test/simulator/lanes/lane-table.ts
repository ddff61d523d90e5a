/** The table of lanes in memory: it decides as the statements of `lane-statements.ts` do, by the server's clock, and counts what a server would see. */

import type { LogBounds } from '../../../src/log/log.js';
import type { LaneClaim, LaneStep } from '../../../src/postgres/lanes/lane-ledger.js';
import type { LaneState } from '../../../src/postgres/lanes/lane-state.js';
import { lanesToMake } from '../../../src/postgres/lanes/new-lanes.js';
import { Takeovers, type WorkerFault } from './takeovers.js';

/** A transaction of a batch. */
export interface OpenBatch {
  /** Since when its session waits for a process that is stopped. */
  stalledSince: number | undefined;
  /** Another worker has ended the session. */
  isEnded: boolean;
}

interface Row {
  lane: number;
  through: number;
  readonly first: number;
  last: number;
  next: number;
  run: number;
  leaseUntil: number | undefined;
  /** The batch that has locked the row. */
  lockedBy: OpenBatch | undefined;
  /** That has claimed it last. */
  worker: object | undefined;
  /** It was taken over after this fault, and nothing was committed since. */
  takenAfter: WorkerFault | undefined;
}

/** Statements of each kind of transaction: BEGIN, the limit of waits, LOCK and a look at the catalogue, then its own, and COMMIT. */
const STATEMENTS = {
  claim: 6,
  renew: 6,
  release: 6,
  state: 7,
  'check leases': 7,
  extend: 9,
  batch: 8,
} as const;
export type TransactionKind = keyof typeof STATEMENTS;

export class LaneTable {
  readonly transactions: Record<TransactionKind, number> = {
    claim: 0,
    renew: 0,
    release: 0,
    state: 0,
    'check leases': 0,
    extend: 0,
    batch: 0,
  };
  /** Versions of rows that were written. */
  written = 0;
  mostRows = 0;
  /** Rows that claims have looked at. */
  visited = 0;
  mostVisited = 0;
  readonly takeovers = new Takeovers();
  /** Positions that are committed. */
  loaded = 0;
  finished = 0;
  readonly #leaseMs: number;
  /** In order. */
  #rows: Row[] = [];

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  get statements(): number {
    const kinds = Object.keys(STATEMENTS) as TransactionKind[];
    return kinds.reduce((sum, kind) => sum + this.transactions[kind] * STATEMENTS[kind], 0);
  }

  get rows(): number {
    return this.#rows.length;
  }

  get through(): number | undefined {
    return this.#rows.at(-1)?.through;
  }

  claim(now: number, worker: object, { isOver = false } = {}): LaneClaim | undefined {
    let visited = 0;
    let found: Row | undefined;
    for (const row of this.#rows) {
      visited += 1;
      const isFree = row.leaseUntil === undefined ? !isOver : row.leaseUntil < now;
      if (row.next > row.last || !isFree || row.lockedBy !== undefined) continue;
      found = row;
      break;
    }
    this.visited += visited;
    this.mostVisited = Math.max(this.mostVisited, visited);
    if (found === undefined) return undefined;
    if (found.leaseUntil !== undefined && found.worker !== worker) {
      found.takenAfter = this.takeovers.claimed(found.worker, now);
    }
    found.worker = worker;
    found.run += 1;
    found.leaseUntil = now + this.#leaseMs;
    this.written += 1;
    const { lane, first, last, next, run } = found;
    return { importRow: '1', lane, first, last, next, run };
  }

  extend(bounds: LogBounds): number {
    const free = this.#rows.filter(({ next, last, leaseUntil }) => next <= last && leaseUntil === undefined);
    const lanes = free.length > 0 ? [] : lanesToMake(bounds, this.through, 'first', true);
    for (const [lane, first, last, next] of lanes) {
      const common = {
        run: 0,
        leaseUntil: undefined,
        lockedBy: undefined,
        worker: undefined,
        takenAfter: undefined,
      };
      this.#rows.push({ lane, through: lane, first, last, next, ...common });
    }
    this.written += lanes.length;
    this.mostRows = Math.max(this.mostRows, this.#rows.length);
    this.#merge();
    return lanes.length || free.length;
  }

  #merge(): void {
    const kept: Row[] = [];
    for (const row of this.#rows) {
      const before = kept.at(-1);
      if (row.next > row.last && before !== undefined && before.next > before.last) {
        before.through = row.through;
        before.last = row.last;
        before.next = row.next;
        this.written += 1;
      } else kept.push(row);
    }
    this.#rows = kept;
  }

  state(now: number): LaneState {
    const open = this.#rows.filter(({ next, last }) => next <= last);
    return {
      through: this.through,
      open: open.map(({ lane, first, last, next, leaseUntil }) => ({
        lane,
        first,
        last,
        next,
        isHeld: leaseUntil !== undefined && leaseUntil >= now,
      })),
      rows: this.loaded,
      deadLetters: 0,
      finished: this.finished,
    };
  }

  /** Ends sessions that hold a lane whose lease is over, and have waited for their process for a lease. Returns when the next lease is over. */
  checkLeases(now: number): number | undefined {
    let next: number | undefined;
    for (const row of this.#rows) {
      const { lockedBy, leaseUntil } = row;
      if (row.next <= row.last && leaseUntil !== undefined)
        next = Math.min(next ?? Infinity, leaseUntil - now);
      if (lockedBy === undefined || (leaseUntil !== undefined && leaseUntil >= now)) continue;
      if (lockedBy.stalledSince === undefined || now - lockedBy.stalledSince < this.#leaseMs) continue;
      lockedBy.isEnded = true;
      row.lockedBy = undefined;
    }
    return next;
  }

  /** Lanes that the worker has claimed last, although their leases are over. */
  overdueOf(worker: object, now: number): number {
    const isOverdue = (row: Row): boolean =>
      row.worker === worker && row.next <= row.last && row.leaseUntil !== undefined && row.leaseUntil < now;
    return this.#rows.filter(isOverdue).length;
  }

  /** The row, if it is still of this run. */
  #own({ lane, run }: LaneClaim): Row | undefined {
    const row = this.#rows.find((one) => one.lane === lane);
    return row?.run === run ? row : undefined;
  }

  /** False: another session has locked it. */
  canLock(claim: LaneClaim, owner: OpenBatch | undefined): boolean {
    const lockedBy = this.#own(claim)?.lockedBy;
    return lockedBy === undefined || lockedBy === owner;
  }

  renew(claim: LaneClaim, now: number, extraMs: number): number | undefined {
    const row = this.#own(claim);
    if (row === undefined) return undefined;
    row.leaseUntil = now + this.#leaseMs + extraMs;
    this.written += 1;
    return row.next;
  }

  release(claim: LaneClaim, isLeaving: boolean, now: number): void {
    const row = this.#own(claim);
    if (row === undefined) return;
    row.leaseUntil = isLeaving ? now : undefined;
    this.written += 1;
  }

  /** The first statement of a batch. */
  lock(claim: LaneClaim, batch: OpenBatch): void {
    const row = this.#own(claim);
    if (row === undefined) return;
    row.lockedBy = batch;
    this.written += 1;
  }

  unlock(batch: OpenBatch): void {
    for (const row of this.#rows) if (row.lockedBy === batch) row.lockedBy = undefined;
  }

  /** The last statement of a batch and its COMMIT. False: rolled back. */
  record(claim: LaneClaim, { from, next }: LaneStep, now: number, extraMs: number): boolean {
    const row = this.#own(claim);
    if (row === undefined || row.next !== from) return false;
    this.loaded += next - from;
    if (row.takenAfter !== undefined) this.takeovers.loaded(row.takenAfter, now);
    row.takenAfter = undefined;
    row.next = next;
    row.leaseUntil = now + this.#leaseMs + extraMs;
    this.written += 1;
    if (next > row.last) this.finished += 1;
    return true;
  }
}
