/** Who may call the destination now: drives the breaker, with its timer, and keeps the flights that wait for another call. */

import { Alarm } from '../alarm.js';
import type { Clock } from '../clock.js';
import { messageOf } from '../common/thrown.js';
import type { BackpressureError, StageErrors } from '../errors.js';
import type { BreakerState } from '../types.js';
import { Breaker, type BreakerSettings } from './breaker.js';

/** A flight that waits for its next call. */
export interface WaitingFlight {
  /** Its number: the older, the smaller. */
  readonly first: number;
  /** Its own delay is over: only the breaker holds it. */
  ready: boolean;
  go: () => void;
}

export interface CallGateSettings {
  clock: Clock;
  random: () => number;
  /** `undefined`: there is none, and every call may be made. */
  breaker: BreakerSettings | undefined;
}

/** What the gate asks and tells the sink. */
export interface CallGateHost {
  /** Nothing is queued, in flight or waiting. */
  readonly isIdle: boolean;
  /** Further calls may begin; not after `stop()`. */
  readonly isRunning: boolean;
  readonly errors: StageErrors;
  onBreaker(state: BreakerState, previous: BreakerState, reason: Error | undefined): void;
  /** A batch may go that might not before. */
  onMayLaunch(): void;
  /** The destination has been out of reach for too long. */
  onOutage(error: BackpressureError): void;
}

export class CallGate {
  readonly #clock: Clock;
  readonly #maxOutageMs: number;
  readonly #host: CallGateHost;
  readonly #breaker: Breaker | undefined;
  readonly #waiting = new Set<WaitingFlight>();
  /** The numbers of flights that have been let go, and whose calls are about to begin: no batch is to go before them. */
  readonly #released = new Set<number>();
  readonly #alarm: Alarm;
  /** Since when there is nothing to deliver. */
  #idleSince: number | undefined;
  #ended = false;

  constructor({ clock, random, breaker }: CallGateSettings, host: CallGateHost) {
    this.#clock = clock;
    this.#host = host;
    this.#alarm = new Alarm(clock, () => {
      this.tend();
      host.onMayLaunch();
    });
    this.#maxOutageMs = breaker?.maxOutageMs ?? Infinity;
    this.#breaker = breaker && new Breaker(breaker, random, (...change) => host.onBreaker(...change));
  }

  get state(): BreakerState {
    return this.#breaker?.state ?? 'closed';
  }

  /** The breaker is open or half open: calls that fail say nothing new about their batch. */
  get isOut(): boolean {
    return this.#breaker !== undefined && this.#breaker.state !== 'closed';
  }

  /** Whether a batch may have its first call. */
  get mayLaunch(): boolean {
    return this.#breaker === undefined || (this.#breaker.mayCall && this.#released.size === 0);
  }

  /** How long no call will begin. */
  get closedForMs(): number {
    const phase = this.#breaker?.phase;
    return phase?.kind === 'open' ? Math.max(0, phase.until - this.#clock.now()) : 0;
  }

  /**
   * Whether a flight that has been let go, or whose own delay is over, may still have its call: in between the breaker may have opened
   * again.
   */
  mayCall(flight: number): boolean {
    return !this.isOut || this.#released.has(flight);
  }

  /** A batch has its first call: while the breaker is half open, that is the probe. */
  onLaunch(flight: number): void {
    if (this.isOut) this.#breaker!.probe(flight);
  }

  /** A flight's call begins. */
  onCall(flight: number): void {
    if (this.#released.delete(flight) && this.#released.size === 0) this.#host.onMayLaunch();
  }

  /** The destination has answered, whatever it said. */
  answered(): void {
    const breaker = this.#breaker;
    if (breaker === undefined || this.#ended || breaker.isHealthy) return;
    const wasOut = this.isOut;
    breaker.answered();
    if (!wasOut) return;
    this.#alarm.clear();
    const held = [...this.#waiting].filter(({ ready }) => ready);
    for (const flight of held.toSorted((a, b) => a.first - b.first)) this.#release(flight);
    this.#host.onMayLaunch();
  }

  /** A call has failed without an answer. */
  failed(flight: number, error: Error): void {
    const breaker = this.#breaker;
    if (breaker === undefined || this.#ended) return;
    breaker.failed(flight, error, this.#clock.now());
    // Those whose calls have not begun wait once more.
    if (breaker.state === 'open') this.#released.clear();
    this.tend();
  }

  /** A flight waits for its next call, until `go` is called or it leaves. */
  wait(flight: WaitingFlight): void {
    this.#waiting.add(flight);
    this.tend();
  }

  leave(flight: WaitingFlight): void {
    this.#waiting.delete(flight);
  }

  /** Does what is due, and sets the timer for what will be. To be asked whenever something has come, gone or been started. */
  tend(): void {
    const breaker = this.#breaker;
    if (breaker === undefined || this.#ended || breaker.isHealthy) return;
    const now = this.#clock.now();
    if (this.#host.isIdle) {
      // No item is open: nothing to hold the process for, and nothing that an outage could delay.
      this.#idleSince ??= now;
      this.#alarm.clear();
      return;
    }
    if (this.#idleSince !== undefined) breaker.excuse(now - this.#idleSince);
    this.#idleSince = undefined;
    // Before the state changes: an outage that has ended the sink needs no probe any more.
    if (now >= breaker.outageEndsAt) {
      this.#host.onOutage(this.#outageError(breaker));
      return;
    }
    breaker.poll(now);
    this.#sendProbe(breaker);
    this.#setAlarm(breaker.nextAt);
  }

  /** The sink is stopped: a probe that was let go, and has not begun, waits for the next start. */
  halt(): void {
    if (!this.isOut || this.#released.size === 0) return;
    this.#released.clear();
    this.#breaker!.withdrawProbe();
  }

  /** The sink has ended: nothing changes any more. */
  end(): void {
    this.#ended = true;
    this.#alarm.clear();
  }

  /** The oldest of the flights that wait makes the probe, whether its own delay is over or not. */
  #sendProbe(breaker: Breaker): void {
    if (!this.isOut || !breaker.mayCall || !this.#host.isRunning) return;
    let oldest: WaitingFlight | undefined;
    for (const flight of this.#waiting) {
      if (oldest === undefined || flight.first < oldest.first) oldest = flight;
    }
    if (oldest === undefined) return;
    breaker.probe(oldest.first);
    this.#release(oldest);
  }

  #release(flight: WaitingFlight): void {
    this.#released.add(flight.first);
    flight.go();
  }

  #outageError(breaker: Breaker): BackpressureError {
    const { streak } = breaker.phase;
    const message = `the destination has been out of reach for longer than breaker.maxOutageMs (${this.#maxOutageMs} ms)`;
    const { failures, error } = streak!;
    return this.#host.errors.create(
      'ERR_BACKPRESSURE_OUTAGE',
      `${message}: ${failures} calls in a row failed, the last one with: ${messageOf(error)}`,
      { cause: error },
    );
  }

  /** Whoever was told something meanwhile may have ended us. */
  #setAlarm(at: number): void {
    if (!this.#ended) this.#alarm.set(at);
  }
}
