/** What the statements of a batch are planned from. */

import type { TableColumn } from '../table/catalogue.js';
import type { ConflictTarget } from '../table/conflict-target.js';

/** What is done with a row whose key the table has already. */
export type ConflictRule =
  | { onConflict: 'error' }
  /** Without a key: whichever unique constraint it would break. */
  | { onConflict: 'ignore'; key: readonly string[] | undefined }
  | { onConflict: 'update'; key: readonly string[] };

/** A column of the COPY. */
type PlannedColumn = Pick<TableColumn, 'name' | 'sqlType' | 'hasDefault'>;

export interface PlanRequest {
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly PlannedColumn[];
  readonly conflict: ConflictRule;
  /** The index that the rule's key names. */
  readonly conflictTarget: ConflictTarget | undefined;
  /** The server takes no COPY FROM into the table: row-level security applies. */
  readonly isSecured: boolean;
  /** Each row lists the columns that it leaves out. */
  readonly listsAbsent: boolean;
}
