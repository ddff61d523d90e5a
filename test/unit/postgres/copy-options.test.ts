import { describe, expect, test } from 'vitest';
import { BackpressureWritable } from '../../../src/index.js';
import { InvalidOptionError } from '../../../src/api/errors.js';
import { copyInto, CopyError } from '../../../src/postgres/index.js';

const pool = { connect: () => Promise.reject(new Error('not here')) };

function refusal(work: () => unknown): InvalidOptionError {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidOptionError);
    return error as InvalidOptionError;
  }
  throw new Error('nothing was refused');
}

describe('a wrong option is named, with what came', () => {
  test.each<[option: string, options: unknown, message: RegExp]>([
    ['options', undefined, /an object with 'table'/],
    ['table', {}, /'table' must be a name.*undefined/],
    ['table', { table: '' }, /""/],
    ['table', { table: 5 }, /5/],
    ['table', { table: 'a\0b' }, /'table'/],
    ['schema', { table: 't', schema: '' }, /'schema'/],
    ['columns', { table: 't', columns: [] }, /'columns' must be an array of at least one name/],
    ['columns', { table: 't', columns: 'a,b' }, /"a,b"/],
    ['columns[1]', { table: 't', columns: ['a', ''] }, /columns\[1\]/],
    ['columns', { table: 't', columns: ['a', 'b', 'a'] }, /"a" twice/],
    ['format', { table: 't', format: 'csv' }, /'auto', 'text' or 'binary'; got "csv"/],
    ['beforeCommit', { table: 't', beforeCommit: true }, /a function; got true/],
    ['onConflict', { table: 't', onConflict: 'replace' }, /'error', 'ignore' or 'update'/],
    ['key', { table: 't', onConflict: 'update' }, /'update' needs 'key'/],
    ['key', { table: 't', key: ['a'] }, /needs 'onConflict'/],
    ['key', { table: 't', onConflict: 'ignore', key: [] }, /at least one name/],
    ['key', { table: 't', onConflict: 'ignore', key: ['a', 'a'] }, /names "a" twice/],
    ['importId', { table: 't', importId: '', positionOf: () => 1 }, /1 to 1000 bytes/],
    ['importId', { table: 't', importId: 'é'.repeat(501), positionOf: () => 1 }, /1 to 1000 bytes/],
    ['importId', { table: 't', positionOf: () => 1 }, /needs 'importId'/],
    ['positionOf', { table: 't', importId: 'x' }, /needs 'positionOf'/],
    ['positionOf', { table: 't', importId: 'x', positionOf: 1 }, /must be a function/],
    ['tabel', { table: 't', tabel: 'u' }, /copyInto has no option 'tabel'/],
    ['Schema', { table: 't', Schema: 'u' }, /did you mean 'schema'/],
    ['batchSize', { table: 't', batchSize: 5 }, /option of the stream/],
  ])('%s in %j', (option, options, message) => {
    const error = refusal(() => copyInto(pool as never, options as never));
    expect(error.option).toBe(option);
    expect(error.message).toMatch(message);
  });

  test.each([[undefined], [null], [{}], ['postgres://u:secret@h/d']])('%j is no pool', (wrong) => {
    const error = refusal(() => copyInto(wrong as never, { table: 't' }));
    expect(error.option).toBe('pool');
  });

  test('options that are undefined are not there, and later changes of the array change nothing', () => {
    const columns = ['a'];
    const copy = copyInto(pool as never, { table: 't', schema: undefined, columns, beforeCommit: undefined });
    columns.push('');
    expect(copy).toBeTypeOf('function');
  });
});

describe('the options that it carries for its stream', () => {
  test.each([
    [undefined, 3],
    [1, 1],
    [2, 1],
    [3, 2],
    [4, 3],
    [50, 3],
  ])('a pool of %s lends up to %s connections', (max, concurrency) => {
    const copy = copyInto({ ...pool, options: { max } }, { table: 't' });
    expect(copy.defaults.concurrency).toBe(concurrency);
  });

  test('five attempts, for errors that may pass', () => {
    const { retry } = copyInto(pool as never, { table: 't' }).defaults;
    expect(retry?.attempts).toBe(5);
    const verdict = (failureClass: 'transport' | 'row' | 'setup') =>
      retry?.isRetryable?.(new CopyError('x', { failureClass }));
    expect([verdict('transport'), verdict('row'), verdict('setup')]).toEqual([true, false, false]);
    expect(retry?.isRetryable?.(new Error('of another kind'))).toBe(false);
  });

  test('with an import another attempt is worth it where nobody knows, for it writes nothing twice', () => {
    const { retry } = copyInto<{ n: number }>(pool, {
      table: 't',
      importId: 'x',
      positionOf: ({ n }) => n,
    }).defaults;
    expect(retry?.afterTimeout).toBe(true);
    const unknown = new CopyError('x', { failureClass: 'aborted', retryable: false, ambiguous: true });
    expect(retry?.isRetryable?.(unknown)).toBe(true);
    const plain = copyInto(pool as never, { table: 't' }).defaults.retry;
    expect(plain?.afterTimeout).toBe(false);
    expect(plain?.isRetryable?.(unknown)).toBe(false);
  });

  test('an outage is waited for', () => {
    expect(copyInto(pool as never, { table: 't' }).defaults.breaker).toEqual({
      maxOutageMs: 600_000,
      probe: expect.any(Function) as never,
    });
  });

  test('are all that a flush function has beside itself', () => {
    expect(Object.keys(copyInto(pool as never, { table: 't' }))).toEqual(['defaults']);
  });

  test('bytes are bounded without a word from the user', () => {
    const { sizeOf, batchBytes, maxBufferBytes } = copyInto(pool as never, { table: 't' }).defaults;
    expect(sizeOf?.({ a: 'x'.repeat(5000) })).toBeGreaterThan(5000);
    expect(maxBufferBytes).toBeGreaterThan(4 * batchBytes!);
  });

  test('a producer in memory yields to I/O after 32 to 10 000 rows, long before the buffer is full', () => {
    const { defaults } = copyInto(pool as never, { table: 't' });
    const stream = new BackpressureWritable(Object.assign(() => Promise.resolve(), { defaults }));
    let written = 1;
    while (stream.write({ a: written })) written++;
    expect(defaults.yieldEvery).toBe(10_000);
    // Earlier on a slow machine, for the turn of the event loop has a time, too; but never before the first look at the clock.
    expect(written).toBeLessThanOrEqual(10_000);
    expect(written).toBeGreaterThanOrEqual(32);
    expect(stream.writableHighWaterMark).toBeGreaterThan(100_000);
  });
});
