/** Streams and controllers, each strategy, and every way to an end. Needs nothing but the core. */

import assert from 'node:assert/strict';
import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import {
  BackpressureController,
  BackpressureError,
  BackpressureState,
  BackpressureTransform,
  BackpressureWritable,
  BoundedBuffer,
  drainAll,
  InvalidOptionError,
  ItemError,
  type SinkMetrics,
} from 'spillway';
import { runChecks } from './run-checks.js';

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** The two equations of the ledger (invariant 2). */
function assertLedger(metrics: SinkMetrics, offered: number): void {
  const { waiting, bufferSize, inFlight, eventsFlushed, eventsFailed, eventsDropped } = metrics;
  assert.equal(metrics.eventsOffered, offered);
  assert.equal(waiting + bufferSize + inFlight + eventsFlushed + eventsFailed + eventsDropped, offered);
  const drops = Object.values(metrics.dropsByReason).reduce((sum, count) => sum + count, 0);
  assert.equal(drops, eventsDropped);
}

/** A flush function that waits for `open`, and keeps what it got. */
function gate() {
  const got: number[] = [];
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  const flush = async (items: number[]): Promise<void> => {
    await opened;
    got.push(...items);
  };
  return { got, flush, open };
}

/** Writes 100 numbers at once into a sink with room for ten, whose first batch is held until then. */
async function burst(strategy: 'drop_oldest' | 'drop_newest' | 'sample') {
  const { got, flush, open } = gate();
  const sink = new BackpressureWritable<number>(flush, {
    strategy,
    maxBufferSize: 10,
    batchSize: 2,
    sampleRate: 4,
    random: () => 0.5,
  });
  const returned = numbers(100).map((n) => sink.write(n));
  const full = sink.getMetrics();
  open();
  await new Promise<void>((resolve) => sink.end(resolve));
  assert.ok(returned.every(Boolean), 'a strategy that drops lets its producer go on');
  assert.equal(full.bufferSize + full.inFlight, 10);
  assertLedger(sink.getMetrics(), 100);
  return { got, drops: sink.getMetrics().dropsByReason };
}

