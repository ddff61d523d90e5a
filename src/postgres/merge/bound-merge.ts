/**
 * Binds a merge whose SQL contains expressions of an index, as `pg_get_expr` writes them. When the server reads such a text again, its names
 * may mean something else: other roles may have made operators, functions and types with these names. So a text is never run:
 *
 * 1. The server reads it into functions of the session (`BEGIN ATOMIC` keeps what was understood, not the text). That runs nothing.
 * 2. The catalogue says what the functions use. Anything that the index itself does not use is refused.
 * 3. Only then are they called. Their code cannot change any more. What they call keeps the search path of the session.
 *
 * They are dropped with the temporary table, which they depend on.
 */

import { CopyError } from '../errors/copy-error.js';
import { quoteTable } from '../sql/identifiers.js';
import type { CopyClient } from '../protocol/pool.js';
import { EQUALS, numberOf, runStatement, sequence, statement, type Statement } from '../sql/statement.js';
import type { MergePlan } from './merge-plan.js';
import { WITHIN_ARGUMENTS, type Run } from './runs.js';

const NAME = 'spillway_merge';
/** Another role may have made an object between two statements. The text of the second attempt takes it into account. */
const ATTEMPTS = 2;

/**
 * What the functions use and the index does not. The operators of a type's own operator classes are known by them, not by names; only
 * superusers make those. What belongs to the server itself has no entries in `pg_depend`.
 */
const FIND_STRANGERS =
  statement(`SELECT pg_catalog.pg_describe_object(d.refclassid, d.refobjid, 0)::pg_catalog.text AS what
FROM pg_catalog.pg_proc f JOIN pg_catalog.pg_depend d
  ON d.classid ${EQUALS} ${numberOf('pg_proc')} AND d.objid ${EQUALS} f.oid
WHERE f.pronamespace ${EQUALS} pg_catalog.pg_my_temp_schema() AND pg_catalog.starts_with(f.proname::pg_catalog.text, '${NAME}')
  AND (d.refclassid ${EQUALS} ${numberOf('pg_proc')} OR d.refclassid ${EQUALS} ${numberOf('pg_operator')}
    OR d.refclassid ${EQUALS} ${numberOf('pg_type')})
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend i WHERE i.classid ${EQUALS} ${numberOf('pg_class')}
    AND i.objid ${EQUALS} $1::pg_catalog.oid AND i.refclassid ${EQUALS} d.refclassid AND i.refobjid ${EQUALS} d.refobjid)
  AND NOT (d.refclassid ${EQUALS} ${numberOf('pg_operator')}
    AND EXISTS (SELECT FROM pg_catalog.pg_amop o WHERE o.amopopr ${EQUALS} d.refobjid))
ORDER BY 1`);

/**
 * @param planAgain asks for the texts again
 * @throws {CopyError} `setup`, if a text means something else than the index
 */
export async function bindMerge(
  client: Pick<CopyClient, 'query'>,
  table: string,
  planAgain: () => Promise<{ plan: MergePlan; index: string | undefined }>,
): Promise<MergePlan> {
  let strangers: unknown[] = [];
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const { plan, index } = await planAgain();
    if (index === undefined) return plan;
    const lists = await absentLists(client, plan);
    await runStatement(client, defineFunctions(plan, lists));
    strangers = (await runStatement(client, FIND_STRANGERS, [index])).rows;
    if (strangers.length === 0) return boundPlan(plan, lists);
  }
  const names = strangers.map((found) => (found as { what: string }).what).join(', ');
  throw new CopyError(
    `the unique index of table ${JSON.stringify(table)} that 'key' stands for cannot be used: read again, its expressions would call ` +
      `${names}, which the index itself does not call; drop or rename what was made beside its own functions`,
    { failureClass: 'setup', table },
  );
}

async function absentLists(client: Pick<CopyClient, 'query'>, { changes }: MergePlan): Promise<string[]> {
  if (changes === undefined) return [''];
  const { rows } = await runStatement(client, changes);
  return [...new Set(['', ...(rows as { absent: string }[]).map(({ absent }) => absent)])];
}

const LAST = quoteTable('pg_temp', `${NAME}_last`);
const REPEATS = quoteTable('pg_temp', `${NAME}_repeats`);
const insertName = (place: number): string => quoteTable('pg_temp', `${NAME}_${place}`);

function defineFunctions({ insert, last, repeats }: MergePlan, lists: readonly string[]): Statement {
  const define = (head: string, body: Statement): Statement =>
    statement(`CREATE OR REPLACE FUNCTION ${head} LANGUAGE sql BEGIN ATOMIC ${body}; END`);
  return sequence([
    ...lists.map((list, place) =>
      define(
        `${insertName(place)}(pg_catalog.tid, pg_catalog.tid) RETURNS pg_catalog.void`,
        insert(list, WITHIN_ARGUMENTS),
      ),
    ),
    ...(last === undefined ? [] : [define(`${LAST}() RETURNS pg_catalog.void`, last)]),
    ...(repeats === undefined
      ? []
      : [define(`${REPEATS}() RETURNS TABLE (place pg_catalog.text, before pg_catalog.text)`, repeats)]),
  ]);
}

function boundPlan(plan: MergePlan, lists: readonly string[]): MergePlan {
  return {
    ...plan,
    insertRun: ({ first, last, absent }: Run) =>
      statement(
        `SELECT ${insertName(lists.indexOf(absent))}('${first}'::pg_catalog.tid, '${last}'::pg_catalog.tid)`,
      ),
    last: plan.last && statement(`SELECT ${LAST}()`),
    repeats: plan.repeats && statement(`SELECT place, before FROM ${REPEATS}()`),
  };
}
