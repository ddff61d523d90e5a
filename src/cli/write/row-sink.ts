/** Loads single rows through the library's stream: for strategies that drop rows. */

import { ItemError } from '../../api/errors.js';
import type { SinkMetrics } from '../../api/metrics.js';
import type { FailedItem } from '../../api/options.js';
import { CopyError } from '../../postgres/errors/copy-error.js';
import { BackpressureWritable } from '../../stream/backpressure-writable.js';
import type { CopyFunction } from '../../postgres/copy-into.js';
import type { FlushContext, FlushDefaults, FlushFunction, FlushResult } from '../../api/flush-function.js';
import { expectBadRows } from '../common/bounded-garbage.js';
import { createRowCopy, OpenFlushes, type LoadSink, type LoadTarget } from './load-sink.js';
import type { LoadOptions } from '../args/options.js';
import { FAULT_BYTES } from '../records/record-block.js';
import type { SourceRow } from '../records/record-parser.js';
import { WaitingFor } from '../report/waiting-for.js';
import type { RejectFile } from '../rejects/reject-file.js';
import { rejectLines, type RejectLine } from '../rejects/reject.js';

export class RowSink implements LoadSink {
  readonly stream: BackpressureWritable<SourceRow>;
  readonly waitingFor: WaitingFor;
  readonly #lineOf: RejectLine;
  readonly #flushes = new OpenFlushes();

  constructor(target: LoadTarget, options: LoadOptions) {
    const { rejects, columns } = target;
    this.#lineOf = rejectLines(columns, options.format);
    const copy = createRowCopy(target, options, this.#lineOf);
    const flush = rejects === undefined ? copy : this.#rejecting(copy, rejects, target.onRejects);
    this.stream = new BackpressureWritable<SourceRow>(
      Object.assign(flush, { defaults: defaultsFrom(copy.defaults) }),
      {
        strategy: options.strategy,
        ...(options.batchSize === undefined ? {} : { batchSize: options.batchSize }),
        ...(options.connections === undefined ? {} : { concurrency: options.connections }),
        ...(rejects === undefined ? {} : { onFailed: (failures) => checkRejects(failures, rejects) }),
      },
    );
    this.waitingFor = new WaitingFor(this.stream);
  }

  metrics(): SinkMetrics {
    return this.stream.getMetrics();
  }

  ended(): Promise<void> {
    return this.#flushes.ended();
  }

  /**
   * Queues the rejects of each batch, also after the load has failed. `onFailed` waits until they are written, not the flush: a slow reader
   * of a pipe must not count as a slow server.
   */
  #rejecting(
    copy: CopyFunction<SourceRow>,
    rejects: RejectFile,
    onRejects: LoadTarget['onRejects'],
  ): FlushFunction<SourceRow> {
    const flush = async (rows: SourceRow[], context: FlushContext): Promise<FlushResult | undefined> => {
      expectBadRows();
      const result = await copy(rows, context);
      const rejected = result?.errors.map((error) => rejectOf(error, rows)) ?? [];
      if (rejected.length > 0) {
        rejects.queue(rejected.map((found) => this.#lineOf(...found)));
        onRejects?.(rejected);
      }
      return result;
    };
    return (rows, context) => this.#flushes.add(flush(rows, context));
  }
}

/** `onFailed` of both sinks: resolves when the rejects are written. @throws any failure that is not a bad row, which ends the load */
export async function checkRejects(
  failures: readonly FailedItem<unknown>[],
  rejects: RejectFile,
): Promise<void> {
  for (const { error } of failures) if (!(error instanceof ItemError)) throw error;
  await rejects.written();
  rejects.assertWithinLimit();
}

/** Measures a row by its values, or by the text that could not be read. */
function defaultsFrom({ sizeOf, ...defaults }: FlushDefaults<SourceRow>): FlushDefaults<SourceRow> {
  if (sizeOf === undefined) return defaults;
  return {
    ...defaults,
    sizeOf: Object.assign(
      (row: SourceRow) =>
        row.text === undefined ? sizeOf(row.values as never) : FAULT_BYTES + row.text.length,
      sizeOf.sentShare && { sentShare: sizeOf.sentShare },
    ),
  };
}

/** Returns the row that `copyInto` has rejected, and why. */
export function rejectOf(error: Error, rows: readonly SourceRow[]): [SourceRow, CopyError] {
  if (!(error instanceof ItemError) || !(error.cause instanceof CopyError)) throw error;
  return [rows[error.index]!, error.cause];
}
