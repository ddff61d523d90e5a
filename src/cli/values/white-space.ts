/** White space in UTF-8: what `trim` of JavaScript knows, without line breaks, which count lines. Pure. */

const ASCII = new Set([0x09, 0x0b, 0x0c, 0x20]);
const NO_BREAK_SPACE = 0xc2a0;
/** Three bytes each: Ogham space, U+2000 to U+200A, narrow, medium and ideographic space, and the mark of byte order. */
const THREE_BYTES = new Set([0xe19a80, 0xe280af, 0xe2819f, 0xe38080, 0xefbbbf]);
for (let last = 0x80; last <= 0x8a; last += 1) THREE_BYTES.add(0xe28000 + last);

/** Returns how many bytes the space has that begins here; 0 if none does. */
function spaceAt(bytes: Buffer, at: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return ASCII.has(first) ? 1 : 0;
  if (at + 2 <= bytes.length && bytes.readUInt16BE(at) === NO_BREAK_SPACE) return 2;
  return at + 3 <= bytes.length && THREE_BYTES.has(bytes.readUIntBE(at, 3)) ? 3 : 0;
}

/** Returns where the first character stands that is no white space. @param delimiter is none, either */
export function afterSpaces(bytes: Buffer, start: number, end: number, delimiter: number): number {
  let at = start;
  while (at < end && bytes[at] !== delimiter) {
    const length = spaceAt(bytes, at);
    if (length === 0 || at + length > end) break;
    at += length;
  }
  return at;
}

/** Returns the end without the white space before it. */
export function beforeSpaces(bytes: Buffer, start: number, end: number): number {
  let at = end;
  for (;;) {
    // Most fields end in a letter or digit.
    if (at > start && bytes[at - 1]! > 0x20 && bytes[at - 1]! < 0x80) return at;
    const length = [1, 2, 3].find((each) => at - each >= start && spaceAt(bytes, at - each) === each);
    if (length === undefined) return at;
    at -= length;
  }
}
