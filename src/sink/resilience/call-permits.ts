/** Permits calls of the destination. Drives the breaker and its timer, and parks the deliveries that wait for another call. */

import { Alarm } from '../../common/alarm.js';
import type { Clock } from '../../common/clock.js';
import { DEFAULTS } from '../../settings/defaults.js';
import { messageOf } from '../../common/thrown.js';
import type { BackpressureError, StageErrors } from '../../api/errors.js';
import type { BreakerProbe } from '../../api/options.js';
import type { BreakerState } from '../../api/flush-function.js';
import { Breaker, type BreakerSettings } from './circuit-breaker.js';
import { HealthCheck } from './health-check.js';

/** A delivery that waits for its next call. */
export interface ParkedDelivery {
  /** Its number. Older deliveries have smaller ones. */
  readonly first: number;
  /** Its own delay is over: only the breaker holds it. */
  isReady: boolean;
  resume: () => void;
}

export interface CallPermitsSettings {
  clock: Clock;
  random: () => number;
  /** `undefined`: there is none, and every call may be made. */
  breaker: (BreakerSettings & { probe: BreakerProbe | undefined }) | undefined;
  flushTimeoutMs: number;
  abortGraceMs: number;
}

/** A call that began before the outage's limit may go on for as long as calls may; the sink is not held for longer than that. */
const MARGIN_MS = 5_000;
/** The number that stands for the health check, which is the probe of no delivery. */
const NO_DELIVERY = -1;

/** What the permits read of the sink, and call on it. */
export interface CallPermitsHost {
  /** Nothing is queued, in flight or waiting. */
  readonly isIdle: boolean;
  /** Further calls may begin; not after `stop()`. */
  readonly isRunning: boolean;
  readonly errors: StageErrors;
  onBreaker(state: BreakerState, previous: BreakerState, reason: Error | undefined): void;
  /** A batch may be launched that had to wait before. */
  onMayLaunch(): void;
  /** The destination has been out of reach for too long: the sink fails. */
  fail(error: BackpressureError): void;
}

export class CallPermits {
  readonly #clock: Clock;
  readonly #maxOutageMs: number;
  readonly #host: CallPermitsHost;
  readonly #breaker: Breaker | undefined;
  /** Few at any time, as `#released`: a set would cost each sink more than the search. */
  readonly #parked: ParkedDelivery[] = [];
  /** Deliveries that have been resumed, and whose calls are about to begin: no batch is to be launched before them. */
  #released: number[] = [];
  readonly #alarm: Alarm;
  /** How long a call may take, with its grace. */
  readonly #callLimitMs: number;
  readonly #healthCheck: HealthCheck | undefined;
  /** The health check has passed since the breaker is half open. */
  #isReachable = false;
  #probedAt = -Infinity;
  /** Since when there is nothing to deliver. */
  #idleSince: number | undefined;
  #ended = false;

