import { afterEach, expect, test, vi } from 'vitest';
import { isHashTable } from '../../../../src/postgres/rows/slow-objects.js';

const NAMES = Array.from({ length: 40 }, (_, at) => `column_${at}`);
const parse = (names: readonly string[]): object =>
  JSON.parse(`{${names.map((name) => `"${name}":1`).join(',')}}`) as object;
const setInLoop = <T extends object>(target: T): T => {
  for (const name of NAMES) (target as Record<string, unknown>)[name] = 1;
  return target;
};

class WithMethod {
  half(): number {
    return 0.5;
  }
}

class WithAccessor {
  get half(): number {
    return 0.5;
  }
}

const FIELDS: Record<string, () => object> = {
  'an object of JSON': () => parse(NAMES),
  'a proxy of fields': () => new Proxy(parse(NAMES), {}),
  'a proxy of a hash table': () => new Proxy(setInLoop({}), {}),
  'an object with numbers as keys': () => parse([...NAMES, '7', '9']),
  'an object with nothing but numbers as keys': () => parse(NAMES.map((_, at) => String(at))),
  'an object whose prototype has an accessor': () =>
    Object.setPrototypeOf(parse(NAMES), WithAccessor.prototype) as object,
  'an object whose prototype has an accessor that can be enumerated': () =>
    Object.setPrototypeOf(parse(NAMES), { get half() { return 0.5; } }) as object, // prettier-ignore
};

const TABLES: Record<string, () => object> = {
  'an object set in a loop': () => setInLoop({}),
  'an object of which a key was deleted': () => {
    const row = parse(NAMES) as { column_3?: number };
    delete row.column_3;
    return row;
  },
  'an instance set in a loop': () => setInLoop(new WithMethod()),
  'an instance with an accessor, set in a loop': () => setInLoop(new WithAccessor()),
};

test.each(Object.entries(FIELDS))('%s is no hash table', (_kind, make) => {
  for (let run = 0; run < 20; run += 1) expect(isHashTable(make())).toBe(false);
});

test.each(Object.entries(TABLES))('%s is a hash table', (_kind, make) => {
  for (let run = 0; run < 20; run += 1) expect(isHashTable(make())).toBe(true);
});

afterEach(() => {
  vi.doUnmock('node:v8');
  vi.resetModules();
});

test('an object kept as fields is no hash table if a collection falls into the measurement behind it', async () => {
  let looks = 0;
  const usedSize = (): number => ((looks += 1) < 8 ? 1_000_000 : 500_000);
  vi.resetModules();
  vi.doMock('node:v8', () => ({ getHeapStatistics: () => ({ used_heap_size: usedSize() }) }));
  const mocked = await import('../../../../src/postgres/rows/slow-objects.js');
  expect(mocked.isHashTable(parse(NAMES))).toBe(false);
});

test('an engine that is not V8 has no hash tables', async () => {
  vi.resetModules();
  vi.stubGlobal('process', { ...process, versions: { ...process.versions, bun: '1.2.0' } });
  const ofBun = await import('../../../../src/postgres/rows/slow-objects.js');
  vi.unstubAllGlobals();
  expect(ofBun.isHashTable(setInLoop({}))).toBe(false);
});
