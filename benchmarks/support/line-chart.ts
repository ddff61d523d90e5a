/** What was sampled over time as a picture: a line for each series, its name at its end. */

import { card, escaped, MARGIN, round, textWidth, TOP } from './chart.js';

export interface Series {
  readonly name: string;
  readonly samples: readonly { readonly atMs: number; readonly mib: number }[];
}

const WIDTH = 560;
const HEIGHT = 260;
const AXIS = 72;
const LINES = ['#1f6feb', '#9a6700', '#8250df', '#1a7f37'];

export function lineChart(title: string, subtitle: string, series: readonly Series[]): string {
  const points = series.flatMap(({ samples }) => samples);
  const end = niceAbove(Math.max(1e-3, ...points.map(({ atMs }) => atMs / 1000)));
  const top = niceAbove(Math.max(1, ...points.map(({ mib }) => mib)));
  const x = (seconds: number): number => AXIS + (seconds / end) * WIDTH;
  const y = (mib: number): number => TOP + HEIGHT - (mib / top) * HEIGHT;
  const names = Math.max(...series.map(({ name }) => textWidth(name)));
  const width =
    Math.max(AXIS + WIDTH + 10 + names, textWidth(title, true) * 1.23, textWidth(subtitle)) + MARGIN;
  return card(Math.ceil(width), TOP + HEIGHT + 46, title, subtitle, [
    ...ticks(top).map((mib) => gridLine(mib, y(mib))),
    ...ticks(end).map(
      (seconds) =>
        `<text x="${round(x(seconds))}" y="${TOP + HEIGHT + 18}" text-anchor="middle" font-size="12" fill="#59636e">${seconds} s</text>`,
    ),
    ...nameHeights(series, y).map(([one, height], index) =>
      line(one, height, LINES[index % LINES.length]!, x, y),
    ),
  ]);
}

function gridLine(mib: number, height: number): string {
  const right = AXIS + WIDTH;
  return [
    `<line x1="${AXIS}" x2="${right}" y1="${round(height)}" y2="${round(height)}" stroke="#d1d9e0"/>`,
    `<text x="${AXIS - 6}" y="${round(height + 4)}" text-anchor="end" font-size="12" fill="#59636e">${mib} MiB</text>`,
  ].join('\n');
}

function line(
  { name, samples }: Series,
  nameHeight: number,
  colour: string,
  x: (seconds: number) => number,
  y: (mib: number) => number,
): string {
  const path = samples.map(({ atMs, mib }) => `${round(x(atMs / 1000))},${round(y(mib))}`).join(' ');
  return [
    `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="1.8"/>`,
    `<text x="${round(AXIS + WIDTH + 8)}" y="${round(nameHeight + 4)}" fill="${colour}">${escaped(name)}</text>`,
  ].join('\n');
}

const NAME_GAP = 17;

/** At the height of the last sample, but never on top of another name: the higher ones give way upwards. */
function nameHeights(series: readonly Series[], y: (mib: number) => number): [Series, number][] {
  const wanted = series.map((one): [Series, number] => [one, y(one.samples.at(-1)?.mib ?? 0)]);
  const upwards = [...wanted].sort((a, b) => b[1] - a[1]);
  for (let place = 1; place < upwards.length; place += 1) {
    upwards[place]![1] = Math.min(upwards[place]![1], upwards[place - 1]![1] - NAME_GAP);
  }
  return wanted;
}

const TICKS = 5;

const ticks = (end: number): number[] =>
  Array.from({ length: TICKS + 1 }, (_, place) => Number(((end / TICKS) * place).toPrecision(3)));

/** The next of 1, 2, 5, 10, 20, 50 … times a number that the ticks divide well. */
function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 1.5, 2, 3, 5, 10].find((factor) => factor * power >= value)!;
}
