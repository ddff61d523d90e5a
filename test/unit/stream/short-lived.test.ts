import { getEventListeners, once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { BackpressureController } from '../../../src/controller/backpressure-controller.js';
import { BackpressureTransform } from '../../../src/stream/backpressure-transform.js';
import { BackpressureWritable } from '../../../src/stream/backpressure-writable.js';

const LIVES = 1_000;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const flush = () => Promise.resolve();

/** Each lives for one item, and listens to `signal` meanwhile. */
const KINDS: Readonly<Record<string, (signal: AbortSignal) => Promise<object>>> = {
  BackpressureWritable: async (signal) => {
    const sink = new BackpressureWritable(flush, { signal });
    sink.write(1);
    sink.end();
    await once(sink, 'close');
    return sink;
  },
  'BackpressureWritable that is destroyed': async (signal) => {
    const sink = new BackpressureWritable(flush, { signal });
    sink.on('error', () => undefined);
    sink.write(1);
    sink.destroy();
    await new Promise((resolve) => sink.on('close', resolve));
    return sink;
  },
  'BackpressureWritable whose drain has a time limit': async (signal) => {
    const sink = new BackpressureWritable(flush, { signal });
    sink.write(1);
    await sink.drain({ timeoutMs: 60_000 });
    sink.end();
    await once(sink, 'close');
    return sink;
  },
  BackpressureTransform: async (signal) => {
    const stage = new BackpressureTransform({ signal });
    stage.resume();
    stage.write(1);
    stage.end();
    await once(stage, 'close');
    return stage;
  },
  BackpressureController: async (signal) => {
    const controller = new BackpressureController(flush, { signal });
    controller.start();
    await controller.push(1);
    const below = controller.whenBelow(1);
    await controller.flush();
    await below;
    controller.stop();
    return controller;
  },
};

describe('thousands that live for one item, one after another', () => {
  it.each(Object.entries(KINDS))('leave nothing behind: %s', async (_kind, live) => {
    const { signal } = new AbortController();
    const listenersBefore = process.eventNames().map((name) => process.listenerCount(name));
    const refs: WeakRef<object>[] = [];
    for (let life = 0; life < LIVES; life++) refs.push(new WeakRef(await live(signal)));
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    expect(process.eventNames().map((name) => process.listenerCount(name))).toEqual(listenersBefore);
    // A WeakRef that was made, or looked at, in a turn keeps its target until that turn is over.
    await nextTurn();
    collectGarbage();
    await nextTurn();
    collectGarbage();
    const alive = refs.filter((ref) => ref.deref() !== undefined).length;
    // The last ones may still stand in frames that V8 has not cleared.
    expect(alive).toBeLessThan(LIVES / 100);
  });
});
