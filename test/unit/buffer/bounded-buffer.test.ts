import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BoundedBuffer } from '../../../src/index.js';
import { range } from '../../support/range.js';

type Operation =
  { kind: 'push' | 'evict'; item: number } | { kind: 'take'; count: number | undefined } | { kind: 'clear' };

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constantFrom('push' as const, 'evict' as const), item: fc.nat() }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('take' as const),
      count: fc.option(fc.nat(40), { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.constant<Operation>({ kind: 'clear' }) },
);

describe('BoundedBuffer', () => {
  it('never holds more than its capacity, and is first in first out, for any sequence of operations', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.array(operation, { maxLength: 100, size: 'max' }),
        (capacity, operations) => {
          const buffer = new BoundedBuffer<number>(capacity);
          let model: number[] = [];
          for (const each of operations) {
            const full = model.length === capacity;
            if (each.kind === 'push') {
              expect(buffer.push(each.item)).toBe(!full);
              if (!full) model.push(each.item);
            } else if (each.kind === 'evict') {
              expect(buffer.pushWithEviction(each.item)).toBe(full ? model.shift() : undefined);
              model.push(each.item);
            } else if (each.kind === 'take') {
              expect(buffer.take(each.count)).toEqual(model.splice(0, each.count ?? 1));
            } else {
              expect(buffer.clear()).toEqual(model);
              model = [];
            }
            expect(buffer.size).toBe(model.length);
            expect(buffer.size <= buffer.capacity).toBe(true);
            expect(buffer.utilization).toBe(model.length / capacity);
            expect(buffer.isEmpty()).toBe(model.length === 0);
            expect(buffer.isFull()).toBe(model.length === capacity);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('evicts by pointer, not by moving the rest', () => {
    // Moving 200 000 items for each of 400 000 would be 8 × 10¹⁰ steps: this would never end.
    const buffer = new BoundedBuffer<number>(200_000);
    for (let item = 0; item < 600_000; item++) buffer.pushWithEviction(item);
    expect(buffer.take(3)).toEqual(range(3, 400_000));
    expect(buffer.size).toBe(199_997);
  });

  it.each([0, -1, 1.5, NaN, Infinity, '10', undefined])('refuses a capacity of %s', (maxSize) => {
    expect(() => new BoundedBuffer(maxSize as number)).toThrow(
      /option 'maxSize' must be an integer of at least 1; got/,
    );
  });

  it.each([-1, 0.5, NaN])('refuses to take %s', (count) => {
    expect(() => new BoundedBuffer(1).take(count)).toThrow(
      /option 'count' must be an integer of at least 0; got/,
    );
  });
});
