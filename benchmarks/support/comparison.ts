/**
 * Ways to do the same work, side by side. Each must first show that its result is right; then all are timed in rounds, one run of each per
 * round, so that whatever else the machine does meets all of them. What counts is the ratio to the baseline of the same round.
 */

import { collectYoungGarbage } from './garbage.js';
import { loadAverage } from './machine.js';
import { medianInterval, spreadOf, type Spread } from './statistics.js';

export interface Candidate {
  readonly name: string;
  /** A word about it for the table, such as whether it bounds its memory. */
  readonly remark?: string;
  /** Another project's: what it gets wrong is shown, and is no failure of the benchmark. */
  readonly isPeer?: boolean;
  /** The package that it would need and that is not installed: it is listed, and not run. */
  readonly missing?: string;
  /** Units of one run, where it is too slow for the comparison's: its rate is compared, and the table says on how many. */
  readonly amount?: number;
  /** Does the work once with every result looked at. Answers with what is wrong, if anything. Not timed; the first warm-up. */
  verify(): Promise<string | undefined>;
  /** Before each timed run; not timed. */
  prepare?(): Promise<void>;
  /** The work: timed from the call to the end of the promise. */
  run(): Promise<void>;
  /** After each timed run; not timed. Answers with what is wrong, if anything: at least a count. */
  confirm(): string | undefined | Promise<string | undefined>;
}

export interface Comparison {
  readonly title: string;
  /** What is counted, and how many of it one run works through. */
  readonly unit: string;
  readonly amount: number;
  /** Name of the candidate that the others are held against. */
  readonly baseline: string;
  readonly candidates: readonly Candidate[];
  /** All the work is done by this process: its processor time is compared too, which others on the machine hardly touch. */
  readonly isInProcess?: boolean;
  /** Small differences count: ratios have their 95 % confidence intervals in place of the smallest and the largest. */
  readonly hasIntervals?: boolean;
  /** Rates are shown as nanoseconds for one of the units. */
  readonly perUnit?: boolean;
  /** Default 5, and never less, but for an explicit wish of the person who runs it. */
  readonly rounds?: number;
  /** Untimed runs of each candidate before the first round, beside `verify`. Default 1. */
  readonly warmUps?: number;
}

export interface Ratio extends Spread {
  /** The 95 % confidence interval of the median, if the comparison has intervals. */
  readonly interval?: readonly [low: number, high: number];
}

export interface CandidateResult {
  readonly name: string;
  readonly remark?: string;
  readonly isPeer?: boolean;
  readonly missing?: string;
  readonly amount?: number;
  /** Why it is not timed, or no longer. */
  readonly wrong?: string;
  /** It threw: it, or the way in which it is called, does not work at all. */
  readonly isBroken?: true;
  /** Units per second. */
  readonly rate?: Spread;
  /** Of the rate to the baseline's, round by round. */
  readonly ratio?: Ratio;
  /** The same by processor time, with that of V8's helpers, in place of time on the clock. */
  readonly cpuRatio?: Ratio;
}

export interface ComparisonResult {
  readonly title: string;
  readonly unit: string;
  readonly amount: number;
  readonly baseline: string;
  readonly perUnit?: boolean;
  readonly rounds: number;
  /** Runnable tasks over the last minute, before the first round and after the last. */
  readonly load: readonly [number, number];
  readonly results: readonly CandidateResult[];
}

const ROUNDS = 5;

export async function compare(
  comparison: Comparison,
  wished: { readonly rounds: number | undefined; readonly warmUps: number | undefined },
  progress: (line: string) => void,
): Promise<ComparisonResult> {
  const { title, unit, amount, baseline } = comparison;
  const candidates = comparison.candidates.filter(({ missing }) => missing === undefined);
  const rounds = wished.rounds ?? Math.max(ROUNDS, comparison.rounds ?? ROUNDS);
  const wrong = new Map<Candidate, Fault>();
  const runs = new Map<Candidate, Duration[]>(candidates.map((candidate) => [candidate, []]));

  for (const candidate of candidates) {
    progress(`${title}: checking ${candidate.name}`);
    let fault = await faultOf(() => candidate.verify());
    for (let run = wished.warmUps ?? comparison.warmUps ?? 1; run > 0 && fault === undefined; run -= 1) {
      fault = (await timed(candidate)).fault;
    }
    if (fault !== undefined) wrong.set(candidate, fault);
  }
  const loadBefore = loadAverage();
  for (let round = 0; round < rounds; round += 1) {
    progress(`${title}: round ${round + 1} of ${rounds}`);
    for (const candidate of rotated(candidates, round)) {
      if (wrong.has(candidate)) continue;
      const { duration, fault } = await timed(candidate);
      if (fault === undefined) runs.get(candidate)!.push(duration);
      else wrong.set(candidate, fault);
    }
  }

  const base = candidates.find(({ name }) => name === baseline);
  if (base === undefined) throw new Error(`${title}: there is no candidate "${baseline}"`);
  const results = comparison.candidates.map((candidate): CandidateResult => {
    const { name, missing } = candidate;
    const about = {
      name,
      ...(candidate.remark === undefined ? {} : { remark: candidate.remark }),
      ...(candidate.isPeer === undefined ? {} : { isPeer: candidate.isPeer }),
      ...(candidate.amount === undefined ? {} : { amount: candidate.amount }),
    };
    if (missing !== undefined) return { ...about, missing };
    const fault = wrong.get(candidate);
    if (fault !== undefined) return { ...about, ...fault };
    const own = runs.get(candidate)!;
    const units = candidate.amount ?? amount;
    const rate = spreadOf(own.map(({ wallMs }) => (units / wallMs) * 1000));
    if (wrong.has(base)) return { ...about, rate };
    const share = units / (base.amount ?? amount);
    const ratioOf = (kind: keyof Duration): Ratio => {
      const ratios = runs.get(base)!.map((duration, round) => (duration[kind] / own[round]![kind]) * share);
      const spread = spreadOf(ratios);
      return comparison.hasIntervals === true ? { ...spread, interval: medianInterval(ratios) } : spread;
    };
    const ratio = ratioOf('wallMs');
    return comparison.isInProcess === true
      ? { ...about, rate, ratio, cpuRatio: ratioOf('cpuMs') }
      : { ...about, rate, ratio };
  });
  const { perUnit = false } = comparison;
  return { title, unit, amount, baseline, perUnit, rounds, load: [loadBefore, loadAverage()], results };
}

/** No candidate always runs first, or always after the same one. */
function rotated<T>(list: readonly T[], by: number): T[] {
  const start = by % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}

interface Duration {
  readonly wallMs: number;
  readonly cpuMs: number;
}

/** What is wrong with a candidate, as its result says it. */
type Fault = Pick<CandidateResult, 'wrong' | 'isBroken'>;

async function faultOf(
  look: () => string | undefined | Promise<string | undefined>,
): Promise<Fault | undefined> {
  try {
    const wrong = await look();
    return wrong === undefined ? undefined : { wrong };
  } catch (error) {
    return { wrong: error instanceof Error ? error.message : String(error), isBroken: true };
  }
}

async function timed(candidate: Candidate): Promise<{ duration: Duration; fault: Fault | undefined }> {
  await candidate.prepare?.();
  collectYoungGarbage();
  const cpuStart = process.cpuUsage();
  const start = performance.now();
  let fault = await faultOf(() => candidate.run().then(() => undefined));
  const wallMs = performance.now() - start;
  const { user, system } = process.cpuUsage(cpuStart);
  fault ??= await faultOf(() => candidate.confirm());
  return { duration: { wallMs, cpuMs: (user + system) / 1000 }, fault };
}
