/** Retries rejected rows that may be accepted now, after others were inserted or left out. */

import type { Insert } from './refusal.js';

/**
 * Inserts the rows that are accepted now and removes them from `refused`: first all together, because rows that refer to each other are only
 * accepted in one statement, then one by one.
 */
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

/**
 * Goes forwards, because of rows with one key the first is to be inserted, and backwards, because rows may refer to later ones. Ends when
 * neither inserts a row.
 */
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
