import { describe, expect, it } from 'vitest';
import { describeFailures, MS_PER_HOUR, pairsNamed, runPair } from './campaign.js';
import { pairOf, planFor } from './plan.js';
import { Simulation } from './simulation.js';

/** Other runs than those that everybody has: SIMULATOR_FIRST=1000. Longer campaigns: `npm run simulate -- --help`. */
const FIRST_RUN = Number(process.env['SIMULATOR_FIRST'] ?? 0);

describe('an hour of each producer before each destination breaks no promise', () => {
  it.each(pairsNamed().map((pair) => ({ pair, ...pairOf(pair) })))(
    '$producer → $destination',
    async ({ pair }) => {
      const report = await runPair(pair, { virtualMs: MS_PER_HOUR, firstRun: FIRST_RUN });
      expect(describeFailures([report])).toBe('');
      expect(report.virtualMs).toBeGreaterThanOrEqual(MS_PER_HOUR);
      expect(report.flushed).toBeGreaterThan(0);
    },
  );
});

describe('a seed', () => {
  it.each([3, 59, 1_234])('%i runs the same way each time', async (seed) => {
    const lines: string[][] = [[], []];
    const results = [];
    for (const trace of lines)
      results.push(await new Simulation(planFor(seed), (line) => trace.push(line)).run());
    expect(results[1]!.digest).toBe(results[0]!.digest);
    expect(results[1]!.metrics).toEqual(results[0]!.metrics);
    expect(lines[1]).toEqual(lines[0]);
    expect(lines[0]!.length).toBeGreaterThan(20);
  });
});
