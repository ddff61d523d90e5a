/** Finds the unique index that a `key` names, and what else in the table tells rows with one key apart, in the catalogue. */

import { quoteIdentifier, quoteTable } from '../sql/identifiers.js';
import type { CopyClient } from '../protocol/pool.js';
import { runStatement, statement } from '../sql/statement.js';

export interface ConflictTarget {
  /** What follows ON CONFLICT: `("a", "b")`, `((lower(email)))`, `("a") WHERE (active)`. */
  readonly inference: string;
  /** Columns that the keys and the predicate refer to. */
  readonly needs: readonly string[];
  /** The index's columns and expressions, over the table's own column names. Rows for which all are equal have one key. */
  readonly keys: readonly string[];
  /** Rows for which this does not hold are not in the index. */
  readonly predicate: string | undefined;
  readonly areNullsDistinct: boolean;
  /**
   * Of rows with one key, all but the last may be left out: no trigger, other unique index, policy or foreign key of the table would see
   * them. (A temporary table can have the table's NOT NULL and CHECK constraints.)
   */
  readonly mayPassOver: boolean;
  /** All columns of the table, generated ones included. */
  readonly columns: readonly string[];
  /** The index's number in the catalogue; undefined: there is none. */
  readonly index: string | undefined;
  /** It holds SQL that the server has written, which is to be bound before it runs. */
  readonly hasExpressions: boolean;
}

interface CatalogueKey {
  /** Null: an expression. */
  name: string | null;
  definition: string;
  collation: string | null;
}

interface CatalogueIndex {
  oid: string;
  keys: CatalogueKey[];
  predicate: string | null;
  /** Columns that its expressions and its predicate refer to. */
  references: string[] | null;
  areNullsDistinct: boolean;
}

interface CatalogueAnswer {
  indexes: string | null;
  foreign_keys: string | null;
  others: string;
  columns: string;
  has_row_code: string;
}

/**
 * A CHECK of the whole row (column 0) cannot be given to another table. Partitions have indexes, triggers and policies of their own. The
 * columns of an expression are in `pg_depend`, except for a constraint, which has no expressions. `indnullsnotdistinct` came with
 * PostgreSQL 15, so it is read by name.
 */
const DESCRIBE_CONFLICT = statement(`
WITH target AS (
  SELECT c.oid FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1)::pg_catalog.oid
), tree AS (
  SELECT oid FROM target
  UNION SELECT p.relid::pg_catalog.oid FROM target CROSS JOIN LATERAL pg_catalog.pg_partition_tree(target.oid::pg_catalog.regclass) AS p
), unique_index AS (
  SELECT i.* FROM pg_catalog.pg_index i JOIN target ON i.indrelid OPERATOR(pg_catalog.=) target.oid
  WHERE i.indisunique AND i.indisvalid
)
SELECT
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'oid', i.indexrelid::pg_catalog.text,
      'keys', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
          'name', a.attname,
          'definition', pg_catalog.pg_get_indexdef(i.indexrelid, n, false),
          'collation', CASE WHEN l.oid IS NOT NULL THEN pg_catalog.format('%I.%I', s.nspname, l.collname) END) ORDER BY n)
        FROM pg_catalog.generate_series(1, i.indnkeyatts::integer) AS n
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) i.indrelid
          AND a.attnum OPERATOR(pg_catalog.=) i.indkey[n OPERATOR(pg_catalog.-) 1] AND a.attnum OPERATOR(pg_catalog.<>) 0
        LEFT JOIN pg_catalog.pg_collation l ON l.oid OPERATOR(pg_catalog.=) i.indcollation[n OPERATOR(pg_catalog.-) 1]
        LEFT JOIN pg_catalog.pg_namespace s ON s.oid OPERATOR(pg_catalog.=) l.collnamespace),
      'predicate', pg_catalog.pg_get_expr(i.indpred, i.indrelid),
      'references', (SELECT pg_catalog.json_agg(DISTINCT a.attname::pg_catalog.text)
        FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attribute a
          ON a.attrelid OPERATOR(pg_catalog.=) d.refobjid AND a.attnum OPERATOR(pg_catalog.=) d.refobjsubid
        WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid
          AND d.objid OPERATOR(pg_catalog.=) i.indexrelid AND d.refobjid OPERATOR(pg_catalog.=) i.indrelid
          AND d.refobjsubid OPERATOR(pg_catalog.>) 0),
      'areNullsDistinct', NOT coalesce((pg_catalog.to_jsonb(i) OPERATOR(pg_catalog.->>) 'indnullsnotdistinct')::boolean, false)
    ) ORDER BY i.indexrelid) FROM unique_index i)::pg_catalog.text AS indexes,
  (SELECT pg_catalog.json_agg(a.attname) FROM pg_catalog.pg_constraint f JOIN target ON f.conrelid OPERATOR(pg_catalog.=) target.oid
    CROSS JOIN LATERAL pg_catalog.unnest(f.conkey) AS k(attnum)
    JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) f.conrelid AND a.attnum OPERATOR(pg_catalog.=) k.attnum
    WHERE f.contype OPERATOR(pg_catalog.=) 'f')::pg_catalog.text AS foreign_keys,
  (SELECT pg_catalog.count(*) FROM pg_catalog.pg_index i JOIN tree ON i.indrelid OPERATOR(pg_catalog.=) tree.oid
    WHERE (i.indisunique OR i.indisexclusion) AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid OPERATOR(pg_catalog.=) i.indexrelid))::pg_catalog.text AS others,
  (SELECT pg_catalog.json_agg(a.attname) FROM pg_catalog.pg_attribute a JOIN target ON a.attrelid OPERATOR(pg_catalog.=) target.oid
    WHERE a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped)::pg_catalog.text AS columns,
  (EXISTS (SELECT FROM pg_catalog.pg_trigger g JOIN tree ON g.tgrelid OPERATOR(pg_catalog.=) tree.oid
      WHERE NOT g.tgisinternal AND g.tgenabled OPERATOR(pg_catalog.<>) 'D' AND (g.tgtype::integer OPERATOR(pg_catalog.&) 1) OPERATOR(pg_catalog.=) 1)
    OR EXISTS (SELECT FROM pg_catalog.pg_class c JOIN tree ON c.oid OPERATOR(pg_catalog.=) tree.oid
      WHERE c.relrowsecurity OR NOT pg_catalog.has_table_privilege(c.oid, 'SELECT') OR c.relkind OPERATOR(pg_catalog.<>) 'r')
    OR EXISTS (SELECT FROM pg_catalog.pg_constraint f JOIN target ON f.conrelid OPERATOR(pg_catalog.=) target.oid
      WHERE f.contype OPERATOR(pg_catalog.=) 'c' AND pg_catalog.array_position(f.conkey, '0'::pg_catalog.int2) IS NOT NULL)
  )::pg_catalog.text AS has_row_code`);

