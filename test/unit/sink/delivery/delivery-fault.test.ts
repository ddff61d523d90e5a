/** What is returned to the caller if settling a batch throws: the user's `random` does, in the middle of a retry. */

import { expect, test, vi } from 'vitest';
import { BackpressureController, ItemError, type Settlement } from '../../../../src/index.js';

/** Settles when the sink has ended, with what it returned and what it reported. */
async function failInRetry(items: unknown[], errors: ItemError[] | undefined) {
  const settled: Settlement<unknown>[] = [];
  const controller = new BackpressureController<unknown>(
    (batch) =>
      errors === undefined
        ? Promise.reject(new Error('busy'))
        : Promise.resolve({ success: batch.length - errors.length, failed: errors.length, errors }),
    {
      retry: { attempts: 3 },
      random: () => {
        throw new Error('no chance');
      },
      onSettled: (settlements) => void settled.push(...settlements),
    },
  );
  for (const item of items) controller.tryPush(item);
  controller.start();
  await expect(controller.flush()).rejects.toMatchObject({ code: 'ERR_BACKPRESSURE_HANDLER_FAILED' });
  await vi.waitFor(() => expect(settled).toHaveLength(items.length));
  const failed = settled.filter(({ outcome }) => outcome === 'failed').map(({ item }) => item);
  return { failed, returned: controller.takeUnsettled() };
}

test('a whole batch with NaN among its items: each is returned as it came', async () => {
  const items = [NaN, 5, NaN, undefined, 0];
  expect(await failInRetry(items, undefined)).toEqual({ failed: items, returned: items });
});

test('the items of a batch that were to be called again: only those are returned, NaN among them', async () => {
  const errors = [1, 3].map((index) => new ItemError(index, { retryable: true, message: 'busy' }));
  expect(await failInRetry([1, NaN, 3, NaN, 5], errors)).toEqual({
    failed: [NaN, NaN],
    returned: [NaN, NaN],
  });
});
