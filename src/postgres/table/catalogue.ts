/** Reads the table's columns and their types from the catalogue, by one query. */

import type { NumberBound } from '../encoding/binary/line-check.js';
import { CopyError } from '../errors/copy-error.js';
import { quoteTable } from '../sql/identifiers.js';
import type { CopyClient } from '../protocol/pool.js';
import { runStatement, statement } from '../sql/statement.js';
import { qualifiedType } from '../sql/table-statements.js';
import type { ColumnType } from '../encoding/text/text-encoders.js';
import { boundsOfChecks } from './check-bounds.js';

export interface TableColumn {
  name: string;
  /** As the server writes it, for messages: `numeric(10,2)`. */
  typeName: string;
  type: ColumnType;
  /** The type's number in `pg_type`; a domain has its own. Undefined for what the catalogue did not describe. */
  typeOid?: string;
  /** The type as it is written in a statement, with its schema. Undefined for what the catalogue did not describe. */
  sqlType?: string;
  /** Computed by the server (`GENERATED ALWAYS AS (…)`): COPY must leave it out. */
  isGenerated: boolean;
  /** What CHECK constraints ask of its numbers, as far as it is known here. */
  bounds?: readonly NumberBound[] | undefined;
  /** If a row leaves it out, it becomes something else than NULL: its own default or its domain's, or an identity. Default: `false`. */
  hasDefault?: boolean;
}

export interface TableDescription {
  schema: string;
  table: string;
  /** In the table's order. */
  columns: readonly TableColumn[];
  /** A foreign key of the table refers to the table itself. */
  refersToItself: boolean;
  /** Code of the user decides on a row, and may look at other rows: triggers, a view, or a foreign table. */
  hasTriggers: boolean;
  /** Row-level security applies to this role, so that the server refuses COPY FROM. Default: `false`. */
  hasRowSecurity?: boolean;
  /** It has a RULE on INSERT, which COPY ignores. Default: `false`. */
  hasInsertRule?: boolean;
  /** COPY in text format has a marker for the column's default (PostgreSQL 16). Default: `false`. */
  takesDefaultMarker?: boolean;
}

interface CatalogueTable {
  schema: string;
  table: string;
  columns: string | null;
  types: string | null;
  checks: string | null;
  refers_to_itself: string;
  has_triggers: string;
  has_row_security: string;
  has_insert_rule: string;
  takes_default_marker: string;
}

interface CatalogueColumn {
  name: string;
  type: string;
  typeName: string;
  sqlType: string;
  isGenerated: boolean;
  hasDefault: boolean;
}

interface CatalogueType {
  oid: string;
  /** '' outside of `pg_catalog`. */
  name: string;
  category: string;
  isEnum: boolean;
  delimiter: string;
  /** Base type of a domain. */
  base: string | null;
  element: string | null;
}

/**
 * Types are resolved: a domain to its base type, an array to its element. The result is JSON in text columns, so that type parsers which the
 * user has set in node-postgres change nothing here. Without a schema the search path decides, as in `COPY` itself.
 */
