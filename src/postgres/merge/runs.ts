/** Cuts the rows of the temporary table into runs, by their places there (`(block,row)`, in their order). */

import type { WorkPacer } from '../../common/turn-budget.js';

export interface Run {
  readonly first: string;
  readonly last: string;
  /** What its rows leave out. */
  readonly absent: string;
}

const FIRST_PLACE = '(0,0)';
const LAST_PLACE = '(4294967295,65535)';

/**
 * @param repeats rows whose key an earlier row has, and the places of these: no run holds a key twice
 * @param changes rows from which on other columns are left out than before: the rows of a run leave out the same
 */
export async function cutRuns(
  repeats: readonly { place: string; before: string }[],
  changes: readonly { place: string; absent: string }[],
  pacer: WorkPacer,
): Promise<Run[]> {
  const runs: Run[] = [];
  let first = FIRST_PLACE;
  let absent = '';
  const cutAt = (place: string): void => {
    const last = placeBefore(place);
    // Before the first row there is no run.
    if (last !== FIRST_PLACE) runs.push({ first, last, absent });
    first = place;
  };
  let next = 0;
  const takeChanges = async (until: string): Promise<void> => {
    for (; next < changes.length && comparePlaces(changes[next]!.place, until) <= 0; next += 1) {
      const change = changes[next]!;
      cutAt(change.place);
      absent = change.absent;
      if (pacer.isTurnSpent()) await pacer.nextTurn();
    }
  };
  for (const { place, before } of repeats) {
    await takeChanges(place);
    if (comparePlaces(before, first) >= 0) cutAt(place);
    if (pacer.isTurnSpent()) await pacer.nextTurn();
  }
  await takeChanges(LAST_PLACE);
  runs.push({ first, last: LAST_PLACE, absent });
  return runs;
}

/** A condition for the rows of a run. */
export function whereInRun({ first, last }: Pick<Run, 'first' | 'last'>): string {
  if (first === FIRST_PLACE && last === LAST_PLACE) return '';
  return ` WHERE ctid OPERATOR(pg_catalog.>=) '${first}'::pg_catalog.tid AND ctid OPERATOR(pg_catalog.<=) '${last}'::pg_catalog.tid`;
}

/** The same for a function's two arguments. */
export const WITHIN_ARGUMENTS = ' WHERE ctid OPERATOR(pg_catalog.>=) $1 AND ctid OPERATOR(pg_catalog.<=) $2';

function parsePlace(place: string): [block: number, row: number] {
  const [block, row] = place.slice(1, -1).split(',');
  return [Number(block), Number(row)];
}

function comparePlaces(one: string, other: string): number {
  const [block, row] = parsePlace(one);
  const [otherBlock, otherRow] = parsePlace(other);
  return block - otherBlock || row - otherRow;
}

/** Rows of a block count from 1. */
function placeBefore(place: string): string {
  const [block, row] = parsePlace(place);
  return `(${block},${row - 1})`;
}
