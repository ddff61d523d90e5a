/** Reads what the catalogue has of the two bookkeeping tables: everything that could run code or forge rows there. */

import { quoteLiteral, quoteTable } from '../sql/identifiers.js';
import { EQUALS, numberOf, sequence, statement, type Statement } from '../sql/statement.js';

const NOT_EQUAL = 'OPERATOR(pg_catalog.<>)';

/**
 * Whether a role may already do as the current user, the owner of the loaded table or the owner of its schema does: it is one of them, has
 * their rights as a member (the database's owner has those of `pg_database_owner`), or is a superuser.
 */
const isTrusted = (role: string): string => `EXISTS (SELECT FROM place WHERE
  pg_catalog.pg_has_role(${role}, place.me, 'USAGE') OR pg_catalog.pg_has_role(${role}, place.table_owner, 'USAGE')
  OR pg_catalog.pg_has_role(${role}, place.schema_owner, 'USAGE'))`;

/** Their parts that hold expressions or call functions, each with the number of its kind and its own. */
const PARTS = `
  SELECT t.oid AS relation, ${numberOf('pg_class')} AS class, t.oid AS object, 'column' AS kind, '' AS name FROM own t
  UNION ALL SELECT t.oid, ${numberOf('pg_class')}, i.indexrelid, 'index', c.relname::pg_catalog.text
    FROM own t JOIN pg_catalog.pg_index i ON i.indrelid ${EQUALS} t.oid JOIN pg_catalog.pg_class c ON c.oid ${EQUALS} i.indexrelid
  UNION ALL SELECT t.oid, ${numberOf('pg_attrdef')}, d.oid, 'default', a.attname::pg_catalog.text
    FROM own t JOIN pg_catalog.pg_attrdef d ON d.adrelid ${EQUALS} t.oid
    JOIN pg_catalog.pg_attribute a ON a.attrelid ${EQUALS} d.adrelid AND a.attnum ${EQUALS} d.adnum
  UNION ALL SELECT t.oid, ${numberOf('pg_constraint')}, k.oid, 'constraint', k.conname::pg_catalog.text
    FROM own t JOIN pg_catalog.pg_constraint k ON k.conrelid ${EQUALS} t.oid
  UNION ALL SELECT t.oid, ${numberOf('pg_trigger')}, g.oid, 'trigger', g.tgname::pg_catalog.text
    FROM own t JOIN pg_catalog.pg_trigger g ON g.tgrelid ${EQUALS} t.oid WHERE NOT g.tgisinternal
  UNION ALL SELECT t.oid, ${numberOf('pg_rewrite')}, r.oid, 'rule', r.rulename::pg_catalog.text
    FROM own t JOIN pg_catalog.pg_rewrite r ON r.ev_class ${EQUALS} t.oid
  UNION ALL SELECT t.oid, ${numberOf('pg_policy')}, p.oid, 'policy', p.polname::pg_catalog.text
    FROM own t JOIN pg_catalog.pg_policy p ON p.polrelid ${EQUALS} t.oid`;

/** What the parts use, with its owner. The server's own objects, which no dependency is kept of, belong to a superuser. */
const USES = `
  SELECT part.relation, part.kind, part.name, f.proowner AS owner, f.proname::pg_catalog.text AS used
    FROM part JOIN pg_catalog.pg_depend d ON d.classid ${EQUALS} part.class AND d.objid ${EQUALS} part.object
    JOIN pg_catalog.pg_proc f ON d.refclassid ${EQUALS} ${numberOf('pg_proc')} AND f.oid ${EQUALS} d.refobjid
  UNION ALL SELECT part.relation, part.kind, part.name, f.proowner, o.oprname::pg_catalog.text
    FROM part JOIN pg_catalog.pg_depend d ON d.classid ${EQUALS} part.class AND d.objid ${EQUALS} part.object
    JOIN pg_catalog.pg_operator o ON d.refclassid ${EQUALS} ${numberOf('pg_operator')} AND o.oid ${EQUALS} d.refobjid
    JOIN pg_catalog.pg_proc f ON f.oid ${EQUALS} o.oprcode::pg_catalog.oid
  UNION ALL SELECT part.relation, part.kind, part.name, y.typowner, y.typname::pg_catalog.text
    FROM part JOIN pg_catalog.pg_depend d ON d.classid ${EQUALS} part.class AND d.objid ${EQUALS} part.object
    JOIN pg_catalog.pg_type y ON d.refclassid ${EQUALS} ${numberOf('pg_type')} AND y.oid ${EQUALS} d.refobjid
  UNION ALL SELECT part.relation, part.kind, part.name, c.relowner, c.relname::pg_catalog.text
    FROM part JOIN pg_catalog.pg_depend d ON d.classid ${EQUALS} part.class AND d.objid ${EQUALS} part.object
    JOIN pg_catalog.pg_class c ON d.refclassid ${EQUALS} ${numberOf('pg_class')} AND c.oid ${EQUALS} d.refobjid
    WHERE c.oid ${NOT_EQUAL} part.relation`;

/** Rights to write, or to make triggers, with the one who has them: 0 is PUBLIC. */
const GRANTS = `
  SELECT t.oid AS relation, acl.grantee, acl.privilege_type AS right
    FROM own t JOIN pg_catalog.pg_class c ON c.oid ${EQUALS} t.oid CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS acl
  UNION ALL SELECT t.oid, acl.grantee, acl.privilege_type
    FROM own t JOIN pg_catalog.pg_attribute a ON a.attrelid ${EQUALS} t.oid CROSS JOIN LATERAL pg_catalog.aclexplode(a.attacl) AS acl`;

