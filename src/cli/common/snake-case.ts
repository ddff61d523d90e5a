/**
 * Names as `--normalize-names` makes them, so that SQL needs no quotes for them. Pure.
 *
 * ```text
 *   Unit Price (EUR) ─▶ unit_price_eur    customerID ─▶ customer_id    HTTPServer ─▶ http_server
 *   Größe ─▶ grosse                       Цена ─▶ цена                 2020 ─▶ _2020
 * ```
 *
 * Letters and digits of every script stay, in lower case; Latin letters lose their accents. All else divides words.
 */

/** Latin letters that are no letter with an accent. */
const LETTERS: Readonly<Record<string, string>> = {
  ...{ ß: 'ss', æ: 'ae', œ: 'oe', þ: 'th' },
  ...{ ø: 'o', ł: 'l', đ: 'd', ð: 'd', ı: 'i', ħ: 'h' },
};

/** A capital begins a word after a small letter, and before one; in `IDs` none does. */
const WORD_BEGINNING = /(?<=\p{Ll})(?=\p{Lu})|(?<=[\p{Lu}\p{N}])(?=\p{Lu}\p{Ll})(?!\p{Lu}s(?!\p{Ll}))/gu;

export function snakeCase(name: string): string {
  const words = name
    .normalize('NFKC')
    .replace(/(?<=\p{L})['’](?=\p{L})/gu, '')
    .replace(WORD_BEGINNING, '_')
    .toLowerCase()
    .replace(/\p{Script=Latin}\p{Mn}*/gu, (letter) => {
      const plain = letter.normalize('NFD').replace(/\p{Mn}/gu, '');
      return LETTERS[plain] ?? plain;
    })
    .replace(/[^\p{L}\p{M}\p{N}]+/gu, '_')
    .replace(/^_|_$/g, '');
  if (words === '') return 'column';
  return /^\p{L}/u.test(words) ? words : `_${words}`;
}

/**
 * Returns the names in snake_case, all different. Names that need no change keep theirs; the others are numbered in the order of their
 * text, so that the order of a header's fields makes no difference.
 *
 * @param names all different
 */
export function snakeCaseNames(names: readonly string[]): string[] {
  const result = names.map(snakeCase);
  const taken = new Set(names.filter((name, index) => name === result[index]));
  const places = [...names.keys()].filter((place) => names[place] !== result[place]);
  places.sort((a, b) => (names[a]! < names[b]! ? -1 : 1));
  for (const place of places) {
    const base = result[place]!;
    for (let number = 2; taken.has(result[place]!); number += 1) result[place] = `${base}_${number}`;
    taken.add(result[place]!);
  }
  return result;
}
