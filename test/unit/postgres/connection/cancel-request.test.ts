import { expect, it, vi } from 'vitest';
import { cancelledBy } from '../../../../src/postgres/connection/cancel-request.js';

it('a statement is not sent if the signal has fired before', async () => {
  const run = vi.fn(() => Promise.resolve());
  await expect(cancelledBy(AbortSignal.abort(new Error('stopped')), {}, run)).rejects.toThrow('stopped');
  expect(run).not.toHaveBeenCalled();
});

it('the response of a statement is returned, and no listener stays on the signal', async () => {
  const { signal } = new AbortController();
  const listeners = {
    add: vi.spyOn(signal, 'addEventListener'),
    remove: vi.spyOn(signal, 'removeEventListener'),
  };
  await expect(cancelledBy(signal, {}, () => Promise.resolve(7))).resolves.toBe(7);
  expect(listeners.remove).toHaveBeenCalledWith('abort', listeners.add.mock.calls[0]![1]);
});
