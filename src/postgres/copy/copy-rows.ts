/** Sends chunks of rows by one COPY. */

import { toError } from '../../common/thrown.js';
import { turnBudget } from '../../common/turn-budget.js';
import type { BatchPacer } from './batch-pacer.js';
import { BinaryRefusal } from '../encoding/binary/binary-chunk.js';
import type { ClientLease } from '../connection/client-lease.js';
import { CopyInput } from './copy-input.js';
import { ProtocolFault } from '../protocol/protocol-fault.js';
import {
  AbortFault,
  CLEAN_UP_LIMIT_MS,
  TIMED_OUT,
  type AnswerDeadline,
} from '../connection/answer-deadline.js';
import type { CopyClient } from '../protocol/pool.js';
import type { Statement } from '../sql/statement.js';
import { leavesConnectionUsable } from '../errors/sqlstate.js';

const ignoreLoss = (): void => undefined;

export interface CopyContext {
  lease: ClientLease<CopyClient>;
  signal: AbortSignal;
  answerDeadline: AnswerDeadline;
  /** Of the batch's work between its statements. */
  pacer: BatchPacer;
  /** The most rows that are sent. */
  rows: number;
  /** Whether the connection is kept after an error of the server. Default: if the connection certainly lives on. */
  isKept?: (error: Error) => boolean;
  /** Gets what a statement behind the COPY returns. */
  onValue?: (value: string | null) => void;
}

/** Sends `statement`, which holds the COPY, and chunks until there is none. Resolves when the server has taken all of it. */
export async function copyChunks(
  { lease, signal, answerDeadline, rows, isKept = leavesConnectionUsable, onValue }: CopyContext,
  statement: Statement,
  nextChunk: () => Buffer | undefined,
): Promise<void> {
  const input = new CopyInput(lease.client, statement, onValue);
  const onAbort = (): void => {
    input.fail(new AbortFault(signal));
  };
  const onLost = (error: Error): void => {
    input.fail(error);
  };
  lease.onLost = onLost;
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    for (let chunk = nextChunk(); chunk !== undefined; chunk = nextChunk()) {
      const room = input.write(chunk);
      if (room !== undefined) await room;
      // On loopback there is room again within the same turn.
      if (turnBudget.isSpent) {
        await turnBudget.nextTurn();
        input.check();
      }
    }
    await input.finish();
    // A trigger may leave rows out; nothing adds any.
    if (input.rowCount > rows) {
      throw new ProtocolFault(`it counted ${input.rowCount} rows of a COPY of at most ${rows}`);
    }
  } catch (error) {
    if (!isKept(toError(error))) await abandon(input, lease, toError(error), answerDeadline);
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
    lease.onLost = ignoreLoss;
  }
}

/** Gives up a COPY that failed on our side. Unless the server responds in time, the connection is closed. */
async function abandon(
  input: CopyInput,
  lease: ClientLease<CopyClient>,
  error: Error,
  answerDeadline: AnswerDeadline,
): Promise<void> {
  if (lease.isLost) return;
  // A batch that is sent again as text has as much time as text has: the server may be waiting for a lock.
  const limitMs = error instanceof BinaryRefusal ? Infinity : CLEAN_UP_LIMIT_MS;
  const answer = await answerDeadline.wait(input.abandon(), limitMs);
  if (answer === TIMED_OUT || answer === undefined || !leavesConnectionUsable(answer)) lease.discard(error);
}
