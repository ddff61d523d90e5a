/** What a trial of rows says: which rows the table refuses, and why. */

type Pair = readonly [number, number];

/** Why a slice was refused. */
export interface Refusal<E> {
  error: E;
  /** The row at fault, by its place in the batch; undefined where that is not known. */
  row: number | undefined;
  /** Other rows to which the same may happen; where no row is named: which the error may mean. Asked only where that is of use. */
  candidates: () => readonly number[] | Promise<readonly number[]>;
  /** Rows that may be at fault together with an earlier one, which comes first. Asked only where that is of use. */
  pairs?: () => readonly Pair[] | Promise<readonly Pair[]>;
  /** Another row at fault may be the cause, or a row that it refers to and that comes later. */
  mayPassLater: boolean;
  /** A value was refused as such: no other row can have a part in it. */
  isOfValue: boolean;
  /** Seen when the row was read: those after it had not been looked at yet, and none was in the table. */
  isOnReading: boolean;
}

/** Tries to land rows, given by their places in the batch. Of a refused slice none is inserted. */
export type Insert<E> = (rows: readonly number[]) => Promise<Refusal<E> | undefined>;
/** Tries slices, each by itself, and lands none of them. */
export type DryRun<E> = (slices: readonly (readonly number[])[]) => Promise<(Refusal<E> | undefined)[]>;

/** Of faults that are seen when a row is read, and of those that show only when rows are put into the table. */
export interface ByKind<Count> {
  reading: Count;
  writing: Count;
}
