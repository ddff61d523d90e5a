/**
 * Plans the statements that move rows from the temporary table into the table, as if they came one by one.
 *
 * The server takes no two rows of one key in one `INSERT … ON CONFLICT DO UPDATE` (21000). If nothing in the table would see the difference,
 * only the last row of each key is inserted. Otherwise the rows go in runs: a run ends before a row whose key it has already. The server
 * decides which keys are equal, by the index's own expressions and collations. Pure.
 */

import { quoteIdentifier } from '../sql/identifiers.js';
import { withoutAbsent } from './absent-values.js';
import { statement, type Statement } from '../sql/statement.js';
import type { ConflictTarget } from '../table/conflict-target.js';
import { whereInRun, type Run } from './runs.js';

export interface MergePlan {
  /** @param absent columns that these rows leave out, as `absentList` makes it @param where a condition on their places */
  readonly insert: (absent: string, where: string) => Statement;
  readonly insertRun: (run: Run) => Statement;
  /** The order of two rows decides which of them is stored. */
  readonly isOrdered: boolean;
  /** A row whose key comes twice in a statement makes it fail. */
  readonly mayRepeat: boolean;
  /** Inserts only the last row of each key. Undefined: the others are needed, too. */
  readonly last: Statement | undefined;
  /**
   * The place of each row whose key an earlier row has, and the place of that row, in the rows' order. Undefined: the keys do not matter, or
   * do not follow from the columns that are loaded.
   */
  readonly repeats: Statement | undefined;
  /** The places from which on rows leave out other columns than before. Undefined: none are left out. */
  readonly changes: Statement | undefined;
  /** What a row leaves out, as SQL. */
  readonly absent: string;
  /** The places of all rows, and what each leaves out. */
  readonly places: Statement;
}

export interface MergeRequest {
  /** Quoted. */
  readonly table: string;
  readonly staging: string;
  readonly names: readonly string[];
  /** The column of the temporary table that lists what a row leaves out. */
  readonly absentColumn: string | undefined;
  /** For each column whether it has a default. */
  readonly hasDefault: readonly boolean[];
}

/** @param conflict what follows the rows: `ON CONFLICT DO NOTHING` */
export function planMerge(
  { table, staging, names, absentColumn }: MergeRequest,
  conflict: string,
  isOrdered: boolean,
): MergePlan {
  const absent = absentColumn === undefined ? "''" : quoteIdentifier(absentColumn);
  // Identity columns take what the input has for them, as COPY does.
  const insert = (left: string, where: string): Statement => {
    const list = listOf(withoutAbsent(names, left)).join(', ');
    if (list === '') return insertDefaults(table, staging, where, conflict);
    return statement(
      `INSERT INTO ${table} (${list}) OVERRIDING SYSTEM VALUE SELECT ${list} FROM ${staging}${where} ORDER BY ctid${conflict}`,
    );
  };
  return {
    insert,
    insertRun: (run) => insert(run.absent, whereInRun(run)),
    isOrdered,
    absent,
    mayRepeat: false,
    last: undefined,
    repeats: undefined,
    changes:
      absentColumn === undefined
        ? undefined
        : statement(
            `SELECT place::pg_catalog.text, absent FROM (SELECT ctid AS place, ${absent} AS absent, ` +
              `pg_catalog.lag(${absent}) OVER (ORDER BY ctid) AS before FROM ${staging}) AS batch ` +
              `WHERE before IS NULL OR before OPERATOR(pg_catalog.<>) absent ORDER BY batch.place`,
          ),
    places: statement(
      `SELECT ctid::pg_catalog.text AS place, ${absent}::pg_catalog.text AS absent FROM ${staging} ORDER BY ctid`,
    ),
  };
}

export interface UpdateRequest extends MergeRequest {
  readonly key: readonly string[];
  readonly target: ConflictTarget;
}

/** For `onConflict: 'update'`. What a row leaves out becomes the default, also in a row that is there already. */
export function planUpdate(request: UpdateRequest): MergePlan {
  const { table, staging, names, key, target, absentColumn } = request;
  const others = listOf(names.filter((name) => !key.includes(name)));
  const set = others.map((name) => `${name} = EXCLUDED.${name}`);
  const action = others.length === 0 ? 'NOTHING' : `UPDATE SET ${set.join(', ')}`;
  const conflict = ` ON CONFLICT ${target.inference} DO ${action}`;
  const isKnown = target.needs.every((name) => names.includes(name));
  const mayPassOver = isKnown && target.mayPassOver && absentColumn === undefined;
  const list = listOf(names).join(', ');
  const [values, rows] = lastOfEachKey(staging, names, key, target);
  return {
    ...planMerge(request, conflict, true),
    mayRepeat: true,
    last: mayPassOver
      ? statement(
          `INSERT INTO ${table} (${list}) OVERRIDING SYSTEM VALUE SELECT ${values} FROM ${rows}${conflict}`,
        )
      : undefined,
    repeats: isKnown ? repeatedKeys(request) : undefined,
  };
}

/** Returns values and rows. The key's columns are those of the first row: an update does not change them, even if they are spelt otherwise. */
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

function repeatedKeys({ staging, target, names, absentColumn, hasDefault }: UpdateRequest): Statement {
  const alone = [isAlone(target)];
  if (absentColumn !== undefined) {
    const listed = `pg_catalog.concat(',', ${quoteIdentifier(absentColumn)}, ',')`;
    const needed = target.needs.map((name) => names.indexOf(name)).filter((place) => hasDefault[place]);
    // The default is not known yet. If two of them are equal after all, the server reports it (21000).
    for (const place of needed)
      alone.push(`pg_catalog.strpos(${listed}, ',${place},') OPERATOR(pg_catalog.>) 0`);
  }
  const isAny = `(${alone.join(' OR ')})`;
  return statement(
    `SELECT place::pg_catalog.text, before::pg_catalog.text FROM (SELECT ctid AS place, ` +
      `pg_catalog.lag(ctid) OVER (PARTITION BY ${groupsOf(target)}, ${isAny} ORDER BY ctid) AS before, ${isAny} AS alone FROM ${staging}) AS batch ` +
      `WHERE before IS NOT NULL AND NOT alone ORDER BY batch.place`,
  );
}

/** Inserts as many rows of defaults: no column is left to name. */
function insertDefaults(table: string, staging: string, where: string, conflict: string): Statement {
  return statement(`INSERT INTO ${table} SELECT FROM ${staging}${where}${conflict}`);
}

function groupsOf({ keys, predicate }: ConflictTarget): string {
  return [...keys, ...(predicate === undefined ? [] : [`(${predicate}) IS TRUE`])].join(', ');
}

/** True for a row that equals no other in the index: its key has a NULL, unless the index takes NULLs as equal, or it is not in the index. */
function isAlone({ keys, predicate, areNullsDistinct }: ConflictTarget): string {
  const conditions = [
    ...(areNullsDistinct ? [`pg_catalog.num_nulls(${keys.join(', ')}) OPERATOR(pg_catalog.>) 0`] : []),
    ...(predicate === undefined ? [] : [`(${predicate}) IS NOT TRUE`]),
  ];
  return conditions.length === 0 ? 'false' : `(${conditions.join(' OR ')})`;
}

function listOf(names: readonly string[]): string[] {
  return names.map(quoteIdentifier);
}

export function freeName(wanted: string, names: readonly string[]): string {
  let name = wanted;
  while (names.includes(name)) name += '_';
  return name;
}
