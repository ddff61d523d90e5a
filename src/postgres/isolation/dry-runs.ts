/** Many faults in few round trips: slices are probed side by side, round after round, until what is left of each passes by itself. */

import type { DryRun, Refusal } from './refusal.js';

/**
 * @param rows places in the batch, ascending
 * @param size rows in a slice: about one of them at fault is best
 * @param blame takes the rows at fault
 */
export async function dryRunAhead<E>(
  rows: readonly number[],
  size: number,
  dryRun: DryRun<E>,
  blame: (row: number, refusal: Refusal<E>) => void,
): Promise<void> {
  let slices = cutUp(rows, size);
  let hasUnnamed = false;
  while (slices.length > 0) {
    const refusals = await dryRun(slices);
    hasUnnamed ||= refusals.some((refusal) => refusal !== undefined && refusal.row === undefined);
    const next: (readonly number[])[] = [];
    for (const [index, refusal] of refusals.entries()) {
      if (refusal !== undefined) next.push(...(await whatIsLeft(slices[index]!, refusal, hasUnnamed, blame)));
    }
    slices = next;
  }
}

/**
 * The same for what is seen as rows are read: those behind a row at fault have not been looked at, those before it are done with.
 *
 * @param size rows in a slice
 */
export async function parseAhead<E>(
  rows: readonly number[],
  size: number,
  parseOnly: DryRun<E>,
  blame: (row: number, refusal: Refusal<E>) => void,
): Promise<void> {
  let slices = cutUp(rows, size);
  while (slices.length > 0) {
    const refusals = await parseOnly(slices);
    const next: (readonly number[])[] = [];
    for (const [index, refusal] of refusals.entries()) {
      const { row } = refusal ?? {};
      // What names no row tells nothing of those behind it either.
      if (refusal === undefined || row === undefined) continue;
      blame(row, refusal);
      const rest = slices[index]!.filter((candidate) => candidate > row);
      if (rest.length > 0) next.push(rest);
    }
    slices = next;
  }
}

function cutUp(rows: readonly number[], size: number): (readonly number[])[] {
  const slices: (readonly number[])[] = [];
  for (let start = 0; start < rows.length; start += size) slices.push(rows.slice(start, start + size));
  return slices;
}

/** The slices that come of one that was refused. */
async function whatIsLeft<E>(
  slice: readonly number[],
  refusal: Refusal<E>,
  hasUnnamed: boolean,
  blame: (row: number, refusal: Refusal<E>) => void,
): Promise<(readonly number[])[]> {
  const row = refusal.row ?? (slice.length === 1 ? slice[0] : undefined);
  if (row !== undefined) {
    blame(row, refusal);
    // Those before it have passed, but for the checks that come after the rows: where any has failed, all of the others once more.
    const rest = slice.filter((candidate) => candidate > row || (hasUnnamed && candidate < row));
    return rest.length === 0 ? [] : [rest];
  }
  const inSlice = new Set(slice);
  const candidates = new Set((await refusal.candidates()).filter((candidate) => inSlice.has(candidate)));
  if (candidates.size === 0 || candidates.size === slice.length) {
    const half = Math.ceil(slice.length / 2);
    return [slice.slice(0, half), slice.slice(half)];
  }
  return [
    ...[...candidates].map((candidate) => [candidate]),
    slice.filter((candidate) => !candidates.has(candidate)),
  ];
}
