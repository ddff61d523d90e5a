/** Permits calls as the breaker says. Drives the breaker and its timer, and parks the deliveries that wait for another call. */

import { Alarm } from '../../common/alarm.js';
import type { Clock } from '../../common/clock.js';
import { DEFAULTS } from '../../settings/defaults.js';
import { messageOf } from '../../common/thrown.js';
import type { BackpressureError, StageErrors } from '../../api/errors.js';
import type { BreakerProbe } from '../../api/options.js';
import type { BreakerState } from '../../api/flush-function.js';
import { Breaker, type BreakerSettings } from './circuit-breaker.js';
import type { CallPermits, ParkedDelivery } from './call-permits.js';
import { HealthCheck } from './health-check.js';

export interface BreakerPermitsSettings {
  clock: Clock;
  random: () => number;
  flushTimeoutMs: number;
  abortGraceMs: number;
}

/** A call that began before the outage's limit may go on for as long as calls may; the sink is not held for longer than that. */
const MARGIN_MS = 5_000;
/** The number that stands for the health check, which is the probe of no delivery. */
const NO_DELIVERY = -1;

/** What the permits read of the sink, and call on it. */
export interface PermitsHost {
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

export class BreakerPermits implements CallPermits {
  readonly #clock: Clock;
  readonly #maxOutageMs: number;
  readonly #host: PermitsHost;
  readonly #breaker: Breaker;
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

  constructor(
    { clock, random, flushTimeoutMs, abortGraceMs }: BreakerPermitsSettings,
    breaker: BreakerSettings & { probe: BreakerProbe | undefined },
    host: PermitsHost,
  ) {
    this.#clock = clock;
    this.#host = host;
    this.#callLimitMs =
      (flushTimeoutMs === Infinity ? DEFAULTS.flushTimeoutMs : flushTimeoutMs) + abortGraceMs + MARGIN_MS;
    if (breaker.probe !== undefined) this.#healthCheck = new HealthCheck(clock, breaker.probe);
    this.#alarm = new Alarm(clock, () => {
      this.evaluate();
      host.onMayLaunch();
    });
    this.#maxOutageMs = breaker.maxOutageMs;
    this.#breaker = new Breaker(breaker, random, (...change) => {
      this.#isReachable = false;
      host.onBreaker(...change);
    });
  }

  /** Nothing holds calls once the sink has ended and the grace of its calls is over. */
  get state(): BreakerState {
    return this.#ended && this.#host.isIdle ? 'closed' : this.#breaker.state;
  }

  get isTripped(): boolean {
    return this.#breaker.state !== 'closed';
  }

  get mayLaunch(): boolean {
    return (
      this.#breaker.mayCall && this.#released.length === 0 && (!this.isTripped || this.#healthCheckPassed)
    );
  }

  get nextProbeAt(): number | undefined {
    const at = this.#breaker.nextProbeAt;
    return at === Infinity ? undefined : at;
  }

  get blockedForMs(): number {
    const at = this.nextProbeAt;
    return at === undefined ? 0 : Math.max(0, at - this.#clock.now());
  }

  /** Whether the health check, if there is one, has passed. */
  get #healthCheckPassed(): boolean {
    return this.#healthCheck === undefined || this.#isReachable;
  }

  mayCall(delivery: number): boolean {
    return !this.isTripped || this.#released.includes(delivery);
  }

  onLaunch(delivery: number): void {
    if (this.isTripped) this.#beginProbe(this.#breaker, delivery);
  }

  #beginProbe(breaker: Breaker, delivery: number): void {
    breaker.beginProbe(delivery);
    this.#probedAt = this.#clock.now();
  }

  onCall(delivery: number): void {
    if (remove(this.#released, delivery) && this.#released.length === 0) this.#host.onMayLaunch();
  }

  onResponse(): void {
    const breaker = this.#breaker;
    if (this.#ended || breaker.isHealthy) return;
    const wasOut = this.isTripped;
    breaker.onResponse();
    if (!wasOut) return;
    this.#alarm.clear();
    this.#healthCheck?.cancel();
    const held = this.#parked.filter(({ isReady }) => isReady);
    for (const delivery of held.toSorted((a, b) => a.first - b.first)) this.#release(delivery);
    this.#host.onMayLaunch();
  }

  onTransportFailure(delivery: number, error: Error, startedAt: number): void {
    const breaker = this.#breaker;
    if (this.#ended) return;
    breaker.onTransportFailure(delivery, error, startedAt, this.#clock.now());
    // Deliveries whose calls have not begun wait again.
    if (breaker.state === 'open') this.#released = [];
    if (breaker.isOutageOver) this.#host.fail(this.#outageError(breaker));
    else this.evaluate();
  }

  park(delivery: ParkedDelivery): void {
    this.#parked.push(delivery);
    this.evaluate();
  }

  unpark(delivery: ParkedDelivery): void {
    remove(this.#parked, delivery);
  }

  evaluate(): void {
    const breaker = this.#breaker;
    if (this.#ended || breaker.isHealthy) return;
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

  halt(): void {
    if (!this.isTripped || this.#released.length === 0) return;
    this.#released = [];
    this.#breaker.withdrawProbe();
  }

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
