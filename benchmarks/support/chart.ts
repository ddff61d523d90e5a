/** What the pictures share: a light card, which is readable on a dark page too, with a title and a word about the machine. */

export const TOP = 64;
export const MARGIN = 12;
/** Means of sans-serif letters at 13 pixels, of a wide font. */
const LETTER_WIDTH = 7.1;
const BOLD_LETTER_WIDTH = 8;

export const COLOURS = { baseline: '#8c8c8c', ours: '#1f6feb', other: '#b8c4d6' } as const;

export function card(
  width: number,
  height: number,
  title: string,
  subtitle: string,
  content: readonly string[],
): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="13" fill="#1f2328">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" rx="6" fill="#ffffff"/>`,
    `<text x="${MARGIN}" y="24" font-size="16" font-weight="bold">${escaped(title)}</text>`,
    `<text x="${MARGIN}" y="44" font-size="12" fill="#59636e">${escaped(subtitle)}</text>`,
    ...content,
    '</svg>\n',
  ].join('\n');
}

export const textWidth = (text: string, isBold = false): number =>
  Math.ceil(text.length * (isBold ? BOLD_LETTER_WIDTH : LETTER_WIDTH));

export const round = (value: number): string => value.toFixed(1);

export const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
