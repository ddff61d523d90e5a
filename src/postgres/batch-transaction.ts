/** One batch, one transaction: BEGIN, COPY, the caller's own statements, COMMIT. */

import { toError } from '../errors.js';
import { ClientLease } from './client-lease.js';
import { CopyInput } from './copy-input.js';
import { AbortFault, LATE, Patience, unlessAborted } from './patience.js';
import type { CopyClient, CopyPool } from './pool.js';
import type { RowLayout } from './row-layout.js';
import { RowWriter } from './row-writer.js';
import { leavesConnectionUsable } from './sqlstate.js';

/** How long an answer to CopyFail or ROLLBACK may take before the connection is thrown away instead. */
const CLEAN_UP_LIMIT_MS = 5_000;

export type BatchStage = 'connect' | 'copy' | 'beforeCommit' | 'commit';

/** Why a batch failed, and where; `cause` is whatever was thrown. */
export class BatchFailure extends Error {
  override readonly name = 'BatchFailure';
  readonly stage: BatchStage;
  override readonly cause: Error;

  constructor(stage: BatchStage, cause: Error) {
    super(cause.message);
    this.stage = stage;
    this.cause = cause;
  }
}

export interface Batch<T, Client extends CopyClient> {
  pool: CopyPool<Client>;
  layout: RowLayout;
  items: T[];
  signal: AbortSignal;
  beforeCommit: ((client: Client, items: readonly T[]) => Promise<unknown>) | undefined;
}

/** @throws {BatchFailure} */
export async function copyBatch<T, Client extends CopyClient>(batch: Batch<T, Client>): Promise<void> {
  const { signal } = batch;
  let stage: BatchStage = 'connect';
  let lease: ClientLease<Client> | undefined;
  const patience = new Patience(signal);
  try {
    lease = await ClientLease.take(batch.pool, signal);
    stage = 'copy';
    await sendRows(lease, batch, patience);
    if (batch.beforeCommit !== undefined) {
      stage = 'beforeCommit';
      await unlessAborted(signal, batch.beforeCommit(lease.client, batch.items));
    }
    stage = 'commit';
    await commit(lease, signal, patience);
    lease.release();
  } catch (thrown) {
    const error = toError(thrown);
    if (lease !== undefined) await cleanUp(lease, stage, error, patience);
    throw new BatchFailure(stage, error);
  } finally {
    patience.end();
  }
}

async function sendRows<T, Client extends CopyClient>(
  lease: ClientLease<Client>,
  { layout, items, signal }: Batch<T, Client>,
  patience: Patience,
): Promise<void> {
  const input = new CopyInput(lease.client, layout.beginCopy);
  const onAbort = (): void => {
    input.fail(new AbortFault(signal));
  };
  lease.onLost = (error) => {
    input.fail(error);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const writer = new RowWriter(layout);
    for (let row = 0; row < items.length;) {
      row = writer.fill(items, row);
      const room = input.write(writer.take());
      if (room !== undefined) await room;
    }
    await input.finish();
  } catch (error) {
    if (!leavesConnectionUsable(toError(error))) await abandon(input, lease, toError(error), patience);
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
    lease.onLost = () => undefined;
  }
}

/** The COPY failed on our side. Unless the server takes notice in time, the connection goes. */
async function abandon(
  input: CopyInput,
  lease: ClientLease<CopyClient>,
  error: Error,
  patience: Patience,
): Promise<void> {
  if (lease.isLost) return;
  const answer = await patience.wait(input.abandon(), CLEAN_UP_LIMIT_MS);
  if (answer === LATE || answer === undefined || !leavesConnectionUsable(answer)) lease.discard(error);
}

async function commit(
  lease: ClientLease<CopyClient>,
  signal: AbortSignal,
  patience: Patience,
): Promise<void> {
  const result = await patience.wait(lease.client.query('COMMIT'));
  if (result === LATE) throw new AbortFault(signal);
  // A transaction that has failed answers COMMIT with ROLLBACK, and no error.
  if (result.command === 'ROLLBACK') {
    throw new Error('a statement of beforeCommit had failed, so the server rolled the batch back');
  }
}

async function cleanUp(
  lease: ClientLease<CopyClient>,
  stage: BatchStage,
  error: Error,
  patience: Patience,
): Promise<void> {
  if (!lease.isOut) return;
  // An aborted beforeCommit may still be using the connection.
  const isInUse = stage === 'beforeCommit' && error instanceof AbortFault;
  if (lease.isLost || isInUse) {
    lease.discard(error);
    return;
  }
  try {
    const result = await patience.wait(lease.client.query('ROLLBACK'), CLEAN_UP_LIMIT_MS);
    if (result === LATE) lease.discard(error);
    else lease.release();
  } catch {
    lease.discard(error);
  }
}
