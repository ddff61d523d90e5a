/** What people read of a worker: its progress, and the summary at its end. Pure. */

import { count, counted, mebibytes, outageOf, showImportId, showTable } from '../load/parts.js';
import type { ConsumeProgress } from '../../postgres/consume/consume-progress.js';
import type { ConsumeReading } from '../live/reading.js';
import type { ConsumeFlags } from '../args/options.js';
import { rateOf, type ConsumeOutcome } from '../report/consume-json.js';

/** @param rowsPerSecond of the last moments */
export function progressLine(reading: ConsumeReading, rowsPerSecond: number): string {
  const { metrics, progress, isStopping, doing = 'preparing', lock } = reading;
  const waits = lock === undefined ? [] : [`waiting for ${lock}`];
  if (metrics === undefined) return [doing, ...waits].join(', ');
  const outage = outageOf(reading);
  const { rowsLoaded, deadLetters, lanesHeld } = metrics;
  const elsewhere = outage === undefined ? (progress?.lanesHeldElsewhere ?? 0) : 0;
  return [
    counted(rowsLoaded, 'row'),
    `${counted(rowsPerSecond, 'row')}/s`,
    // During an outage it is of before.
    ...(progress === undefined || outage !== undefined ? [] : [lagOf(progress)]),
    `${counted(lanesHeld, 'lane')} here${elsewhere === 0 ? '' : ` and ${count(elsewhere)} elsewhere`}`,
    ...(deadLetters > 0 ? [counted(deadLetters, 'dead letter')] : []),
    ...(isStopping ? ['stopping'] : []),
    ...(outage === undefined ? [] : [outage]),
    ...waits,
  ].join(', ');
}

function lagOf({ lagMessages, lagMs }: ConsumeProgress): string {
  if (lagMessages === 0) return 'up to date';
  return `${counted(lagMessages, 'message')} behind (${(lagMs / 1_000).toFixed(1)} s)`;
}

/** Of the view. */
export function titleOf(flags: ConsumeFlags): string {
  return `${streamOf(flags)} into ${showTable(flags.table)}`;
}

/** For the beginning of a log that may go on for months. */
export function startLines(
  flags: ConsumeFlags,
  nats: string,
  label: string,
  notes: readonly string[],
): string[] {
  const into = `${showTable(flags.table)} of ${label}`;
  return [`import ${showImportId(flags.import)}: ${streamOf(flags)} of ${nats} into ${into}`, ...notes];
}

function streamOf({ stream, filter }: ConsumeFlags): string {
  return `stream ${JSON.stringify(stream)}${filter === undefined ? '' : ` (${filter})`}`;
}

export function summaryLines(outcome: ConsumeOutcome, label: string, peakBytes: number): string[] {
  const { flags, metrics, seconds, progress } = outcome;
  const { rowsLoaded, deadLetters, positionsLost, lanesFinished, lanesLost } = metrics;
  const taken = lanesLost === 0 ? '' : `, ${count(lanesLost)} taken over by others`;
  const whole =
    progress === undefined ? '' : `${counted(progress.rowsLoaded, 'row')} in all, ${lagOf(progress)}; `;
  return [
    `${counted(rowsLoaded, 'row')} into ${showTable(flags.table)} of ${label} from ${streamOf(flags)} in ${seconds.toFixed(2)} s: ` +
      `${counted(rateOf(rowsLoaded, seconds), 'row')}/s`,
    `import ${showImportId(flags.import)}: ${whole}${counted(lanesFinished, 'lane')} finished here${taken}; peak memory ${mebibytes(peakBytes)}`,
    ...(deadLetters === 0
      ? []
      : [`${counted(deadLetters, 'dead letter')}: see the table "${flags.deadLetter}"`]),
    ...(positionsLost === 0
      ? []
      : [`${counted(positionsLost, 'position')} of the stream had been deleted before they were loaded`]),
  ];
}
