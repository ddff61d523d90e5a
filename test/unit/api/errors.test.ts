import { inspect } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { messageOf, toError } from '../../../src/common/thrown.js';
import { BackpressureError, InvalidOptionError, ItemError } from '../../../src/index.js';

describe('BackpressureError', () => {
  const cause = new Error('connection lost');
  const error = new BackpressureError('ERR_BACKPRESSURE_FLUSH_FAILED', 'flush failed', {
    cause,
    items: ['row 1'],
  });

  it('has a code, a cause and the items', () => {
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: 'BackpressureError', code: 'ERR_BACKPRESSURE_FLUSH_FAILED', cause });
    expect(error.items).toEqual(['row 1']);
  });

  it('shows its items to no logger', () => {
    expect(JSON.stringify(error)).not.toContain('row 1');
    expect(inspect(error)).not.toContain('row 1');
    expect(Object.keys(error)).not.toContain('items');
  });

  it('has no cause, and no items, where none was given', () => {
    const bare = new BackpressureError('ERR_BACKPRESSURE_OVERFLOW', 'too many');
    expect('cause' in bare).toBe(false);
    expect(bare.items).toEqual([]);
  });
});

describe('InvalidOptionError', () => {
  it('is a BackpressureError that names its option', () => {
    const error = new InvalidOptionError('batchSize', 'wrong');
    expect(error).toBeInstanceOf(BackpressureError);
    expect(error).toMatchObject({
      name: 'InvalidOptionError',
      option: 'batchSize',
      code: 'ERR_BACKPRESSURE_INVALID_OPTION',
    });
  });
});

describe('ItemError', () => {
  it.each([
    [{}, 'item 3 failed', false],
    [{ cause: new Error('duplicate key') }, 'duplicate key', false],
    [{ cause: 'text', retryable: true }, 'item 3 failed', true],
    [{ cause: new Error('duplicate key'), message: 'row 3' }, 'row 3', false],
  ])('%j: %s', (options, message, retryable) => {
    expect(new ItemError(3, options)).toMatchObject({ index: 3, message, retryable });
  });
});

describe('anything can be thrown', () => {
  it.each([
    ['text', 'text'],
    [undefined, 'undefined'],
    [null, 'null'],
    [Symbol('s'), 'Symbol(s)'],
    [{}, '[object Object]'],
    [Object.create(null) as object, 'something that is no error'],
  ])('%#', (thrown, message) => {
    expect(messageOf(thrown)).toBe(message);
    expect(toError(thrown)).toMatchObject({ message, cause: thrown });
  });

  it('an error stays itself', () => {
    const error = new Error('e');
    expect(toError(error)).toBe(error);
  });
});

it('instanceof recognises errors of another copy of the library, and a subclass by its own class', async () => {
  vi.resetModules();
  const other = await import('../../../src/api/errors.js');
  expect(other.ItemError).not.toBe(ItemError);
  expect(new other.ItemError(0)).toBeInstanceOf(ItemError);
  expect(new other.BackpressureError('ERR_BACKPRESSURE_ABORTED', '')).toBeInstanceOf(BackpressureError);
  class Special extends BackpressureError {}
  expect(new BackpressureError('ERR_BACKPRESSURE_ABORTED', '')).not.toBeInstanceOf(Special);
  expect(new Error('plain')).not.toBeInstanceOf(ItemError);
});
