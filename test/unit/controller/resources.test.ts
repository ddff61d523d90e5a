/** Timers and listeners of a controller end with what needs them. */

import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { BackpressureController } from '../../../src/index.js';
import { settle } from '../../support/manual-clock.js';
import { range } from '../../support/range.js';
import { startController } from '../../support/start-controller.js';

describe('timers and listeners of a controller', () => {
  it('a thousand flushes leave one abort listener on the signal, and stop() removes it', async () => {
    const abort = new AbortController();
    const { controller, destination } = startController({ batchSize: 1, signal: abort.signal });
    for (const item of range(1_000, 1)) {
      void controller.push(item);
      await controller.flush();
    }
    expect(destination.calls).toHaveLength(1_000);
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(1);
    controller.stop();
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
  });

  it('no timer is left after a drain, an abort, a failure or a stop', async () => {
    const abort = new AbortController();
    const runs = [
      startController({ minFlushIntervalMs: 100 }),
      startController({ minFlushIntervalMs: 100, signal: abort.signal }),
      startController({ batchSize: 1 }, [{ kind: 'throws' }]),
      startController({ minFlushIntervalMs: 100 }),
    ] as const;
    for (const { controller } of runs) void controller.push(1);
    for (const { clock } of runs) await clock.advance(1);
    expect(runs.map(({ clock }) => clock.pending)).toEqual([1, 1, 0, 1]);
    await runs[0].controller.drain({ timeoutMs: 60_000 });
    abort.abort();
    runs[3].controller.stop();
    await settle();
    expect(runs.map(({ clock }) => clock.pending)).toEqual([0, 0, 0, 0]);
  });

  it('a controller that has failed or stopped removes its listener from the signal', async () => {
    const { signal } = new AbortController();
    const failing = new BackpressureController<number>(() => Promise.reject(new Error('boom')), { signal });
    failing.start();
    failing.tryPush(1);
    await expect(failing.flush()).rejects.toThrow('boom');
    let answer: () => void = () => undefined;
    const stopped = new BackpressureController<number>(
      () => new Promise<void>((resolve) => (answer = resolve)),
      {
        signal,
        batchSize: 1,
      },
    );
    stopped.start();
    stopped.tryPush(1);
    await settle();
    stopped.stop();
    answer();
    await settle();
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});
