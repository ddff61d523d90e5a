import type { Duplex, Writable } from 'node:stream';
import { describe, expectTypeOf, it } from 'vitest';
import type { BackpressureState } from '../../../src/index.js';
import {
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
    const explicit = new BackpressureWritable<Row>(
      async (rows) => expectTypeOf(rows).toEqualTypeOf<Row[]>() as never,
    );
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
});