export async function describeConflict(
  client: Pick<CopyClient, 'query'>,
  { schema, table }: { schema: string; table: string },
  key: readonly string[],
): Promise<ConflictTarget> {
  const { rows } = await runStatement(client, DESCRIBE_CONFLICT, [quoteTable(schema, table)]);
  const found = rows[0] as CatalogueAnswer;
  const columns = JSON.parse(found.columns) as string[];
  const index = chooseIndex(JSON.parse(found.indexes ?? '[]') as CatalogueIndex[], key);
  if (index === undefined) return plainTarget(key, columns);
  const foreignKeys = JSON.parse(found.foreign_keys ?? '[]') as string[];
  const isAloneInTable = found.others === '1' && foreignKeys.every((name) => key.includes(name));
  return conflictTarget(index, columns, found.has_row_code === 'false' && isAloneInTable);
}

/** Returns the index that the server infers for columns; else the oldest whose expressions, or predicate, refer to these columns only. */
function chooseIndex(indexes: readonly CatalogueIndex[], key: readonly string[]): CatalogueIndex | undefined {
  const candidates = indexes.filter((index) => isMadeOf(index, key));
  const kinds = [
    ({ keys, predicate }: CatalogueIndex) => predicate === null && keys.every(({ name }) => name !== null),
    ({ predicate }: CatalogueIndex) => predicate === null,
    () => true,
  ];
  for (const kind of kinds) {
    const found = candidates.find(kind);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isMadeOf({ keys, predicate, references }: CatalogueIndex, key: readonly string[]): boolean {
  const names = new Set(keys.flatMap(({ name }) => name ?? []));
  const hasExpression = keys.some(({ name }) => name === null);
  const known = hasExpression ? [...names, ...(references ?? [])] : [...names];
  if (!key.every((name) => known.includes(name))) return false;
  // A predicate may refer to other columns, and the catalogue has its references and those of the expressions in one list.
  return hasExpression && predicate !== null
    ? [...names].every((name) => key.includes(name))
    : known.every((name) => key.includes(name));
}

/** For columns without a unique index: the server's own error reports that. */
function plainTarget(key: readonly string[], columns: readonly string[]): ConflictTarget {
  const keys = key.map(quoteIdentifier);
  return {
    inference: `(${keys.join(', ')})`,
    needs: key,
    keys,
    predicate: undefined,
    areNullsDistinct: true,
    mayPassOver: false,
    columns,
    index: undefined,
    hasExpressions: false,
  };
}

function conflictTarget(
  { oid, keys, predicate, areNullsDistinct, references }: CatalogueIndex,
  columns: readonly string[],
  mayPassOver: boolean,
): ConflictTarget {
  const inferred = keys.map(({ name, definition }) =>
    name === null ? `(${definition})` : quoteIdentifier(name),
  );
  const where = predicate === null ? '' : ` WHERE ${predicate}`;
  const hasExpressions = predicate !== null || keys.some(({ name }) => name === null);
  return {
    needs: [...keys.flatMap(({ name }) => name ?? []), ...((hasExpressions && references) || [])],
    inference: `(${inferred.join(', ')})${where}`,
    keys: keys.map(({ collation }, place) =>
      collation === null ? inferred[place]! : `${inferred[place]!} COLLATE ${collation}`,
    ),
    predicate: predicate ?? undefined,
    areNullsDistinct,
    mayPassOver,
    columns,
    index: oid,
    hasExpressions,
  };
}
