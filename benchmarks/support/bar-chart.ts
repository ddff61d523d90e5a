/** A comparison as a picture: a bar for each way, as long as its ratio to the baseline, with a line from the smallest to the largest. */

import type { ComparisonResult } from './comparison.js';
import { isOurs } from './losses.js';
import type { Machine } from './machine.js';
import type { Result } from './report.js';
import type { Spread } from './statistics.js';

export interface SavedResults {
  readonly machine: Machine;
  readonly results: Readonly<Record<string, readonly Result[]>>;
}

export interface Bar {
  readonly name: string;
  readonly ratio: Spread;
  readonly kind: 'baseline' | 'ours' | 'other';
}

/** Of a benchmark's first comparison, the longest first; what is wrong or missing has no bar. */
export function barsOf({ results }: SavedResults, benchmark: string): Bar[] {
  const { baseline, results: candidates } = comparisonOf(results, benchmark);
  const bars = candidates.flatMap(({ name, ratio }): Bar[] => {
    if (ratio === undefined) return [];
    return [{ name, ratio, kind: name === baseline ? 'baseline' : isOurs(name) ? 'ours' : 'other' }];
  });
  return bars.sort((a, b) => b.ratio.median - a.ratio.median || (a.name < b.name ? -1 : 1));
}

export function comparisonOf(results: SavedResults['results'], benchmark: string): ComparisonResult {
  const first = results[benchmark]?.[0];
  if (first === undefined || !('baseline' in first)) throw new Error(`no comparison of ${benchmark}`);
  return first;
}

const WIDTH = 900;
const LABELS = 420;
const ROW = 26;
const TOP = 64;
const VALUE_ROOM = 60;
const COLOURS = { baseline: '#8c8c8c', ours: '#1f6feb', other: '#b8c4d6' } as const;

export function barChart(title: string, subtitle: string, bars: readonly Bar[]): string {
  const longest = Math.max(1, ...bars.map(({ ratio }) => ratio.max));
  const x = (ratio: number): number => LABELS + (ratio / longest) * (WIDTH - LABELS - VALUE_ROOM);
  const height = TOP + bars.length * ROW + 12;
  const rows = bars.map((bar, index) => rowOf(bar, TOP + index * ROW, x));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13">`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    `<text x="12" y="24" font-size="16" font-weight="bold">${escaped(title)}</text>`,
    `<text x="12" y="44" fill="#555555">${escaped(subtitle)}</text>`,
    `<line x1="${round(x(1))}" x2="${round(x(1))}" y1="${TOP - 6}" y2="${height - 8}" stroke="#8c8c8c" stroke-dasharray="3 3"/>`,
    ...rows,
    '</svg>\n',
  ].join('\n');
}

function rowOf({ name, ratio, kind }: Bar, top: number, x: (ratio: number) => number): string {
  const middle = top + 9;
  return [
    `<text x="${LABELS - 8}" y="${top + 14}" text-anchor="end"${kind === 'ours' ? ' font-weight="bold"' : ''}>${escaped(name)}</text>`,
    `<rect x="${LABELS}" y="${top}" width="${round(x(ratio.median) - LABELS)}" height="18" fill="${COLOURS[kind]}"/>`,
    `<line x1="${round(x(ratio.min))}" x2="${round(x(ratio.max))}" y1="${middle}" y2="${middle}" stroke="#222222"/>`,
    `<text x="${round(Math.max(x(ratio.max), x(ratio.median)) + 6)}" y="${top + 14}">${ratio.median.toFixed(2)}</text>`,
  ].join('\n');
}

const round = (value: number): string => value.toFixed(1);

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
