import { describe, expect, it } from 'vitest';
import { LatencyLine } from '../../../../src/sink/adaptive/latency-line.js';

function line(latencyOf: (load: number) => number, loads: readonly number[]): LatencyLine {
  const seen = new LatencyLine();
  for (const load of loads) seen.onFlush(load, latencyOf(load));
  return seen;
}

describe('the line of the latency', () => {
  it('has no fixed part before different loads have shown it', () => {
    const seen = line(() => 100, [10, 10, 10]);
    expect(seen.fixedMs).toBe(0);
    expect(seen.at(20)).toBeCloseTo(200);
    expect(seen.loadFor(50)).toBeCloseTo(5);
  });

  it('two loads tell both parts', () => {
    const seen = line((load) => 100 + 2 * load, [50, 50, 150, 150, 150]);
    expect(seen.fixedMs).toBeGreaterThan(90);
    expect(seen.fixedMs).toBeLessThan(110);
    expect(seen.at(300)).toBeGreaterThan(0.95 * 700);
    expect(seen.at(300)).toBeLessThan(1.05 * 700);
  });

  it('a destination that becomes slower at the same load is slower in both parts', () => {
    const seen = line((load) => 100 + 2 * load, [50, 50, 150, 150, 150, ...Array<number>(20).fill(150)]);
    const share = seen.fixedMs / seen.at(150);
    seen.onFlush(150, 1_600);
    expect(seen.at(150)).toBe(1_600);
    expect(seen.fixedMs / 1_600).toBeCloseTo(share);
  });

  it('one that becomes faster has lost its fixed part first', () => {
    const seen = line((load) => 1_000 + load, [50, 50, 150, 150, 150]);
    seen.onFlush(150, 250);
    expect(seen.fixedMs).toBeLessThan(150);
    expect(seen.at(150)).toBe(250);
  });

  it('takes a single flush for less where latency varies by chance', () => {
    const calm = line(() => 100, Array<number>(50).fill(10));
    let n = 0;
    const noisy = line(() => 100 * (n++ % 2 === 0 ? 0.7 : 1.3), Array<number>(50).fill(10));
    const before = [calm.at(10), noisy.at(10)];
    calm.onFlush(10, 110);
    noisy.onFlush(10, noisy.at(10) + 10);
    expect(calm.at(10) - before[0]!).toBeGreaterThan(3);
    expect(noisy.at(10) - before[1]!).toBeLessThan(2);
    expect(noisy.deviation).toBeGreaterThan(0.2);
  });
});
