/** The words that begin and end a batch's transaction: one of its own, or a part of one that somebody else owns. */

export interface TransactionScope {
  /** After its `commit` nothing can be undone. */
  readonly isFinal: boolean;
  readonly begin: string;
  /** After a failure: what was done is undone, and it begins anew. */
  readonly restart: string;
  readonly commit: string;
  readonly rollback: string;
}

export const OWN_TRANSACTION: TransactionScope = {
  isFinal: true,
  begin: 'BEGIN',
  restart: 'ROLLBACK; BEGIN',
  commit: 'COMMIT',
  rollback: 'ROLLBACK',
};

/** Within a transaction of the caller's, on the one connection that has it: nothing is final before the caller's own COMMIT. */
export const NESTED_TRANSACTION: TransactionScope = {
  isFinal: false,
  begin: 'SAVEPOINT spillway_batch',
  restart: 'ROLLBACK TO SAVEPOINT spillway_batch',
  commit: 'RELEASE SAVEPOINT spillway_batch',
  rollback: 'ROLLBACK TO SAVEPOINT spillway_batch; RELEASE SAVEPOINT spillway_batch',
};
