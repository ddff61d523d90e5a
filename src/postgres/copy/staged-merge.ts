/** Brings the rows of the temporary table into the table: in one statement if possible, in runs of different keys, or one by one. */

import { sequence, statement, type Statement } from '../sql/statement.js';
import type { MergePlan } from './merge-plan.js';

/** Runs statements in the batch's transaction. */
export type RunQuery = (statements: Statement) => Promise<{ rows: unknown[] }>;

/** Two rows of one `INSERT … ON CONFLICT DO UPDATE` have the same key. */
const SAME_KEY_TWICE = '21000';
const SAVEPOINT = statement('SAVEPOINT spillway_merge');
const RELEASE = statement('RELEASE SAVEPOINT spillway_merge');
const ROLLBACK_TO = statement('ROLLBACK TO SAVEPOINT spillway_merge');
/** Statements are sent together up to this many. */
const STATEMENTS_TOGETHER = 500;
const FIRST_PLACE = '(0,0)';
const LAST_PLACE = '(4294967295,65535)';

/**
 * One by one is the last resort: where a trigger changes keys, or several indexes have the same columns, the server finds two rows equal that
 * the plan does not.
 */
export async function mergeStaged(query: RunQuery, plan: MergePlan): Promise<void> {
  try {
    await runAll(query, [SAVEPOINT, ...(await statementsFor(query, plan)), RELEASE]);
  } catch (error) {
    if ((error as { code?: unknown }).code !== SAME_KEY_TWICE) throw error;
    await query(ROLLBACK_TO);
    const { rows } = await query(plan.places);
    const places = (rows as { place: string }[]).map(({ place }) => place);
    await runAll(
      query,
      places.map((place) => plan.range(place, place)),
    );
    await query(RELEASE);
  }
}

async function statementsFor(query: RunQuery, plan: MergePlan): Promise<Statement[]> {
  if (plan.last !== undefined) return [plan.last];
  if (plan.repeats === undefined) return [plan.all];
  const { rows } = await query(plan.repeats);
  if (rows.length === 0) return [plan.all];
  return runsOf(rows as { place: string; before: string }[]).map(([first, last]) => plan.range(first, last));
}

/**
 * Cuts the rows into runs in which no key comes twice.
 *
 * @param repeats rows whose key an earlier row has, in their order: their places (`(block,row)`), and those of the rows before them
 */
export function runsOf(
  repeats: readonly { place: string; before: string }[],
): [first: string, last: string][] {
  const runs: [string, string][] = [];
  let first = FIRST_PLACE;
  for (const { place, before } of repeats) {
    if (comparePlaces(before, first) < 0) continue;
    runs.push([first, placeBefore(place)]);
    first = place;
  }
  runs.push([first, LAST_PLACE]);
  return runs;
}

function parsePlace(place: string): [block: number, row: number] {
  const [block, row] = place.slice(1, -1).split(',');
  return [Number(block), Number(row)];
}

function comparePlaces(one: string, other: string): number {
  const [block, row] = parsePlace(one);
  const [otherBlock, otherRow] = parsePlace(other);
  return block - otherBlock || row - otherRow;
}

/** Rows of a block count from 1. */
function placeBefore(place: string): string {
  const [block, row] = parsePlace(place);
  return `(${block},${row - 1})`;
}

async function runAll(query: RunQuery, statements: readonly Statement[]): Promise<void> {
  for (let start = 0; start < statements.length; start += STATEMENTS_TOGETHER) {
    await query(sequence(statements.slice(start, start + STATEMENTS_TOGETHER)));
  }
}
