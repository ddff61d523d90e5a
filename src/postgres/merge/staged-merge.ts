/** Moves the rows of the temporary table into the table: in one statement if possible, in runs, or one by one. */

import { forEachInTurns, type WorkPacer } from '../../common/turn-budget.js';
import { sequence, statement, type Statement } from '../sql/statement.js';
import { quoteLiteral } from '../sql/identifiers.js';
import { MOST_GROUPS } from './absent-values.js';
import type { MergePlan } from './merge-plan.js';
import { cutRuns, type Run } from './runs.js';

/** Runs statements in the batch's transaction. */
export type RunQuery = (statements: Statement) => Promise<{ rows: unknown[] }>;

/** Two rows of one `INSERT … ON CONFLICT DO UPDATE` have the same key. */
const SAME_KEY_TWICE = '21000';
const SAVEPOINT = statement('SAVEPOINT spillway_merge');
const RELEASE = statement('RELEASE SAVEPOINT spillway_merge');
const ROLLBACK_TO = statement('ROLLBACK TO SAVEPOINT spillway_merge');
/** Statements are sent together up to this many. */
const STATEMENTS_TOGETHER = 500;

/**
 * One by one is the last resort. If a trigger changes keys, or several indexes have the same columns, the server finds two rows equal that the
 * plan does not.
 */
export async function mergeStaged(query: RunQuery, plan: MergePlan, pacer: WorkPacer): Promise<void> {
  const statements = await statementsFor(query, plan, pacer);
  if (!plan.mayRepeat) return runAll(query, statements);
  try {
    await runAll(query, [SAVEPOINT, ...statements, RELEASE]);
  } catch (error) {
    if ((error as { code?: unknown }).code !== SAME_KEY_TWICE) throw error;
    await query(ROLLBACK_TO);
    const { rows } = await query(plan.places);
    const runs = (rows as { place: string; absent: string }[]).map(({ place, absent }) => ({
      first: place,
      last: place,
      absent,
    }));
    const oneByOne = await insertRuns(plan, runs, pacer);
    await runAll(query, [...oneByOne, RELEASE]);
  }
}

async function statementsFor(query: RunQuery, plan: MergePlan, pacer: WorkPacer): Promise<Statement[]> {
  if (plan.last !== undefined) return [plan.last];
  const repeats = plan.repeats === undefined ? [] : (await query(plan.repeats)).rows;
  const changes = plan.changes === undefined ? [] : (await query(plan.changes)).rows;
  const runs = await cutRuns(
    repeats as { place: string; before: string }[],
    changes as { place: string; absent: string }[],
    pacer,
  );
  if (!plan.isOrdered && runs.length > MOST_GROUPS) return byAbsentList(plan, runs);
  return insertRuns(plan, runs, pacer);
}

async function insertRuns(plan: MergePlan, runs: readonly Run[], pacer: WorkPacer): Promise<Statement[]> {
  const statements: Statement[] = [];
  await forEachInTurns(runs.length, (index) => statements.push(plan.insertRun(runs[index]!)), pacer);
  return statements;
}

/** The rows of all runs that leave out the same. */
function byAbsentList({ insert, absent }: MergePlan, runs: readonly Run[]): Statement[] {
  const lists = [...new Set(runs.map((run) => run.absent))];
  return lists.map((list) => insert(list, ` WHERE ${absent} OPERATOR(pg_catalog.=) ${quoteLiteral(list)}`));
}

async function runAll(query: RunQuery, statements: readonly Statement[]): Promise<void> {
  for (let start = 0; start < statements.length; start += STATEMENTS_TOGETHER) {
    await query(sequence(statements.slice(start, start + STATEMENTS_TOGETHER)));
  }
}
