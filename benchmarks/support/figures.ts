/** What is measured as it is and not as a ratio: memory, ages. */

import { loadAverage } from './machine.js';

export interface Figures {
  readonly title: string;
  /** `rounds`: in place of its own number, where it has rounds. */
  measure(progress: (line: string) => void, rounds?: number): Promise<Measured>;
}

export interface Measured {
  readonly header: readonly string[];
  readonly cells: readonly (readonly string[])[];
  readonly caption: string;
  /** The same as numbers, and what was sampled over time: for the JSON. */
  readonly values: unknown;
  /** What is wrong with the result, if anything. */
  readonly wrong?: string;
}

export interface FiguresResult extends Measured {
  readonly title: string;
  readonly load: readonly [number, number];
}

export async function measureFigures(
  figures: Figures,
  progress: (line: string) => void,
  rounds: number | undefined,
): Promise<FiguresResult> {
  const before = loadAverage();
  const measured = await figures.measure(progress, rounds);
  return { title: figures.title, load: [before, loadAverage()], ...measured };
}
