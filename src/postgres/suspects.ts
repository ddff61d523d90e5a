/** Where the server names no row: the rows that its error seems to mean. A hint only, for each is tried before it is blamed. Pure. */

import type { SentRows } from './sent-rows.js';

/** More would cost more than to look for them by halves. */
const MOST_SUSPECTS = 1_000;

interface ServerError extends Error {
  code?: unknown;
  detail?: unknown;
  column?: unknown;
}

/** @returns places in the batch, in order; none where the error gives no hint */
export function suspectRows(error: Error, sent: SentRows): number[] {
  const { code, detail, column } = error as ServerError;
  // NOT NULL: the column is named.
  if (code === '23502' && typeof column === 'string') return rowsWith(sent, [column], '\\N');
  const key = typeof detail === 'string' ? keyOf(detail, sent.layout.names) : undefined;
  return key === undefined ? [] : rowsWith(sent, key.columns, key.values);
}

/** `Key (a, b)=(1, x) …`, in any language: foreign, unique and exclusion keys. */
function keyOf(
  detail: string,
  names: readonly string[],
): { columns: readonly string[]; values: string } | undefined {
  const found = /\(([^()]*)\)=\((.*)\)/s.exec(detail);
  if (found === null) return undefined;
  const columns = found[1]!.split(', ').map((name) => name.replace(/^"(.*)"$/s, '$1').replaceAll('""', '"'));
  return columns.every((name) => names.includes(name)) ? { columns, values: found[2]! } : undefined;
}

function rowsWith(sent: SentRows, columns: readonly string[], values: string): number[] {
  const rows: number[] = [];
  for (let place = 0; place < sent.length && rows.length < MOST_SUSPECTS; place += 1) {
    const row = sent.rowAt(place);
    if (textOf(sent, row, columns) === values) rows.push(row);
  }
  return rows;
}

function textOf(sent: SentRows, row: number, columns: readonly string[]): string | undefined {
  try {
    return columns.map((column) => sent.textOf(row, column)).join(', ');
  } catch {
    // A row that cannot even be written is none that the server has seen.
    return undefined;
  }
}
