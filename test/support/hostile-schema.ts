/**
 * What an ordinary role with CREATE on a schema of the search path can plant there: look-alikes of the server's own operators, functions,
 * aggregates, types and tables. Each function writes its call into the server's log, which no rollback takes back.
 */

import type pg from 'pg';

/** Types that our statements, the catalogue or usual tables have. */
const TYPES = [
  'bool',
  '"char"',
  'name',
  'int2',
  'int4',
  'int8',
  'oid',
  'regproc',
  'regclass',
  'regtype',
  'regnamespace',
  'regrole',
  'text',
  'varchar',
  'bpchar',
  'json',
  'jsonb',
  'numeric',
  'float8',
  'date',
  'timestamp',
  'timestamptz',
  'xid',
  'tid',
  'uuid',
  'oid[]',
  'text[]',
  'aclitem[]',
];
const COMPARISONS = ['=', '<>', '<', '<=', '>', '>=', '~~', '@>', '&&'];
const CALCULATIONS = ['+', '-', '*', '/', '||', '->', '->>'];
/** Functions that our statements call, or that come to mind when one writes such statements. */
const FUNCTIONS = [
  'aclexplode',
  'array_agg',
  'array_length',
  'array_to_string',
  'bool_and',
  'bool_or',
  'cardinality',
  'concat',
  'count',
  'current_schema',
  'current_schemas',
  'current_setting',
  'format',
  'format_type',
  'generate_series',
  'generate_subscripts',
  'has_schema_privilege',
  'has_table_privilege',
  'json_agg',
  'json_array_elements',
  'json_build_array',
  'json_build_object',
  'json_each',
  'jsonb_agg',
  'left',
  'length',
  'lower',
  'max',
  'min',
  'now',
  'nextval',
  'octet_length',
  'pg_advisory_xact_lock',
  'pg_backend_pid',
  'pg_client_encoding',
  'pg_get_expr',
  'pg_get_userbyid',
  'pg_has_role',
  'pg_typeof',
  'pg_xact_status',
  'quote_ident',
  'quote_literal',
  'row_to_json',
  'set_config',
  'statement_timestamp',
  'string_agg',
  'substr',
  'sum',
  'to_json',
  'to_regclass',
  'transaction_timestamp',
  'unnest',
  'upper',
];
const CATALOGUE = ['pg_class', 'pg_namespace', 'pg_attribute', 'pg_type', 'pg_constraint', 'pg_trigger'];

export const PLANTED = 'planted by mallory';

/** Plants everything in `schema`, as the ordinary role `mallory`, who has CREATE there. */
export async function plantLookAlikes(admin: pg.Client, schema: string): Promise<void> {
  await admin.query(
    `SET ROLE mallory; SET search_path = pg_catalog, ${schema}; SET client_min_messages = error`,
  );
  await admin.query(operators(schema));
  await admin.query(functions(schema));
  await admin.query(types(schema));
  for (const name of CATALOGUE) await admin.query(`CREATE TABLE ${schema}.${name} (oid pg_catalog.oid)`);
  await admin.query(`GRANT EXECUTE ON ALL ROUTINES IN SCHEMA ${schema} TO PUBLIC`);
  await admin.query('RESET ROLE; RESET search_path; RESET client_min_messages');
}

/** The numbers of all that `mallory` owns, with what it is. */
export async function plantedObjects(admin: pg.Client): Promise<Map<string, string>> {
  await admin.query('SET search_path = pg_catalog');
  const { rows } = await admin.query<{ oid: string; what: string }>(`
    SELECT oid, 'operator ' || oid::regoperator::text AS what FROM pg_operator WHERE oprowner = 'mallory'::regrole
    UNION ALL SELECT oid, 'function ' || oid::regprocedure::text FROM pg_proc WHERE proowner = 'mallory'::regrole
    UNION ALL SELECT oid, 'type ' || oid::regtype::text FROM pg_type WHERE typowner = 'mallory'::regrole
    UNION ALL SELECT oid, 'relation ' || oid::regclass::text FROM pg_class WHERE relowner = 'mallory'::regrole`);
  await admin.query('RESET search_path');
  return new Map(rows.map(({ oid, what }) => [oid, what]));
}

