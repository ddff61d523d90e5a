import { expect, test } from 'vitest';
import { estimateBytes, RowSizes } from '../../../src/postgres/row-size.js';

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
  const { sizeOf } = new RowSizes();
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
  const { sizeOf } = new RowSizes();
  expect(sizeOf({ a: 'x'.repeat(1_000_000) })).toBeGreaterThan(1_000_000);
});

const narrow = { a: 'x', b: 1 };
const wide = { a: 'x'.repeat(10_000), b: 1 };
const many = <T>(row: T) => new Array<T>(5_000).fill(row);

test('from the first encoded batch on a row counts as the mean of what has been encoded', async () => {
  const sizes = new RowSizes();
  for (const row of many(narrow)) sizes.sizeOf(row);
  await sizes.learn(many(narrow), 5_000 * 37);
  for (const row of many(narrow)) expect(sizes.sizeOf(row)).toBe(37);
  // The mean follows the batches; a small one says little.
  await sizes.learn(many(narrow), 5_000 * 41);
  await sizes.learn([narrow], 400);
  expect(sizes.sizeOf(narrow)).toBe(42);
});

test('rows that become much wider count as such before any of them has been encoded', async () => {
  const sizes = new RowSizes();
  for (const row of many(narrow)) sizes.sizeOf(row);
  await sizes.learn(many(narrow), 5_000 * 20);
  const total = (rows: readonly object[]) => rows.reduce((sum, row) => sum + sizes.sizeOf(row), 0);
  const first = total(many(wide));
  expect(first).toBeGreaterThan(0.85 * 5_000 * 10_000);
  // Batches of the narrow rows end meanwhile.
  await sizes.learn(many(narrow), 5_000 * 20);
  expect(total(many(wide))).toBeGreaterThan(0.85 * 5_000 * 10_000);
  // And when they are over, the narrow ones count as such with the first batch of them.
  await sizes.learn(many(narrow), 5_000 * 20);
  expect(sizes.sizeOf(narrow)).toBeLessThan(30);
});

test('nothing is learnt from nothing, and a row that throws is passed over', async () => {
  const sizes = new RowSizes();
  await sizes.learn([], 0);
  await sizes.learn([narrow], 0);
  expect(sizes.sizeOf(wide)).toBeGreaterThan(10_000);
  await sizes.learn(many(narrow), 5_000 * 20, () => {
    throw new Error('no row');
  });
  expect(sizes.sizeOf(narrow)).toBe(20);
});
