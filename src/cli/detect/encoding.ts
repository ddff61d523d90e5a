/** Detects how text is encoded, by a sample of its bytes. */

import { isAscii, isUtf8 } from 'node:buffer';
import { createDecoder } from '../common/text-decoder.js';
import { plausibility } from './western.js';
import { choose, type Choice, type Scored } from './likelihood.js';

/** Byte order marks. */
const MARKS: readonly (readonly [number[], string])[] = [
  [[0xef, 0xbb, 0xbf], 'utf-8'],
  [[0xff, 0xfe], 'utf-16le'],
  [[0xfe, 0xff], 'utf-16be'],
];

const WESTERN = ['windows-1252', 'macintosh', 'windows-1250'] as const;
/** Below it, no encoding is believed. */
const LEAST_PLAUSIBILITY = 0.6;
/** Bytes beyond ASCII that are looked at. */
const MOST_BYTES = 16 * 1024;
/** Letters of other scripts stand next to each other; in Western text three in a row are rare. */
const FOREIGN_RUN = 3;
const FOREIGN_SHARE = 0.3;
/** Of chardet, from 0 to 100. */
const LEAST_CONFIDENCE = 30;

/**
 * Returns the encodings, best first: labels of the WHATWG Encoding Standard.
 *
 * @param isWhole the sample ends with the file; otherwise its last character may be cut
 * @returns undefined if no encoding fits
 */
export async function detectEncoding(sample: Buffer, isWhole: boolean): Promise<Choice<string> | undefined> {
  const marked = MARKS.find(([mark]) => mark.every((byte, at) => sample[at] === byte));
  if (marked !== undefined) return { best: marked[1], rival: undefined };
  const wide = wideEncoding(sample);
  if (wide !== undefined) return { best: wide, rival: undefined };
  if (isAscii(sample) || isMostlyUtf8(isWhole ? sample : withoutCutCharacter(sample)))
    return { best: 'utf-8', rival: undefined };
  const bytes = beyondAscii(sample);
  return foreignShare(bytes) > FOREIGN_SHARE ? detectForeign(bytes) : detectWestern(bytes);
}

/** Fewer may be values. */
const LEAST_ZEROS = 2;

/**
 * UTF-16 without a mark: every other byte of what is ASCII is 0. Few other characters have such a byte, and no text has U+0000. At least
 * line ends and delimiters are ASCII.
 */
function wideEncoding(sample: Buffer): string | undefined {
  const bytes = sample.subarray(0, Math.min(sample.length, 4096) & ~1);
  const zeros = [0, 0];
  for (let at = 0; at < bytes.length; at += 1) if (bytes[at] === 0) zeros[at & 1]! += 1;
  const [even, odd] = zeros as [number, number];
  const [rarer, usual] = [Math.min(even, odd), Math.max(even, odd)];
  if (usual < LEAST_ZEROS || usual < 0.05 * (bytes.length / 2) || rarer > usual / 3) return undefined;
  const encoding = odd > even ? 'utf-16le' : 'utf-16be';
  // A damaged character is an error of this encoding, and not another one.
  return new TextDecoder(encoding).decode(bytes).includes('\0') ? undefined : encoding;
}

/** Valid, or damaged in a few places, which are errors and not another encoding. */
function isMostlyUtf8(bytes: Buffer): boolean {
  if (isUtf8(bytes)) return true;
  const text = bytes.toString('utf8');
  let replaced = 0;
  let valid = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0xfffd) replaced += 1;
    else if (code > 0x7f) valid += 1;
  }
  return valid > 10 * replaced;
}

function withoutCutCharacter(bytes: Buffer): Buffer {
  for (let back = 1; back <= 3 && back <= bytes.length; back += 1) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) break;
    if (byte >= 0xc0) return bytes.subarray(0, bytes.length - back);
  }
  return bytes;
}

