/** Which results are drawn, and how. */

import { barChart, barsOf } from './bar-chart.js';
import type { ComparisonResult } from './comparison.js';
import type { FiguresResult } from './figures.js';
import { lineChart, type Series } from './line-chart.js';
import { machineLine, type Machine } from './machine.js';
import type { Result } from './report.js';

export interface SavedResults {
  readonly machine: Machine;
  readonly results: Readonly<Record<string, readonly Result[]>>;
}

export interface Picture {
  /** Of the file, without its ending. */
  readonly name: string;
  readonly picture: string;
}

/** Of these, the first comparison. */
const COMPARISONS = ['copy-objects', 'load-csv', 'load-ndjson', 'write-cost', 'engines'];

/** As far as the results have them. */
export function draw({ machine, results }: SavedResults): Picture[] {
  const subtitle = machineLine(machine);
  const bars = COMPARISONS.flatMap((name): Picture[] => {
    const first = results[name]?.find(isComparison);
    if (first === undefined) return [];
    const title = `${first.title}: ratio to ${first.baseline}`;
    return [{ name, picture: barChart(title, subtitle, barsOf(first)) }];
  });
  const [core, copy, load] = (results['memory'] ?? []).filter((result) => 'cells' in result);
  if (core === undefined || copy === undefined || load === undefined) return bars;
  const heap = [...seriesOf(core), ...seriesOf(copy)];
  return [
    ...bars,
    { name: 'memory-heap', picture: lineChart('Live heap and external memory', subtitle, heap) },
    { name: 'memory-load', picture: lineChart(load.title, subtitle, seriesOf(load)) },
  ];
}

const isComparison = (result: Result): result is ComparisonResult => 'baseline' in result;

/** As memory.ts leaves its samples. */
function seriesOf({ cells, values }: FiguresResult): Series[] {
  if (!Array.isArray(values)) {
    return [{ name: cells[0]![0]!, samples: (values as Pick<Series, 'samples'>).samples }];
  }
  return (values as { rows: number; samples: Series['samples'] }[]).map(({ rows, samples }) => ({
    name: `${rows.toLocaleString('en-GB')} rows`,
    samples,
  }));
}