const columnNames = (
  relation: string,
  numbers: string,
): string => `(SELECT pg_catalog.json_agg(named.attname ORDER BY numbered.place)
  FROM pg_catalog.unnest(${numbers}) WITH ORDINALITY AS numbered(number, place) JOIN pg_catalog.pg_attribute named
    ON named.attrelid ${EQUALS} ${relation} AND named.attnum ${EQUALS} numbered.number)`;

/** @param names of the two tables @returns one row for each that exists, as JSON in the column `fact` */
export function inspectTables(schema: string, table: string, names: readonly string[]): Statement {
  const isOwn = names.map((name) => `c.relname ${EQUALS} ${quoteLiteral(name)}`).join(' OR ');
  return statement(`WITH place AS MATERIALIZED (
  SELECT n.oid AS schema, n.nspowner AS schema_owner, c.relowner AS table_owner,
    (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname ${EQUALS} current_user) AS me
  FROM pg_catalog.pg_namespace n
  LEFT JOIN pg_catalog.pg_class c ON c.relnamespace ${EQUALS} n.oid AND c.relname ${EQUALS} ${quoteLiteral(table)}
  WHERE n.nspname ${EQUALS} ${quoteLiteral(schema)}
), own AS MATERIALIZED (
  SELECT c.* FROM pg_catalog.pg_class c JOIN place ON c.relnamespace ${EQUALS} place.schema WHERE ${isOwn}
), part AS MATERIALIZED (${PARTS}
), used AS (${USES}
), grants AS (${GRANTS}
)
SELECT pg_catalog.json_build_object(
  'name', t.relname, 'kind', t.relkind, 'persistence', t.relpersistence, 'isPartition', t.relispartition,
  'inherits', EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid ${EQUALS} t.oid OR h.inhparent ${EQUALS} t.oid),
  'owner', pg_catalog.pg_get_userbyid(t.relowner), 'isOwnerTrusted', ${isTrusted('t.relowner')}, 'user', current_user,
  'code', coalesce((SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'kind', used.kind, 'name', used.name, 'used', used.used, 'owner', pg_catalog.pg_get_userbyid(used.owner)))
    FROM used WHERE used.relation ${EQUALS} t.oid AND NOT ${isTrusted('used.owner')}), '[]'),
  'grants', coalesce((SELECT pg_catalog.json_agg(pg_catalog.json_build_object('right', grants.right,
      'to', CASE WHEN grants.grantee ${EQUALS} '0'::pg_catalog.oid THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(grants.grantee) END))
    FROM grants WHERE grants.relation ${EQUALS} t.oid AND CASE
      WHEN grants.grantee ${EQUALS} '0'::pg_catalog.oid THEN grants.right ${NOT_EQUAL} 'SELECT'
      ELSE grants.right ${EQUALS} 'TRIGGER' AND NOT ${isTrusted('grants.grantee')} END), '[]'),
  'columns', coalesce((SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', a.attname, 'type', pg_catalog.format('%s.%s', s.nspname, y.typname), 'isNotNull', a.attnotnull,
      'isGenerated', a.attgenerated ${NOT_EQUAL} '', 'isIdentity', a.attidentity ${NOT_EQUAL} '',
      'default', CASE WHEN a.attgenerated ${EQUALS} '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END))
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type y ON y.oid ${EQUALS} a.atttypid
    JOIN pg_catalog.pg_namespace s ON s.oid ${EQUALS} y.typnamespace
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid ${EQUALS} a.attrelid AND d.adnum ${EQUALS} a.attnum
    WHERE a.attrelid ${EQUALS} t.oid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped), '[]'),
  'uniqueKeys', coalesce((SELECT pg_catalog.json_agg(${columnNames('i.indrelid', 'i.indkey::pg_catalog.int2[]')})
    FROM pg_catalog.pg_index i WHERE i.indrelid ${EQUALS} t.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
      AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnatts ${EQUALS} i.indnkeyatts), '[]')
)::pg_catalog.text AS fact FROM own t ORDER BY t.relname DESC`);
}

/**
 * Sent as one message. Until the transaction's end, the lock keeps others from dropping or altering the tables, and from making triggers,
 * rules, policies or indexes for them.
 */
export function lockAndInspectTables(schema: string, table: string, names: readonly string[]): Statement {
  return sequence([lockTables(schema, names), inspectTables(schema, table, names)]);
}

function lockTables(schema: string, names: readonly string[]): Statement {
  const tables = names.map((name) => `ONLY ${quoteTable(schema, name)}`).join(', ');
  return statement(`LOCK TABLE ${tables} IN ROW EXCLUSIVE MODE`);
}

/**
 * Sent as one message, as above. Returns, in the column `identity`, the numbers of the tables, of the loaded table and of their schema, which versions
 * of their rows the catalogue has, and the numbers of triggers.
 */
export function lockAndIdentifyTables(schema: string, table: string, names: readonly string[]): Statement {
  const isNamed = [...names, table].map((name) => `c.relname ${EQUALS} ${quoteLiteral(name)}`).join(' OR ');
  return sequence([
    lockTables(schema, names),
    statement(`SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
        n.oid, n.xmin::pg_catalog.text, c.oid, c.xmin::pg_catalog.text,
        (SELECT pg_catalog.json_agg(g.oid ORDER BY g.oid) FROM pg_catalog.pg_trigger g WHERE g.tgrelid ${EQUALS} c.oid))
      ORDER BY c.relname)::pg_catalog.text AS identity
      FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON c.relnamespace ${EQUALS} n.oid
      WHERE n.nspname ${EQUALS} ${quoteLiteral(schema)} AND (${isNamed})`),
  ]);
}
