import { expect, test } from 'vitest';
import { estimateBytes, sampledRowSize } from '../../../src/postgres/row-size.js';

test('a row counts about what it takes on the wire', () => {
  expect(estimateBytes({ a: 'x'.repeat(1000), b: 1 }, 0)).toBeGreaterThanOrEqual(1000);
  expect(estimateBytes([Buffer.alloc(1000)], 0)).toBeGreaterThanOrEqual(2000);
  expect(estimateBytes({ a: { deep: ['y'.repeat(500), 'y'.repeat(500)] } }, 0)).toBeGreaterThanOrEqual(1000);
  for (const odd of [null, undefined, 1, true, 1n, new Date(), Symbol('x'), () => 1]) {
    expect(estimateBytes(odd, 0)).toBeGreaterThan(0);
  }
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  expect(estimateBytes(circle, 0)).toBeGreaterThan(0);
});

test('the sampled size follows the rows, is whole, and never nothing', () => {
  const sizeOf = sampledRowSize();
  const small = { a: 'x' };
  const large = { a: 'x'.repeat(10_000) };
  for (let row = 0; row < 1000; row += 1) {
    const bytes = sizeOf(small);
    expect(Number.isInteger(bytes)).toBe(true);
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(20);
  }
  let last = 0;
  for (let row = 0; row < 2000; row += 1) last = sizeOf(large);
  expect(last).toBeGreaterThan(9_000);
});

test('the first rows are measured, not guessed', () => {
  const sizeOf = sampledRowSize();
  expect(sizeOf({ a: 'x'.repeat(1_000_000) })).toBeGreaterThan(1_000_000);
});
