import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { BackpressureError } from '../../../../src/api/errors.js';
import { CopyError } from '../../../../src/postgres/index.js';

test('is a BackpressureError with a stable code, and only transport failures are worth another attempt unless told otherwise', () => {
  const error = new CopyError('x', { failureClass: 'transport' });
  expect(error).toBeInstanceOf(BackpressureError);
  expect(error).toMatchObject({
    name: 'CopyError',
    code: 'ERR_BACKPRESSURE_COPY',
    retryable: true,
    ambiguous: false,
  });
  for (const failureClass of ['row', 'setup', 'aborted'] as const) {
    expect(new CopyError('x', { failureClass }).retryable).toBe(false);
  }
  expect(new CopyError('x', { failureClass: 'aborted', retryable: true }).retryable).toBe(true);
});

test('neither its items nor what the server quotes of the row are printed; both are there', () => {
  const cause = Object.assign(new Error('duplicate key'), {
    detail: 'Key (a)=(secret) already exists.',
    where: 'COPY t, line 1: "secret"',
    code: '23505',
  });
  const error = new CopyError('no', { failureClass: 'row', cause, items: [{ a: 'secret' }] });
  expect(inspect(error, { depth: 9 })).not.toContain('secret');
  expect(JSON.stringify(error)).not.toContain('secret');
  expect(error.items).toEqual([{ a: 'secret' }]);
  expect((error.cause as typeof cause).detail).toContain('secret');
  expect(inspect(error)).toContain('23505');
});

test('a frozen cause is left as it is', () => {
  const cause = Object.freeze(Object.assign(new Error('x'), { detail: 'd' }));
  expect(new CopyError('no', { failureClass: 'row', cause }).cause).toBe(cause);
});
