/** "Did you mean": the name among others that is most like one that was written. Pure. */

/** Names that are longer are not compared: the comparison takes their product. */
const LONGEST_COMPARED = 200;

/** Returns ` (did you mean "…"?)`, or an empty text if no name is similar. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const found = mostSimilar(name, known);
  return found === undefined ? '' : ` (did you mean ${JSON.stringify(found)}?)`;
}

/** Returns the name that differs least, by case, spaces and signs least of all; undefined if none is similar. */
export function mostSimilar(name: string, known: Iterable<string>): string | undefined {
  const letters = lettersOf(name);
  let best: string | undefined;
  let least = Infinity;
  for (const candidate of known) {
    if (candidate === '') continue;
    const other = lettersOf(candidate);
    const most = Math.floor(Math.max(letters.length, other.length) / 3);
    if (Math.abs(letters.length - other.length) > most || other.length > LONGEST_COMPARED) continue;
    const distance = distanceOf(letters, other);
    if (distance <= most && distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/** In lower case, without what divides words. */
function lettersOf(name: string): string {
  const letters = name.toLowerCase().replace(/[\s_.-]/g, '');
  return letters === '' ? name : letters;
}

/** Damerau-Levenshtein, restricted: the least number of characters to insert, leave out, replace, or swap with their neighbour. */
function distanceOf(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, before[j - 2]! + 1);
      row.push(least);
    }
    [before, last] = [last, row];
  }
  return last[b.length]!;
}
