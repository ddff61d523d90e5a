/** Draws charts as SVG without text: labels are HTML beside it, so that they keep their size on a narrow screen. */

import type { Interval } from '../measure/intervals.js';
import { compact } from './format.js';
import { html, NOTHING, type Markup } from './markup.js';
import { roundedUp, ticks } from './ticks.js';

/** Units of the drawing; it is stretched to the width of the page. */
const WIDTH = 600;
const HEIGHT = 100;
const Y_TICKS = 5;
const X_TICKS = 6;

export interface Layer {
  readonly name: string;
  /** The name of its colour in the style sheet. */
  readonly colour: string;
  readonly kind: 'area' | 'line';
  /** One for each interval; undefined: there is none. */
  readonly values: readonly (number | undefined)[];
  /** Where an area begins. Default: at 0. */
  readonly from?: readonly number[];
}

export interface Chart {
  readonly id: string;
  readonly title: string;
  /** What can be seen, in a sentence or two. */
  readonly description: string;
  readonly intervals: readonly Interval[];
  readonly layers: readonly Layer[];
  /** The end of the vertical axis. Default: a round number above all values. */
  readonly top?: number;
  /** @param top the end of the axis, which decides its one unit */
  readonly showValue?: (value: number, top: number) => string;
  /** A strip: without an axis of values. */
  readonly isStrip?: boolean;
  /** Lines go from the middle of one interval to that of the next one. Default: each value holds for its interval. */
  readonly isContinuous?: boolean;
  /** Lines end where there is no value, and begin again behind it. Default: they go on to the next value. */
  readonly hasGaps?: boolean;
  /** The same numbers as a table. */
  readonly numbers: Markup;
}

export function chart(given: Chart): Markup {
  const { id, title, description, intervals, layers, isStrip = false, numbers } = given;
  const most = Math.max(0, ...layers.flatMap(({ values }) => values.map((value) => value ?? 0)));
  const top = given.top ?? roundedUp(most, Y_TICKS);
  const endMs = intervals.at(-1)?.endMs ?? 0;
  const yTicks = isStrip ? [] : ticks(top, Y_TICKS);
  const paths = layers.map((layer) => {
    const path = pathOf(layer, given, endMs, top);
    return html`<path class="${layer.kind} ${layer.colour}" d="${path}" />`;
  });
  const grid = yTicks.map((value) => html`<path class="grid" d="M0,${yOf(value, top)}H${WIDTH}" />`);
  return html`<figure>
    <div class="plot${isStrip ? ' strip' : ''}">
      ${isStrip ? NOTHING : yAxis(yTicks, top, given.showValue ?? compact)}<svg
        role="img"
        aria-labelledby="${id}-title ${id}-text"
        viewBox="0 0 ${WIDTH} ${HEIGHT}"
        preserveAspectRatio="none"
      >
        <title id="${id}-title">${title}</title>
        <desc id="${id}-text">${description}</desc>
        ${grid}${paths}
      </svg>
      ${xAxis(endMs)}
    </div>
    <figcaption>
      ${legend(layers)}
      <p>${description}</p>
    </figcaption>
    <details>
      <summary>Numbers: ${title}</summary>
      ${numbers}
    </details>
  </figure> `;
}

/** An area goes back along its lower edge. */
function pathOf(
  { kind, values, from }: Layer,
  { intervals, isContinuous, hasGaps = false }: Chart,
  endMs: number,
  top: number,
): string {
  /** The points of each interval. Empty: there is no value. */
  const edge = (heights: Layer['values']): string[][] =>
    intervals.map(({ startMs, endMs: stopMs }, index) => {
      const height = heights[index];
      if (height === undefined) return [];
      const at = (ms: number): string =>
        `${fixed(endMs === 0 ? 0 : (WIDTH * ms) / endMs)},${fixed(yOf(height, top))}`;
      return isContinuous === true ? [at((startMs + stopMs) / 2)] : [at(startMs), at(stopMs)];
    });
  const upper = edge(values);
  if (upper.flat().length === 0) return '';
  if (kind === 'line') return lineOf(hasGaps ? upper : [upper.flat()]);
  const lower = edge(from ?? values.map(() => 0)).flat();
  return `M${[...upper.flat(), ...lower.reverse()].join('L')}Z`;
}

/** A line that is broken where there are no points. */
function lineOf(points: readonly (readonly string[])[]): string {
  const parts: string[][] = [[]];
  for (const found of points) {
    if (found.length === 0) parts.push([]);
    else parts.at(-1)!.push(...found);
  }
  return (
    parts
      .filter(({ length }) => length > 0)
      // A single point becomes a dot, by the round ends of its line.
      .map((part) => (part.length === 1 ? `M${part[0]!}h0.1` : `M${part.join('L')}`))
      .join('')
  );
}

/** Without digits that nobody sees. */
const fixed = (value: number): number => Math.round(10 * value) / 10;

const yOf = (value: number, top: number): number => HEIGHT - (HEIGHT * Math.min(value, top)) / top;

function yAxis(values: readonly number[], top: number, show: NonNullable<Chart['showValue']>): Markup {
  const labels = values.map(
    (value) => html`<span style="bottom:${percent(value / top)}">${show(value, top)}</span>`,
  );
  return html`<div class="y" aria-hidden="true">${labels}</div> `;
}

/** With the milliseconds of each, and from how many on it is used. */
const UNITS = [
  ['d', 86_400_000, 172_800_000],
  ['h', 3_600_000, 7_200_000],
  ['min', 60_000, 120_000],
  ['s', 1000, 1000],
  ['ms', 1, 0],
] as const;

/** Time since the beginning, in the one unit that suits its length. */
function xAxis(endMs: number): Markup {
  if (endMs === 0) return NOTHING;
  const [unit, ms] = UNITS.find(([, , from]) => endMs >= from) ?? UNITS.at(-1)!;
  const end = endMs / ms;
  const labels = ticks(end, X_TICKS).map(
    // At the end there is no room for a whole label.
    (value) => html`<span style="left:${percent(value / end)}">${compact(value)} ${unit}</span>`,
  );
  return html`<div class="x" aria-hidden="true">${labels}</div> `;
}

const percent = (share: number): string => `${(100 * share).toFixed(2)}%`;

function legend(layers: readonly Layer[]): Markup {
  if (layers.length < 2) return NOTHING;
  const items = layers.map(
    ({ name, colour, kind }) => html`<li><span class="key ${kind} ${colour}"></span>${name}</li>`,
  );
  return html`<ul class="legend">
    ${items}
  </ul> `;
}
