import { expect, it } from 'vitest';
import { LogError } from '../../../../src/log/log-error.js';
import { limited } from '../../../../src/postgres/consume/wait.js';
import { ManualClock } from '../../../support/manual-clock.js';

const NEVER = new AbortController().signal;

it.each([
  [
    'the database is blamed for work that ends with the attempt',
    new Error('aborted'),
    /database has not answered within 5 s/,
  ],
  [
    'a log that fails after the limit says itself why',
    new LogError('unreachable', 'no response'),
    /^no response$/,
  ],
])('%s', async (_, failure, message) => {
  const clock = new ManualClock();
  const work = (signal: AbortSignal): Promise<never> =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(failure)));
  const result = limited(clock, 5_000, NEVER, work).catch((error: unknown) => error);
  await clock.advance(5_000);
  expect(((await result) as Error).message).toMatch(message);
});
