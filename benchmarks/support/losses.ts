/** Where we lose, said with every table that shows it, so that nobody has to look for it. */

import type { CandidateResult, ComparisonResult } from './comparison.js';

/** Whether it is Spillway that does the work. */
export const isOurs = (name: string): boolean => /Backpressure|spillway|copyInto/.test(name);

/** A line of Markdown; nothing where all of ours are at least as fast as the baseline and as every other. */
export function lossesOf({ baseline, results }: ComparisonResult): string | undefined {
  const ours = results.filter(({ name, ratio }) => isOurs(name) && name !== baseline && ratio !== undefined);
  if (ours.length === 0) return undefined;
  const best = Math.max(...ours.map(medianOf));
  const slower = ours.filter((candidate) => medianOf(candidate) < 1);
  const faster = results.filter(
    (candidate) => !isOurs(candidate.name) && candidate.name !== baseline && medianOf(candidate) > best,
  );
  const list = (candidates: readonly CandidateResult[]): string =>
    candidates.map((candidate) => `${candidate.name} (${medianOf(candidate).toFixed(2)})`).join(', ');
  const parts = [
    ...(slower.length === 0 ? [] : [`slower than ${baseline}: ${list(slower)}`]),
    ...(faster.length === 0 ? [] : [`faster than all of ours (${best.toFixed(2)}): ${list(faster)}`]),
  ];
  return parts.length === 0 ? undefined : `**Where we lose:** ${parts.join('; ')}.`;
}

const medianOf = ({ ratio }: CandidateResult): number => ratio?.median ?? 0;
