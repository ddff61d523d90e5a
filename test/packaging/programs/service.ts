/** A service that is stopped. Its first argument says what it does once it holds a thousand items. */

import { setTimeout as delay } from 'node:timers/promises';
import { Worker, isMainThread, parentPort } from 'node:worker_threads';
import { BackpressureController, BackpressureWritable, drainAll, drainOnSignals } from 'spillway';

const COUNT = 1000;
let delivered = 0;
const sendSlowly = async (items: number[]): Promise<void> => {
  await delay(10);
  delivered += items.length;
};

const ways: Record<string, () => void | Promise<void>> = {
  /** Waits for a signal. */
  signal() {
    const sink = new BackpressureController<number>(sendSlowly);
    sink.start();
    drainOnSignals([sink], {
      onDrained: ({ signal, undelivered }) =>
        console.log(`${signal}: ${delivered} delivered, ${undelivered.length} undelivered`),
    });
    for (let n = 0; n < COUNT; n += 1) sink.tryPush(n);
    setInterval(() => {}, 1000);
    console.log('ready');
  },

  /** Waits for a signal, with a destination that hangs. */
  hanging() {
    const sink = new BackpressureWritable<number>(() => new Promise(() => {}), { abortGraceMs: 20 });
    drainOnSignals([sink], {
      timeoutMs: 300,
      onDrained: ({ undelivered }) => console.log(`${undelivered.length} undelivered`),
    });
    for (let n = 0; n < COUNT; n += 1) sink.write(n);
    console.log('ready');
  },

  /** Ends without a drain. */
  exit() {
    const sink = new BackpressureWritable<number>(sendSlowly);
    drainOnSignals([sink]);
    for (let n = 0; n < COUNT; n += 1) sink.write(n);
    process.exit(7);
  },

  /** Ends when nothing else is left to do: what a telemetry sink holds is sent first. */
  unref() {
    const sink = new BackpressureWritable<number>(sendSlowly, { unref: true, minFlushIntervalMs: 20_000 });
    for (let n = 0; n < COUNT; n += 1) sink.write(n);
    process.on('exit', () => console.log(`${delivered} delivered`));
  },

  /** Drains in a worker thread. */
  worker() {
    if (isMainThread) {
      const worker = new Worker(process.argv[1]!, { argv: ['worker'] });
      worker.on('message', (text) => console.log(text));
      return;
    }
    const sink = new BackpressureWritable<number>(sendSlowly);
    for (let n = 0; n < COUNT; n += 1) sink.write(n);
    return drainAll([sink]).then(({ undelivered }) => {
      parentPort!.postMessage(`${delivered} delivered, ${undelivered.length} undelivered`);
    });
  },
};

void ways[process.argv[2]!]!();
