/** What the benchmarks within one process share: the streams that one would write by hand, and candidates that count what arrives. */

import { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { Candidate } from './comparison.js';
import { countFault, Inspector, type Item } from './counting.js';

export const BATCH_SIZE = 1_000;

/** What anybody would write who needs batches: collect, flush, wait. */
export class HandWrittenBatching extends Writable {
  readonly #flush: (batch: Item[]) => Promise<void>;
  #batch: Item[] = [];

  constructor(flush: (batch: Item[]) => Promise<void>) {
    super({ objectMode: true });
    this.#flush = flush;
  }

  override _write(item: Item, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#batch.push(item);
    if (this.#batch.length < BATCH_SIZE) callback();
    else this.#handOver(callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (this.#batch.length === 0) callback();
    else this.#handOver(callback);
  }

  #handOver(callback: (error?: Error | null) => void): void {
    const batch = this.#batch;
    this.#batch = [];
    this.#flush(batch).then(() => callback(), callback);
  }
}

export function bareWritable(take: (item: Item) => void): Writable {
  return new Writable({
    objectMode: true,
    write(item: Item, _encoding, callback) {
      take(item);
      callback();
    },
  });
}

export async function writeAll(sink: Writable, items: Iterable<Item>): Promise<void> {
  for (const item of items) {
    if (!sink.write(item)) await new Promise<void>((resolve) => sink.once('drain', resolve));
  }
  sink.end();
  await finished(sink);
}

/** A candidate whose destination takes single items or batches; when it is timed, it only counts them. */
export function candidate(
  count: number,
  name: string,
  work: (take: (item: Item) => void, flush: (batch: Item[]) => Promise<void>) => Promise<void>,
): Candidate {
  let received = 0;
  const countOne = (): void => {
    received += 1;
  };
  const countBatch = async (batch: Item[]): Promise<void> => {
    received += batch.length;
  };
  return {
    name,
    async verify() {
      const inspector = new Inspector();
      await work(inspector.take, async (batch) => batch.forEach(inspector.take));
      return inspector.verdict(count);
    },
    run() {
      received = 0;
      return work(countOne, countBatch);
    },
    confirm: () => countFault(received, count),
  };
}
