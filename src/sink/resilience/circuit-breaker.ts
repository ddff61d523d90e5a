/**
 * The circuit breaker: decides whether the destination may be called. A state machine without clock or timer: each call brings the time.
 *
 * ```
 * closed ──(so many failures in a row)──> open ──(its delay is over, or the outage's limit)──> half_open
 *    ^                                     ^                                                      │
 *    ├────────────(any response)───────────┼──────────────(the probe has a response)──────────────┤
 *                                          └──────────────(the probe fails)───────────────────────┘
 * ```
 *
 * An outage exceeds its limit when a call fails that began at the limit or after it. So there is always a last probe, and a destination that
 * has come back by then is found. The states and their names are those of Nygard, "Release It!" (2007).
 */

import { assert } from '../../common/assert.js';
import { LONGEST_DELAY_MS } from '../../common/clock.js';
import type { BreakerState } from '../../api/flush-function.js';
import { retryAfterOf } from './backoff.js';

export interface BreakerSettings {
  /** How many transport failures in a row open it. */
  failures: number;
  minDelayMs: number;
  maxDelayMs: number;
  maxOutageMs: number;
}

/** Transport failures in a row, over all slots. */
export interface FailureStreak {
  failures: number;
  /** When the first of them came. */
  since: number;
  /** The last of them. */
  error: Error;
  /** The latest time before which the errors ask for no further call (`retryAfterMs`). */
  notBefore: number;
}

export type BreakerPhase =
  /** Calls are made as they fall due. */
  | { kind: 'closed'; streak: FailureStreak | undefined }
  /** No call begins before `until`, which is at most the outage's limit. `openings`: how often it has opened in this outage. */
  | { kind: 'open'; streak: FailureStreak; openings: number; until: number }
  /** One call may begin, the probe; `probe` is its delivery's number once it has. */
  | { kind: 'half_open'; streak: FailureStreak; openings: number; probe: number | undefined };

const NEXT = {
  closed: ['open'],
  open: ['half_open', 'closed'],
  half_open: ['open', 'closed'],
} as const satisfies Record<BreakerState, readonly BreakerState[]>;

/**
 * Returns how long the breaker stays open the `openings`th time: between half and all of `min(cap, base × 2ⁿ)`. Not less, because a
 * destination that is down needs the pause. Drawn by chance, so that processes which failed together do not probe in step.
 */
export function openDelay(
  openings: number,
  { minDelayMs, maxDelayMs }: Pick<BreakerSettings, 'minDelayMs' | 'maxDelayMs'>,
  random: () => number,
): number {
  const longest = Math.min(maxDelayMs, minDelayMs * 2 ** Math.min(openings - 1, 64));
  return (longest * (1 + random())) / 2;
}

export class Breaker {
  readonly #settings: BreakerSettings;
  readonly #random: () => number;
  readonly #onChange: (state: BreakerState, previous: BreakerState, reason: Error | undefined) => void;
  #phase: BreakerPhase = { kind: 'closed', streak: undefined };
  #isOver = false;

  constructor(
    settings: BreakerSettings,
    random: () => number,
    onChange: (state: BreakerState, previous: BreakerState, reason: Error | undefined) => void,
  ) {
    this.#settings = settings;
    this.#random = random;
    this.#onChange = onChange;
  }

  get phase(): BreakerPhase {
    return this.#phase;
  }

  get state(): BreakerState {
    return this.#phase.kind;
  }

  /** Whether no call has failed since the last response. */
  get isHealthy(): boolean {
    return this.#phase.kind === 'closed' && this.#phase.streak === undefined;
  }

  /** Whether a call may begin. */
  get mayCall(): boolean {
    const phase = this.#phase;
    return phase.kind === 'closed' || (phase.kind === 'half_open' && phase.probe === undefined);
  }

  /** The outage has lasted too long, and the last probe has failed. */
  get isOutageOver(): boolean {
    return this.#isOver;
  }

