/** Claims lanes for the slots of a worker: free ones for a slot that has none, and those of workers that have gone although all slots are busy. */

import type { LogBounds, OpenLog } from '../../log/log.js';
import type { LaneClaim, LaneLedger } from '../lanes/lane-ledger.js';
import { ATTEMPT_LIMIT_MS, POLL_MS, type ConsumeSettings } from './consume-settings.js';
import { checkEnd } from '../lanes/lane-ends.js';
import { lookAgainInMs, mayTakeOver } from './takeover.js';
import { limited, Wakeup } from './wait.js';

/** How often a worker without a lane merges lanes. */
const TIDIED_PER_LEASE = 4;
/** How often lanes that were found to be free are claimed without a pause. */
const CLAIM_ATTEMPTS = 3;

/** When a worker that has begun looks at the leases of others. */
const FIRST_LOOK_MS = 500;

/** A lane that this worker has claimed. */
export interface FoundLane {
  readonly claim: LaneClaim;
  /** When it was about to be claimed. */
  readonly at: number;
  /** Of the log, afterwards. */
  readonly bounds: LogBounds;
}

export interface ClaimContext {
  readonly log: OpenLog;
  readonly ledger: LaneLedger;
  readonly settings: ConsumeSettings;
  /** Fires when no further lane is to be claimed. */
  readonly draining: AbortSignal;
  /** Fires when everything is to be given up. */
  readonly aborting: AbortSignal;
  /** Waits for what passes. @param parent gives up an attempt. Default: `draining` */
  readonly retry: <Result>(
    work: (signal: AbortSignal) => Promise<Result>,
    parent?: AbortSignal,
  ) => Promise<Result>;
}

export class LaneClaims {
  readonly #context: ClaimContext;
  /** Wakes the slot that looks for a lane. */
  readonly #poll: Wakeup;
  /** One slot looks for a lane at a time. */
  #looking: Promise<unknown> = Promise.resolve();
  #isLooking = false;
  #tidiedAt = -Infinity;
  /** Lanes that were taken over, and wait for a slot until their lease is over: at most one for each slot. */
  #waiting: FoundLane[] = [];
  /** Ends the pause until leases are looked at. */
  readonly #forLeases: Wakeup;

  constructor(context: ClaimContext) {
    this.#context = context;
    const { clock } = context.settings;
    this.#poll = new Wakeup(clock);
    this.#forLeases = new Wakeup(clock);
    const wake = (): void => {
      this.#poll.wake();
      this.#forLeases.wake();
    };
    context.draining.addEventListener('abort', wake, { once: true });
  }

  /** Some lanes may be free now. */
  wake(): void {
    this.#poll.wake();
  }

  /** Waits for a lane. Undefined once the worker drains. */
  next(): Promise<FoundLane | undefined> {
    const look = this.#looking.then(() => this.#look());
    this.#looking = look.catch(() => undefined);
    return look;
  }

  /** Returns a lane that was taken over, for the slot that asks first. */
  takeWaiting(): FoundLane | undefined {
    const found = this.#waiting.shift();
    if (found !== undefined) this.#forLeases.wake();
    return found;
  }

  async #look(): Promise<FoundLane | undefined> {
    this.#isLooking = true;
    try {
      return await this.#find();
    } finally {
      this.#isLooking = false;
    }
  }

  async #find(): Promise<FoundLane | undefined> {
    const { log, ledger, settings, draining, retry } = this.#context;
    const { clock, leaseMs } = settings;
    let attempts = 0;
    while (!draining.aborted) {
      const waiting = this.takeWaiting();
      if (waiting !== undefined) return waiting;
      const at = clock.now();
      const claim = await this.#claim({ isOver: false });
      if (claim !== undefined) return this.#found(claim, at);
      const bounds = await retry((attempt) => log.bounds(attempt));
      // Many workers may be waiting for a lane.
      const isDue = at - this.#tidiedAt >= leaseMs / TIDIED_PER_LEASE;
      if (isDue || bounds.lastLane > (ledger.lastLane ?? -1)) {
        const made = await retry((attempt) => ledger.extend(bounds, log.hasOneOrder, attempt));
        // Others may have been faster, or a claim that was cut off may have locked the only one.
        if (made > 0 && (attempts += 1) <= CLAIM_ATTEMPTS) continue;
      }
      attempts = 0;
      if (isDue) this.#tidiedAt = at;
      await this.#poll.wait(POLL_MS);
    }
    return undefined;
  }

  /** Takes over the lanes of workers that have gone, one after another, until this one drains. */
  async takeOver(): Promise<void> {
    const { ledger, settings, draining, retry } = this.#context;
    const { clock, leaseMs, connections } = settings;
    try {
      await this.#forLeases.wait(Math.min(FIRST_LOOK_MS, leaseMs / 2));
      while (!draining.aborted) {
        const nextEndInMs = await retry((attempt) => ledger.checkLeases(attempt));
        // Others may have claimed those whose lease is over.
        this.#waiting = this.#waiting.filter(({ at }) => clock.now() - at < leaseMs);
        const hasRoom = this.#waiting.length < connections;
        const look = {
          nextEndInMs: hasRoom ? nextEndInMs : undefined,
          hasFreeSlot: this.#isLooking,
          leaseMs,
        };
        if (mayTakeOver(look) && (await this.#logResponds())) {
          const found = await this.#findOver();
          if (found !== undefined) {
            this.#waiting.push(found);
            this.#poll.wake();
            continue;
          }
        }
        // It ends early when a slot takes a lane that waits.
        await this.#forLeases.wait(lookAgainInMs(look));
      }
    } finally {
      for (const { claim } of this.#waiting.splice(0)) await this.release(claim);
    }
  }

  async #findOver(): Promise<FoundLane | undefined> {
    const at = this.#context.settings.clock.now();
    const claim = await this.#claim({ isOver: true });
    return claim === undefined ? undefined : this.#found(claim, at);
  }

  /** @throws {LogError} `setup`, if the log ends before what was loaded */
  async #found(claim: LaneClaim, at: number): Promise<FoundLane> {
    const { log, retry } = this.#context;
    try {
      const bounds = await retry((attempt) => log.bounds(attempt));
      checkEnd(claim, bounds);
      return { claim, at, bounds };
    } catch (error) {
      await this.release(claim);
      throw error;
    }
  }

  /** Without the log, a lane would stay with this worker until its lease is over. */
  #logResponds(): Promise<boolean> {
    const { log, settings, draining } = this.#context;
    const bounds = limited(settings.clock, ATTEMPT_LIMIT_MS, draining, (signal) => log.bounds(signal));
    return bounds.then(
      () => true,
      () => false,
    );
  }

  #claim(which: { isOver: boolean }): Promise<LaneClaim | undefined> {
    const { ledger, aborting, retry } = this.#context;
    // A claim that is given up half-way would have to wait for its lease to run out.
    return retry((attempt) => ledger.claim(attempt, which), aborting);
  }

  /** If this fails, the lease runs out. */
  async release(claim: LaneClaim): Promise<void> {
    const { ledger, settings, draining, aborting } = this.#context;
    const release = (signal: AbortSignal): Promise<void> => ledger.release(claim, draining.aborted, signal);
    await limited(settings.clock, ATTEMPT_LIMIT_MS, aborting, release).catch(() => undefined);
  }
}
