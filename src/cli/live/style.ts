/** Charts, numbers and colours of the view. Colours only repeat what words say. */

import pico from 'picocolors';

export type Tone = 'plain' | 'title' | 'label' | 'chart' | 'good' | 'warn' | 'bad' | 'faint';
type Paint = (text: string) => string;

export interface Style {
  /** Whether the terminal shows more than ASCII. */
  readonly isUnicode: boolean;
  readonly paint: Readonly<Record<Tone, Paint>>;
}

export function createStyle({
  isUnicode,
  hasColours,
}: {
  readonly isUnicode: boolean;
  readonly hasColours: boolean;
}): Style {
  const { bold, dim, cyan, green, yellow, red } = pico.createColors(hasColours);
  return {
    isUnicode,
    paint: {
      plain: String,
      title: bold,
      label: dim,
      chart: cyan,
      good: green,
      warn: yellow,
      bad: (text) => bold(red(text)),
      faint: dim,
    },
  };
}

const BARS = '▁▂▃▄▅▆▇█';
const ASCII_BARS = '_.:-=+*#';

/** One character for each value, by its share of `most`. NaN: a space. */
export function sparkline(values: readonly number[], most: number, { isUnicode }: Style): string {
  const bars = isUnicode ? BARS : ASCII_BARS;
  return values
    .map((value) => (Number.isNaN(value) ? ' ' : bars[levelOf(value, most, bars.length)]))
    .join('');
}

function levelOf(value: number, most: number, levels: number): number {
  if (!(value > 0) || most <= 0) return 0;
  return Math.min(levels - 1, Math.ceil((value / most) * (levels - 1)));
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** How much is done of a whole, from 0 to 1. */
export function bar(share: number, width: number, { isUnicode, paint }: Style): string {
  const eighths = Math.floor(Math.min(1, Math.max(0, share)) * width * (isUnicode ? 8 : 1));
  const full = isUnicode ? Math.floor(eighths / 8) : eighths;
  const part = isUnicode ? EIGHTHS[eighths % 8]! : '';
  const rest = width - full - part.length;
  return (
    paint.chart((isUnicode ? '█' : '#').repeat(full) + part) +
    paint.faint((isUnicode ? '░' : '.').repeat(rest))
  );
}

/** `0.4 ms`, `48 ms`, `1.2 s`. */
export function latency(milliseconds: number): string {
  if (milliseconds < 10) return `${milliseconds.toFixed(1)} ms`;
  return milliseconds < 1_000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1_000).toFixed(1)} s`;
}
