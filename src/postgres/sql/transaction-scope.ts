/** The statements that begin and end a batch's transaction: one of its own, or a part of one that somebody else owns. */

import type { CopyClient } from '../protocol/pool.js';
import { statement, type Statement } from './statement.js';

/** Comes behind `begin` or `restart`, before anything else. */
export interface BeginningCheck {
  /** @param first is sent before, in the same message @throws {CopyError} nothing more is sent then but ROLLBACK */
  run(client: CopyClient, first: Statement): Promise<void>;
  /** What the transaction begins with if the check has passed. */
  readonly then: Statement;
}

export interface TransactionScope {
  /** After its `commit` nothing can be undone. */
  readonly isFinal: boolean;
  readonly begin: Statement;
  /** Undefined: nothing is checked. */
  readonly check?: BeginningCheck | undefined;
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
