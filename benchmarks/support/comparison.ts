/**
 * Ways to do the same work, side by side. Each must first show that its result is right; then all are timed in rounds, one run of each per
 * round, so that whatever else the machine does meets all of them. What counts is the ratio to the baseline of the same round.
 */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { spreadOf, type Spread } from './statistics.js';

export interface Candidate {
  readonly name: string;
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
  /** Default 5, and never less, but for an explicit wish of the person who runs it. */
  readonly rounds?: number;
  /** Untimed runs of each candidate before the first round, beside `verify`. Default 1. */
  readonly warmUps?: number;
}

export interface CandidateResult {
  readonly name: string;
  /** Why it is not timed, or no longer. */
  readonly wrong?: string;
  /** Units per second. */
  readonly rate?: Spread;
  /** Of the rate to the baseline's, round by round. */
  readonly ratio?: Spread;
  /** The same by processor time, with that of V8's helpers, in place of time on the clock. */
  readonly cpuRatio?: Spread;
}

export interface ComparisonResult {
  readonly title: string;
  readonly unit: string;
  readonly amount: number;
  readonly baseline: string;
  readonly rounds: number;
  readonly results: readonly CandidateResult[];
}

const ROUNDS = 5;

export async function compare(
  comparison: Comparison,
  wishedRounds: number | undefined,
  progress: (line: string) => void,
): Promise<ComparisonResult> {
  const { title, unit, amount, baseline, candidates } = comparison;
  const rounds = wishedRounds ?? Math.max(ROUNDS, comparison.rounds ?? ROUNDS);
  const wrong = new Map<Candidate, string>();
  const runs = new Map<Candidate, Duration[]>(candidates.map((candidate) => [candidate, []]));

  for (const candidate of candidates) {
    progress(`${title}: checking ${candidate.name}`);
    let fault = await candidate.verify().catch(wordsOf);
    for (let run = comparison.warmUps ?? 1; run > 0 && fault === undefined; run -= 1) {
      fault = (await timed(candidate)).fault;
    }
    if (fault !== undefined) wrong.set(candidate, fault);
  }
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
  const results = candidates.map((candidate): CandidateResult => {
    const { name } = candidate;
    const fault = wrong.get(candidate);
    if (fault !== undefined) return { name, wrong: fault };
    const own = runs.get(candidate)!;
    const rate = spreadOf(own.map(({ wallMs }) => (amount / wallMs) * 1000));
    if (wrong.has(base)) return { name, rate };
    const ratioOf = (kind: keyof Duration): Spread =>
      spreadOf(runs.get(base)!.map((duration, round) => duration[kind] / own[round]![kind]));
    const ratio = ratioOf('wallMs');
    return comparison.isInProcess === true
      ? { name, rate, ratio, cpuRatio: ratioOf('cpuMs') }
      : { name, rate, ratio };
  });
  return { title, unit, amount, baseline, rounds, results };
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

async function timed(candidate: Candidate): Promise<{ duration: Duration; fault: string | undefined }> {
  await candidate.prepare?.();
  collectGarbage();
  const cpuStart = process.cpuUsage();
  const start = performance.now();
  let fault = await candidate.run().then(() => undefined, wordsOf);
  const wallMs = performance.now() - start;
  const { user, system } = process.cpuUsage(cpuStart);
  fault ??= await Promise.resolve(candidate.confirm()).catch(wordsOf);
  return { duration: { wallMs, cpuMs: (user + system) / 1000 }, fault };
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

let gc: ((options: { type: 'minor' }) => void) | undefined;

/**
 * Nobody pays for the young garbage of the one before. A full collection would do harm: with no stream alive it forgets the shapes of the
 * classes, and with them the code that was optimised for these shapes, so that every run would begin cold.
 */
function collectGarbage(): void {
  if (gc === undefined) {
    setFlagsFromString('--expose-gc');
    gc = runInNewContext('gc') as NonNullable<typeof gc>;
  }
  gc({ type: 'minor' });
}
