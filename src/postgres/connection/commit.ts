/** Sends COMMIT, and decides what is known of it if its response does not come. */

import { toError } from '../../common/thrown.js';
import type { ClientLease } from './client-lease.js';
import type { CopyClient } from '../protocol/pool.js';
import { leavesConnectionUsable, provesRollback } from '../errors/sqlstate.js';

export class Commit {
  readonly #lease: ClientLease<CopyClient>;
  #isOpen = false;

  constructor(lease: ClientLease<CopyClient>) {
    this.#lease = lease;
  }

  /** COMMIT was sent, and its outcome is unknown. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * @param send sends COMMIT, and waits for the answer for as long as the caller wants
   * @returns the answer; also if the connection was lost behind it @throws what `send` throws, or why the session had ended before
   */
  async run(send: () => Promise<{ command: string }>): Promise<{ command: string }> {
    const { watch } = this.#lease;
    if (this.#lease.isLost) throw this.#lease.reasonOf(new Error('Connection terminated before COMMIT'));
    const sentBefore = watch.bytesSent;
    watch.lastTag = undefined;
    this.#isOpen = true;
    try {
      const answer = await send();
      this.#isOpen = false;
      return answer;
    } catch (thrown) {
      const error = toError(thrown);
      const tag = watch.lastTag as string | undefined;
      const isAnswered = tag === 'COMMIT' || watch.isCommittedLocally;
      const hasLeft = sentBefore === undefined || watch.bytesSent !== sentBefore;
      const isUndone =
        tag === 'ROLLBACK' ||
        leavesConnectionUsable(error) ||
        provesRollback(error) ||
        provesRollback(watch.farewell);
      this.#isOpen = hasLeft && !isAnswered && !isUndone;
      if (isAnswered) return { command: 'COMMIT' };
      throw error;
    }
  }
}
