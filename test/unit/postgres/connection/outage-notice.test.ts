import { describe, expect, it } from 'vitest';
import { OutageNotice } from '../../../../src/postgres/connection/outage-notice.js';
import { AbortFault } from '../../../../src/postgres/connection/answer-deadline.js';
import { ManualClock } from '../../../support/manual-clock.js';

let ports = 40_000;

/** The same words are not repeated: each test has a port of its own. */
function watched(options: object = {}) {
  const clock = new ManualClock();
  const warnings: string[] = [];
  const port = (ports += 1);
  const notice = new OutageNotice({ options }, clock, (message) => warnings.push(message));
  const refused = Object.assign(new Error(`connect ECONNREFUSED 127.0.0.1:${port}`), {
    code: 'ECONNREFUSED',
  });
  const fail = (error: Error = refused) => notice.during(Promise.reject(error)).catch(() => undefined);
  return { clock, warnings, notice, port, fail };
}

describe('a pool without a connection', () => {
  it('is told of after 5 s, with the reason, and only once', async () => {
    const { clock, warnings, port, fail } = watched();
    for (let second = 0; second < 30; second += 1) {
      await fail();
      expect(warnings).toHaveLength(second < 5 ? 0 : 1);
      await clock.advance(1_000);
    }
    expect(warnings).toEqual([`no connection to PostgreSQL for 5 s: connect ECONNREFUSED 127.0.0.1:${port}`]);
  });

  it('is told of while its first request is still open', async () => {
    const { clock, warnings, notice } = watched();
    void notice.during(new Promise(() => undefined));
    await clock.advance(5_000);
    expect(warnings).toEqual(['no connection to PostgreSQL for 5 s: the pool has not answered yet']);
  });

  it('is not told of if a connection has come within 5 s', async () => {
    const { clock, warnings, notice, fail } = watched();
    await fail();
    await clock.advance(4_900);
    await notice.during(Promise.resolve('client'));
    await clock.advance(60_000);
    expect(warnings).toEqual([]);
  });

  it('is told of again in another outage', async () => {
    const { clock, warnings, notice, fail } = watched();
    await fail();
    await clock.advance(6_000);
    await notice.during(Promise.resolve('client'));
    await clock.advance(120_000);
    await fail();
    await clock.advance(6_000);
    expect(warnings).toHaveLength(2);
  });

  it('is not told of if its error ends the sink, or nobody waits any more', async () => {
    const { clock, warnings, fail } = watched();
    await fail(Object.assign(new Error('password authentication failed'), { code: '28P01' }));
    await clock.advance(6_000);
    await fail(new AbortFault(AbortSignal.abort()));
    await clock.advance(6_000);
    expect(warnings).toEqual([]);
  });

  it('is told of without the password', async () => {
    const connectionString = 'postgres://me:s3cr3t/pa%40ss@db/app';
    const { clock, warnings, fail } = watched({ connectionString, password: 'hunter2' });
    await fail(
      Object.assign(new Error('getaddrinfo ENOTFOUND s3cr3t hunter2 pa@ss postgres://me:x@db'), {
        code: 'ENOTFOUND',
      }),
    );
    await clock.advance(5_000);
    expect(warnings[0]).toContain('ENOTFOUND');
    for (const secret of ['s3cr3t', 'hunter2', 'pa@ss', 'me:x@']) expect(warnings[0]).not.toContain(secret);
  });
});
