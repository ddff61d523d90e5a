/** Statements about the loaded table as a whole. Table names are those that `quoteTable` returns, with their schema. */

import { quoteIdentifier, quoteLiteral } from './identifiers.js';
import { statement, type Statement } from './statement.js';

/** The schema in which a table without a schema is made. NULL if no schema of the search path exists. */
export const CURRENT_SCHEMA = statement('SELECT pg_catalog.current_schema()::pg_catalog.text AS schema');

export const FIND_OID = statement(
  'SELECT pg_catalog.to_regclass($1)::pg_catalog.oid::pg_catalog.text AS oid',
);

/** The owner of a table, and whether it is the current user, the schema's owner or a superuser, or has the rights of one as a member. */
export const FIND_OWNER =
  statement(`SELECT pg_catalog.pg_get_userbyid(c.relowner)::pg_catalog.text AS owner, current_user::pg_catalog.text AS me,
  (pg_catalog.pg_has_role(c.relowner, r.oid, 'USAGE') OR pg_catalog.pg_has_role(c.relowner, n.nspowner, 'USAGE'))::pg_catalog.text AS is_trusted
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
  JOIN pg_catalog.pg_roles r ON r.rolname OPERATOR(pg_catalog.=) current_user
WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1)::pg_catalog.oid`);

/** The names as the server keeps them: it alone knows its longest name and its encoding. */
export const CUT_NAMES =
  statement(`SELECT pg_catalog.json_agg(given::pg_catalog.name ORDER BY place)::pg_catalog.text AS names
FROM pg_catalog.unnest($1::pg_catalog.text[]) WITH ORDINALITY AS input(given, place)`);

export const FIND_COMMENT = statement(
  "SELECT pg_catalog.obj_description(pg_catalog.to_regclass($1)::pg_catalog.oid, 'pg_class'::pg_catalog.name) AS comment",
);

export function commentOn(table: string, comment: string | null): Statement {
  return statement(`COMMENT ON TABLE ${table} IS ${comment === null ? 'NULL' : quoteLiteral(comment)}`);
}

/** Dates as texts are then as files have them, whatever the session's own form is. */
export const WRITE_ISO_DATES = statement("SELECT pg_catalog.set_config('datestyle', 'ISO', true)");

export const LIMIT_STATEMENTS = statement("SELECT pg_catalog.set_config('statement_timeout', $1, true)");

/** For each type's name: the type with its schema, and how messages write it. `null` for one that is not known. */
export const FIND_TYPES =
  statement(`SELECT pg_catalog.json_agg(CASE WHEN t.oid IS NOT NULL THEN pg_catalog.json_build_object(
    'sql', pg_catalog.format('%I.%I', n.nspname, t.typname), 'name', pg_catalog.format_type(t.oid, NULL)) END
  ORDER BY place)::pg_catalog.text AS types
FROM pg_catalog.unnest($1::pg_catalog.text[]) WITH ORDINALITY AS input(given, place)
  LEFT JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) pg_catalog.to_regtype(given)::pg_catalog.oid
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace`);

export const LIMIT_LOCK_WAIT = statement("SELECT pg_catalog.set_config('lock_timeout', $1, true)");

/** Every column is nullable. */
export function createTable(table: string, columns: readonly { name: string; type: string }[]): Statement {
  const list = columns.map(({ name, type }) => `${quoteIdentifier(name)} ${qualifiedType(type)}`);
  return statement(`CREATE TABLE ${table} (${list.join(', ')})`);
}

/** Changes the type of a column whose values all stay as they are. */
export function widenColumn(table: string, { name, type }: { name: string; type: string }): Statement {
  return statement(`ALTER TABLE ${table} ALTER COLUMN ${quoteIdentifier(name)} TYPE ${qualifiedType(type)}`);
}

/** Empties the table, and gives columns other types. */
export function emptyAndRetype(
  table: string,
  columns: readonly { name: string; type: string }[],
): Statement[] {
  const actions = columns.map(({ name, type }) => {
    const target = qualifiedType(type);
    return `ALTER COLUMN ${quoteIdentifier(name)} TYPE ${target} USING NULL::${target}`;
  });
  const retype = actions.length === 0 ? [] : [statement(`ALTER TABLE ${table} ${actions.join(', ')}`)];
  return [truncateTable(table), ...retype];
}

export function countRows(table: string): Statement {
  return statement(`SELECT pg_catalog.count(*)::pg_catalog.text AS rows FROM ${table}`);
}

export function lockTable(table: string): Statement {
  return statement(`LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
}

export function findOidAndUse(table: string): Statement {
  return statement(
    `SELECT pg_catalog.to_regclass($1)::pg_catalog.oid::pg_catalog.text AS oid, EXISTS (SELECT FROM ${table})::pg_catalog.text AS used`,
  );
}

export function truncateTable(table: string): Statement {
  return statement(`TRUNCATE ${table}`);
}

export function dropTable(table: string): Statement {
  return statement(`DROP TABLE ${table}`);
}

/** Types that are words of the grammar: no schema is searched for them. */
const WORDS =
  /^(bit\(|bit varying|boolean|character\(|character varying|real|double precision|smallint|integer|bigint|interval|numeric|time|timestamp)(?![a-z_])/;

/** @param type one of `pg_catalog` as `format_type` writes it, or any type with its schema */
export function qualifiedType(type: string): string {
  return type.includes('.') || WORDS.test(type) ? type : `pg_catalog.${type}`;
}
