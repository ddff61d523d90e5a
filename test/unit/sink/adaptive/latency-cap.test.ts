import { describe, expect, it } from 'vitest';
import { LatencyCap } from '../../../../src/sink/adaptive/latency-cap.js';

/** Flushes of a destination, each as large as the cap allows; answers with the last load and latency. */
function settle(cap: LatencyCap, latencyOf: (load: number) => number, flushes: number, first = 1) {
  let load = first;
  let misses = 0;
  for (let n = 0; n < flushes; n++) {
    const latencyMs = latencyOf(load);
    if (latencyMs > 500) misses++;
    cap.onFlush(load, latencyMs, 1, false);
    load = cap.load;
  }
  return { load, latencyMs: latencyOf(load), misses };
}

describe('the load that the latency allows', () => {
  it('finds the one whose flushes take just less than the target', () => {
    const { latencyMs } = settle(new LatencyCap(500), (load) => 100 + load, 40);
    expect(latencyMs).toBeGreaterThan(0.95 * 500);
    expect(latencyMs).toBeLessThanOrEqual(500);
  });

  it('follows a destination that becomes slower, and faster again, within two flushes', () => {
    const cap = new LatencyCap(500);
    const before = settle(cap, (load) => 10 + load, 20);
    const slower = settle(cap, (load) => 40 + 4 * load, 2, before.load);
    expect(slower.latencyMs).toBeGreaterThan(0.8 * 500);
    expect(slower.latencyMs).toBeLessThanOrEqual(500);
    const after = settle(cap, (load) => 10 + load, 2, slower.load);
    expect(after.load).toBeGreaterThan(0.8 * before.load);
  });

  it('leaves room where latency varies: one flush of twenty may miss the target', () => {
    const cap = new LatencyCap(500);
    let n = 0;
    const latencyOf = (load: number) => load * (0.7 + ((n++ * 0.618) % 1) * 0.6);
    const { load } = settle(cap, latencyOf, 200);
    const { misses } = settle(cap, latencyOf, 1_800, load);
    expect(misses / 1_800).toBeLessThan(0.06);
    expect(misses / 1_800).toBeGreaterThan(0.02);
  });

  it('a trial of slots that misses is no reason for smaller batches', () => {
    const [trial, own] = [true, false].map((isTrial) => {
      const cap = new LatencyCap(500);
      settle(cap, (load) => 10 + load, 20);
      for (let n = 0; n < 5; n++) cap.onFlush(495, 505, 1, isTrial);
      return cap.load;
    });
    expect(trial).toBeGreaterThan(own! * 1.3);
  });

  it.each([
    { fixedMs: 550, least: 640, most: 760 },
    { fixedMs: 1_000, least: 1_700, most: 2_050 },
  ])(
    'no spiral: where a fixed part of $fixedMs ms leaves no room, a multiple of it',
    ({ fixedMs, least, most }) => {
      const cap = new LatencyCap(500);
      settle(cap, (load) => 100 + load, 20);
      const held = settle(cap, (load) => fixedMs + load, 210, 400);
      expect(cap.isOutOfReach).toBe(true);
      expect(held.latencyMs).toBeGreaterThan(least);
      expect(held.latencyMs).toBeLessThan(most);
      // A stall that has ended is noticed at once.
      const after = settle(cap, (load) => 100 + load, 3, held.load);
      expect(cap.isOutOfReach).toBe(false);
      expect(after.latencyMs).toBeGreaterThan(0.7 * 500);
      expect(after.latencyMs).toBeLessThanOrEqual(500);
    },
  );

  it('a belief in a fixed part that is wrong is put to the proof', () => {
    const cap = new LatencyCap(500);
    const held = settle(cap, (load) => 1_000 + load, 110);
    // As slow as before, but because of the items.
    const { latencyMs } = settle(cap, (load) => (held.latencyMs * load) / held.load, 100, held.load);
    expect(latencyMs).toBeLessThan(700);
  });
});
