/** Rows that were refused, but may pass now that others have inserted, or others have been left out. */

import type { Insert } from './refusal.js';

/** Lands what can be inserted, and takes it out of `refused`. Together first; in the end one by one, for what stood in their way may be gone. */
export async function retryRejected<E>(refused: Map<number, E>, insert: Insert<E>): Promise<void> {
  let rows = [...refused.keys()].toSorted((a, b) => a - b);
  const left: number[] = [];
  while (rows.length > 0) {
    const refusal = await insert(rows);
    if (refusal === undefined) {
      for (const row of rows) refused.delete(row);
      break;
    }
    const meant = new Set(refusal.row === undefined ? await refusal.candidates() : [refusal.row]);
    const rest = rows.filter((row) => !meant.has(row));
    left.push(...rows.filter((row) => meant.has(row) || rest.length === rows.length));
    rows = rest.length === rows.length ? [] : rest;
  }
  await retryOneByOne(left, refused, insert);
}

/** Forwards, for of rows with one key the first is to land, and backwards, for rows refer to later ones: as long as either helps. */
async function retryOneByOne<E>(
  candidates: number[],
  refused: Map<number, E>,
  insert: Insert<E>,
): Promise<void> {
  let rows = candidates;
  for (let idle = 0; idle < 2 && rows.length > 0;) {
    const left: number[] = [];
    for (const row of rows) {
      if ((await insert([row])) === undefined) refused.delete(row);
      else left.push(row);
    }
    idle = left.length === rows.length ? idle + 1 : 0;
    rows = left.toReversed();
  }
}
