/** The worked example of the guide "In an HTTP service", and the formulas behind it. */

import { expect, it } from 'vitest';
import { testRuns } from '../support/test-runs.js';
import { sizeBuffer, type SizedService } from './sizing.js';

const within = (share: number, expected: number) => ({
  min: expected * (1 - share),
  max: expected * (1 + share),
});

const services: SizedService[] = [
  // The one of the guide.
  { rate: 2_000, outageMs: 60_000, batchSize: 500, concurrency: 2, callMs: 50 },
  { rate: 500, outageMs: 60_000, batchSize: 200, concurrency: 2, callMs: 50 },
  { rate: 1_000, outageMs: 30_000, batchSize: 500, concurrency: 1, callMs: 100 },
  { rate: 1_000, outageMs: 120_000, batchSize: 1_000, concurrency: 4, callMs: 200 },
];

it.each(services)('buffer, items in flight and time to catch up are within 10 % of the formulas: $rate/s, $outageMs ms', async (service) => {
  const { rate, outageMs, batchSize, concurrency, callMs } = service;
  for (let seed = 0; seed < testRuns(3); seed++) {
    const { inFlight, peak, catchUpMs } = await sizeBuffer(service, seed);
    const size = within(0.1, (rate * (outageMs + 5_000)) / 1000);
    expect(peak, `seed ${seed}`).toBeGreaterThan(size.min);
    expect(peak, `seed ${seed}`).toBeLessThan(size.max);
    // Little's law.
    const busy = within(0.1, (rate * callMs) / 1000);
    expect(inFlight, `seed ${seed}`).toBeGreaterThan(busy.min);
    expect(inFlight, `seed ${seed}`).toBeLessThan(busy.max);
    const surplus = (batchSize * concurrency) / callMs - rate / 1000;
    const catchUp = within(0.1, peak / surplus);
    expect(catchUpMs, `seed ${seed}`).toBeGreaterThan(catchUp.min);
    expect(catchUpMs, `seed ${seed}`).toBeLessThan(catchUp.max);
  }
}); // prettier-ignore
