/** Words that stand for true and false, in pairs, in any case of their letters. Pure. */

export type BooleanPair = readonly [yes: string, no: string];

export const BOOLEAN_PAIRS: readonly BooleanPair[] = [
  ['true', 'false'],
  ['yes', 'no'],
  ['on', 'off'],
  ['t', 'f'],
  ['y', 'n'],
];

const PAIRS = new Map(BOOLEAN_PAIRS.flatMap((pair) => pair.map((word) => [word, pair] as const)));
/** In characters. */
const LONGEST_WORD = 5;

/** Returns the pair that a word belongs to. */
export function pairOf(text: string): BooleanPair | undefined {
  return text.length > LONGEST_WORD ? undefined : PAIRS.get(text.toLowerCase());
}

/** Returns `true` or `false`; undefined for a word of another pair. */
export function readBoolean(text: string, [yes, no]: BooleanPair): 'true' | 'false' | undefined {
  if (text.length > LONGEST_WORD) return undefined;
  const word = text.toLowerCase();
  if (word === yes) return 'true';
  return word === no ? 'false' : undefined;
}