void runChecks({
  async 'a pipeline under block delivers each item in order'() {
    const batches: number[][] = [];
    const sink = new BackpressureWritable<number>(async (items) => void batches.push(items), {
      batchSize: 1000,
    });
    await pipeline(Readable.from(numbers(25_000)), new BackpressureTransform<number>(), sink);
    assert.deepEqual(batches.flat(), numbers(25_000));
    assertLedger(sink.getMetrics(), 25_000);
  },

  async 'block asks its producer to wait, and lets it go on'() {
    const { got, flush, open } = gate();
    const sink = new BackpressureWritable<number>(flush, { maxBufferSize: 10, batchSize: 2 });
    const states: string[] = [];
    sink.on('state', (state) => states.push(state));
    let written = 0;
    while (sink.write(written++));
    assert.equal(written, 8);
    assert.equal(sink.getMetrics().state, BackpressureState.CRITICAL);
    open();
    await new Promise((resolve) => sink.once('drain', resolve));
    await new Promise<void>((resolve) => sink.end(resolve));
    assert.deepEqual(got, numbers(8));
    assert.deepEqual(states.slice(0, 2), ['elevated', 'critical']);
  },

  async 'drop_oldest keeps the newest'() {
    const { got, drops } = await burst('drop_oldest');
    assert.equal(drops.evicted, 90);
    assert.deepEqual(got.slice(-5), [95, 96, 97, 98, 99]);
  },

  async 'drop_newest keeps the oldest'() {
    const { got, drops } = await burst('drop_newest');
    assert.equal(drops.rejected, 90);
    assert.deepEqual(got, numbers(10));
  },

  async 'sample keeps some'() {
    const { got, drops } = await burst('sample');
    assert.equal(got.length, 10);
    assert.ok(drops.sampled > 0);
    assert.equal(drops.sampled + drops.rejected, 90);
  },

  async 'a controller calls a batch again that has failed'() {
    let calls = 0;
    const sent: number[] = [];
    const controller = new BackpressureController<number>(
      async (items) => {
        if ((calls += 1) < 3) throw new Error('not yet');
        sent.push(...items);
      },
      { batchSize: 50, retry: { attempts: 5, minDelayMs: 1 } },
    );
    controller.start();
    await Promise.all(numbers(50).map((n) => controller.push(n)));
    await controller.drain();
    assert.deepEqual(sent, numbers(50));
    assert.equal(controller.getMetrics().retries, 2);
    assertLedger(controller.getMetrics(), 50);
    controller.stop();
  },

  async 'onFailed takes what fails for good'() {
    const failed: number[] = [];
    const sink = new BackpressureWritable<number>(
      async (items) => ({
        success: items.length - 1,
        failed: 1,
        errors: [new ItemError(0, { message: 'refused' })],
      }),
      { batchSize: 5, onFailed: (failures) => void failed.push(...failures.map(({ item }) => item)) },
    );
    await pipeline(Readable.from(numbers(20)), sink);
    assert.deepEqual(failed, [0, 5, 10, 15]);
    assertLedger(sink.getMetrics(), 20);
  },

  async 'a flush that hangs is timed out'() {
    const sink = new BackpressureWritable<number>(() => new Promise(() => undefined), {
      flushTimeoutMs: 50,
      abortGraceMs: 20,
    });
    const ended = pipeline(Readable.from(numbers(5)), sink);
    await assert.rejects(ended, (error: BackpressureError) => {
      assert.equal(error.code, 'ERR_BACKPRESSURE_FLUSH_TIMEOUT');
      assert.deepEqual(error.items, numbers(5));
      return true;
    });
  },

  async 'a pipeline rejects with the error of its flush function'() {
    const sink = new BackpressureWritable<number>(() => Promise.reject(new TypeError('no')));
    await assert.rejects(
      pipeline(Readable.from(numbers(5)), sink),
      ({ cause }: Error) => cause instanceof TypeError,
    );
  },

  async 'destroy() ends at once, and returns the rest'() {
    const { flush } = gate();
    const sink = new BackpressureWritable<number>(flush, { abortGraceMs: 10 });
    for (const n of numbers(30)) sink.write(n);
    const closed = new Promise((resolve) => sink.once('close', resolve));
    sink.on('error', () => undefined);
    sink.destroy();
    await closed;
    assert.deepEqual(sink.takeUnsettled(), numbers(30));
    assertLedger(sink.getMetrics(), 30);
  },

  async 'a signal aborts a pipeline'() {
    const abort = new AbortController();
    const { flush } = gate();
    const sink = new BackpressureWritable<number>(flush, { signal: abort.signal, abortGraceMs: 10 });
    const ended = pipeline(Readable.from(numbers(100)), sink);
    setTimeout(() => abort.abort(new Error('enough')), 20);
    await assert.rejects(ended);
    assert.ok(sink.destroyed);
    assert.ok(sink.takeUnsettled().length > 0);
  },

  async 'flush() and drain() mean settled'() {
    const sent: number[] = [];
    const sink = new BackpressureWritable<number>(async (items) => {
      await delay(5);
      sent.push(...items);
    });
    for (const n of numbers(250)) sink.write(n);
    await sink.flush();
    assert.equal(sent.length, 250);
    sink.write(250);
    await sink.drain();
    assert.deepEqual(sent, numbers(251));
  },

  async 'drainAll reports what a destination that hangs leaves open'() {
    const { flush } = gate();
    const hanging = new BackpressureWritable<number>(flush, { abortGraceMs: 10 });
    const healthy = new BackpressureWritable<number>(async () => undefined);
    hanging.on('error', () => undefined);
    for (const n of numbers(10)) {
      hanging.write(n);
      healthy.write(n);
    }
    const { undelivered } = await drainAll([hanging, healthy], { timeoutMs: 100 });
    assert.equal(undelivered.length, 10);
    assert.equal(healthy.getMetrics().eventsFlushed, 10);
  },

  async 'a transform maps, batches and is iterated'() {
    const transform = new BackpressureTransform<number, number[]>({
      map: (n) => Promise.resolve(n * 2),
      batchSize: 10,
    });
    const source = Readable.from(numbers(100));
    source.pipe(transform);
    const got: number[] = [];
    for await (const batch of transform as AsyncIterable<number[]>) got.push(...batch);
    assert.deepEqual(
      got,
      numbers(100).map((n) => n * 2),
    );
  },

  async 'bytes are bounded, and arrive as they were'() {
    const parts: Buffer[] = [];
    const sink = new BackpressureWritable<Buffer>(async (chunks) => void parts.push(...chunks), {
      objectMode: false,
      maxBufferBytes: 100_000,
    });
    const source = Array.from({ length: 50 }, (_, index) => Buffer.alloc(20_000, index));
    await pipeline(Readable.from(source, { objectMode: false }), sink);
    assert.ok(Buffer.concat(parts).equals(Buffer.concat(source)));
  },

  async 'the interval flushes what is left of a batch'() {
    const sent: number[] = [];
    const sink = new BackpressureWritable<number>(async (items) => void sent.push(...items), {
      minFlushIntervalMs: 10,
    });
    sink.write(1);
    while (sent.length === 0) await delay(5);
    assert.equal(sink.getMetrics().flushesByReason.interval, 1);
    sink.destroy();
  },

  async 'channels of node:diagnostics_channel tell of each call'() {
    const seen: string[] = [];
    const flushes = tracingChannel('spillway:flush');
    const handlers: Record<'start' | 'end' | 'asyncStart' | 'asyncEnd' | 'error', () => void> = {
      start: () => void seen.push('start'),
      end: () => {},
      asyncStart: () => {},
      asyncEnd: () => void seen.push('asyncEnd'),
      error: () => {},
    };
    const onDrop = (): void => void seen.push('drop');
    flushes.subscribe(handlers);
    subscribe('spillway:drop', onDrop);
    const sink = new BackpressureWritable<number>(async () => undefined, { shed: (n) => n === 1 });
    await pipeline(Readable.from([0, 1, 2]), sink);
    flushes.unsubscribe(handlers);
    unsubscribe('spillway:drop', onDrop);
    assert.deepEqual(seen, ['drop', 'start', 'asyncEnd']);
  },

  async 'web streams are built around it'() {
    const sent: number[] = [];
    const sink = new BackpressureWritable<number>(async (items) => void sent.push(...items));
    const { Writable } = await import('node:stream');
    const writer = Writable.toWeb(sink).getWriter();
    for (const n of numbers(10)) await writer.write(n);
    await writer.close();
    assert.deepEqual(sent, numbers(10));
  },

  'a wrong option is named'() {
    assert.throws(
      () => new BackpressureWritable(async () => undefined, { batchSize: 0 }),
      (error) => {
        assert.ok(error instanceof InvalidOptionError && error instanceof BackpressureError);
        assert.equal(error.option, 'batchSize');
        return true;
      },
    );
  },

  'the ring is first in, first out'() {
    const ring = new BoundedBuffer<number>(3);
    for (const n of numbers(5)) ring.push(n);
    assert.deepEqual([ring.take(2), ring.size], [[0, 1], 1]);
  },
});
