/** The statements that begin and end a batch's transaction: one of its own, or a part of one that somebody else owns. */

import { statement, type Statement } from './statement.js';

export interface TransactionScope {
  /** After its `commit` nothing can be undone. */
  readonly isFinal: boolean;
  readonly begin: Statement;
  /** After a failure: undoes what was done, and begins again. */
  readonly restart: Statement;
  readonly commit: Statement;
  readonly rollback: Statement;
}

export const OWN_TRANSACTION: TransactionScope = {
  isFinal: true,
  begin: statement('BEGIN'),
  restart: statement('ROLLBACK; BEGIN'),
  commit: statement('COMMIT'),
  rollback: statement('ROLLBACK'),
};

/** Within a transaction of the caller's, on the one connection that has it: nothing is final before the caller's own COMMIT. */
export const NESTED_TRANSACTION: TransactionScope = {
  isFinal: false,
  begin: statement('SAVEPOINT spillway_batch'),
  restart: statement('ROLLBACK TO SAVEPOINT spillway_batch'),
  commit: statement('RELEASE SAVEPOINT spillway_batch'),
  rollback: statement('ROLLBACK TO SAVEPOINT spillway_batch; RELEASE SAVEPOINT spillway_batch'),
};