  constructor(settings: CallPermitsSettings, host: CallPermitsHost) {
    const { clock, random, breaker, flushTimeoutMs, abortGraceMs } = settings;
    this.#clock = clock;
    this.#host = host;
    this.#callLimitMs =
      (flushTimeoutMs === Infinity ? DEFAULTS.flushTimeoutMs : flushTimeoutMs) + abortGraceMs + MARGIN_MS;
    if (breaker?.probe !== undefined) this.#healthCheck = new HealthCheck(clock, breaker.probe);
    this.#alarm = new Alarm(clock, () => {
      this.evaluate();
      host.onMayLaunch();
    });
    this.#maxOutageMs = breaker?.maxOutageMs ?? Infinity;
    this.#breaker =
      breaker &&
      new Breaker(breaker, random, (...change) => {
        this.#isReachable = false;
        host.onBreaker(...change);
      });
  }

  /** What holds calls now. Nothing does once the sink has ended and the grace of its calls is over. */
  get state(): BreakerState {
    return this.#ended && this.#host.isIdle ? 'closed' : (this.#breaker?.state ?? 'closed');
  }

  /** Whether the breaker is open or half open. Then a failed call says nothing new about its batch. */
  get isTripped(): boolean {
    return this.#breaker !== undefined && this.#breaker.state !== 'closed';
  }

  /** Whether a batch may have its first call. */
  get mayLaunch(): boolean {
    const breaker = this.#breaker;
    if (breaker === undefined) return true;
    return breaker.mayCall && this.#released.length === 0 && (!this.isTripped || this.#healthCheckPassed);
  }

  /** When the next probe begins; `undefined` unless the breaker is open. */
  get nextProbeAt(): number | undefined {
    const at = this.#breaker?.nextProbeAt;
    return at === Infinity ? undefined : at;
  }

  /** How long no call will begin, in milliseconds. */
  get blockedForMs(): number {
    const at = this.nextProbeAt;
    return at === undefined ? 0 : Math.max(0, at - this.#clock.now());
  }

  /** Whether the health check, if there is one, has passed. */
  get #healthCheckPassed(): boolean {
    return this.#healthCheck === undefined || this.#isReachable;
  }

  /**
   * Returns whether a delivery that has been resumed, or whose own delay is over, may still have its call. The breaker may have opened again
   * in between.
   */
  mayCall(delivery: number): boolean {
    return !this.isTripped || this.#released.includes(delivery);
  }

  /** A batch has its first call: while the breaker is half open, that is the probe. */
  onLaunch(delivery: number): void {
    if (this.isTripped) this.#beginProbe(this.#breaker!, delivery);
  }

  #beginProbe(breaker: Breaker, delivery: number): void {
    breaker.beginProbe(delivery);
    this.#probedAt = this.#clock.now();
  }

  /** A delivery's call begins. */
  onCall(delivery: number): void {
    if (remove(this.#released, delivery) && this.#released.length === 0) this.#host.onMayLaunch();
  }

  /** The destination has responded, even if it refused the items. */
  onResponse(): void {
    const breaker = this.#breaker;
    if (breaker === undefined || this.#ended || breaker.isHealthy) return;
    const wasOut = this.isTripped;
    breaker.onResponse();
    if (!wasOut) return;
    this.#alarm.clear();
    this.#healthCheck?.cancel();
    const held = this.#parked.filter(({ isReady }) => isReady);
    for (const delivery of held.toSorted((a, b) => a.first - b.first)) this.#release(delivery);
    this.#host.onMayLaunch();
  }

  /** A call that began at `startedAt` has failed without a response. */
  onTransportFailure(delivery: number, error: Error, startedAt: number): void {
    const breaker = this.#breaker;
    if (breaker === undefined || this.#ended) return;
    breaker.onTransportFailure(delivery, error, startedAt, this.#clock.now());
    // Deliveries whose calls have not begun wait again.
    if (breaker.state === 'open') this.#released = [];
    if (breaker.isOutageOver) this.#host.fail(this.#outageError(breaker));
    else this.evaluate();
  }

  /** Parks a delivery until `resume` is called, or it is unparked. */
  park(delivery: ParkedDelivery): void {
    this.#parked.push(delivery);
    this.evaluate();
  }

  unpark(delivery: ParkedDelivery): void {
    remove(this.#parked, delivery);
  }

  /** Does what is due, and sets the timer for what will be. Called whenever an item has come or settled, or the sink was started. */
  evaluate(): void {
    const breaker = this.#breaker;
    if (breaker === undefined || this.#ended || breaker.isHealthy) return;
    const now = this.#clock.now();
    if (this.#host.isIdle) {
      // No item is open: nothing to hold the process for, and nothing that an outage could delay.
      this.#idleSince ??= now;
      this.#alarm.clear();
      return;
    }
    if (this.#idleSince !== undefined) breaker.excludeFromOutage(now - this.#idleSince);
    this.#idleSince = undefined;
    if (this.isTripped && now >= this.#outageLimitAt(breaker)) {
      this.#host.fail(this.#outageError(breaker));
      return;
    }
    breaker.evaluate(now);
    this.#sendProbe(breaker);
    if (this.isTripped) this.#setAlarm(Math.min(breaker.nextProbeAt, this.#outageLimitAt(breaker)));
  }

  /** When the sink fails, whatever is under way. While it is stopped no probe can be made, so that is the outage's limit. */
  #outageLimitAt(breaker: Breaker): number {
    const { outageEndsAt, phase } = breaker;
    const isProbing = phase.kind === 'half_open' && phase.probe !== undefined;
    if (!isProbing && !this.#host.isRunning) return outageEndsAt;
    return Math.max(outageEndsAt, isProbing ? this.#probedAt : 0) + this.#callLimitMs;
  }

  /** The sink is stopped: a probe that was released, and has not begun, waits for the next start. */
  halt(): void {
    if (!this.isTripped || this.#released.length === 0) return;
    this.#released = [];
    this.#breaker!.withdrawProbe();
  }

  /** The sink has ended: nothing changes any more. */
  end(): void {
    this.#ended = true;
    this.#alarm.clear();
    this.#healthCheck?.cancel();
  }

  /** After a health check, the oldest of the deliveries that wait makes the probe, whether its own delay is over or not. */
  #sendProbe(breaker: Breaker): void {
    if (!this.isTripped || !breaker.mayCall || !this.#host.isRunning) return;
    if (!this.#healthCheckPassed) return this.#startCheck(breaker, this.#healthCheck!);
    let oldest: ParkedDelivery | undefined;
    for (const delivery of this.#parked) {
      if (oldest === undefined || delivery.first < oldest.first) oldest = delivery;
    }
    if (oldest === undefined) return;
    this.#beginProbe(breaker, oldest.first);
    this.#release(oldest);
  }

  #startCheck(breaker: Breaker, check: HealthCheck): void {
    this.#beginProbe(breaker, NO_DELIVERY);
    const startedAt = this.#probedAt;
    check.run((error) => {
      if (error !== undefined) return this.onTransportFailure(NO_DELIVERY, error, startedAt);
      this.#isReachable = true;
      breaker.withdrawProbe();
      this.evaluate();
      this.#host.onMayLaunch();
    });
  }

  #release(delivery: ParkedDelivery): void {
    this.#released.push(delivery.first);
    delivery.resume();
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

  /** Not after the end: a listener that was called meanwhile may have ended the sink. */
  #setAlarm(at: number): void {
    if (!this.#ended) this.#alarm.set(at);
  }
}

/** Returns whether it was there. */
function remove<T>(list: T[], item: T): boolean {
  const place = list.indexOf(item);
  if (place >= 0) list.splice(place, 1);
  return place >= 0;
}
