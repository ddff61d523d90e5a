import { describe, expect, it } from 'vitest';
import { SettlementLog } from '../../../../src/sink/settlement/settlement-log.js';
import { BackpressureController, type Settlement } from '../../../../src/index.js';

describe('the settlement log', () => {
  it('tells outcomes in batches, in order, each once', () => {
    const told: Settlement<number>[][] = [];
    const log = new SettlementLog<number>((settlements) => told.push(settlements), expect.unreachable);
    const error = new Error('row');
    log.flushed([1, 2], new Float64Array([5, 6]));
    log.flushed([7], undefined);
    log.failed([{ item: 3, error, weight: 2, ambiguous: true }]);
    log.dropped(4, 0, 'sampled');
    expect(log.isEmpty).toBe(false);
    log.deliver();
    log.deliver();
    expect(told).toEqual([
      [
        { item: 1, weight: 5, outcome: 'flushed' },
        { item: 2, weight: 6, outcome: 'flushed' },
        { item: 7, weight: 1, outcome: 'flushed' },
        { item: 3, weight: 2, outcome: 'failed', error, ambiguous: true },
        { item: 4, weight: 0, outcome: 'dropped', reason: 'sampled' },
      ],
    ]);
    expect(log.isEmpty).toBe(true);
  });

  it('does not pile up a burst of drops', () => {
    const told: number[] = [];
    const log = new SettlementLog<number>((settlements) => told.push(settlements.length), expect.unreachable);
    for (let item = 0; item < 2_500; item++) log.dropped(item, 1, 'rejected');
    expect(told).toEqual([1_000, 1_000]);
  });

  it('reports that the handler threw', () => {
    const thrown: unknown[] = [];
    const handler = () => {
      throw new Error('cannot');
    };
    const log = new SettlementLog<number>(handler, (name, error) => thrown.push([name, error]));
    log.flushed([1], undefined);
    log.deliver();
    expect(thrown).toEqual([['onSettled', new Error('cannot')]]);
    expect(log.isEmpty).toBe(true);
  });
});

it.each([
  ['sizeOf', {}],
  ['shed', { strategy: 'drop_newest' }],
] as const)(
  'an item whose %s ends the sink is reported after those that are queued',
  async (name, options) => {
    const abort = new AbortController();
    const items: number[] = [];
    const endAtFour = (item: number) => {
      if (item === 4) abort.abort();
      return 1;
    };
    const decide =
      name === 'sizeOf' ? { sizeOf: endAtFour } : { shed: (item: number) => endAtFour(item) === 0 };
    const controller = new BackpressureController<number>(() => Promise.resolve(), {
      ...options,
      ...decide,
      signal: abort.signal,
      onSettled: (settlements) => void items.push(...settlements.map(({ item }) => item)),
    });
    for (const item of [1, 2, 3, 4]) controller.tryPush(item);
    await controller.flush().catch(() => undefined);
    expect(items).toEqual([1, 2, 3, 4]);
    expect(controller.takeUnsettled()).toEqual([1, 2, 3, 4]);
  },
);
