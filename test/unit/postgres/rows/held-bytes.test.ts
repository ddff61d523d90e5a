import { expect, test } from 'vitest';
import { heldBytes } from '../../../../src/postgres/rows/held-bytes.js';

const record = (length: number): object => ({ text: 'x'.repeat(length), place: 1 });
const keyed = (count: number, value: (at: number) => unknown): Record<string, unknown> =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`key_${at}`, value(at)]));

test.each([100, 4_000, 6_000, 50_000])('%i objects of a row count with all their text', (count) => {
  const bytes = heldBytes(
    keyed(count, () => record(1_000)),
    false,
  );
  expect(bytes).toBeGreaterThan(0.95 * count * 1_000);
  expect(bytes).toBeLessThan(1.5 * count * 1_000);
});

test('10,000 arrays of a row count with all their text', () => {
  const row = keyed(10_000, () => ['x'.repeat(500), 'x'.repeat(500)]);
  expect(heldBytes(row, false)).toBeGreaterThan(0.95 * 10_000 * 1_000);
});

test('buffers behind more values than are looked at count as what they hold', () => {
  const row = {
    ...keyed(5_000, () => ({ a: 1 })),
    bytes: Buffer.alloc(1_000_000),
    raw: new ArrayBuffer(500_000),
  };
  expect(heldBytes(row, false)).toBeGreaterThan(1_500_000);
});

test.each([3, 64, 65, 10_000])('an array of %i doubles counts eight bytes for each', (length) => {
  const half = Array.from({ length }, (_, at) => at + 0.5);
  const mixed = half.map((value, at) => (at % 3 === 0 ? at : value));
  for (const array of [half, mixed]) {
    expect(heldBytes(array, false)).toBeGreaterThanOrEqual(8 * length);
    expect(heldBytes(array, false)).toBeLessThan(8 * length + 100);
  }
});

test('doubles beside other values count as objects of their own', () => {
  expect(heldBytes([0.5, null, 1.5], false)).toBe(heldBytes([1, null, 2], false) + 2 * 16);
});

test('objects that refer to each other are measured in a moment, and not as boundless', () => {
  const circle: Record<string, unknown> = {};
  for (let key = 0; key < 200; key += 1) circle[`key_${key}`] = circle;
  const startedAt = performance.now();
  const bytes = heldBytes(circle, true);
  expect(performance.now() - startedAt).toBeLessThan(1_000);
  expect(bytes).toBeLessThan(100_000_000);
});
