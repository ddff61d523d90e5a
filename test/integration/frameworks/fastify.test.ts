/** A Fastify service under load, for half a minute, while its PostgreSQL comes and goes: the short form of `npm run soak`. */

import { expect, test } from 'vitest';
import { runSoak } from '../../soak/soak.js';

test('a service accounts for each event that it has accepted, over restarts, an outage and lost answers', async () => {
  const report = await runSoak({
    seed: 7,
    durationMs: 20_000,
    disturbances: [
      'answers to COMMIT lost',
      'outage longer than the buffer',
      'statements cancelled',
      'server killed',
      'connections cut',
    ],
    config: { maxBufferSize: 4_000, flushTimeoutMs: 4_000 },
  });
  expect(report.reasons).toEqual([]);
  expect(report.lines.join('\n')).toMatch(/SIGTERM: ended with 0 /);
}, 180_000);
