import { expect, test } from 'vitest';
import { RowSizes } from '../../../../src/postgres/rows/row-size.js';

const narrow = { a: 'xyz', b: 1 };
const wide = { a: 'x'.repeat(10_000), b: 1 };
const many = <T>(row: T, count = 5_000) => new Array<T>(count).fill(row);
const total = ({ sizeOf }: RowSizes, rows: readonly unknown[]) =>
  rows.reduce((sum: number, row) => sum + sizeOf(row), 0);

test('each value has a size that is whole and never nothing', () => {
  for (const odd of [null, undefined, 1, true, 1n, 2n ** 200n, new Date(), Symbol('x'), () => 1, [], {}]) {
    const bytes = new RowSizes().sizeOf({ odd });
    expect(Number.isInteger(bytes)).toBe(true);
    expect(bytes).toBeGreaterThan(0);
  }
});

test('the first rows are measured, not guessed', () => {
  const { sizeOf } = new RowSizes();
  expect(sizeOf({ a: 'x'.repeat(1_000_000) })).toBeGreaterThan(1_000_000);
  expect(sizeOf({ a: 'x' })).toBeLessThan(1_000);
});

test('objects that refer to each other are measured in a moment', () => {
  const circle: Record<string, unknown> = {};
  for (let key = 0; key < 50; key += 1) circle[`key${key}`] = circle;
  const started = performance.now();
  expect(new RowSizes().sizeOf(circle)).toBeGreaterThan(50);
  expect(performance.now() - started).toBeLessThan(1_000);
});

test('a row that cannot be read counts as the others, and throws nothing', async () => {
  const sizes = new RowSizes();
  const bad = {
    get a(): string {
      throw new Error('no value');
    },
  };
  const proxy = new Proxy(
    {},
    {
      ownKeys: () => {
        throw new Error('no keys');
      },
    },
  );
  for (let row = 0; row < 1_000; row += 1) {
    expect(sizes.sizeOf(row % 2 === 0 ? bad : proxy)).toBeGreaterThan(0);
  }
  await sizes.learn([bad, proxy], 100);
  await sizes.learn(many(narrow), 5_000 * 20, () => {
    throw new Error('no row');
  });
  expect(sizes.sizeOf.sentShare!()).toBeGreaterThan(0);
});

test('a row that cannot be read a second time throws nothing', () => {
  for (let readable = 0; readable < 6; readable += 1) {
    let looks = 0;
    const row = {
      get a(): string {
        looks += 1;
        if (looks > readable) throw new Error('no more');
        return 'x';
      },
    };
    expect(new RowSizes().sizeOf(row)).toBeGreaterThan(0);
  }
});

test('rows that become much wider count as such from the first one that is measured', () => {
  const sizes = new RowSizes();
  const small = total(sizes, many(narrow));
  expect(total(sizes, many(wide))).toBeGreaterThan(0.95 * 5_000 * 10_000);
  // Narrow again: the mean follows within a few looks, while the stride is still short.
  const after = total(sizes, many(narrow));
  expect(after).toBeGreaterThan(0.95 * small);
  expect(after).toBeLessThan(small + 350 * 10_000);
});

test.each([2, 3, 4, 8, 11, 16, 22, 32, 64, 100])(
  'rows of which one in %i is two hundred times as large are counted within a tenth',
  (period) => {
    const sizes = new RowSizes();
    const large = { a: 'x'.repeat(20_000) };
    const rows = Array.from({ length: 20_000 }, (_, row) => (row % period === period - 1 ? large : narrow));
    const each = new Map<unknown, number>([
      [large, new RowSizes().sizeOf(large)],
      [narrow, new RowSizes().sizeOf(narrow)],
    ]);
    const right = rows.reduce((sum, row) => sum + each.get(row)!, 0);
    expect(total(sizes, rows) / right).toBeGreaterThan(0.9);
    expect(total(sizes, rows) / right).toBeLessThan(1.1);
  },
);

test('after a million small rows, at most 255 rows are counted as small before the first giant one is measured', () => {
  const sizes = new RowSizes();
  total(sizes, many(narrow, 1_000_000));
  const giant = { a: 'x'.repeat(1_000_000) };
  const counted = Array.from({ length: 1_000 }, () => sizes.sizeOf(giant));
  const first = counted.findIndex((bytes) => bytes > 1_000_000);
  expect(first).toBeGreaterThanOrEqual(0);
  expect(first).toBeLessThan(255);
  // From then on each row is measured.
  expect(Math.min(...counted.slice(first))).toBeGreaterThan(1_000_000);
});

test('the share that is sent is likely before a batch has been sent, and learnt from then on', async () => {
  const sizes = new RowSizes();
  const share = sizes.sizeOf.sentShare!;
  expect(share()).toBeCloseTo(1 / 3);
  const held = sizes.sizeOf(wide);
  // A long text is sent as it is.
  expect(share() * held).toBeGreaterThan(0.95 * 10_000);
  expect(share() * held).toBeLessThan(1.05 * 10_000);
  await sizes.learn(many(wide), 5_000 * 2_000);
  expect(share() * held).toBeCloseTo(2_000);
  // It follows the batches; a small one says little.
  for (let batch = 0; batch < 8; batch += 1) await sizes.learn(many(wide), 5_000 * 4_000);
  expect(share() * held).toBeCloseTo(4_000, -2);
  await sizes.learn([wide], 10);
  expect(share() * held).toBeCloseTo(4_000, -2);
});

test('nothing is learnt from nothing', async () => {
  const sizes = new RowSizes();
  sizes.sizeOf(wide);
  const before = sizes.sizeOf.sentShare!();
  await sizes.learn([], 0);
  await sizes.learn([narrow], 0);
  expect(sizes.sizeOf.sentShare!()).toBe(before);
});