const DESCRIBE_TABLE = statement(`
WITH RECURSIVE target AS (
  SELECT c.oid, n.nspname, c.relname, c.relkind
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
  WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1)::pg_catalog.oid
), attribute AS (
  SELECT a.attnum, a.attname, a.atttypid, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type_name,
    a.attgenerated OPERATOR(pg_catalog.<>) '' AS is_generated,
    (a.atthasdef AND a.attgenerated OPERATOR(pg_catalog.=) '') OR a.attidentity OPERATOR(pg_catalog.<>) ''
      OR t.typdefault IS NOT NULL AS has_default,
    CASE WHEN t.typnamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace::pg_catalog.oid
      THEN pg_catalog.format_type(a.atttypid, a.atttypmod)
      ELSE pg_catalog.format('%s.%I%s', t.typnamespace::pg_catalog.regnamespace, t.typname,
        CASE WHEN a.atttypmod OPERATOR(pg_catalog.<>) -1 AND t.typelem OPERATOR(pg_catalog.=) '0'::pg_catalog.oid
          THEN pg_catalog.substring(pg_catalog.format_type(a.atttypid, a.atttypmod), '[(][^()]*[)]$') END)
    END AS sql_type
  FROM pg_catalog.pg_attribute a JOIN target ON a.attrelid OPERATOR(pg_catalog.=) target.oid
    JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) a.atttypid
  WHERE a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
), type AS NOT MATERIALIZED (
  SELECT t.oid,
    CASE WHEN t.typbasetype OPERATOR(pg_catalog.<>) '0'::pg_catalog.oid THEN t.typbasetype END AS base,
    CASE WHEN t.typinput::pg_catalog.oid OPERATOR(pg_catalog.=) 'pg_catalog.array_in'::pg_catalog.regproc::pg_catalog.oid
      AND t.typelem OPERATOR(pg_catalog.<>) '0'::pg_catalog.oid THEN t.typelem END AS element
  FROM pg_catalog.pg_type t
), needed(oid, base, element) AS (
  SELECT t.oid, t.base, t.element FROM type t JOIN attribute ON t.oid OPERATOR(pg_catalog.=) attribute.atttypid
  UNION
  SELECT t.oid, t.base, t.element
  FROM type t JOIN needed ON t.oid OPERATOR(pg_catalog.=) coalesce(needed.base, needed.element)
)
SELECT nspname::pg_catalog.text AS schema, relname::pg_catalog.text AS "table",
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', attname, 'type', atttypid::pg_catalog.text, 'typeName', type_name, 'sqlType', sql_type,
      'isGenerated', is_generated, 'hasDefault', has_default) ORDER BY attnum)
    FROM attribute)::pg_catalog.text AS columns,
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'oid', t.oid::pg_catalog.text,
      'name', CASE WHEN t.typnamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace::pg_catalog.oid THEN t.typname ELSE '' END,
      'category', t.typcategory, 'isEnum', t.typtype OPERATOR(pg_catalog.=) 'e', 'delimiter', t.typdelim,
      'base', needed.base::pg_catalog.text, 'element', needed.element::pg_catalog.text))
    FROM needed JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) needed.oid)::pg_catalog.text AS types,
  (SELECT pg_catalog.json_agg(pg_catalog.pg_get_constraintdef(k.oid)) FROM pg_catalog.pg_constraint k
    WHERE k.contype OPERATOR(pg_catalog.=) 'c' AND k.conrelid OPERATOR(pg_catalog.=) target.oid)::pg_catalog.text AS checks,
  EXISTS (SELECT FROM pg_catalog.pg_constraint f
    WHERE f.contype OPERATOR(pg_catalog.=) 'f' AND f.conrelid OPERATOR(pg_catalog.=) target.oid
      AND f.confrelid OPERATOR(pg_catalog.=) target.oid)::pg_catalog.text AS refers_to_itself,
  (relkind OPERATOR(pg_catalog.<>) 'r' OR EXISTS (SELECT FROM pg_catalog.pg_trigger g
    WHERE g.tgrelid OPERATOR(pg_catalog.=) target.oid AND NOT g.tgisinternal))::pg_catalog.text AS has_triggers,
  pg_catalog.row_security_active(oid)::pg_catalog.text AS has_row_security,
  EXISTS (SELECT FROM pg_catalog.pg_rewrite r WHERE r.ev_class OPERATOR(pg_catalog.=) target.oid
    AND r.ev_type OPERATOR(pg_catalog.=) '3')::pg_catalog.text AS has_insert_rule,
  (pg_catalog.current_setting('server_version_num')::integer OPERATOR(pg_catalog.>=) 160000)::pg_catalog.text AS takes_default_marker
FROM target`);

/** @throws {CopyError} `setup`, if there is no such table */
export async function describeTable(
  client: CopyClient,
  schema: string | undefined,
  table: string,
): Promise<TableDescription> {
  const { rows } = await runStatement(client, DESCRIBE_TABLE, [quoteTable(schema, table)]);
  const found = rows[0] as CatalogueTable | undefined;
  // A name too long is cut by the server, and would then find another table.
  if (found?.table !== table) throw noSuchTable(schema, table, found?.table);
  const types = new Map(
    (JSON.parse(found.types ?? '[]') as CatalogueType[]).map((type) => [type.oid, type] as const),
  );
  const bounds = boundsOfChecks(JSON.parse(found.checks ?? '[]') as string[]);
  const columns = (JSON.parse(found.columns ?? '[]') as CatalogueColumn[]).map((column) => ({
    ...column,
    type: resolveType(column.type, types),
    typeOid: column.type,
    sqlType: qualifiedType(column.sqlType),
    bounds: bounds.get(column.name),
  }));
  return {
    schema: found.schema,
    table: found.table,
    columns,
    refersToItself: found.refers_to_itself === 'true',
    hasTriggers: found.has_triggers === 'true',
    hasRowSecurity: found.has_row_security === 'true',
    hasInsertRule: found.has_insert_rule === 'true',
    takesDefaultMarker: found.takes_default_marker === 'true',
  };
}

function resolveType(oid: string, types: ReadonlyMap<string, CatalogueType>): ColumnType {
  const type = types.get(oid);
  if (type === undefined) return { kind: 'scalar', name: '', category: '' };
  if (type.base !== null) return resolveType(type.base, types);
  if (type.element !== null) {
    return { kind: 'array', element: resolveType(type.element, types), delimiter: type.delimiter };
  }
  const { name, category, isEnum } = type;
  return { kind: 'scalar', name, category, isEnum };
}

/** @param cut the table that the server finds for a name that it has cut */
function noSuchTable(schema: string | undefined, table: string, cut: string | undefined): CopyError {
  const place = schema === undefined ? 'on the search path' : `in schema ${JSON.stringify(schema)}`;
  const dot = table.indexOf('.');
  const hint =
    schema === undefined && dot > 0
      ? `; 'table' is one name: did you mean { schema: ${JSON.stringify(table.slice(0, dot))}, table: ${JSON.stringify(table.slice(dot + 1))} }?`
      : '';
  const shorter =
    cut === undefined
      ? ''
      : `; the name is longer than the server's longest: did you mean ${JSON.stringify(cut)}?`;
  return new CopyError(`there is no table ${JSON.stringify(table)} ${place}${hint}${shorter}`, {
    failureClass: 'setup',
    sqlState: '42P01',
    table,
  });
}
