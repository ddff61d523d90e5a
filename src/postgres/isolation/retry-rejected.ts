/** Rows that were refused, but may pass now that others have landed, or others have been left out. */

import type { Trial } from './refusal.js';

/** Lands what can be landed, and takes it out of `refused`. Together first; in the end one by one, for what stood in their way may be gone. */
export async function landRefused<E>(refused: Map<number, E>, trial: Trial<E>): Promise<void> {
  let rows = [...refused.keys()].toSorted((a, b) => a - b);
  const left: number[] = [];
  while (rows.length > 0) {
    const refusal = await trial(rows);
    if (refusal === undefined) {
      for (const row of rows) refused.delete(row);
      break;
    }
    const meant = new Set(refusal.row === undefined ? await refusal.suspects() : [refusal.row]);
    const rest = rows.filter((row) => !meant.has(row));
    left.push(...rows.filter((row) => meant.has(row) || rest.length === rows.length));
    rows = rest.length === rows.length ? [] : rest;
  }
  await landOneByOne(left, refused, trial);
}

/** Forwards, for of rows with one key the first is to land, and backwards, for rows refer to later ones: as long as either helps. */
async function landOneByOne<E>(
  candidates: number[],
  refused: Map<number, E>,
  trial: Trial<E>,
): Promise<void> {
  let rows = candidates;
  for (let idle = 0; idle < 2 && rows.length > 0;) {
    const left: number[] = [];
    for (const row of rows) {
      if ((await trial([row])) === undefined) refused.delete(row);
      else left.push(row);
    }
    idle = left.length === rows.length ? idle + 1 : 0;
    rows = left.toReversed();
  }
}
