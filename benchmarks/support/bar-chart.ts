/** A comparison as a picture: a bar for each way, as long as its ratio to the baseline, with a line from the smallest to the largest. */

import { card, COLOURS, escaped, MARGIN, round, textWidth, TOP } from './chart.js';
import type { ComparisonResult } from './comparison.js';
import { isOurs } from './losses.js';
import type { Spread } from './statistics.js';

export interface Bar {
  readonly name: string;
  readonly kind: 'baseline' | 'ours' | 'other';
  /** Nothing where it is not timed. */
  readonly ratio: Spread | undefined;
  /** Why it is not. */
  readonly wrong?: string;
}

/** The longest first; what is wrong comes last and has no bar, what is not installed is left out. */
export function barsOf({ baseline, results }: ComparisonResult): Bar[] {
  const bars = results
    .filter(({ missing }) => missing === undefined)
    .map(({ name, ratio, wrong }): Bar => {
      const kind = name === baseline ? 'baseline' : isOurs(name) ? 'ours' : 'other';
      return { name, kind, ratio, ...(wrong === undefined ? {} : { wrong }) };
    });
  const lengthOf = ({ ratio }: Bar): number => ratio?.median ?? 0;
  return bars.sort((a, b) => lengthOf(b) - lengthOf(a) || (a.name < b.name ? -1 : 1));
}

const BARS = 420;
const ROW = 26;
const VALUE_ROOM = 56;

export function barChart(title: string, subtitle: string, bars: readonly Bar[]): string {
  const labels = MARGIN + Math.max(...bars.map(({ name, kind }) => textWidth(name, kind === 'ours'))) + 8;
  const longest = Math.max(1, ...bars.map(({ ratio }) => ratio?.max ?? 0));
  const width =
    Math.max(labels + BARS + VALUE_ROOM, textWidth(title, true) * 1.23, textWidth(subtitle)) + MARGIN;
  const x = (ratio: number): number => labels + (ratio / longest) * (width - MARGIN - VALUE_ROOM - labels);
  const height = TOP + bars.length * ROW + MARGIN;
  return card(Math.ceil(width), height, title, subtitle, [
    ...bars.map((bar, index) => barOf(bar, TOP + index * ROW, x)),
    // Over the bars, so that each can be held against it, and beneath the words.
    `<line x1="${round(x(1))}" x2="${round(x(1))}" y1="${TOP - 6}" y2="${height - 8}" stroke="#59636e" stroke-dasharray="3 3"/>`,
    ...bars.map((bar, index) => wordsOf(bar, TOP + index * ROW, x)),
  ]);
}

function barOf({ ratio, kind }: Bar, top: number, x: (ratio: number) => number): string {
  if (ratio === undefined) return '';
  const middle = top + 9;
  return [
    `<rect x="${round(x(0))}" y="${top}" width="${round(x(ratio.median) - x(0))}" height="18" fill="${COLOURS[kind]}"/>`,
    `<line x1="${round(x(ratio.min))}" x2="${round(x(ratio.max))}" y1="${middle}" y2="${middle}" stroke="#1f2328"/>`,
  ].join('\n');
}

function wordsOf({ name, ratio, kind, wrong }: Bar, top: number, x: (ratio: number) => number): string {
  const baseLine = top + 14;
  const weight = kind === 'ours' ? ' font-weight="bold"' : '';
  const halo = 'stroke="#ffffff" stroke-width="4" paint-order="stroke"';
  const label = `<text x="${round(x(0) - 8)}" y="${baseLine}" text-anchor="end"${weight}>${escaped(name)}</text>`;
  const value =
    ratio === undefined
      ? `<text x="${round(x(0) + 4)}" y="${baseLine}" fill="#b42318" ${halo}>${escaped(wrong ?? 'no baseline')}</text>`
      : `<text x="${round(x(ratio.max) + 6)}" y="${baseLine}"${weight} ${halo}>${ratio.median.toFixed(2)}</text>`;
  return `${label}\n${value}`;
}