  /** The outage's limit; `Infinity` if there is no outage, or no limit. */
  get outageEndsAt(): number {
    const { streak } = this.#phase;
    return streak === undefined ? Infinity : streak.since + this.#settings.maxOutageMs;
  }

  /** When the next call may begin; `Infinity` while one may, or the probe is under way. */
  get nextProbeAt(): number {
    const phase = this.#phase;
    return phase.kind === 'open' ? Math.min(phase.until, this.outageEndsAt) : Infinity;
  }

  /** The destination has responded to a call, even if it refused the items. */
  onResponse(): void {
    if (this.#phase.kind === 'closed') this.#phase = { kind: 'closed', streak: undefined };
    else this.#enter({ kind: 'closed', streak: undefined });
  }

  /** A call of the delivery with this number, begun at `startedAt`, has failed without a response. */
  onTransportFailure(delivery: number, error: Error, startedAt: number, now: number): void {
    const endedAt = this.outageEndsAt;
    const phase = this.#phase;
    const before = phase.streak;
    const retryAfterMs = Math.min(LONGEST_DELAY_MS, retryAfterOf(error) ?? 0);
    const streak = {
      failures: (before?.failures ?? 0) + 1,
      since: before?.since ?? now,
      error,
      notBefore: Math.max(before?.notBefore ?? 0, now + retryAfterMs),
    };
    if (phase.kind === 'closed') {
      if (streak.failures >= this.#settings.failures) this.#open(streak, 1, now, now);
      else this.#phase = { kind: 'closed', streak };
    } else if (phase.kind === 'half_open' && phase.probe === delivery) {
      this.#open(streak, phase.openings + 1, startedAt, now);
    } else if (phase.kind === 'open') {
      // The call began before: it can only make the wait longer.
      this.#phase = { ...phase, streak, until: Math.max(phase.until, streak.notBefore) };
    } else {
      this.#phase = { ...phase, streak };
    }
    this.#isOver ||= this.#phase.kind === 'open' && startedAt >= endedAt;
  }

  /** The time that it was opened for may be over. */
  evaluate(now: number): void {
    const phase = this.#phase;
    if (phase.kind !== 'open' || now < this.nextProbeAt) return;
    this.#enter({ kind: 'half_open', streak: phase.streak, openings: phase.openings, probe: undefined });
  }

  /** The delivery with this number makes the one call. */
  beginProbe(delivery: number): void {
    const phase = this.#phase;
    assert(phase.kind === 'half_open' && phase.probe === undefined, 'one probe, while half open');
    this.#phase = { ...phase, probe: delivery };
  }

  /** The probe will not be made now. */
  withdrawProbe(): void {
    const phase = this.#phase;
    if (phase.kind === 'half_open') this.#phase = { ...phase, probe: undefined };
  }

  /** For this time there was nothing to deliver: it does not count towards the outage. */
  excludeFromOutage(ms: number): void {
    const phase = this.#phase;
    if (phase.streak === undefined) return;
    this.#phase = { ...phase, streak: { ...phase.streak, since: phase.streak.since + ms } };
  }

  /** A probe that took long has used up a part of the time until the next one: they begin at most the longest delay apart. */
  #open(streak: FailureStreak, openings: number, probedAt: number, now: number): void {
    const { minDelayMs, maxDelayMs } = this.#settings;
    const until = now + openDelay(openings, this.#settings, this.#random);
    const latest = Math.max(probedAt + maxDelayMs, now + minDelayMs / 2);
    this.#enter({
      kind: 'open',
      streak,
      openings,
      until: Math.max(streak.notBefore, Math.min(until, latest)),
    });
  }

  /** The only place where the state changes. */
  #enter(next: BreakerPhase): void {
    const previous = this.#phase.kind;
    assert((NEXT[previous] as readonly BreakerState[]).includes(next.kind), `${previous} → ${next.kind}`);
    if (next.kind === 'open') assert(next.streak.failures >= this.#settings.failures, 'opened too early');
    this.#phase = next;
    this.#onChange(next.kind, previous, next.streak?.error);
  }
}
