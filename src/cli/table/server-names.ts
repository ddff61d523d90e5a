/**
 * Names as the server keeps them: cut to its longest name (63 bytes, unless it was built otherwise) at a character boundary.
 *
 * Two names that are equal after the cut get a number at their end. Names that need no cut keep theirs; the others are numbered in the order
 * of their text, so that the order of a header's fields makes no difference.
 */

import type { CopyClient } from '../../postgres/protocol/pool.js';
import { runStatement } from '../../postgres/sql/statement.js';
import { CUT_NAMES } from '../../postgres/sql/table-statements.js';

/** @returns for each of `names` the server's own, all different. `names` must be different. */
export async function serverNames(client: CopyClient, names: readonly string[]): Promise<string[]> {
  return distinctNames(names, await cutNames(client, names));
}

/** @returns for each of `names` the server's own; two may be equal. */
export async function cutNames(client: CopyClient, names: readonly string[]): Promise<string[]> {
  const { rows } = await runStatement(client, CUT_NAMES, [names]);
  return JSON.parse((rows[0] as { names: string | null }).names ?? '[]') as string[];
}

/** Pure. Exported for its test. */
export function distinctNames(names: readonly string[], cut: readonly string[]): string[] {
  const result = [...cut];
  const taken = new Set(names.filter((name, index) => name === cut[index]));
  const places = [...names.keys()].filter((place) => names[place] !== cut[place]);
  places.sort((a, b) => (names[a]! < names[b]! ? -1 : 1));
  for (const place of places) {
    let name = cut[place]!;
    for (let number = 2; taken.has(name); number += 1) name = numbered(cut[place]!, number);
    taken.add(name);
    result[place] = name;
  }
  return result;
}

/** A cut name with a number in place of its last characters. One character has at least one byte, in every encoding. */
export function numbered(cut: string, number: number): string {
  const suffix = `_${number}`;
  return `${Array.from(cut).slice(0, -suffix.length).join('')}${suffix}`;
}
