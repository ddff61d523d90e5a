/** Many faults in few round trips: pieces are probed side by side, round after round, until what is left of each passes by itself. */

import type { Probe, Refusal } from './refusal.js';

/**
 * @param rows places in the batch, ascending
 * @param size rows in a piece: about one of them at fault is best
 * @param blame takes the rows at fault
 */
export async function probeAhead<E>(
  rows: readonly number[],
  size: number,
  probe: Probe<E>,
  blame: (row: number, refusal: Refusal<E>) => void,
): Promise<void> {
  let pieces = cutUp(rows, size);
  let hasUnnamed = false;
  while (pieces.length > 0) {
    const refusals = await probe(pieces);
    hasUnnamed ||= refusals.some((refusal) => refusal !== undefined && refusal.row === undefined);
    const next: (readonly number[])[] = [];
    for (const [index, refusal] of refusals.entries()) {
      if (refusal !== undefined) next.push(...(await whatIsLeft(pieces[index]!, refusal, hasUnnamed, blame)));
    }
    pieces = next;
  }
}

/**
 * The same for what is seen as rows are read: those behind a row at fault have not been looked at, those before it are done with.
 *
 * @param size rows in a piece
 */
export async function checkAhead<E>(
  rows: readonly number[],
  size: number,
  check: Probe<E>,
  blame: (row: number, refusal: Refusal<E>) => void,
): Promise<void> {
  let pieces = cutUp(rows, size);
  while (pieces.length > 0) {
    const refusals = await check(pieces);
    const next: (readonly number[])[] = [];
    for (const [index, refusal] of refusals.entries()) {
      const { row } = refusal ?? {};
      // What names no row tells nothing of those behind it either.
      if (refusal === undefined || row === undefined) continue;
      blame(row, refusal);
      const rest = pieces[index]!.filter((candidate) => candidate > row);
      if (rest.length > 0) next.push(rest);
    }
    pieces = next;
  }
}

function cutUp(rows: readonly number[], size: number): (readonly number[])[] {
  const pieces: (readonly number[])[] = [];
  for (let start = 0; start < rows.length; start += size) pieces.push(rows.slice(start, start + size));
  return pieces;
}

/** The pieces that come of one that was refused. */
async function whatIsLeft<E>(
  piece: readonly number[],
  refusal: Refusal<E>,
  hasUnnamed: boolean,
  blame: (row: number, refusal: Refusal<E>) => void,
): Promise<(readonly number[])[]> {
  const row = refusal.row ?? (piece.length === 1 ? piece[0] : undefined);
  if (row !== undefined) {
    blame(row, refusal);
    // Those before it have passed, but for the checks that come after the rows: where any has failed, all of the others once more.
    const rest = piece.filter((candidate) => candidate > row || (hasUnnamed && candidate < row));
    return rest.length === 0 ? [] : [rest];
  }
  const inPiece = new Set(piece);
  const suspects = new Set((await refusal.suspects()).filter((candidate) => inPiece.has(candidate)));
  if (suspects.size === 0 || suspects.size === piece.length) {
    const half = Math.ceil(piece.length / 2);
    return [piece.slice(0, half), piece.slice(half)];
  }
  return [
    ...[...suspects].map((suspect) => [suspect]),
    piece.filter((candidate) => !suspects.has(candidate)),
  ];
}
