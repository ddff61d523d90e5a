/**
 * Rows to which the same may happen as to the one that the server blames, or, where it names none, which its error may mean. Hints only:
 * each is tried before it is blamed. Pure.
 */

import type { WorkPacer } from '../../common/turn-budget.js';
import type { SentRows } from '../rows/sent-rows.js';
import { isSaidOfValues } from '../errors/sqlstate.js';

/** More would cost more than to look for them by slices. */
const MOST_CANDIDATES = 2_000;
/** The more, the fewer rows have a bucket in common by chance. */
const BUCKETS_PER_ROW = 8;
/** In text format. */
const NULL = '\\N';

interface ServerError extends Error {
  code?: unknown;
  detail?: unknown;
  column?: unknown;
}

/**
 * @param row the row that is named, by its place in the batch
 * @param column the column that is named with it
 * @param sent the rows of the slice
 * @param pacer of the work through them
 * @returns places in the batch, in order; none where the error gives no hint
 */
export async function candidateRows(
  error: Error,
  row: number | undefined,
  column: string | undefined,
  sent: SentRows,
  pacer: WorkPacer,
): Promise<number[]> {
  const { code, detail } = error as ServerError;
  const named = column ?? (error as ServerError).column;
  if (code === '23502' && typeof named === 'string')
    return rowsWhere(sent, row, [named], (text) => text === NULL, pacer);
  if (row !== undefined) {
    if (column === undefined || typeof code !== 'string' || !isSaidOfValues(code)) return [];
    return rowsLike(sent, row, column, code, pacer);
  }
  const key = typeof detail === 'string' ? keyOf(detail, sent.layout.names) : undefined;
  if (key === undefined) return [];
  return rowsWhere(sent, undefined, key.columns, (text) => text === key.values, pacer);
}

/**
 * A unique key was refused: rows with the key of an earlier one, each with that one before it. By itself such a row would pass.
 *
 * @returns places in the batch
 */
export async function repeatedKeys(
  error: Error,
  sent: SentRows,
  pacer: WorkPacer,
): Promise<[number, number][]> {
  const { code, detail } = error as ServerError;
  if (code !== '23505' || typeof detail !== 'string') return [];
  const key = keyOf(detail, sent.layout.names);
  if (key === undefined) return [];
  const firsts = new Map<string, number>();
  const pairs: [number, number][] = [];
  for (const row of await rowsOfSharedBuckets(sent, key.columns, pacer)) {
    if (pairs.length === MOST_CANDIDATES) break;
    const text = textOf(sent, row, key.columns)!;
    const first = firsts.get(text);
    if (first === undefined) firsts.set(text, row);
    else pairs.push([first, row]);
    if (pacer.isTurnSpent()) await pacer.nextTurn();
  }
  return pairs;
}

/** All rows whose key may be another's, too, and a few more: a map of all keys would take much more time and memory. */
async function rowsOfSharedBuckets(
  sent: SentRows,
  columns: readonly string[],
  pacer: WorkPacer,
): Promise<number[]> {
  const buckets = new Int32Array(sent.length).fill(-1);
  const counts = new Uint8Array(2 ** Math.ceil(Math.log2(BUCKETS_PER_ROW * sent.length + 1)));
  for (let place = 0; place < sent.length; place += 1) {
    if (pacer.isTurnSpent()) await pacer.nextTurn();
    const text = textOf(sent, sent.rowAt(place), columns);
    if (text === undefined || text === NULL) continue;
    const bucket = hashOf(text) & (counts.length - 1);
    buckets[place] = bucket;
    if (counts[bucket]! < 2) counts[bucket]! += 1;
  }
  const rows: number[] = [];
  for (const [place, bucket] of buckets.entries())
    if (bucket !== -1 && counts[bucket] === 2) rows.push(sent.rowAt(place));
  return rows;
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash ^ (hash >>> 15);
}

/** A value that its type cannot take: those that are written alike. */
async function rowsLike(
  sent: SentRows,
  row: number,
  column: string,
  code: string,
  pacer: WorkPacer,
): Promise<number[]> {
  const blamed = textOf(sent, row, [column]);
  if (blamed === undefined) return [];
  // Too long or too large: what is at least as long.
  const isLong = code === '22001' || code === '22003';
  const shape = shapeOf(blamed);
  const kind = kindOf(blamed);
  const isLike = isLong
    ? (text: string) => text.length >= blamed.length && text !== NULL
    : // Most differ in their first character already, which is seen much faster than a shape.
      (text: string) => kindOf(text) === kind && shapeOf(text) === shape;
  const found = await rowsWhere(sent, undefined, [column], isLike, pacer);
  // Those before it have passed: where one of them is like it, to be like it means nothing.
  return found[0] !== undefined && found[0] < row ? [] : found.filter((candidate) => candidate > row);
}

/** Of the first character: that of letters, of digits, or its own. */
function kindOf(text: string): number {
  const code = text.charCodeAt(0);
  if (code >= 0x30 && code <= 0x39) return 0x39;
  const isLetter = (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) || code > 0x7f;
  return isLetter ? 0x61 : code;
}

/** Digits and letters by kind, runs of them as one. */
function shapeOf(text: string): string {
  return text
    .slice(0, 64)
    .replace(/\p{L}+/gu, 'a')
    .replace(/\d+/g, '9');
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

/** Rows of the slice behind `after` whose columns, joined, fit. */
async function rowsWhere(
  sent: SentRows,
  after: number | undefined,
  columns: readonly string[],
  fits: (text: string) => boolean,
  pacer: WorkPacer,
): Promise<number[]> {
  const rows: number[] = [];
  for (let place = 0; place < sent.length && rows.length < MOST_CANDIDATES; place += 1) {
    const row = sent.rowAt(place);
    if (after !== undefined && row <= after) continue;
    if (pacer.isTurnSpent()) await pacer.nextTurn();
    const text = textOf(sent, row, columns);
    if (text !== undefined && fits(text)) rows.push(row);
  }
  return rows;
}

function textOf(sent: SentRows, row: number, columns: readonly string[]): string | undefined {
  try {
    if (columns.length === 1) return sent.textOf(row, columns[0]);
    return columns.map((column) => sent.textOf(row, column)).join(', ');
  } catch {
    // A row that cannot even be written is none that the server has seen.
    return undefined;
  }
}
