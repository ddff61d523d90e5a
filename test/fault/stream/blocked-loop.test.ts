import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BackpressureController, BackpressureWritable, type FlushFunction } from '../../../src/index.js';

/** Answers each byte after so many milliseconds; 0: never. Beside the test's event loop. */
const SERVER = `
  const { createServer } = require('node:net');
  const { parentPort } = require('node:worker_threads');
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      for (const ms of data) if (ms > 0) setTimeout(() => socket.write(Buffer.from([ms])), ms);
    });
  });
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
`;

let worker: Worker;
let port: number;
let socket: Socket;
beforeAll(async () => {
  worker = new Worker(SERVER, { eval: true });
  [port] = (await once(worker, 'message')) as [number];
});
afterAll(() => worker.terminate());
beforeEach(async () => {
  socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
});
afterEach(() => void socket.destroy());

/** Stops at once when the signal fires. */
async function ask(ms: number, signal?: AbortSignal): Promise<void> {
  socket.write(Buffer.from([ms]));
  await once(socket, 'data', { signal });
}

/** The event loop does nothing else for so long; then timers come before I/O. */
async function block(ms: number): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  const until = performance.now() + ms;
  while (performance.now() < until);
}

describe('an event loop that is blocked is taken for no slow destination', () => {
  it('a flush whose answer has come meanwhile succeeds', async () => {
    const sink = new BackpressureWritable<number>((_items, { signal }) => ask(100, signal), {
      batchSize: 1,
      flushTimeoutMs: 200,
    });
    sink.write(1);
    await sleep(10);
    await block(400);
    await sink.flush();
    expect(sink.getMetrics()).toMatchObject({ eventsFlushed: 1, lateResults: 0 });
  });

  it('a flush that needs several more answers succeeds', async () => {
    const flush: FlushFunction<number> = async (_items, { signal }) => {
      for (let n = 0; n < 4; n++) await ask(10, signal);
    };
    for (const [flushTimeoutMs, waitMs, blockMs] of [
      [200, 10, 400],
      [200, 1, 190],
      [200, 5, 195],
      [1_000, 10, 2_000],
      [1_000, 1, 990],
      [1_000, 5, 995],
    ] as const) {
      const sink = new BackpressureWritable<number>(flush, { batchSize: 1, flushTimeoutMs });
      sink.write(1);
      await sleep(waitMs);
      await block(blockMs);
      await sink.flush();
      expect(sink.getMetrics()).toMatchObject({ eventsFlushed: 1 });
    }
  });

  it('a flush that is not answered times out all the same', async () => {
    const sink = new BackpressureWritable<number>(() => ask(0), {
      batchSize: 1,
      flushTimeoutMs: 200,
      abortGraceMs: 50,
    });
    sink.on('error', () => undefined);
    const startedAt = performance.now();
    sink.write(1);
    await sleep(10);
    await block(400);
    await expect(sink.flush()).rejects.toMatchObject({
      code: 'ERR_BACKPRESSURE_FLUSH_TIMEOUT',
    });
    expect(performance.now() - startedAt).toBeLessThan(1_500);
  });

  it('an answer within the grace of a flush that was aborted counts', async () => {
    const sink = new BackpressureController<number>(
      async (_items, { signal }) => {
        await once(signal, 'abort');
        await ask(50);
      },
      { batchSize: 1, flushTimeoutMs: 50, abortGraceMs: 150 },
    );
    sink.on('flush', ({ success }) => {
      expect(success).toBe(1);
    });
    sink.start();
    await sink.push(1);
    await sleep(100);
    await block(300);
    await sink.flush();
    expect(sink.getMetrics()).toMatchObject({ eventsFlushed: 1, lateResults: 0 });
  });

  it('drain() with a limit resolves', async () => {
    const sink = new BackpressureWritable<number>(() => ask(100), { batchSize: 1 });
    sink.write(1);
    const drained = sink.drain({ timeoutMs: 200 });
    await sleep(10);
    await block(400);
    await drained;
  });

  it('push() finds the room that an answer has made', async () => {
    const sink = new BackpressureController<number>(() => ask(100), {
      batchSize: 1,
      maxBufferSize: 1,
      maxBlockTimeMs: 200,
    });
    sink.start();
    await sink.push(1);
    const pushed = sink.push(2);
    await sleep(10);
    await block(400);
    expect(await pushed).toBe(true);
    await sink.flush();
  });

  it('a stream with maxBlockTimeMs goes on', async () => {
    const sink = new BackpressureWritable<number>(() => ask(100), {
      batchSize: 1,
      maxBufferSize: 1,
      maxBlockTimeMs: 200,
    });
    sink.write(1);
    sink.write(2);
    await sleep(10);
    await block(400);
    await once(sink, 'drain');
    await sink.flush();
    expect(sink.destroyed).toBe(false);
  });
});
