/** Percent-decoding as libpq does it: bytes, not characters, and no plus sign for a space. Pure. */

/** @returns `undefined` for a percent sign without two hexadecimal digits, for `%00`, and for bytes that are not UTF-8 */
export function percentDecode(text: string): string | undefined {
  if (!text.includes('%')) return text;
  if (/%(?![0-9A-Fa-f]{2})|%00/.test(text)) return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
