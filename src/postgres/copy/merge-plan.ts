/**
 * The statements that bring rows from the temporary table into the table, as if they came one by one. The server takes no two rows of one key
 * in one `INSERT … ON CONFLICT DO UPDATE` (21000), so rows that give way to a later one are passed over, if nothing can tell the
 * difference, and otherwise the rows go in runs: a run ends before a row whose key it has already. The server judges which keys are equal,
 * by the index's own expressions and collations. Pure.
 */

import { quoteIdentifier } from '../identifiers.js';
import { statement, type Statement } from '../sql/statement.js';
import type { ConflictTarget } from '../table/conflict-target.js';

export interface MergePlan {
  /** All rows, in their order. */
  readonly all: Statement;
  /** Only the last row of each key. Undefined: the others count, too. */
  readonly last: Statement | undefined;
  /**
   * Where a row has a key again: its place, and that of the row with this key before it, in the rows' order. Undefined: the key cannot be
   * told from what is loaded.
   */
  readonly repeats: Statement | undefined;
  /** The places of all rows. */
  readonly places: Statement;
  /** The rows from one place to another. */
  range(first: string, last: string): Statement;
}

export interface MergeRequest {
  /** Quoted. */
  readonly table: string;
  readonly staging: string;
  readonly names: readonly string[];
  readonly key: readonly string[];
  readonly target: ConflictTarget;
}

export function planMerge({ table, staging, names, key, target }: MergeRequest): MergePlan {
  const list = listOf(names);
  const others = listOf(names.filter((name) => !key.includes(name)));
  const set = others.map((name) => `${name} = EXCLUDED.${name}`);
  const action = others.length === 0 ? 'NOTHING' : `UPDATE SET ${set.join(', ')}`;
  // Identity columns take what the input has for them, as COPY does.
  const insert = (values: string, rows: string) =>
    statement(
      `INSERT INTO ${table} (${list.join(', ')}) OVERRIDING SYSTEM VALUE SELECT ${values} FROM ${rows} ` +
        `ON CONFLICT ${target.inference} DO ${action}`,
    );
  const insertWhere = (condition: string) => insert(list.join(', '), `${staging}${condition} ORDER BY ctid`);
  const isKnown = target.needs.every((name) => names.includes(name));
  return {
    all: insertWhere(''),
    last: isKnown && target.mayPassOver ? insert(...lastOfEachKey(staging, names, key, target)) : undefined,
    repeats: isKnown ? repeatedKeys(staging, target) : undefined,
    places: statement(`SELECT ctid::pg_catalog.text AS place FROM ${staging} ORDER BY ctid`),
    range: (first, last) =>
      insertWhere(
        ` WHERE ctid OPERATOR(pg_catalog.>=) '${first}'::pg_catalog.tid AND ctid OPERATOR(pg_catalog.<=) '${last}'::pg_catalog.tid`,
      ),
  };
}

/** Values and rows. The columns of the key are those of the first row: where one spells it in another way, an update leaves them alone. */
function lastOfEachKey(
  staging: string,
  names: readonly string[],
  key: readonly string[],
  target: ConflictTarget,
): [values: string, rows: string] {
  const free = (wanted: string): string => quoteIdentifier(freeName(wanted, names));
  const [place, next, alone] = [free('spillway_place'), free('spillway_next'), free('spillway_alone')];
  const firsts = new Map(key.map((name, index) => [name, free(`spillway_first_${index}`)]));
  const values = names.map((name) => {
    const first = firsts.get(name);
    const column = quoteIdentifier(name);
    return first === undefined ? column : `CASE WHEN ${alone} THEN ${column} ELSE ${first} END`;
  });
  const ofKey = `OVER (PARTITION BY ${groupsOf(target)} ORDER BY ctid)`;
  const columns = [
    ...listOf(names),
    `ctid AS ${place}`,
    `pg_catalog.lead(ctid) ${ofKey} AS ${next}`,
    ...[...firsts].map(
      ([name, first]) => `pg_catalog.first_value(${quoteIdentifier(name)}) ${ofKey} AS ${first}`,
    ),
    `${isAlone(target)} AS ${alone}`,
  ];
  return [
    values.join(', '),
    `(SELECT ${columns.join(', ')} FROM ${staging}) AS batch WHERE ${next} IS NULL OR ${alone} ORDER BY ${place}`,
  ];
}

function repeatedKeys(staging: string, target: ConflictTarget): Statement {
  return statement(
    `SELECT place::pg_catalog.text, before::pg_catalog.text FROM (SELECT ctid AS place, ` +
      `pg_catalog.lag(ctid) OVER (PARTITION BY ${groupsOf(target)} ORDER BY ctid) AS before, ${isAlone(target)} AS alone FROM ${staging}) AS batch ` +
      `WHERE before IS NOT NULL AND NOT alone ORDER BY batch.place`,
  );
}

function groupsOf({ keys, predicate }: ConflictTarget): string {
  return [...keys, ...(predicate === undefined ? [] : [`(${predicate}) IS TRUE`])].join(', ');
}

/** Whether a row equals no other to the index: NULL in its key, unless the index says otherwise, or it is not in the index at all. */
function isAlone({ keys, predicate, areNullsDistinct }: ConflictTarget): string {
  const conditions = [
    ...(areNullsDistinct ? [`pg_catalog.num_nulls(${keys.join(', ')}) OPERATOR(pg_catalog.>) 0`] : []),
    ...(predicate === undefined ? [] : [`(${predicate}) IS NOT TRUE`]),
  ];
  return conditions.length === 0 ? 'false' : `(${conditions.join(' OR ')})`;
}

/** `ignore`: the first row of a key counts, which is what the server does by itself. @param inference undefined: any unique constraint */
export function mergeIgnoring(
  table: string,
  staging: string,
  names: readonly string[],
  inference: string | undefined,
): Statement {
  const list = listOf(names).join(', ');
  return statement(
    `INSERT INTO ${table} (${list}) OVERRIDING SYSTEM VALUE SELECT ${list} FROM ${staging} ORDER BY ctid ` +
      `ON CONFLICT ${inference === undefined ? '' : `${inference} `}DO NOTHING`,
  );
}

function listOf(names: readonly string[]): string[] {
  return names.map(quoteIdentifier);
}

function freeName(wanted: string, names: readonly string[]): string {
  let name = wanted;
  while (names.includes(name)) name += '_';
  return name;
}
