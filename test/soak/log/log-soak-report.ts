/** What the soak of a log has seen, in lines, and the reasons why it failed. Pure. */

import { MIB } from '../../../src/common/bytes.js';
import type { Comparison } from './compare-with-stream.js';
import type { FaultCounts, FaultKind } from './plan-faults.js';

export interface LogSoakReport {
  readonly lines: readonly string[];
  readonly reasons: readonly string[];
}

export interface LogSoakFacts {
  readonly messages: number;
  readonly loadMs: number;
  readonly comparison: Comparison;
  readonly planned: FaultCounts;
  readonly done: ReadonlyMap<FaultKind, number>;
  readonly takeovers: readonly { readonly name: string; readonly ms: number }[];
  readonly peakBytes: ReadonlyMap<number, number>;
  readonly troubles: readonly string[];
}

export function describeSoak(facts: LogSoakFacts): LogSoakReport {
  const { messages, loadMs, comparison, planned, done, takeovers, peakBytes, troubles } = facts;
  const kinds = Object.entries(planned).filter(([, count]) => count > 0) as [FaultKind, number][];
  const faults = kinds.map(([kind, count]) => `${done.get(kind) ?? 0} of ${count} × ${kind}`);
  const peaks = [...peakBytes.values()].map((bytes) => bytes / MIB);
  const rows: [string, string][] = [
    ['messages', String(messages)],
    ['faults', faults.join(', ') || 'none'],
    ['rows', String(comparison.rows)],
    ['  duplicates', String(comparison.duplicates)],
    ['  missing', String(comparison.missing)],
    ['dead letters', String(comparison.letters)],
    ['  duplicates', String(comparison.duplicateLetters)],
    ['  missing', String(comparison.missingLetters)],
    ['rows/s', String(Math.round((1_000 * messages) / loadMs))],
    ...takeoverRows(takeovers),
    [`peak memory of ${peaks.length} workers`, `${summary(peaks, 0)} MiB`],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return {
    lines: rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`),
    reasons: [...reasonsOf(comparison), ...missingFaults(kinds, done), ...troubles],
  };
}

function takeoverRows(takeovers: LogSoakFacts['takeovers']): [string, string][] {
  const names = [...new Set(takeovers.map(({ name }) => name))];
  return names.map((name) => {
    const seconds = takeovers.filter((one) => one.name === name).map(({ ms }) => ms / 1_000);
    return [`${seconds.length} takeovers after ${name}`, `${summary(seconds, 2)} s`];
  });
}

function summary(values: readonly number[], digits: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? NaN;
  return `median ${median.toFixed(digits)}, worst ${(sorted.at(-1) ?? NaN).toFixed(digits)}`;
}

function reasonsOf(comparison: Comparison): string[] {
  const counts: Partial<Comparison> = { ...comparison, rows: 0, letters: 0 };
  return Object.entries(counts)
    .filter(([, count]) => count !== 0)
    .map(([name, count]) => `${name}: ${count}`);
}

function missingFaults(
  kinds: readonly [FaultKind, number][],
  done: ReadonlyMap<FaultKind, number>,
): string[] {
  return kinds
    .filter(([kind, count]) => done.get(kind) !== count)
    .map(([kind, count]) => `${kind}: ${done.get(kind) ?? 0} times instead of ${count}`);
}
