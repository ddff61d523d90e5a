/** A small share of `npm run soak:log`. */

import { expect, test } from 'vitest';
import { noNatsServer } from '../../support/nats-server.js';
import { runLogSoak } from '../../soak/log/log-soak.js';

test.skipIf(noNatsServer)(
  `workers of a log that are killed, stopped and cut off, while both servers are restarted, load everything once (${noNatsServer ?? 'on servers of their own'})`,
  async () => {
    const seen: string[] = [];
    const report = await runLogSoak({
      messages: 60_000,
      workers: 3,
      faults: { kill: 5, stop: 3, cut: 4, restart: 2 },
      leaseMs: 1_000,
      laneSize: 3_000,
      batchSize: 300,
      seed: 3,
      isBuilt: false,
      say: (line) => seen.push(line),
    });
    expect(report.reasons, seen.join('\n')).toEqual([]);
  },
);
