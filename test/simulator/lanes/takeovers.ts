/** How long the lanes of workers that were killed or stopped wait for others, on the clock of the simulation. */

export type FaultKind = 'kill' | 'stop';

export interface WorkerFault {
  readonly kind: FaultKind;
  readonly at: number;
}

/** From the fault, in milliseconds and in the order in which they came. */
export interface TakeoverTimes {
  /** Until another worker has claimed the lane. */
  readonly claimed: number[];
  /** Until it has committed a batch of the lane. */
  readonly loaded: number[];
}

export class Takeovers {
  readonly of: Readonly<Record<FaultKind, TakeoverTimes>> = {
    kill: { claimed: [], loaded: [] },
    stop: { claimed: [], loaded: [] },
  };
  /** Lanes that were claimed because their lease was over, those of workers without a fault included. */
  count = 0;
  readonly #faults = new Map<object, WorkerFault>();

  begin(worker: object, kind: FaultKind, at: number): void {
    this.#faults.set(worker, { kind, at });
  }

  /** A worker that was stopped goes on. Lanes that are still its own were not taken over: they have waited until now. */
  end(worker: object, lanes: number, now: number): void {
    const fault = this.#faults.get(worker);
    this.#faults.delete(worker);
    if (fault === undefined) return;
    for (let lane = 0; lane < lanes; lane += 1) this.of[fault.kind].claimed.push(now - fault.at);
  }

  /** Returns the fault that the lane was claimed after. */
  claimed(from: object | undefined, now: number): WorkerFault | undefined {
    this.count += 1;
    const fault = from === undefined ? undefined : this.#faults.get(from);
    if (fault !== undefined) this.of[fault.kind].claimed.push(now - fault.at);
    return fault;
  }

  loaded({ kind, at }: WorkerFault, now: number): void {
    this.of[kind].loaded.push(now - at);
  }
}
