import { describe, expect, it } from 'vitest';
import { LatencyCap } from '../../../src/batch/latency-cap.js';

/** Flushes of a destination, each as large as the cap allows; answers with the last load and latency. */
function settle(cap: LatencyCap, latencyOf: (load: number) => number, flushes: number, first = 1) {
  let load = first;
  for (let n = 0; n < flushes; n++) {
    const latencyMs = latencyOf(load);
    const logLoad = Math.log(load);
    cap.onFlush({ logLoad, logRate: logLoad - Math.log(latencyMs), latencyMs }, 1);
    load = Math.exp(cap.logLoad);
  }
  return { load, latencyMs: latencyOf(load) };
}

describe('the load that the latency allows', () => {
  it('finds the one whose flushes take just less than the target', () => {
    const { latencyMs } = settle(new LatencyCap(500), (load) => 100 + load, 40);
    expect(latencyMs).toBeGreaterThan(0.95 * 500);
    expect(latencyMs).toBeLessThanOrEqual(500);
  });

  it('follows a destination that becomes slower, and faster again', () => {
    const cap = new LatencyCap(500);
    const before = settle(cap, (load) => 10 + load, 20);
    const slower = settle(cap, (load) => 40 + 4 * load, 10, before.load);
    expect(slower.load).toBeLessThan(before.load / 3);
    const after = settle(cap, (load) => 10 + load, 20, slower.load);
    expect(after.load).toBeGreaterThan(0.7 * before.load);
  });

  it('leaves room where latency varies: one flush of twenty may miss the target', () => {
    const cap = new LatencyCap(500);
    let misses = 0;
    let load = 1;
    for (let n = 0; n < 2_000; n++) {
      const latencyMs = load * (0.7 + ((n * 0.618) % 1) * 0.6);
      if (n > 200 && latencyMs > 500) misses++;
      const logLoad = Math.log(load);
      cap.onFlush({ logLoad, logRate: logLoad - Math.log(latencyMs), latencyMs }, 1);
      load = Math.exp(cap.logLoad);
    }
    expect(misses / 1_800).toBeLessThan(0.06);
  });

  it('is no spiral: a destination that misses the target at any load is not asked for less and less', () => {
    const cap = new LatencyCap(500);
    settle(cap, (load) => 100 + load, 20);
    const held = settle(cap, () => 1_000, 500, 400);
    expect(held.load).toBeGreaterThan(90);
    // Unless it gets worse with the load after all.
    const worse = settle(cap, (load) => 400 + 20 * load, 60, held.load);
    expect(worse.latencyMs).toBeLessThan(1_000);
  });
});
