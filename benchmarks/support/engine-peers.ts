/** How each engine is told to do the same work. Its package is loaded only when it is asked for, for it may be missing. */

import { createRequire } from 'node:module';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Cause as EffectCause } from 'effect';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import type { Item } from './counting.js';
import { BATCH_SIZE } from './in-process.js';

type Flush = (batch: Item[]) => Promise<void>;
/** Takes all items of the source, in its own way, and hands them over in batches. Ends when all of them are settled. */
export type Work = (source: Iterable<Item>, flush: Flush) => Promise<void>;

interface Peer {
  readonly packageName: string;
  readonly engine: string;
  /** What the table says beside what it holds at most. */
  readonly remark?: string;
  readonly connect: () => Promise<Work>;
}

const require = createRequire(import.meta.url);
const CAPACITY = 10_000;
const PULLS = 'pulls, takes no writes';

export const PEERS: readonly Peer[] = [
  { packageName: 'rxjs', engine: 'bufferTime + concatMap', connect: rxjs },
  { packageName: 'effect', engine: 'Queue.bounded + takeBetween', connect: effect },
  {
    packageName: '@shutterstock/p-map-iterable',
    engine: 'IterableQueueMapperSimple, enqueue of each item',
    remark: 'collects no batches, the mapper does',
    connect: pMapIterable,
  },
  {
    packageName: '@shutterstock/p-map-iterable',
    engine: 'IterableQueueMapperSimple, enqueue of each batch',
    remark: 'batches collected by hand: it sees one call for each',
    connect: pMapIterableBatches,
  },
  { packageName: 'highland', engine: 'batch + flatMap', remark: PULLS, connect: highland },
  { packageName: 'streaming-iterables', engine: 'batch + transform', remark: PULLS, connect: iterables },
  {
    packageName: 'streaming-iterables',
    engine: 'batch + transform, of an async iterable',
    remark: PULLS,
    connect: asyncIterables,
  },
  { packageName: 'async', engine: 'cargoQueue', connect: asyncCargo },
  { packageName: 'batch2', engine: 'Transform between streams', remark: PULLS, connect: batch2 },
  {
    packageName: '@elastic/elasticsearch',
    engine: 'helpers.bulk',
    remark: `${PULLS}; a connection that answers at once; writes each item as JSON, and the destination reads it`,
    connect: elasticsearch,
  },
  {
    packageName: '@opentelemetry/sdk-trace-base',
    engine: 'BatchSpanProcessor',
    remark: 'never asks to wait, drops; the producer yields a turn after each batch',
    connect: openTelemetry,
  },
];

async function rxjs(): Promise<Work> {
  const { bufferTime, concatMap, from, lastValueFrom } = await import('rxjs');
  return async (source, flush) => {
    const batches = from(source).pipe(
      bufferTime(100, null, BATCH_SIZE),
      concatMap((batch) => (batch.length === 0 ? Promise.resolve() : flush(batch))),
    );
    await lastValueFrom(batches, { defaultValue: undefined });
  };
}

async function effect(): Promise<Work> {
  const { Cause, Effect, Queue } = await import('effect');
  return (source, flush) =>
    Effect.runPromise(
      Effect.gen(function* () {
        const queue = yield* Queue.bounded<Item, EffectCause.Done>(CAPACITY);
        const produce = Effect.gen(function* () {
          for (const item of source) yield* Queue.offer(queue, item);
          yield* Queue.end(queue);
        });
        const consume = Effect.gen(function* () {
          for (;;) {
            const batch = yield* Queue.takeBetween(queue, 1, BATCH_SIZE);
            yield* Effect.promise(() => flush(batch));
          }
        }).pipe(Effect.catchIf(Cause.isDone, () => Effect.void));
        yield* Effect.all([produce, consume], { concurrency: 2, discard: true });
      }),
    );
}

async function pMapIterable(): Promise<Work> {
  const { IterableQueueMapperSimple } = await import('@shutterstock/p-map-iterable');
  return async (source, flush) => {
    let batch: Item[] = [];
    const handOver = async (): Promise<void> => {
      const full = batch;
      batch = [];
      await flush(full);
    };
    const mapper = new IterableQueueMapperSimple<Item>(
      async (item) => {
        batch.push(item);
        if (batch.length === BATCH_SIZE) await handOver();
      },
      { concurrency: 1 },
    );
    for (const item of source) await mapper.enqueue(item);
    await mapper.onIdle();
    if (batch.length > 0) await handOver();
    if (mapper.errors.length > 0) throw new Error(`${mapper.errors.length} items failed`);
  };
}

