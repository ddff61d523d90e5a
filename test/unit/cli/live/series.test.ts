import { describe, expect, it } from 'vitest';
import { Estimate, RecentRate, TimeSeries } from '../../../../src/cli/live/series.js';

function seriesOf(values: readonly number[], merge: 'mean' | 'most' = 'mean'): TimeSeries {
  const series = new TimeSeries(merge);
  for (const value of values) series.add(value);
  return series;
}

const upTo = (length: number): number[] => Array.from({ length }, (_, index) => index);

describe('values over time', () => {
  it('are shown one by one while there is room, then two by two', () => {
    expect(seriesOf([1, 2, 3]).cells(4)).toEqual([1, 2, 3]);
    expect(seriesOf([1, 3, 5, 7, 9]).cells(4)).toEqual([2, 6, 9]);
    expect(seriesOf([1, 3, 5, 7, 9], 'most').cells(2)).toEqual([7, 9]);
  });

  it('of hours fit into bounded memory, and into equal cells', () => {
    const cells = seriesOf(upTo(64_000)).cells(40);
    expect(cells.length).toBeGreaterThan(19);
    expect(cells.length).toBeLessThan(41);
    const steps = cells.slice(1, -1).map((value, index) => value - cells[index]!);
    expect(new Set(steps).size).toBe(1);
  });
});

describe('the rate of now', () => {
  it('is that of the last two seconds', () => {
    const rate = new RecentRate();
    expect(rate.sample(0, 0)).toBe(0);
    expect(rate.sample(1_000, 500)).toBe(500);
    for (let at = 1_250; at <= 6_000; at += 250) rate.sample(at, 500);
    expect(rate.sample(6_250, 500)).toBe(0);
  });

  it('begins again if the count does', () => {
    const rate = new RecentRate();
    rate.sample(0, 10_000);
    expect(rate.sample(1_000, 0)).toBe(0);
    expect(rate.sample(2_000, 300)).toBe(300);
  });
});

describe('the estimate', () => {
  it('is not known in the first second, nor without a total', () => {
    const estimate = new Estimate();
    expect(estimate.sample(0, 0, 1_000)).toBeUndefined();
    expect(estimate.sample(500, 100, 1_000)).toBeUndefined();
    expect(estimate.sample(1_000, 200, undefined)).toBeUndefined();
    expect(estimate.sample(1_500, 300, 1_000)).toBeCloseTo(3_500);
  });

  it('follows a change of speed in some seconds, and not at once', () => {
    const estimate = new Estimate();
    let done = 0;
    let at = 0;
    const run = (perSecond: number, seconds: number): number | undefined => {
      let rest: number | undefined;
      for (let tick = 0; tick < seconds * 4; tick += 1)
        rest = estimate.sample((at += 250), (done += perSecond / 4), 10_000);
      return rest;
    };
    run(100, 20);
    // 8 000 are left, at 100 a second.
    expect(run(100, 0.25)).toBeCloseTo(79_750, -2);
    const soon = run(200, 1)!;
    expect(soon).toBeGreaterThan(60_000);
    expect(run(200, 30)).toBeLessThan(10_500);
  });

  it('begins again if the input is read again', () => {
    const estimate = new Estimate();
    for (let at = 0; at <= 10_000; at += 1_000) estimate.sample(at, at, 20_000);
    expect(estimate.sample(11_000, 0, 20_000)).toBeUndefined();
    expect(estimate.sample(13_000, 1_000, 20_000)).toBeCloseTo(38_000);
  });
});
