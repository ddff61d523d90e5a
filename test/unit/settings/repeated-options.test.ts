import { describe, expect, it } from 'vitest';
import type { WritableOptions } from '../../../src/api/options.js';
import { resolveSink } from '../../../src/settings/resolve-sink.js';

const flush = async () => undefined;
const resolve = (given: WritableOptions<unknown>) => resolveSink(flush, given, 'BackpressureWritable');

describe('options that are given once more', () => {
  it('are resolved once if their values are the same', () => {
    const first = resolve({ batchSize: 50, strategy: 'drop_oldest' });
    expect(resolve({ batchSize: 50, strategy: 'drop_oldest' })).toBe(first);
    expect(first).toMatchObject({ batchSize: 50, strategy: 'drop_oldest' });
    expect(Object.isFrozen(first)).toBe(true);
  });

  const others: [what: string, given: object][] = [
    ['another value', { batchSize: 20 }],
    ['one more option', { batchSize: 10, concurrency: 3 }],
    ['another option', { concurrency: 10 }],
    ['none', {}],
    ['none that is set', { batchSize: undefined }],
    ['a hidden property', Object.defineProperty({ batchSize: 10 }, 'concurrency', { value: 3 })],
    ['a hidden property alone', Object.defineProperty({}, 'batchSize', { value: 30 })],
    ['an inherited property', Object.assign(Object.create({ concurrency: 3 }) as object, { batchSize: 10 })],
    [
      'a proxy with values that it does not list',
      new Proxy(
        { batchSize: 10 },
        { get: (target, name) => (name === 'concurrency' ? 3 : Reflect.get(target, name)) as unknown },
      ),
    ],
    ['a function', { batchSize: 10, shed: () => false }],
    ['an object', { batchSize: 10, retry: { attempts: 2 } }],
  ];
  it.each(others)('are resolved by what they say, with %s than before', (_what, given) => {
    const before = resolve({ batchSize: 10 });
    const settings = resolve(given);
    expect(settings).not.toBe(before);
    const { batchSize, concurrency, shed, retry } = given as WritableOptions<unknown>;
    if (batchSize !== undefined) expect(settings.batchSize).toBe(batchSize);
    expect(settings.concurrency).toBe(concurrency ?? before.concurrency);
    expect(settings.shed).toBe(shed);
    expect(settings.retry.attempts).toBe(retry?.attempts ?? before.retry.attempts);
    expect(resolve({ batchSize: 10 }).concurrency).toBe(before.concurrency);
  });

  it('are resolved again if an object among them has changed', () => {
    const options = { retry: { attempts: 2 } };
    expect(resolve(options).retry.attempts).toBe(2);
    options.retry.attempts = 4;
    expect(resolve(options).retry.attempts).toBe(4);
  });

  it('are not remembered by a value of a getter that returns another one each time', () => {
    for (let value = 48; value < 60; value += 1) {
      resolve({});
      let size = 49;
      resolve({
        get batchSize() {
          size += 1;
          return size;
        },
      });
      expect(resolve({ batchSize: value }).batchSize).toBe(value);
    }
  });

  it('are refused each time', () => {
    for (let time = 0; time < 2; time += 1) expect(() => resolve({ batchSize: 0 })).toThrow(/batchSize/);
    const misspelt = { batchsize: 5 } as WritableOptions<unknown>;
    for (let time = 0; time < 2; time += 1) expect(() => resolve(misspelt)).toThrow(/batchsize/);
  });

  it('are refused for a controller if they are those of a stream', () => {
    const options = { highWaterMark: 5 };
    resolve(options);
    expect(() => resolveSink(flush, options, 'BackpressureController')).toThrow(/highWaterMark/);
  });

  it('are not remembered across the defaults of a flush function', () => {
    const withDefaults = Object.assign(async () => undefined, { defaults: { concurrency: 3 } });
    resolve({ batchSize: 7 });
    expect(resolveSink(withDefaults, { batchSize: 7 }, 'BackpressureWritable').concurrency).toBe(3);
    expect(resolve({ batchSize: 7 }).concurrency).toBe(1);
  });
});