function operators(schema: string): string {
  const comparisons = COMPARISONS.map((name) => `'${name}'`).join(', ');
  const calculations = CALCULATIONS.map((name) => `'${name}'`).join(', ');
  return `DO $do$
    DECLARE a text; b text; op text; number int := 0;
    BEGIN
      FOREACH a IN ARRAY $a$${arrayOf(TYPES)}$a$::text[] LOOP
        FOREACH b IN ARRAY $a$${arrayOf(TYPES)}$a$::text[] LOOP
          number := number + 1;
          EXECUTE format($f$CREATE FUNCTION ${schema}.compare_%s(pg_catalog.%s, pg_catalog.%s) RETURNS pg_catalog.bool LANGUAGE plpgsql AS
            $b$BEGIN RAISE LOG '${PLANTED}: comparison of %s and %s'; RETURN true; END$b$ $f$, number, a, b, a, b);
          FOREACH op IN ARRAY ARRAY[${comparisons}] LOOP
            EXECUTE format('CREATE OPERATOR ${schema}.%s (FUNCTION = ${schema}.compare_%s, LEFTARG = pg_catalog.%s, RIGHTARG = pg_catalog.%s)', op, number, a, b);
          END LOOP;
          EXECUTE format($f$CREATE FUNCTION ${schema}.calculate_%s(pg_catalog.%s, pg_catalog.%s) RETURNS pg_catalog.%s LANGUAGE plpgsql AS
            $b$BEGIN RAISE LOG '${PLANTED}: calculation with %s and %s'; RETURN $1; END$b$ $f$, number, a, b, a, a, b);
          FOREACH op IN ARRAY ARRAY[${calculations}] LOOP
            EXECUTE format('CREATE OPERATOR ${schema}.%s (FUNCTION = ${schema}.calculate_%s, LEFTARG = pg_catalog.%s, RIGHTARG = pg_catalog.%s)', op, number, a, b);
          END LOOP;
        END LOOP;
      END LOOP;
    END $do$`;
}

/** With the arguments that the server's own have. Look-alikes of window functions can be made in C only. */
function functions(schema: string): string {
  return `DO $do$
    DECLARE f record; number int := 0;
    BEGIN
      FOR f IN
        SELECT p.proname, p.prokind, p.pronargs, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result
        FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind IN ('f', 'a')
          AND p.proname = ANY ($a$${arrayOf(FUNCTIONS)}$a$::text[])
      LOOP
        number := number + 1;
        BEGIN
          IF f.prokind = 'a' THEN
            EXECUTE format($f$CREATE FUNCTION ${schema}.step_%s(text %s) RETURNS text LANGUAGE plpgsql AS
              $b$BEGIN RAISE LOG '${PLANTED}: %s'; RETURN $1; END$b$ $f$, number,
              CASE WHEN f.pronargs > 0 THEN ', ' || f.arguments ELSE '' END, f.proname);
            EXECUTE format('CREATE AGGREGATE ${schema}.%I(%s) (SFUNC = ${schema}.step_%s, STYPE = text)', f.proname,
              CASE WHEN f.pronargs > 0 THEN f.arguments ELSE '*' END, number);
          ELSE
            EXECUTE format($f$CREATE FUNCTION ${schema}.%I(%s) RETURNS %s LANGUAGE plpgsql AS
              $b$BEGIN RAISE LOG '${PLANTED}: %s'; RETURN %s; END$b$ $f$, f.proname, f.arguments, f.result, f.proname,
              CASE WHEN f.result ~ '^(SETOF|TABLE)|^void$' THEN '' ELSE 'NULL' END);
          END IF;
        EXCEPTION WHEN OTHERS THEN
          -- What no ordinary role can make, it cannot plant.
          RAISE DEBUG '% %', f.proname, SQLERRM;
        END;
      END LOOP;
    END $do$`;
}

/** Domains by the names of the server's types. */
function types(schema: string): string {
  return `DO $do$
    DECLARE t text;
    BEGIN
      CREATE FUNCTION ${schema}.fits(value anyelement) RETURNS bool LANGUAGE plpgsql AS
        $b$BEGIN RAISE LOG '${PLANTED}: domain'; RETURN true; END$b$;
      FOREACH t IN ARRAY $a$${arrayOf(TYPES.filter((type) => !type.endsWith('[]')))}$a$::text[] LOOP
        EXECUTE format('CREATE DOMAIN ${schema}.%s AS pg_catalog.%s CHECK (${schema}.fits(VALUE))', t, t);
      END LOOP;
    END $do$`;
}

function arrayOf(names: readonly string[]): string {
  return `{${names.map((name) => `"${name.replaceAll('"', '\\"')}"`).join(',')}}`;
}
