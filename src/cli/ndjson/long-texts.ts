/** Lets a reader of JSON that goes character by character pass over long texts. Pure, but for a mark that is made at the start. */

import { randomUUID } from 'node:crypto';
import { WrittenNumber } from './written-number.js';

/** In characters. Such a reader joins a text from its characters, which takes 40 bytes for each. */
const LONG_TEXT = 4096;
/** Begins what stands for a long text. Nobody who writes a file knows it. */
const MARK = `${randomUUID()} `;

/**
 * Parses a line that is known to be JSON with `parse`, to which short texts stand for the long ones; these are read by `JSON.parse`, which
 * copies them as a whole.
 */
export function parseBesideLongTexts(line: string, parse: (text: string) => unknown): unknown {
  if (line.length < LONG_TEXT) return parse(line);
  const texts: string[] = [];
  let short = '';
  let from = 0;
  for (let start = line.indexOf('"'), end; start !== -1; start = line.indexOf('"', end)) {
    end = endOfText(line, start);
    if (end - start < LONG_TEXT) continue;
    short += `${line.slice(from, start)}"${MARK}${texts.length}"`;
    texts.push(line.slice(start, end));
    from = end;
  }
  return texts.length === 0 ? parse(line) : withTexts(parse(short + line.slice(from)), texts);
}

/** Past the quote that ends the text. @param start of the quote that begins it */
function endOfText(line: string, start: number): number {
  for (let quote = line.indexOf('"', start + 1); ; quote = line.indexOf('"', quote + 1)) {
    let backslashes = 0;
    while (line[quote - 1 - backslashes] === '\\') backslashes += 1;
    if (backslashes % 2 === 0) return quote + 1;
  }
}

function withTexts(value: unknown, texts: readonly string[]): unknown {
  if (typeof value === 'string') return longText(value, texts);
  if (typeof value !== 'object' || value === null || value instanceof WrittenNumber) return value;
  if (Array.isArray(value)) return value.map((element) => withTexts(element, texts));
  // In place of assignments, for a key may be __proto__.
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [longText(key, texts), withTexts(member, texts)]),
  );
}

function longText(text: string, texts: readonly string[]): string {
  return text.startsWith(MARK) ? (JSON.parse(texts[Number(text.slice(MARK.length))]!) as string) : text;
}
