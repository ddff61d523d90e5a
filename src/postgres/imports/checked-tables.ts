/**
 * Checks the bookkeeping tables in each transaction, and looks at the whole catalogue only if they may have changed: that takes the server
 * several milliseconds, and the look at a few rows a fraction of one.
 *
 * Only the roles that were found to be trusted can change tables that were checked: they could as well run code in other ways. All that others
 * can do is to put tables of the same names in their places, once somebody has dropped them, and those have other numbers. Most of what a trusted
 * role does by mistake, such as a GRANT, writes a new version of the table's row or makes a trigger. The rest is found within a minute.
 */

import type { Clock } from '../../common/clock.js';
import type { CopyClient } from '../protocol/pool.js';
import { rowsOfLast, sequence, type Statement } from '../sql/statement.js';
import { lockAndIdentifyTables } from './bookkeeping-facts.js';
import type { BookkeepingTables } from './bookkeeping-trust.js';
import { checkTables, type LoadedTable } from './import-tables.js';

const LONGEST_MS = 60_000;

export class CheckedTables {
  readonly #loaded: LoadedTable;
  readonly #tables: BookkeepingTables;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #identify: Statement;
  #identity: string | undefined;
  #checkedAt = 0;

  constructor(loaded: LoadedTable, tables: BookkeepingTables, clock: Pick<Clock, 'now'>) {
    this.#loaded = loaded;
    this.#tables = tables;
    this.#clock = clock;
    this.#identify = lockAndIdentifyTables(loaded.schema, loaded.table, [...tables.keys()]);
  }

  /**
   * As `checkTables`: locks the tables until the end of the transaction.
   *
   * @param first is sent before, in the same message
   * @throws {CopyError} as it does
   */
  async check(client: CopyClient, first?: Statement): Promise<void> {
    const look = first === undefined ? this.#identify : sequence([first, this.#identify]);
    const [row] = (await rowsOfLast(client, look)) as { identity: string | null }[];
    // Null if there are none of them.
    const identity = row!.identity ?? undefined;
    const isKnown = identity !== undefined && identity === this.#identity;
    const now = this.#clock.now();
    if (isKnown && now - this.#checkedAt < LONGEST_MS) return;
    this.#identity = undefined;
    await checkTables(client, this.#loaded, this.#tables);
    // They are locked since they were identified.
    this.#identity = identity;
    this.#checkedAt = now;
  }
}
