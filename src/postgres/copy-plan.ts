/**
 * The statements of a batch: straight into the table, or, for an upsert, into a temporary table and from there. Names are quoted; values
 * never become part of a statement. Pure.
 */

import type { TableColumn } from './catalogue.js';
import { CopyError } from './copy-error.js';
import { mergeIgnoring, planMerge, type MergePlan } from './copy/merge-plan.js';
import { quoteIdentifier, quoteLiteral, quoteTable } from './identifiers.js';
import type { CopyClient } from './pool.js';
import { sequence, statement, type Statement } from './sql/statement.js';
import { describeConflict, type ConflictTarget } from './table/conflict-target.js';

/** How the rows of a COPY are written: what stands in its parentheses. */
export type CopyFormat = string;

/** Our own text: tabs, `\N` for NULL. */
export const TEXT_FORMAT: CopyFormat = "FORMAT text, ENCODING 'UTF8'";

export const BINARY_FORMAT: CopyFormat = 'FORMAT binary';

/** The server's own CSV, or its text format with another delimiter and another NULL than usual. Both are given by the user. */
export function delimitedFormat(format: 'csv' | 'text', delimiter: string, nullText: string): CopyFormat {
  return `FORMAT ${format}, DELIMITER ${quoteLiteral(delimiter)}, NULL ${quoteLiteral(nullText)}, ENCODING 'UTF8'`;
}

/** What becomes of a row whose key the table holds already. */
export type ConflictRule =
  | { onConflict: 'error' }
  /** Without a key: whichever unique constraint it would break. */
  | { onConflict: 'ignore'; key: readonly string[] | undefined }
  | { onConflict: 'update'; key: readonly string[] };

export interface CopyPlan {
  copy(format: CopyFormat): Statement;
  /** The table that the server names where a row of the COPY is at fault. */
  copiedTable: string;
  /** Upsert: the way over a temporary table. */
  staging: Staging | undefined;
  /** Which of two rows counts depends on their order. */
  isOrdered: boolean;
}

export interface Staging {
  /** Once in a transaction, before the first COPY. */
  create: Statement;
  /** Before each further COPY. */
  empty: Statement;
  /** After each COPY: its rows go into the table. In one statement, or as the plan says. */
  merge: Statement | MergePlan;
  /** Set if `merge` holds SQL that the server has written: it is asked again in each transaction, whose search path may be another. */
  planAgain: ((client: Pick<CopyClient, 'query'>) => Promise<Statement | MergePlan>) | undefined;
}

/** The temporary table's name: in `pg_temp`, so it hides nothing and cannot be anybody else's. */
const STAGING_TABLE = 'spillway_batch';

/**
 * @param target the index that the rule's key stands for; undefined: there is none
 * @param secured the same columns, if row-level security applies: the server takes no COPY FROM into such a table
 * @throws {CopyError} `setup`, where the key is not among the columns
 */
export function planCopy(
  target: { schema: string; table: string },
  names: readonly string[],
  conflict: ConflictRule,
  conflictTarget?: ConflictTarget,
  secured?: readonly Pick<TableColumn, 'name' | 'sqlType'>[],
): CopyPlan {
  const table = quoteTable(target.schema, target.table);
  const list = listOf(names);
  if (conflict.onConflict === 'error') {
    return secured === undefined
      ? { copy: copyInto(table, list), copiedTable: target.table, staging: undefined, isOrdered: false }
      : planInsert(table, list, secured);
  }
  for (const name of conflict.key ?? []) {
    if (!names.includes(name)) throw keyNotLoaded(target.table, name);
  }
  const staging = quoteTable('pg_temp', STAGING_TABLE);
  return {
    copy: copyInto(staging, list),
    copiedTable: STAGING_TABLE,
    isOrdered: true,
    staging: {
      create: createStaging(table, staging, names, conflictTarget),
      // Not DELETE: in a fresh table the rows' places (ctid) are in the order in which they came.
      empty: statement(`TRUNCATE ${staging}`),
      merge: planConflict(table, staging, names, conflict, conflictTarget),
      planAgain:
        conflictTarget?.hasExpressions === true
          ? async (client) => {
              const found = await describeConflict(client, target, conflict.key!);
              return planConflict(table, staging, names, conflict, found);
            }
          : undefined,
    },
  };
}

/** Through a temporary table, with a plain INSERT. It reads no column of the table: the role may lack the right SELECT. */
function planInsert(
  table: string,
  list: string,
  columns: readonly Pick<TableColumn, 'name' | 'sqlType'>[],
): CopyPlan {
  const staging = quoteTable('pg_temp', STAGING_TABLE);
  const typed = columns.map(({ name, sqlType }) => `${quoteIdentifier(name)} ${sqlType}`).join(', ');
  return {
    copy: copyInto(staging, list),
    copiedTable: STAGING_TABLE,
    isOrdered: false,
    staging: {
      create: sequence([
        statement(`DROP TABLE IF EXISTS ${staging}`),
        statement(`CREATE TEMPORARY TABLE ${staging} (${typed}) ON COMMIT DROP`),
      ]),
      empty: statement(`TRUNCATE ${staging}`),
      // Identity columns take what the input has for them, as COPY does.
      merge: statement(
        `INSERT INTO ${table} (${list}) OVERRIDING SYSTEM VALUE SELECT ${list} FROM ${staging} ORDER BY ctid`,
      ),
      planAgain: undefined,
    },
  };
}

function copyInto(table: string, list: string): (format: CopyFormat) => Statement {
  return (format) => statement(`COPY ${table} (${list}) FROM STDIN WITH (${format})`);
}

/** In an outer transaction the one of the batch before is still there. */
function createStaging(
  table: string,
  staging: string,
  names: readonly string[],
  target: ConflictTarget | undefined,
): Statement {
  const drop = statement(`DROP TABLE IF EXISTS ${staging}`);
  const create = `CREATE TEMPORARY TABLE ${staging}`;
  if (target?.mayPassOver !== true) {
    return sequence([
      drop,
      statement(`${create} ON COMMIT DROP AS SELECT ${listOf(names)} FROM ${table} WITH NO DATA`),
    ]);
  }
  const like = statement(`${create} (LIKE ${table} INCLUDING CONSTRAINTS) ON COMMIT DROP`);
  // A row that gives way to a later one never reaches the table: its constraints are checked here. Those of dropped columns go with them.
  const drops = target.columns
    .filter((name) => !names.includes(name))
    .map((name) => `DROP COLUMN ${quoteIdentifier(name)}`);
  return drops.length === 0
    ? sequence([drop, like])
    : sequence([drop, like, statement(`ALTER TABLE ${staging} ${drops.join(', ')}`)]);
}

function planConflict(
  table: string,
  staging: string,
  names: readonly string[],
  { onConflict, key }: Exclude<ConflictRule, { onConflict: 'error' }>,
  target: ConflictTarget | undefined,
): Statement | MergePlan {
  if (onConflict === 'ignore') return mergeIgnoring(table, staging, names, target?.inference);
  return planMerge({ table, staging, names, key, target: target! });
}

function listOf(names: readonly string[]): string {
  return names.map(quoteIdentifier).join(', ');
}

function keyNotLoaded(table: string, name: string): CopyError {
  const message = `option 'key' names ${JSON.stringify(name)}, which is not among the columns that are loaded into table ${JSON.stringify(table)}`;
  return new CopyError(message, { failureClass: 'setup', sqlState: '42703', table, column: name });
}