async function pMapIterableBatches(): Promise<Work> {
  const { IterableQueueMapperSimple } = await import('@shutterstock/p-map-iterable');
  return async (source, flush) => {
    const mapper = new IterableQueueMapperSimple<Item[]>(flush, { concurrency: 1 });
    let batch: Item[] = [];
    for (const item of source) {
      batch.push(item);
      if (batch.length === BATCH_SIZE) {
        await mapper.enqueue(batch);
        batch = [];
      }
    }
    if (batch.length > 0) await mapper.enqueue(batch);
    await mapper.onIdle();
    if (mapper.errors.length > 0) throw new Error(`${mapper.errors.length} batches failed`);
  };
}

async function highland(): Promise<Work> {
  const { default: stream } = await import('highland');
  return async (source, flush) => {
    const settled = stream(source[Symbol.iterator]())
      .batch(BATCH_SIZE)
      .flatMap((batch) => stream(flush(batch)))
      .collect();
    await settled.toPromise(Promise);
  };
}

async function iterables(): Promise<Work> {
  const { batch, consume, transform } = await import('streaming-iterables');
  return async (source, flush) => {
    await consume(transform(1, flush, batch(BATCH_SIZE, source)));
  };
}

/** The same where items come from a stream or a network, as they mostly do where somebody needs such a library. */
async function asyncIterables(): Promise<Work> {
  const { batch, consume, transform } = await import('streaming-iterables');
  return async (source, flush) => {
    await consume(transform(1, flush, batch(BATCH_SIZE, inTime(source))));
  };
}

async function* inTime(source: Iterable<Item>): AsyncGenerator<Item, void> {
  yield* source;
}

async function asyncCargo(): Promise<Work> {
  const { default: library } = await import('async');
  return async (source, flush) => {
    const cargo = library.cargoQueue<Item>(
      (batch, done: (error?: Error) => void) => void flush(batch).then(() => done(), done),
      1,
      BATCH_SIZE,
    );
    let fault: unknown;
    cargo.error((error) => {
      fault = error;
    });
    for (const item of source) cargo.push(item, () => undefined);
    if (!cargo.idle()) await cargo.drain();
    if (fault !== undefined) throw fault;
  };
}

async function batch2(): Promise<Work> {
  const make = require('batch2') as { obj(options: { size: number }): NodeJS.ReadWriteStream };
  return (source, flush) => {
    const sink = new Writable({
      objectMode: true,
      write(batch: Item[], _encoding, callback) {
        flush(batch).then(() => callback(), callback);
      },
    });
    return pipeline(Readable.from(source), make.obj({ size: BATCH_SIZE }), sink);
  };
}

/** Bytes of a request that hold about a batch: its helper counts bytes, not documents. */
const BULK_BYTES = 64 * BATCH_SIZE;

async function elasticsearch(): Promise<Work> {
  const { BaseConnection, Client } = await import('@elastic/elasticsearch');
  return async (source, flush) => {
    class Mock extends BaseConnection {
      override async request(params: { body?: unknown }): Promise<never> {
        const lines = String(params.body).trimEnd().split('\n');
        const batch = lines.filter((_, index) => index % 2 === 1).map((line) => JSON.parse(line) as Item);
        await flush(batch);
        const answers = batch.map(() => ({ index: { status: 201 } }));
        return {
          statusCode: 200,
          headers: { 'content-type': 'application/json', 'x-elastic-product': 'Elasticsearch' },
          body: JSON.stringify({ errors: false, items: answers }),
        } as never;
      }

      override async close(): Promise<void> {}
    }
    const client = new Client({ node: 'http://127.0.0.1:9200', Connection: Mock });
    await client.helpers.bulk<Item>({
      datasource: inTime(source),
      flushBytes: BULK_BYTES,
      concurrency: 1,
      onDocument: () => ({ index: { _index: 'items' } }),
    });
    await client.close();
  };
}

/** As `@opentelemetry/core` numbers the outcome of an export. */
const SUCCESS = 0;
const FAILED = 1;

async function openTelemetry(): Promise<Work> {
  const { BatchSpanProcessor } = await import('@opentelemetry/sdk-trace-base');
  const context = { traceId: '1'.repeat(32), spanId: '1'.repeat(16), traceFlags: 1 };
  const resource = { asyncAttributesPending: false };
  return async (source, flush) => {
    const exporter = {
      export(spans: readonly unknown[], done: (result: { code: number; error?: Error }) => void) {
        const batch = spans.map((span) => (span as { item: Item }).item);
        flush(batch).then(
          () => done({ code: SUCCESS }),
          (error: unknown) => done({ code: FAILED, error: error as Error }),
        );
      },
      shutdown: async () => undefined,
    };
    const processor = new BatchSpanProcessor(exporter, {
      maxQueueSize: CAPACITY,
      maxExportBatchSize: BATCH_SIZE,
    });
    let written = 0;
    for (const item of source) {
      processor.onEnd({ item, spanContext: () => context, resource } as unknown as ReadableSpan);
      written += 1;
      if (written % BATCH_SIZE === 0) await nextTurn();
    }
    await processor.forceFlush();
    await processor.shutdown();
  };
}
