import { expect, it } from 'vitest';
import { recoverUnderLoad, type StartState } from './recovery.js';

const common = { sink: 'bare', intervals: 300, seed: 1, noise: 0 } as const;
const states: StartState[] = ['interval at its minimum', 'after a long stall'];

it.each(states.flatMap((state) => [0.12, 0.7].map((load) => ({ state, load }))))(
  'the flush interval is back within 30 flushes after a stall: $state, load $load',
  async ({ state, load }) => {
    const model = 'fixed part of 0.4 × the target';
    const found = { ...common, model, disturbance: 'stall', state, load };
    expect((await recoverUnderLoad(found)).intervalFlushes).toBeLessThanOrEqual(30);
  },
);

it('the flush interval is back within 30 flushes after a burst upon a long stall, with full batches behind each other', async () => {
  const found = {
    ...common,
    model: 'fixed capacity',
    sink: 'large',
    disturbance: 'burst',
    load: 0.7,
  } as const;
  const { intervalFlushes } = await recoverUnderLoad({ ...found, state: 'after a long stall' });
  expect(intervalFlushes).toBeLessThanOrEqual(30);
});
