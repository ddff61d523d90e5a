/**
 * The one way by which SQL that Spillway writes itself reaches a server: `statement` makes it, `runStatement` (or a COPY) sends it.
 *
 * Anyone with CREATE on a schema of the session's search path can plant operators, functions, types and tables there, which would then
 * run as the user who loads. So no statement of ours depends on the search path, wherever `pg_catalog` stands on it:
 *
 * - operators are written `OPERATOR(pg_catalog.=)`, for identical types, too; they bind tighter than IS, NOT and AND, and need parentheses
 *   beside each other;
 * - IN, NULLIF, IS DISTINCT FROM, BETWEEN, ANY and ALL without OPERATOR(), `CASE x WHEN`, JOIN USING, NATURAL JOIN and comparisons of rows
 *   hide operators, and are not used;
 * - functions, aggregates, window functions, types and tables have their schema (`pg_catalog.count(*)`, `::pg_catalog.text`), but for types
 *   that are words of the grammar (`bigint`, `boolean`);
 * - ORDER BY, GROUP BY, DISTINCT, PARTITION BY, UNION and ON CONFLICT (columns) are free: the server takes the operators of the type's
 *   default operator class, which only superusers make.
 *
 * `search-path.test.ts` holds every statement that a server gets from us against these rules, and against what the server made of it. A new
 * statement is covered as soon as a load in that test issues it.
 *
 * What users write (`beforeCommit`, `query`, defaults, triggers) is theirs, and keeps their search path.
 */

import { ask } from '../protocol/own-query.js';
import type { AnswerLimits } from '../protocol/protocol-guard.js';
import type { CopyClient } from '../protocol/pool.js';

declare const made: unique symbol;

/** SQL of ours. Made by `statement` only. */
export type Statement = string & { readonly [made]: true };

/** Marks a text as a statement that follows the rules above. Names in it are quoted; values are parameters, or quoted by `quoteLiteral`. */
export function statement(text: string): Statement {
  return text as Statement;
}

/** Several statements as one message: the server runs them one after another, and none after one that fails. */
export function sequence(statements: readonly Statement[]): Statement {
  return statement(statements.join('; '));
}

/** @param limits how much the answer may hold. Default: what a small query's does. */
export function runStatement(
  client: Pick<CopyClient, 'query'>,
  text: Statement,
  values?: unknown[],
  limits?: AnswerLimits,
): Promise<{ rows: unknown[]; command: string }> {
  return ask(client, text, values, limits);
}

/** @returns the rows of the last of several statements that were sent as one message */
export async function rowsOfLast(client: Pick<CopyClient, 'query'>, text: Statement): Promise<unknown[]> {
  const results: unknown = await runStatement(client, text);
  const last = (Array.isArray(results) ? results.at(-1) : results) as { rows: unknown[] };
  return last.rows;
}

/** Equality by the server's own operator. */
export const EQUALS = 'OPERATOR(pg_catalog.=)';

/** The number of one of the catalogue's own tables. @param name without its schema */
export function numberOf(name: string): string {
  return `'pg_catalog.${name}'::pg_catalog.regclass::pg_catalog.oid`;
}
