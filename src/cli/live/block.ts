/**
 * Lays the view out. Pure.
 *
 * ```text
 *   title, cut in its middle                                    elapsed
 *   label   text: parts between commas, the last ones can go    chart
 *   label   text                                                chart
 *   note over the whole width
 * ```
 *
 * Charts go first if it is narrow, then parts of the texts. Below 40 columns, and if it is too low for all lines, it is one line.
 */

import cliTruncate from 'cli-truncate';
import stringWidth from 'string-width';
import { printable } from '../common/terminal.js';
import type { Style, Tone } from './style.js';

export interface Part {
  readonly text: string;
  readonly tone?: Tone;
}

export interface Row {
  readonly label: string;
  /** The most important first. */
  readonly parts: readonly Part[];
  /** Returns the chart for a width. */
  readonly chart?: ((width: number) => string) | undefined;
}

export interface Block {
  readonly title: string;
  readonly elapsed: string;
  readonly rows: readonly Row[];
  /** What is waited for, and what the user should know. */
  readonly notes: readonly Part[];
  /** Everything in one line. */
  readonly short: readonly Part[];
}

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

const LEAST_COLUMNS = 40;
/** Wider ones are harder to read, and wrap when the terminal becomes narrower. */
const MOST_COLUMNS = 96;
const LABEL_COLUMNS = 9;
const TEXT_COLUMNS = 46;
const LEAST_CHART = 10;
const MOST_CHART = 40;
const GAP = 2;
/** With less room than this for text and chart, there is no chart. */
const LEAST_FOR_CHART = 38;

export function layout(block: Block, { columns, rows }: Size, style: Style): string[] {
  // A line that fills the last column wraps on some terminals.
  const width = Math.min(columns, MOST_COLUMNS) - 1;
  if (columns >= LEAST_COLUMNS) {
    const lines = linesOf(block, width, style);
    // The cursor stands in the line below.
    if (lines.length < rows) return lines;
  }
  return [joined([...block.notes.slice(0, 1), ...block.short], Math.max(1, width), style)];
}

function linesOf({ title, elapsed, rows, notes }: Block, width: number, style: Style): string[] {
  const room = width - LABEL_COLUMNS;
  const chartWidth = chartColumns(room);
  const textWidth = chartWidth === 0 ? room : room - chartWidth - GAP;
  return [
    titleLine(title, elapsed, width, style),
    ...rows.map(({ label, parts, chart }) => {
      const text = joined(parts, chart === undefined ? room : textWidth, style);
      const line = style.paint.label(label.padEnd(LABEL_COLUMNS)) + text;
      if (chart === undefined || chartWidth === 0) return line;
      const shown = chart(chartWidth);
      // Trailing spaces would wrap like text.
      if (stringWidth(shown) === 0) return line;
      return line + ' '.repeat(textWidth - stringWidth(text) + GAP) + shown;
    }),
    ...notes.map(({ text, tone = 'plain' }) => style.paint[tone](cut(text, width, style))),
  ];
}

function chartColumns(room: number): number {
  if (room < LEAST_FOR_CHART) return 0;
  return Math.min(MOST_CHART, Math.max(LEAST_CHART, room - TEXT_COLUMNS - GAP));
}

function titleLine(title: string, elapsed: string, width: number, { paint, ...style }: Style): string {
  const room = width - stringWidth(elapsed) - GAP;
  const shown = cut(title, room, style, 'middle');
  const space = ' '.repeat(width - stringWidth(shown) - stringWidth(elapsed));
  return paint.title(shown) + space + paint.label(elapsed);
}

/** As many parts as there is room for, and at least the first one. */
function joined(parts: readonly Part[], width: number, style: Style): string {
  let left = width;
  let line = '';
  for (const [index, { text, tone = 'plain' }] of parts.entries()) {
    const comma = index === 0 ? '' : ', ';
    const shown = index === 0 ? cut(text, left, style) : clean(text);
    const needed = stringWidth(shown) + comma.length;
    if (needed > left) continue;
    left -= needed;
    line += comma + style.paint[tone](shown);
  }
  return line;
}

function cut(
  text: string,
  width: number,
  { isUnicode }: Pick<Style, 'isUnicode'>,
  position: 'middle' | 'end' = 'end',
): string {
  const truncationCharacter = isUnicode ? '…' : '~';
  return cliTruncate(clean(text), Math.max(1, width), { position, truncationCharacter });
}

const clean = printable;
