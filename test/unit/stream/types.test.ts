import { errorMonitor } from 'node:events';
import { Readable, type Duplex, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { QueryResult } from 'pg';
import { describe, expectTypeOf, it } from 'vitest';
import type { BackpressureState } from '../../../src/index.js';
import {
  type BackpressureController,
  BackpressureStrategy,
  BackpressureTransform,
  BackpressureWritable,
  type DropReason,
  type FailedItem,
  type FlushContext,
  type FlushFunction,
  type FlushReport,
  type RetryReport,
  type Settlement,
  type SinkMetrics,
} from '../../../src/index.js';

interface Row {
  id: number;
}

function store(rows: Row[]): Promise<void> {
  return rows.length > 0 ? Promise.resolve() : Promise.reject(new Error('an empty batch'));
}

// Checked by the compiler (`npm run typecheck`): a wrong type is an error there.
describe('types', () => {
  it('the item type follows from the flush function', () => {
    const stream = new BackpressureWritable(store);
    expectTypeOf(stream).toEqualTypeOf<BackpressureWritable<Row>>();
    expectTypeOf(stream.takeUnsettled()).toEqualTypeOf<Row[]>();
    expectTypeOf(stream.getMetrics()).toEqualTypeOf<SinkMetrics>();
    expectTypeOf(stream).toExtend<Writable>();
    const flush: FlushFunction<Row> = async (rows, context) => {
      expectTypeOf(rows).toEqualTypeOf<Row[]>();
      expectTypeOf(context).toEqualTypeOf<FlushContext>();
      return { success: rows.length, failed: 0, errors: [] };
    };
    expectTypeOf(new BackpressureWritable(flush)).toEqualTypeOf<BackpressureWritable<Row>>();
    const explicit = new BackpressureWritable<Row>(async (rows) => expectTypeOf(rows).toEqualTypeOf<Row[]>());
    explicit.destroy();
  });

  it('the options know the item type', () => {
    new BackpressureWritable(store, {
      sizeOf: (row) => row.id,
      shed: (row, state) => {
        expectTypeOf(row).toEqualTypeOf<Row>();
        expectTypeOf(state).toEqualTypeOf<BackpressureState>();
        return false;
      },
      onFailed: (failures) => expectTypeOf(failures).toEqualTypeOf<FailedItem<Row>[]>(),
      onSettled: (settlements) => expectTypeOf(settlements).toEqualTypeOf<Settlement<Row>[]>(),
    }).destroy();
  });

  it('a strategy is a literal or a constant, and nothing else', () => {
    const flush = async () => undefined;
    new BackpressureWritable(flush, { strategy: 'drop_oldest' }).destroy();
    new BackpressureWritable(flush, { strategy: 'drop-newest' }).destroy();
    new BackpressureWritable(flush, { strategy: BackpressureStrategy.SAMPLE }).destroy();
    // @ts-expect-error -- no such strategy
    const wrong = () => new BackpressureWritable(flush, { strategy: 'drop_all' });
    // @ts-expect-error -- an option of the writable alone
    const misplaced = () => new BackpressureTransform({ concurrency: 2 });
    expectTypeOf(wrong).toBeFunction();
    expectTypeOf(misplaced).toBeFunction();
  });

  it("listeners know their arguments, Node's own ones too", () => {
    const stream = new BackpressureWritable(store);
    stream.on('state', (state, previous) => {
      expectTypeOf(state).toEqualTypeOf<BackpressureState>();
      expectTypeOf(previous).toEqualTypeOf<BackpressureState>();
    });
    stream.once('drop', (row, reason) => {
      expectTypeOf(row).toEqualTypeOf<Row>();
      expectTypeOf(reason).toEqualTypeOf<DropReason>();
    });
    stream.on('flush', (report) => expectTypeOf(report).toEqualTypeOf<FlushReport>());
    stream.on('retry', (retry) => expectTypeOf(retry).toEqualTypeOf<RetryReport>());
    stream.on('failed', (failures) => expectTypeOf(failures).toEqualTypeOf<FailedItem<Row>[]>());
    stream.on('error', (error) => expectTypeOf(error).toEqualTypeOf<Error>()).on('finish', () => undefined);
    const between = new BackpressureTransform<Row, string>({ map: (row) => String(row.id) });
    between.on('drop', (row) => expectTypeOf(row).toEqualTypeOf<Row>());
    expectTypeOf(between).toExtend<Duplex>();
    stream.destroy();
  });

  it('callbacks of write() and end() know their argument', () => {
    const stream = new BackpressureWritable(store);
    stream.write({ id: 1 }, (error) => expectTypeOf(error).toEqualTypeOf<Error | null | undefined>());
    stream.end({ id: 2 }, () => undefined);
  });

  it('write() and end() take items only', () => {
    const wrong = (sink: BackpressureWritable<Row>, transform: BackpressureTransform<Row, string>) => {
      // @ts-expect-error -- it is not a row
      sink.write('x');
      // @ts-expect-error -- it is not a row
      sink.write('x', 'utf8');
      // @ts-expect-error -- a field is missing
      sink.end({});
      // @ts-expect-error -- null ends a stream in Node
      sink.write(null);
      // @ts-expect-error -- it is not a row
      transform.write(5);
      // @ts-expect-error -- it is not a row
      transform.end('x');
    };
    const right = <T>(
      any: BackpressureWritable,
      bytes: BackpressureWritable<Buffer>,
      generic: BackpressureWritable<T>,
      item: T,
    ) => {
      any.write('x');
      any.write({ id: 1 });
      bytes.write('text', 'utf8');
      bytes.end(new Uint8Array(1));
      generic.write(item);
    };
    expectTypeOf(wrong).toBeFunction();
    expectTypeOf(right).toBeFunction();
  });

  it('a listener of an unknown event, or with wrong arguments, is refused', () => {
    const wrong = (
      sink: BackpressureWritable<Row>,
      transform: BackpressureTransform<Row>,
      controller: BackpressureController<Row>,
    ) => {
      // @ts-expect-error -- a misspelt name
      sink.on('flushed', () => undefined);
      // @ts-expect-error -- a misspelt name
      sink.once('dorp', () => undefined);
      // @ts-expect-error -- a misspelt name
      sink.prependListener('States', () => undefined);
      // @ts-expect-error -- a transform does not flush
      transform.on('flush', () => undefined);
      // @ts-expect-error -- a controller is no stream
      controller.on('finish', () => undefined);
      // @ts-expect-error -- a misspelt name
      controller.off('fail', () => undefined);
      // @ts-expect-error -- the item is a row
      sink.on('drop', (item: string) => item);
      // @ts-expect-error -- the chunk is a row
      transform.on('data', (item: string) => item);
    };
    const right = (
      sink: BackpressureWritable<Row>,
      transform: BackpressureTransform<Row>,
      either: boolean,
    ) => {
      void new Promise((resolve, reject) => sink.once('drain', resolve).on('error', reject));
      sink.on(errorMonitor, () => undefined);
      transform.on('data', (row) => expectTypeOf(row).toEqualTypeOf<Row>());
      (either ? sink : transform).on('close', () => undefined);
    };
    expectTypeOf(wrong).toBeFunction();
    expectTypeOf(right).toBeFunction();
  });

  it('a reader of a transform knows what it gets', () => {
    const read = async (rows: BackpressureTransform<Row>, names: BackpressureTransform<Row, string>) => {
      for await (const row of rows) expectTypeOf(row).toEqualTypeOf<Row>();
      for await (const name of names) expectTypeOf(name).toEqualTypeOf<string>();
      for await (const row of rows.iterator({ destroyOnReturn: false }))
        expectTypeOf(row).toEqualTypeOf<Row>();
      expectTypeOf(rows.read()).toEqualTypeOf<Row | null>();
      expectTypeOf(await names.toArray()).toEqualTypeOf<string[]>();
      const { value } = await rows[Symbol.asyncIterator]().next();
      expectTypeOf(value).toEqualTypeOf<Row | undefined>();
    };
    expectTypeOf(read).toBeFunction();
    expectTypeOf(new BackpressureTransform({ map: (row: Row) => row.id }).read()).toEqualTypeOf<
      number | null
    >();
    expectTypeOf(
      new BackpressureTransform({ map: async (row: Row) => (row.id > 0 ? row.id : null) }).read(),
    ).toEqualTypeOf<number | null>();
  });

  it('a transform with batchSize gives arrays, and says so', () => {
    const batches = new BackpressureTransform<Row, Row[]>({ batchSize: 2 });
    expectTypeOf(batches.read()).toEqualTypeOf<Row[] | null>();
    new BackpressureTransform<Row, string[]>({ batchSize: 2, map: (row) => String(row.id) }).destroy();
    new BackpressureTransform({ batchSize: 2 }).destroy();
    // @ts-expect-error -- the reader gets arrays of rows
    const single = () => new BackpressureTransform<Row>({ batchSize: 2 });
    const whole = () =>
      new BackpressureTransform<Row, string[]>({
        batchSize: 2,
        // @ts-expect-error -- each result is one element of the array
        map: (row) => [String(row.id)],
      });
    expectTypeOf(single).toBeFunction();
    expectTypeOf(whole).toBeFunction();
  });

  it('streams fit where Node wants streams', () => {
    const uses = async (sink: BackpressureWritable<Row>, transform: BackpressureTransform<Row, number>) => {
      await pipeline(Readable.from([]), transform, sink);
      await pipeline([1], transform, async function* (numbers) {
        for await (const number of numbers) yield number;
      });
      Readable.from([]).pipe(transform).pipe(sink);
      transform.compose(transform);
      expectTypeOf(sink).toExtend<NodeJS.WritableStream>();
      expectTypeOf(transform).toExtend<NodeJS.ReadWriteStream>();
      expectTypeOf(transform).toExtend<AsyncIterable<number>>();
    };
    expectTypeOf(uses).toBeFunction();
  });

  it("a flush function may return its client's own result", () => {
    const right = (client: { query: () => Promise<QueryResult> }) => {
      new BackpressureWritable<Row>(() => client.query());
      new BackpressureWritable<Row>(async () => ({ count: 3 }));
      new BackpressureWritable<Row>(async () => 3);
      new BackpressureWritable<Row>(async () => null);
      new BackpressureWritable<Row>((rows) => Promise.all(rows.map((row) => Promise.resolve(row.id))));
      new BackpressureWritable<Row>(() => fetch('http://localhost'));
      new BackpressureWritable<Row>(() => ({ then: () => undefined as never }) as PromiseLike<void>);
    };
    const wrong = () => {
      // @ts-expect-error -- part of a FlushResult
      new BackpressureWritable<Row>(async () => ({ success: 1 }));
      // @ts-expect-error -- a bulk result of Elasticsearch
      new BackpressureWritable<Row>(async () => ({ took: 1, errors: true, items: [] }));
      // @ts-expect-error -- no promise, so that nothing is known of its end
      new BackpressureWritable<Row>(() => undefined);
    };
    expectTypeOf(right).toBeFunction();
    expectTypeOf(wrong).toBeFunction();
  });
});
