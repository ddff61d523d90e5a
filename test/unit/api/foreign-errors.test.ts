/** What a flush function throws keeps what it says: errors of another realm, plain objects, and whatever else can be thrown. */

import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { BackpressureWritable, type FailedItem, type RetryReport } from '../../../src/index.js';
import { ManualClock } from '../../support/manual-clock.js';
import { closed, turn } from '../../support/stream.js';

const ofAnotherRealm = (fields: object): Error =>
  Object.assign(runInNewContext('new Error("of another realm")') as Error, fields);

async function failures(thrown: unknown, attempts = 1) {
  const clock = new ManualClock();
  const seen: { asked: unknown[]; retries: RetryReport[]; failed: FailedItem<string>[] } = {
    asked: [],
    retries: [],
    failed: [],
  };
  const sink = new BackpressureWritable<string>(() => Promise.reject(thrown), {
    clock,
    random: () => 0,
    retry: {
      attempts,
      isRetryable: (error) => {
        seen.asked.push(error);
        return (error as { retryable?: unknown }).retryable !== false;
      },
    },
    onFailed: (failed) => void seen.failed.push(...failed),
  });
  sink.on('retry', (retry) => seen.retries.push(retry));
  sink.end('a');
  await turn();
  await clock.advance(60_000);
  await closed(sink);
  return seen;
}

async function fatal(thrown: unknown): Promise<Error & { code?: unknown }> {
  const sink = new BackpressureWritable<string>(() => Promise.reject(thrown));
  sink.on('error', () => undefined);
  sink.end('a');
  await closed(sink);
  return sink.errored!;
}

describe('an error of another realm', () => {
  it('reaches isRetryable, the retry event and onFailed as it is', async () => {
    const error = ofAnotherRealm({ code: 'E_OTHER' });
    const seen = await failures(error, 2);
    expect(seen.asked).toEqual([error, error]);
    expect(seen.retries[0]!.error).toBe(error);
    expect(seen.failed[0]!.error).toBe(error);
  });

  it('is not retried where it says so', async () => {
    expect((await failures(ofAnotherRealm({ retryable: false }), 3)).retries).toEqual([]);
  });

  it('sets the delay of the retry by its retryAfterMs', async () => {
    const seen = await failures(ofAnotherRealm({ retryAfterMs: 1_234 }), 2);
    expect(seen.retries[0]!.delayMs).toBe(1_234);
  });

  it('is the cause of the error that ends the stream', async () => {
    const error = ofAnotherRealm({});
    const ended = await fatal(error);
    expect(ended).toMatchObject({ code: 'ERR_BACKPRESSURE_FLUSH_FAILED' });
    expect(ended.message).toContain('of another realm');
    expect(ended.cause).toBe(error);
  });
});

describe('a plain object that is thrown', () => {
  it('reaches isRetryable and onFailed as it is, and tells its message', async () => {
    const thrown = { message: 'no such bucket', code: 'NoSuchBucket', retryable: false };
    const seen = await failures(thrown, 2);
    expect(seen.asked).toEqual([thrown]);
    expect(seen.asked[0]).toBe(thrown);
    expect(seen.failed[0]!.error).toBe(thrown);
    const ended = await fatal(thrown);
    expect(ended.message).toContain('no such bucket');
    expect(ended.cause).toBe(thrown);
  });

  it('keeps its code, retryable and retryAfterMs where it has no message', async () => {
    const thrown = { code: 'SlowDown', retryable: true, retryAfterMs: 77 };
    const seen = await failures(thrown, 2);
    expect(seen.retries[0]!.delayMs).toBe(77);
    const { error } = seen.failed[0]!;
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ message: 'SlowDown', code: 'SlowDown', retryable: true, cause: thrown });
  });
});

describe('anything else that is thrown', () => {
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  // In functions, so that no reporter looks at them.
  it.each<[string, () => unknown]>([
    ['undefined', () => undefined],
    ['null', () => null],
    ['a symbol', () => Symbol('s')],
    ['a text', () => 'text'],
    ['0', () => 0],
    ['a function', () => () => undefined],
    ['a frozen error', () => Object.freeze(new Error('frozen'))],
    ['an object without a prototype', () => Object.create(null) as object],
    ['a revoked proxy', () => revoked.proxy],
    ['an object whose conversions throw', () => hostileConversions()],
    ['an error whose getters throw', () => hostileGetters(new Error('hidden'))],
  ])('fails the stream with a code, if it is %s', async (_name, make) => {
    const thrown = make();
    const ended = await fatal(thrown);
    expect(ended).toMatchObject({ code: 'ERR_BACKPRESSURE_FLUSH_FAILED', items: ['a'] });
    const { cause } = ended;
    if (cause !== thrown) expect((cause as Error).cause === thrown).toBe(true);
    const { failed } = await failures(thrown, 2);
    expect(failed).toHaveLength(1);
    expect(typeof failed[0]!.error.message).toBe('string');
  });
});

function fails(): never {
  throw new Error('of the getter');
}

function hostileConversions(): object {
  return { toString: fails, valueOf: fails, [Symbol.toPrimitive]: fails };
}

function hostileGetters(error: Error): Error {
  // The stack first: its text is made of the message.
  for (const name of ['stack', 'message', 'name', 'code', 'retryable', 'retryAfterMs', 'ambiguous', 'cause'])
    Object.defineProperty(error, name, { get: fails });
  return error;
}
