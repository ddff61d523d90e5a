import { describe, expect, it } from 'vitest';
import { startController } from '../support/destination.js';
import { settle } from '../support/manual-clock.js';

describe('drain()', () => {
  it('ends with the state derived anew when the controller fails meanwhile', async () => {
    const { controller } = startController({ batchSize: 1 }, [{ kind: 'throws' }]);
    void controller.push(1);
    await expect(controller.drain()).rejects.toThrow('destination threw');
    await settle();
    expect(controller.getMetrics().state).toBe('normal');
  });
});

describe('a failure that nobody takes', () => {
  it.each(['flush', 'drain'] as const)('rejects a pending %s()', async (method) => {
    const { controller } = startController({ batchSize: 1 }, [{ kind: 'throws' }]);
    void controller.push(1);
    await expect(controller[method]()).rejects.toMatchObject({
      code: 'ERR_BACKPRESSURE_FLUSH_FAILED',
      items: [1],
    });
  });

  it('rejects a pending whenBelow(), though its items are gone', async () => {
    const { controller } = startController({ batchSize: 1 }, [{ kind: 'throws' }]);
    void controller.push(1);
    await expect(controller.whenBelow(1)).rejects.toThrow('destination threw');
  });
});
