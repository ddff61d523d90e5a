/**
 * Finds many faults in few round trips: tries slices side by side, in rounds, until the rest of each is accepted.
 *
 * Measured with 1 % bad rows in batches of 40 000, PostgreSQL 18. Without `parseAhead` a search for values that cannot be converted takes 2.2 ×
 * the CPU of client and server, 600 round trips a batch in place of 6, and 6 × the time over a link of 1 ms; with 5 % 3.5 × the CPU. Without
 * `dryRunAhead` a search for keys that the table holds takes 1.6 × the CPU, 600 round trips in place of 5, and 3.5 × the time over that link.
 */

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
 * The same for faults that show when rows are parsed. Rows before one at fault are finished; rows behind it have not been parsed yet.
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
      // An error that names no row says nothing of the rows that follow either.
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

/** Returns the slices to try in place of one that was refused. */
async function whatIsLeft<E>(
  slice: readonly number[],
  refusal: Refusal<E>,
  hasUnnamed: boolean,
  blame: (row: number, refusal: Refusal<E>) => void,
): Promise<(readonly number[])[]> {
  const row = refusal.row ?? (slice.length === 1 ? slice[0] : undefined);
  if (row !== undefined) {
    blame(row, refusal);
    // The rows before it were accepted, unless checks after all rows have failed before: then all others are tried again.
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
