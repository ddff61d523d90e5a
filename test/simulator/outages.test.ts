import { expect, it } from 'vitest';
import { surviveOutage } from './outages.js';
import { testRuns, testSeed } from '../support/test-runs.js';

const trials = testRuns(200);
const first = testSeed(0);

it('a destination that is back before the limit loses no sink, and has its first flush within 5 s', async () => {
  for (let seed = first; seed < first + trials; seed++) {
    const { failure, firstFlushMs, hasTold, leftMs } = await surviveOutage(seed);
    expect(failure, `seed ${seed}, back ${leftMs} ms before the limit`).toBeUndefined();
    // What an error has told is waited for, but for the last probe.
    const mostMs = hasTold ? 100_000 : 5_000;
    expect(firstFlushMs, `seed ${seed}`).toBeLessThanOrEqual(mostMs);
  }
});
