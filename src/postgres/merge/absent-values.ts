/**
 * How values that a row leaves out (absent or `undefined`) get their column's default. A column without one gets NULL, as COPY writes it.
 *
 * - `marker`: COPY's text format has a word for it (PostgreSQL 16 and later, straight into the table).
 * - `groups`: rows that leave out the same columns have a COPY of their own, which does not name these columns (before PostgreSQL 16).
 * - `list`: a further field of each row lists the columns that it leaves out, for the merge from a temporary table.
 * - `refused`: the batch is to be sent again by a layout with `groups` or `list`. So batches whose rows leave nothing out cost nothing.
 */
export type AbsentWay = 'marker' | 'groups' | 'list' | 'refused';

/** The most columns of a table, a temporary one included. */
export const MOST_COLUMNS = 1_600;
/**
 * Rows that leave out the same columns go together in their order; if that makes more groups than this, and nothing but serial numbers depends
 * on the order of rows, all that leave out the same go together.
 */
export const MOST_GROUPS = 100;

export interface AbsentValues {
  readonly way: AbsentWay;
  /** For each column whether it has a default. */
  readonly hasDefault: readonly boolean[];
}

/** Stands for the default in COPY's text. No value is written like this: a backslash of a value is doubled. */
export const DEFAULT_MARKER = '\\D';

/** Values that were left out, and a layout that cannot say so. */
export class AbsentRefusal extends Error {
  override readonly name = 'AbsentRefusal';

  constructor() {
    super('a row leaves out a column that has a default');
  }
}

/** A row has a key that the first row did not have, and the table has a column for it. */
export class MissingColumn extends Error {
  override readonly name = 'MissingColumn';
  readonly column: string;

  constructor(column: string) {
    super(`a row has the key ${JSON.stringify(column)}, which the rows before did not have`);
    this.column = column;
  }
}

/** Rows of one COPY. */
export interface AbsentGroup {
  /** What they leave out, as `absentList` makes it. */
  readonly absent: string;
  readonly rows: readonly number[];
}

/** @param lists what each row of the batch leaves out @param rows those to send, in order */
export function groupRows(lists: readonly string[], rows: readonly number[]): AbsentGroup[] {
  const groups: { absent: string; rows: number[] }[] = [];
  for (const row of rows) {
    const absent = lists[row]!;
    const last = groups.at(-1);
    if (last?.absent === absent) last.rows.push(row);
    else if (groups.length === MOST_GROUPS) return groupsInAnyOrder(lists, rows);
    else groups.push({ absent, rows: [row] });
  }
  return groups;
}

function groupsInAnyOrder(lists: readonly string[], rows: readonly number[]): AbsentGroup[] {
  const groups = new Map<string, number[]>();
  for (const row of rows) {
    const group = groups.get(lists[row]!);
    if (group === undefined) groups.set(lists[row]!, [row]);
    else group.push(row);
  }
  return [...groups].map(([absent, group]) => ({ absent, rows: group }));
}

/** The list of a row, from the places of its columns: `1,4`. */
export function absentList(places: readonly number[]): string {
  return places.join(',');
}

/** The columns that stay. @param list as `absentList` makes it */
export function withoutAbsent(names: readonly string[], list: string): string[] {
  const absent = new Set(list === '' ? [] : list.split(',').map(Number));
  return names.filter((_, place) => !absent.has(place));
}
