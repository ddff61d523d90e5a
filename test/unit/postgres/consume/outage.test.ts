import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { LogError } from '../../../../src/log/log-error.js';
import { emptyCounts } from '../../../../src/postgres/consume/consume-metrics.js';
import { ConsumeObserver } from '../../../../src/postgres/consume/consume-observer.js';
import { Outage } from '../../../../src/postgres/consume/outage.js';
import { CopyError } from '../../../../src/postgres/errors/copy-error.js';
import { ManualClock } from '../../../support/manual-clock.js';

const UNREACHABLE = new LogError('unreachable', 'out of reach');
const NEVER = new AbortController().signal;

function start(maxOutageMs: number) {
  const clock = new ManualClock();
  const metrics = emptyCounts();
  const observer = new ConsumeObserver(new EventEmitter());
  return { clock, metrics, outage: new Outage({ settings: { clock, maxOutageMs }, metrics, observer }) };
}

describe('an outage', () => {
  it('is waited for until maxOutageMs is over, with pauses that grow to 5 s', async () => {
    const { clock, metrics, outage } = start(60_000);
    const attempts: number[] = [];
    const end = outage
      .retry(NEVER, () => {
        attempts.push(clock.now());
        return Promise.reject(UNREACHABLE);
      })
      .catch((error: unknown) => [clock.now(), error]);
    await clock.advance(30_000);
    expect(metrics.outages.size).toBe(1);
    await clock.advance(60_000);
    const [endedAt, error] = (await end) as [number, unknown];
    expect(error).toBe(UNREACHABLE);
    expect(endedAt).toBeGreaterThan(60_000);
    expect(endedAt).toBeLessThanOrEqual(65_000);
    const pauses = attempts.slice(1).map((at, index) => at - attempts[index]!);
    expect(pauses.slice(0, 8)).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    expect([metrics.outages.size, metrics.retries]).toEqual([0, pauses.length]);
  });

  it('that has passed is none of the next one', async () => {
    const { clock, metrics, outage } = start(10_000);
    let isDown = true;
    for (let outages = 0; outages < 3; outages += 1) {
      isDown = true;
      const end = outage.retry(NEVER, () => (isDown ? Promise.reject(UNREACHABLE) : Promise.resolve('up')));
      await clock.advance(8_000);
      isDown = false;
      await clock.advance(5_000);
      expect(await end).toBe('up');
    }
    expect(metrics.outages.size).toBe(0);
  });

  it('that has passed makes others of the same server try at once, and nobody else', async () => {
    const clock = new ManualClock();
    const metrics = emptyCounts();
    const observer = new ConsumeObserver(new EventEmitter());
    const isDown = { log: true, database: true };
    const errors = {
      log: UNREACHABLE,
      database: new CopyError('gone', { failureClass: 'transport', retryable: true }),
    };
    const start = (of: 'log' | 'database') =>
      new Outage({ settings: { clock, maxOutageMs: 60_000 }, metrics, observer }).retry(NEVER, () =>
        isDown[of] ? Promise.reject(errors[of]) : Promise.resolve(clock.now()),
      );
    const first = [start('database'), start('log')];
    // Its attempts come later than those of the first one.
    await clock.advance(1_000);
    const second = start('database');
    await clock.advance(10_500);
    isDown.database = false;
    isDown.log = false;
    await clock.advance(20_000);
    const [database, log] = await Promise.all(first);
    expect(database).toBe(await second);
    expect(log).toBeGreaterThan(database!);
    expect(metrics.outages.size).toBe(0);
  });

  it.each([
    ['a failure that does not pass', new LogError('loss', 'gone')],
    ['a row', new CopyError('bad', { failureClass: 'row' })],
  ])('is not %s', async (_, error) => {
    const { metrics, outage } = start(10_000);
    await expect(outage.wait(error, NEVER)).rejects.toBe(error);
    expect(metrics.retries).toBe(0);
  });

  it('ends with the signal', async () => {
    const { clock, outage } = start(10_000);
    const controller = new AbortController();
    const end = outage.retry(controller.signal, () => Promise.reject(UNREACHABLE));
    const seen = expect(end).rejects.toBe(UNREACHABLE);
    await clock.advance(10);
    controller.abort();
    await clock.advance(0);
    await seen;
  });
});
