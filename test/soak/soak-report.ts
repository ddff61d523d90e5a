/** What a soak has seen, in plain lines, and the reasons why it failed. */

import type { EventAccounts } from './event-accounts.js';
import type { LoadGenerator } from './load-generator.js';
import { MIB } from '../../src/common/bytes.js';
import { memoryLimit } from './memory-limit.js';
import { SINK_NAMES, type Note, type Sample, type ServiceConfig, type SinkName } from './protocol.js';

const MOST_REASONS = 20;
/** Warnings that belong to what is done to the service. */
const EXPECTED_WARNINGS = /SPILLWAY_NO_CONNECTION|--trace-warnings|^\s*$/;

export class SoakReport {
  readonly reasons: string[] = [];
  readonly lines: string[] = [];
  readonly #memoryLimitBytes: number;
  readonly #say: (line: string) => void;
  readonly #disturbances = new Map<string, { count: number; longestMs: number; slowestReturnMs: number }>();
  readonly #deliveries: Record<SinkName, number[]> = { push: [], stream: [] };
  readonly #states = new Set<string>();
  readonly #breakers = new Set<string>();
  #samples = 0;
  #rssBytes = 0;
  #oldestMs = 0;
  #fullest = 0;
  #intervalMs: Record<SinkName, number> = { push: 0, stream: 0 };
  #isDrained = false;

  constructor(config: ServiceConfig, say: (line: string) => void = () => undefined) {
    this.#memoryLimitBytes = memoryLimit(config).residentBytes;
    this.#say = say;
  }

  get isGood(): boolean {
    return this.reasons.length === 0;
  }

  fail(reason: string): void {
    if (this.reasons.length < MOST_REASONS) {
      this.reasons.push(reason);
      this.#say(`WRONG: ${reason}`);
    }
  }

  onSample(name: SinkName, { rssBytes, sinks }: Sample, untruths: readonly string[]): void {
    const { metrics, deliveries } = sinks[name];
    this.#samples++;
    for (const untruth of untruths) this.fail(`metrics of ${name}: ${untruth}`);
    this.#deliveries[name].push(...deliveries);
    this.#states.add(metrics.state);
    this.#breakers.add(metrics.breaker);
    this.#oldestMs = Math.max(this.#oldestMs, metrics.oldestItemAgeMs);
    this.#fullest = Math.max(this.#fullest, metrics.bufferUtilization);
    this.#intervalMs[name] = metrics.currentFlushIntervalMs;
    if (rssBytes > this.#rssBytes) this.#rssBytes = rssBytes;
    if (rssBytes > this.#memoryLimitBytes)
      this.fail(`resident memory of ${mib(rssBytes)}, more than ${mib(this.#memoryLimitBytes)}`);
  }

  firstDeliveryAfter(name: SinkName, time: number): number | undefined {
    return this.#deliveries[name].find((at) => at >= time);
  }

  onDisturbance(name: string, lastedMs: number, returnMs: number): void {
    const { count, longestMs, slowestReturnMs } = this.#disturbances.get(name) ?? {
      count: 0,
      longestMs: 0,
      slowestReturnMs: 0,
    };
    this.#disturbances.set(name, {
      count: count + 1,
      longestMs: Math.max(longestMs, lastedMs),
      slowestReturnMs: Math.max(slowestReturnMs, returnMs),
    });
    this.#say(`${name}: ${seconds(lastedMs)}; delivering again after ${seconds(returnMs)}`);
  }

  onStopped(code: number | null, signal: NodeJS.Signals | null, tookMs: number, complaints: string): void {
    this.#tell(`SIGTERM: ended with ${signal ?? code} after ${seconds(tookMs)}`);
    if (code !== 0) this.fail(`the service ended with ${signal ?? code}, not with 0`);
    const unexpected = complaints.split('\n').filter((line) => !EXPECTED_WARNINGS.test(line));
    for (const line of unexpected) this.fail(`the service wrote on standard error: ${line}`);
  }

  onDrained({ undelivered, errors, sinks }: Extract<Note, { kind: 'end' }>): void {
    this.#isDrained = true;
    if (undelivered > 0) this.fail(`${undelivered} events were not delivered by the drain`);
    for (const error of errors) this.fail(`the drain reports: ${error}`);
    for (const name of SINK_NAMES) {
      const { offered, flushed, failed, dropped, open } = sinks[name];
      this.#tell(`${name}: ${offered} offered = ${flushed} flushed + ${failed} failed + ${dropped} dropped`);
      if (open > 0 || offered !== flushed + failed + dropped)
        this.fail(`${name} has ${open} events without an outcome`);
    }
  }

  onEnd(accounts: EventAccounts, load: LoadGenerator): void {
    if (!this.#isDrained) this.fail('the service did not report its drain');
    const { accepted, refused, unknown } = accounts.counts;
    for (const answer of load.unexpected) this.fail(answer);
    const verdict = accounts.judge();
    for (const wrong of verdict.wrong) this.fail(wrong);
    if (verdict.wrongCount > verdict.wrong.length) this.fail(`${verdict.wrongCount} events are wrong in all`);
    const latencies = load.latenciesMs.sort((a, b) => a - b);
    const latency = (share: number) =>
      `${(latencies[Math.floor(share * (latencies.length - 1))] ?? 0).toFixed(0)} ms`;
    this.#tell(
      `events: ${accounts.made} made, ${accepted} accepted, ${refused} refused, ${unknown} without an answer`,
    );
    this.#tell(
      `outcome: ${verdict.stored} in the tables, ${verdict.failed} reported as failed, ${verdict.ambiguous} of them ambiguous (${verdict.ambiguousStored} of these stored), ${verdict.wrongCount} wrong`,
    );
    this.#tell(`answers: median ${latency(0.5)}, 99th percentile ${latency(0.99)}, longest ${latency(1)}`);
    this.#tell(
      `metrics: ${this.#samples} samples; states ${[...this.#states].join(', ')}; breaker ${[...this.#breakers].join(', ')}; fullest ${(100 * this.#fullest).toFixed(0)} %; oldest event ${seconds(this.#oldestMs)}; last flush intervals ${SINK_NAMES.map((name) => `${this.#intervalMs[name].toFixed(0)} ms`).join(', ')}`,
    );
    this.#tell(
      `memory: at most ${mib(this.#rssBytes)} resident, ${mib(this.#memoryLimitBytes)} by the guide`,
    );
    for (const [name, { count, longestMs, slowestReturnMs }] of this.#disturbances)
      this.#tell(
        `${name}: ${count} times, up to ${seconds(longestMs)}; delivering again within ${seconds(slowestReturnMs)}`,
      );
  }

  #tell(line: string): void {
    this.lines.push(line);
  }
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
const mib = (bytes: number): string => `${(bytes / MIB).toFixed(0)} MiB`;