/** The lines that have bytes beyond ASCII: the others say nothing. */
function beyondAscii(sample: Buffer): Buffer {
  const lines: Buffer[] = [];
  let bytes = 0;
  for (let at = 0; at < sample.length && bytes < MOST_BYTES;) {
    while (at < sample.length && sample[at]! < 0x80) at += 1;
    if (at === sample.length) break;
    const start = Math.max(at - 200, sample.lastIndexOf(0x0a, at) + 1, sample.lastIndexOf(0x0d, at) + 1);
    let end = at;
    while (end < sample.length && end < at + 400 && sample[end] !== 0x0a && sample[end] !== 0x0d) end += 1;
    lines.push(sample.subarray(start, end), Buffer.from('\n'));
    bytes += end - start;
    at = end;
  }
  return Buffer.concat(lines);
}

/** The share of bytes beyond ASCII that stand three or more in a row. */
function foreignShare(bytes: Buffer): number {
  let found = 0;
  let inRuns = 0;
  let run = 0;
  for (let at = 0; at <= bytes.length; at += 1) {
    if (at < bytes.length && bytes[at]! >= 0x80) {
      run += 1;
      continue;
    }
    found += run;
    if (run >= FOREIGN_RUN) inRuns += run;
    run = 0;
  }
  return found === 0 ? 0 : inRuns / found;
}

async function detectWestern(bytes: Buffer): Promise<Choice<string> | undefined> {
  const scored: Scored<string>[] = [];
  for (const encoding of WESTERN) {
    const text = decode(bytes, encoding);
    // The order of the list decides between equals.
    if (text !== undefined) scored.push({ value: encoding, score: plausibility(text) });
  }
  const isSame = (a: string, b: string) => decode(bytes, a) === decode(bytes, b);
  const choice = choose(scored, isSame);
  const best = scored.find(({ value }) => value === choice?.best);
  if (best === undefined || best.score < LEAST_PLAUSIBILITY) return detectForeign(bytes);
  if (choice?.rival === undefined) return choice;
  return settleWestern(bytes, scored);
}

/**
 * Two of them fit. Most files in Western languages are windows-1252, unless the language itself speaks for another encoding.
 */
async function settleWestern(bytes: Buffer, scored: readonly Scored<string>[]): Promise<Choice<string>> {
  const [first] = scored.toSorted((a, b) => b.score - a.score);
  const usual = scored.find(({ value }) => value === 'windows-1252');
  if (usual === undefined || usual.score < first!.score - 0.05) {
    return { best: first!.value, rival: usual?.value };
  }
  const language = (await byLanguage(bytes)).at(0);
  const isCentral =
    language !== undefined && CENTRAL.has(language.value) && language.score > LEAST_CONFIDENCE;
  return { best: 'windows-1252', rival: isCentral ? 'windows-1250' : undefined };
}

const CENTRAL = new Set(['iso-8859-2', 'windows-1250']);

/** Encodings of Latin letters, which come one by one. */
const LATIN = /^(?:iso-8859-(?:1|2|9)|windows-125[024])$/;

async function detectForeign(bytes: Buffer): Promise<Choice<string> | undefined> {
  const scored = (await byLanguage(bytes)).filter(({ value }) => !LATIN.test(value));
  const choice = choose(scored, (a, b) => decode(bytes, a) === decode(bytes, b));
  if (choice === undefined) return undefined;
  const best = scored.find(({ value }) => value === choice.best)!;
  return best.score < LEAST_CONFIDENCE ? undefined : choice;
}

/** By the frequency of a language's letters and bytes. */
async function byLanguage(bytes: Buffer): Promise<Scored<string>[]> {
  // Loaded only for text that is not UTF-8.
  const { default: chardet } = await import('chardet');
  return chardet
    .analyse(bytes)
    .map(({ name, confidence }) => ({ value: name.toLowerCase(), score: confidence }))
    .filter(({ value }) => !value.startsWith('utf-') && decode(bytes, value) !== undefined);
}

/** Returns undefined if the bytes are not of this encoding, or if it is not known. */
function decode(bytes: Buffer, encoding: string): string | undefined {
  try {
    const decoder = createDecoder(encoding);
    const text = decoder.decode(bytes) + decoder.end();
    // The Encoding Standard decodes bytes that an encoding leaves open to control characters.
    return /[\u0080-\u009f]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}
