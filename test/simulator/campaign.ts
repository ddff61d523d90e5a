/** Many runs: an hour of virtual time for each pair of producer and destination, or more. */

import { DESTINATIONS } from './destinations.js';
import { PAIRS, pairOf, planFor, simplify, SIMPLIFICATIONS, type Plan } from './plan.js';
import { PRODUCERS } from './producers.js';
import { Simulation } from './simulation.js';
import { range } from '../support/range.js';

export interface FailedRun {
  seed: number;
  /** Parts of the plan that can be left out, and the run fails all the same. */
  without: readonly string[];
  message: string;
}

/** What the runs of a pair have come to. */
export interface PairReport {
  producer: string;
  destination: string;
  runs: number;
  virtualMs: number;
  wallMs: number;
  items: number;
  flushed: number;
  failedItems: number;
  dropped: number;
  flushes: number;
  retries: number;
  lateResults: number;
  /** How the runs ended, and how often. */
  ends: Map<string, number>;
  failures: FailedRun[];
}

export const MS_PER_HOUR = 3_600_000;
/** A pair whose runs all end early, as those without `onFailed` do, still comes to its hour; but not for ever. */
const MOST_RUNS_PER_HOUR = 2_000;

export function emptyReport(pair: number): PairReport {
  const { producer, destination } = pairOf(pair);
  const counts = { runs: 0, virtualMs: 0, wallMs: 0, items: 0, flushed: 0, failedItems: 0, dropped: 0 };
  const more = { flushes: 0, retries: 0, lateResults: 0, ends: new Map<string, number>(), failures: [] };
  return { producer, destination, ...counts, ...more };
}

export interface PairLimits {
  virtualMs: number;
  runs?: number;
  /** The number of the pair's first run: others are drawn from there on. */
  firstRun?: number;
}

/** Runs one pair for so much virtual time. Run number `n` of a pair has the seed `pair + n × PAIRS`. */
export async function runPair(
  pair: number,
  limits: PairLimits,
  report = emptyReport(pair),
): Promise<PairReport> {
  const { virtualMs, firstRun = 0 } = limits;
  const most = limits.runs ?? Math.ceil((virtualMs / MS_PER_HOUR) * MOST_RUNS_PER_HOUR);
  const startedAt = performance.now();
  const until = report.virtualMs + virtualMs;
  for (let run = 0; run < most && report.virtualMs < until; run++)
    await addRun(report, pair + (firstRun + run) * PAIRS);
  report.wallMs += performance.now() - startedAt;
  return report;
}

async function addRun(report: PairReport, seed: number): Promise<void> {
  report.runs++;
  const plan = planFor(seed);
  try {
    const { metrics, virtualMs, end } = await new Simulation(plan).run();
    report.virtualMs += virtualMs;
    report.items += metrics.eventsOffered;
    report.flushed += metrics.eventsFlushed;
    report.failedItems += metrics.eventsFailed;
    report.dropped += metrics.eventsDropped;
    report.flushes += metrics.flushes;
    report.retries += metrics.retries;
    report.lateResults += metrics.lateResults;
    report.ends.set(end, (report.ends.get(end) ?? 0) + 1);
  } catch (thrown) {
    report.virtualMs += plan.durationMs;
    report.failures.push({ seed, without: await shrink(plan, thrown as Error), message: messageOf(thrown) });
  }
}

/** Leaves out of the plan what the failure does not need: one part after the other, for as long as it stays the same failure. */
async function shrink(plan: Plan, failure: Error): Promise<string[]> {
  const without: string[] = [];
  for (const name of Object.keys(SIMPLIFICATIONS)) {
    const simpler = simplify(plan, [...without, name]);
    if (JSON.stringify(simpler) === JSON.stringify(simplify(plan, without))) continue;
    const outcome = await new Simulation(simpler).run().catch((thrown: unknown) => thrown as Error);
    if (outcome instanceof Error && kindOf(outcome) === kindOf(failure)) without.push(name);
  }
  return without;
}

/** The same failure at another time, of another item, is the same. */
function kindOf(failure: Error): string {
  return failure.message.replaceAll(/\{.*\}|[\d.]+/gs, '');
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
}

/** The command that runs a failed seed again. */
export function replayCommand({ seed, without }: FailedRun): string {
  const parts = without.length === 0 ? '' : ` --without ${without.join(',')}`;
  return `npm run simulate -- --seed ${seed}${parts} --trace`;
}

export function describeFailures(reports: readonly PairReport[]): string {
  return reports
    .flatMap(({ failures }) => failures)
    .map((failed) => `${replayCommand(failed)}\n    ${failed.message}`)
    .join('\n');
}

/** A line for each pair, and one for all of them. */
export function table(reports: readonly PairReport[]): string {
  const rows = reports.filter(({ runs }) => runs > 0).map(rowOf);
  const total = emptyReport(0);
  for (const report of reports) {
    for (const key of ['runs', 'virtualMs', 'wallMs', 'items', 'flushed', 'failedItems', 'dropped'] as const)
      total[key] += report[key];
    for (const key of ['flushes', 'retries', 'lateResults'] as const) total[key] += report[key];
    total.failures.push(...report.failures);
  }
  rows.push({ ...rowOf(total), producer: 'all', destination: '' });
  const heads = Object.keys(rows[0]!) as (keyof (typeof rows)[0])[];
  const widths = heads.map((head) => Math.max(head.length, ...rows.map((row) => String(row[head]).length)));
  const line = (cells: readonly string[]) =>
    cells.map((cell, n) => (n < 2 ? cell.padEnd(widths[n]!) : cell.padStart(widths[n]!))).join('  ');
  return [line(heads), ...rows.map((row) => line(heads.map((head) => String(row[head]))))].join('\n');
}

function rowOf(report: PairReport) {
  return {
    producer: report.producer,
    destination: report.destination,
    runs: report.runs,
    hours: (report.virtualMs / MS_PER_HOUR).toFixed(1),
    items: report.items,
    flushed: report.flushed,
    failed: report.failedItems,
    dropped: report.dropped,
    flushes: report.flushes,
    retries: report.retries,
    late: report.lateResults,
    s: (report.wallMs / 1000).toFixed(1),
    'items/s': Math.round((1000 * report.items) / Math.max(1, report.wallMs)),
    broken: report.failures.length,
  };
}

/** The pairs whose names contain what is asked for. */
export function pairsNamed(producer = '', destination = ''): number[] {
  const all = range(PAIRS);
  return all.filter((pair) => {
    const names = pairOf(pair);
    return names.producer.includes(producer) && names.destination.includes(destination);
  });
}

export const NAMES = `producers: ${PRODUCERS.join(', ')}; destinations: ${DESTINATIONS.join(', ')}`;
