/** Why the table refuses rows: the result of an insert or a dry run. */

/** Rows that are tried by themselves, in their order: the last of them may be at fault. */
export type Prediction = readonly number[];

/** Why a slice was refused. */
export interface Refusal<E> {
  error: E;
  /** The row at fault, by its place in the batch. Undefined: unknown. */
  row: number | undefined;
  /** Returns the rows that the error may mean, if it names none. */
  candidates: () => readonly number[] | Promise<readonly number[]>;
  /** Returns rows that may be at fault together with an earlier row, which is the first of the pair. */
  pairs?: () => readonly Prediction[] | Promise<readonly Prediction[]>;
  /** Another row at fault may be the cause, or a row that it refers to and that comes later. */
  mayPassLater: boolean;
  /** A value was refused as such: no other row has a part in it. */
  isOfValue: boolean;
  /** The fault showed when the row was parsed: the rows behind it had not been parsed, and no row was in the table. */
  isOnReading: boolean;
}

/** Inserts rows, given by their places in the batch. Of a refused slice no row is inserted. */
export type Insert<E> = (rows: readonly number[]) => Promise<Refusal<E> | undefined>;
/** Tries slices, each by itself, and inserts none of them. */
export type DryRun<E> = (slices: readonly (readonly number[])[]) => Promise<(Refusal<E> | undefined)[]>;

/** One value for faults that show when a row is parsed, and one for faults that show when rows are inserted. */
export interface ByKind<Count> {
  reading: Count;
  writing: Count;
}
