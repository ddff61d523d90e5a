/**
 * How values that a row leaves out (absent or `undefined`) get their column's default. A column without one gets NULL, as COPY writes it.
 *
 * - `marker`: COPY's text format has a word for it (PostgreSQL 16 and later, straight into the table).
 * - `list`: a further field of each row lists the columns that it leaves out, for the merge from a temporary table.
 * - `refused`: the batch is to be sent again by a layout with `list`. So batches whose rows leave nothing out cost nothing.
 */
export type AbsentWay = 'marker' | 'list' | 'refused';

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

  constructor(column: string) {
    super(`a row has the key ${JSON.stringify(column)}, which the rows before did not have`);
  }
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
