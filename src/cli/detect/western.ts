/**
 * Judges how well text fits a Western encoding of one byte a character: by where its letters and signs stand. Pure.
 *
 * Read in the wrong encoding, letters become signs or capitals in the midst of words: `caf\xe9` is "café" in windows-1252 and "cafÈ" in
 * macintosh.
 */

const LETTER = /\p{L}/u;
const LOWER = /\p{Ll}/u;
const UPPER = /\p{Lu}/u;
const DIGIT = /\d/;
/** Letters that Western languages hardly use: each is another letter in an encoding of other languages. */
const RARE = new Set('ðþýìòùœÿžšƒıÐÞÝÌÒÙŒŸŽŠˆ');

/** Returns the share of the characters beyond ASCII that stand where they may, from 0 to 1. */
export function plausibility(text: string): number {
  let found = 0;
  let plausible = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (text.charCodeAt(at) < 0x80) continue;
    found += 1;
    plausible += weightOf(text[at]!, text[at - 1] ?? '', text[at + 1] ?? '');
  }
  return found === 0 ? 1 : plausible / found;
}

function weightOf(character: string, before: string, after: string): number {
  const between = LETTER.test(before) && LETTER.test(after);
  if (LETTER.test(character) && !'ªº'.includes(character)) {
    const isRare = RARE.has(character) ? 0.5 : 1;
    if (UPPER.test(character)) {
      // A capital begins a word, or stands among capitals.
      if (LOWER.test(before) || (LETTER.test(before) && LOWER.test(after))) return 0;
      return LETTER.test(before) || LETTER.test(after) ? isRare : 0.5;
    }
    if (DIGIT.test(before) || DIGIT.test(after)) return 0.3;
    return LETTER.test(before) || LETTER.test(after) ? isRare : 0.7;
  }
  if (character === '’') return LETTER.test(before) || DIGIT.test(before) ? 1 : 0.5;
  if ('“„«‘'.includes(character)) return LETTER.test(before) ? 0 : 1;
  if ('”»'.includes(character)) return LETTER.test(after) || /\s/.test(before) ? 0 : 1;
  if ('–—…• '.includes(character)) return 1;
  if ('°²³ªº½¼¾±×'.includes(character)) return between ? 0 : 1;
  if ('€£¥¢'.includes(character)) return between ? 0 : 1;
  if ('®©™§¶·†‡¿¡'.includes(character)) return between ? 0 : 0.9;
  return 0.1;
}
