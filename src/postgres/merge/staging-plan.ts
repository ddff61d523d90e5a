/** Plans the temporary table, and how its rows are merged into the table. Names are quoted; values never become part of a statement. Pure. */

import type { ConflictRule, PlanRequest } from './plan-request.js';
import { quoteIdentifier, quoteTable } from '../sql/identifiers.js';
import type { CopyClient } from '../protocol/pool.js';
import { sequence, statement, type Statement } from '../sql/statement.js';
import { describeConflict, type ConflictTarget } from '../table/conflict-target.js';
import { bindMerge } from './bound-merge.js';
import { planMerge, planUpdate, type MergePlan } from './merge-plan.js';

export interface Staging {
  /** Once in a transaction, before the first COPY. */
  readonly create: Statement;
  /** Before each further COPY. */
  readonly empty: Statement;
  /** After each COPY: its rows go into the table. */
  readonly merge: MergePlan;
  /** Set if `merge` contains SQL that the server has written. It is read again and bound before each merge. See `bound-merge.ts`. */
  readonly planAgain: ((client: Pick<CopyClient, 'query'>) => Promise<MergePlan>) | undefined;
}

/** The temporary table's name. It is in `pg_temp`, so it hides no other table and belongs to this session only. */
export const STAGING_TABLE = 'spillway_batch';
export const STAGING = quoteTable('pg_temp', STAGING_TABLE);

/** @param absentColumn lists the columns that a row leaves out */
export function planStaging(request: PlanRequest, absentColumn: string | undefined): Staging {
  const { conflict, conflictTarget } = request;
  return {
    // In an outer transaction, the last batch's table is still there, and maybe functions that depend on it.
    create: sequence([
      statement(`DROP TABLE IF EXISTS ${STAGING} CASCADE`),
      ...definition(request, absentColumn),
    ]),
    // Not DELETE: in a fresh table the rows' places (ctid) are in the order in which they came.
    empty: statement(`TRUNCATE ${STAGING}`),
    merge: planRows(request, absentColumn, conflictTarget),
    planAgain:
      conflict.onConflict !== 'error' && conflictTarget?.hasExpressions === true
        ? (client) =>
            bindMerge(client, request.table, async () => {
              const target = await describeConflict(client, request, conflict.key!);
              const plan = planRows(request, absentColumn, target);
              return { plan, index: target.hasExpressions ? target.index : undefined };
            })
        : undefined,
  };
}

function definition(
  { schema, table, columns, conflict, conflictTarget }: PlanRequest,
  absentColumn: string | undefined,
): Statement[] {
  const create = (what: string): Statement => statement(`CREATE TEMPORARY TABLE ${STAGING} ${what}`);
  const from = quoteTable(schema, table);
  const names = columns.map(({ name }) => name);
  if (conflict.onConflict === 'error') {
    // It reads no column of the table: the role may lack the right SELECT.
    const typed = columns.map(({ name, sqlType }) => `${quoteIdentifier(name)} ${sqlType}`);
    if (absentColumn !== undefined) typed.push(`${quoteIdentifier(absentColumn)} pg_catalog.text`);
    return [create(`(${typed.join(', ')}) ON COMMIT DROP`)];
  }
  if (absentColumn !== undefined || !passesOver(conflict, conflictTarget)) {
    const list = names.map(quoteIdentifier);
    if (absentColumn !== undefined) list.push(`NULL::pg_catalog.text AS ${quoteIdentifier(absentColumn)}`);
    return [create(`ON COMMIT DROP AS SELECT ${list.join(', ')} FROM ${from} WITH NO DATA`)];
  }
  // A row that a later one replaces never reaches the table, so its constraints are checked here. Dropped columns take theirs with them.
  const like = create(`(LIKE ${from} INCLUDING CONSTRAINTS) ON COMMIT DROP`);
  const drops = conflictTarget!.columns
    .filter((name) => !names.includes(name))
    .map((name) => `DROP COLUMN ${quoteIdentifier(name)}`);
  return drops.length === 0 ? [like] : [like, statement(`ALTER TABLE ${STAGING} ${drops.join(', ')}`)];
}

function passesOver({ onConflict }: ConflictRule, target: ConflictTarget | undefined): boolean {
  return onConflict === 'update' && target?.mayPassOver === true;
}

function planRows(
  { schema, table, columns, conflict }: PlanRequest,
  absentColumn: string | undefined,
  target: ConflictTarget | undefined,
): MergePlan {
  const request = {
    table: quoteTable(schema, table),
    staging: STAGING,
    names: columns.map(({ name }) => name),
    absentColumn,
    hasDefault: columns.map(({ hasDefault }) => hasDefault === true),
  };
  switch (conflict.onConflict) {
    case 'error':
      return planMerge(request, '', false);
    case 'ignore':
      // The server itself keeps the first row of a key. Without a key, any unique constraint decides.
      return planMerge(
        request,
        ` ON CONFLICT ${target === undefined ? '' : `${target.inference} `}DO NOTHING`,
        true,
      );
    case 'update':
      return planUpdate({ ...request, key: conflict.key, target: target! });
  }
}
