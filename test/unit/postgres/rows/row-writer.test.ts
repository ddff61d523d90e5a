import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import type { LayoutSource, RowLayout } from '../../../../src/postgres/rows/row-layout.js';
import { planLayout } from '../../../../src/postgres/rows/row-layout.js';
import { RowFault } from '../../../../src/postgres/rows/row-fault.js';
import { firstRow, missingColumns } from '../../../../src/postgres/rows/row-keys.js';
import { RowWriter } from '../../../../src/postgres/rows/row-writer.js';

/** @param others columns that the table has besides */
function layoutOf(source: LayoutSource, names: readonly string[], others: readonly string[] = []): RowLayout {
  const columns = [...names, ...others].map((name) => ({
    name,
    typeName: 'text',
    type: { kind: 'scalar' as const, name: 'text', category: 'S' },
    isGenerated: false,
  }));
  return planLayout(
    { schema: 's', table: 't', columns, refersToItself: false, hasTriggers: false },
    { source, names },
  );
}

function written(source: LayoutSource, names: readonly string[], row: unknown): string {
  const writer = new RowWriter(layoutOf(source, names));
  writer.fill([row], 0);
  return writer.take().toString('utf8');
}

class Entity {
  declare b?: string;
  a: string | undefined = undefined;
  get shout(): string | undefined {
    return this.a?.toUpperCase();
  }
}

class Query {
  then(): void {}
}

const NO_ROWS: [string, unknown][] = [
  ['Buffer', Buffer.from('1,x\n')],
  ['Buffer', Buffer.alloc(0)],
  ['Uint8Array', new Uint8Array(3)],
  ['DataView', new DataView(new ArrayBuffer(1))],
  ['ArrayBuffer', new ArrayBuffer(1)],
  ['SharedArrayBuffer', new SharedArrayBuffer(1)],
  ['Promise', Promise.resolve({ a: '1' })],
  ['Query', new Query()],
  ['Error', new Error('x')],
  ['Map', new Map([['a', 1]])],
  ['Date', new Date()],
  ['URLSearchParams', new URLSearchParams('a=1')],
  ['String', new String('')],
  ['Generator', (function* () {})()],
];

describe('what is no row', () => {
  test.each(NO_ROWS)('%s is refused, whatever fixed the columns', (kind, row) => {
    for (const source of ['option', 'keys', 'table'] as const) {
      expect(() => written(source, ['a', 'b'], row)).toThrow(RowFault);
      expect(() => written(source, ['a', 'b'], row)).toThrow(new RegExp(`got an? ${kind}$`));
      // Every object has these.
      expect(() => written(source, ['constructor', 'toString'], row)).toThrow(RowFault);
    }
  });

  test('bytes and promises are refused where a column has the name of a property of theirs, too', () => {
    expect(() => written('option', ['length', '0'], Buffer.from('x'))).toThrow(/got a Buffer/);
    expect(() => written('option', ['byteLength'], new ArrayBuffer(1))).toThrow(/got an ArrayBuffer/);
    expect(() => written('option', ['a'], Object.assign(Promise.resolve(), { a: 'x' }))).toThrow(/Promise/);
  });

  test('a string object with letters is refused', () => {
    expect(() => written('option', ['a'], new String('abc'))).toThrow(/got a String/);
    expect(() => written('keys', ['a'], new String('abc'))).toThrow(/has the key "0"/);
  });
});

describe('what is a row', () => {
  test.each([
    ['a plain object without the columns', { z: 1 }],
    ['an object without prototype', Object.create(null)],
    ['an empty object of another realm', runInNewContext('({})')],
    ['an instance that has a column, though undefined', new Entity()],
  ])('%s is one', (_name, row) => {
    expect(written('option', ['a', 'b'], row)).toBe('\\N\t\\N\n');
  });

  test('columns may be getters of a class, or properties of an error', () => {
    expect(written('option', ['shout'], Object.assign(new Entity(), { a: 'x' }))).toBe('X\n');
    expect(written('option', ['shout'], new Entity())).toBe('\\N\n');
    expect(written('option', ['message'], new Error('x'))).toBe('x\n');
  });
});

describe('whatever the order of its keys, a row is written in the order of the columns', () => {
  const NAMES = ['a', 'b', 'c'];

  test.each([
    ['the same', { a: '1', b: '2', c: '3' }, '1\t2\t3\n'],
    ['another', { c: '3', a: '1', b: '2' }, '1\t2\t3\n'],
    ['the same at first', { a: '1', c: '3', b: '2' }, '1\t2\t3\n'],
    ['the last is missing', { a: '1', b: '2' }, '1\t2\t\\N\n'],
    ['one in the middle is missing', { a: '1', c: '3' }, '1\t\\N\t3\n'],
    ['the first is missing', { b: '2', c: '3' }, '\\N\t2\t3\n'],
    ['undefined and null', { a: undefined, b: null, c: '3' }, '\\N\t\\N\t3\n'],
    ['all undefined', { a: undefined, b: undefined, c: undefined }, '\\N\t\\N\t\\N\n'],
    ['an extra key that is undefined', { a: '1', b: '2', c: '3', d: undefined }, '1\t2\t3\n'],
    ['inherited', Object.create({ a: '1', b: '2', c: '3' }) as object, '1\t2\t3\n'],
    ['partly inherited', Object.assign(Object.create({ c: '3' }) as object, { a: '1', b: '2' }), '1\t2\t3\n'],
  ])('%s', (_, row, expected) => {
    expect(written('keys', NAMES, row)).toBe(expected);
    expect(written('option', NAMES, row)).toBe(expected);
  });

  test('an extra key is a fault, wherever it stands, but where the columns were named', () => {
    for (const row of [
      { x: '0', a: '1', b: '2', c: '3' },
      { a: '1', x: '0', b: '2', c: '3' },
      { a: '1', b: '2', c: '3', x: '0' },
    ]) {
      expect(() => written('keys', NAMES, row)).toThrow(/has the key "x"/);
      expect(written('option', NAMES, row)).toBe('1\t2\t3\n');
    }
  });

  test("what every object inherits is none of the row's values, even where it can be walked over", () => {
    const row = Object.assign(Object.create({ constructor: 'inherited' }) as object, { a: '1' });
    expect(written('option', ['a', 'constructor'], row)).toBe('1\t\\N\n');
  });

  test('what a getter throws is told of its own column, in the order of the columns', () => {
    const failing = {
      a: '1',
      get b(): string {
        throw new Error('no b today');
      },
      c: '3',
    };
    expect(() => written('keys', NAMES, failing)).toThrow(/column "b" .*no b today/);
  });
});

function throwing(): never {
  throw new Error('of a trap');
}

/** Throws a proxy that cannot be examined. */
function throwRevoked(): never {
  const { proxy, revoke } = Proxy.revocable(new Error('hidden'), {});
  revoke();
  throw proxy;
}

function revoked(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

const UNREADABLE: readonly [string, () => unknown][] = [
  ['a revoked proxy of an object', () => revoked({ a: '1' })],
  ['a revoked proxy of an array', () => revoked(['1'])],
  ['a proxy whose prototype cannot be read', () => new Proxy({ a: '1' }, { getPrototypeOf: throwing })],
  ['a proxy whose traps throw revoked proxies', () => new Proxy({ a: '1' }, { getPrototypeOf: throwRevoked })],
  ['a proxy whose keys cannot be read', () => new Proxy({ a: '1' }, { ownKeys: throwing })],
  ['an array whose length cannot be read', () => new Proxy(['1'], { get: throwing })],
  ['a getter under a key that is no column', () => ({ a: '1', get z(): string { return throwing(); } })],
  ['a getter under a key that may become a column', () => ({ a: '1', get b(): string { return throwing(); } })],
  ['a getter that throws a revoked proxy', () => ({ get a(): string { return throwRevoked(); } })],
  ['a getter of an element', () => Object.defineProperty(['1'], 0, { get: throwing })],
]; // prettier-ignore

describe('a row that cannot be read', () => {
  const layout = layoutOf('keys', ['a'], ['b']);

  test.each(UNREADABLE)('%s is a fault of that row alone', (name, make) => {
    const faults: RowFault[] = [];
    const writer = new RowWriter(
      name.includes('array') || name.includes('element') ? layoutOf('table', ['a']) : layout,
      undefined,
      faults,
    );
    const rows = [{ a: '0' }, make(), { a: '2' }];
    for (let row = 0; row < rows.length; row += 1) writer.writeRow(rows, row);
    expect(writer.take().toString('utf8')).toBe('0\n2\n');
    expect(faults.map(({ row, sqlState }) => [row, sqlState])).toEqual([[1, '22P02']]);
    expect(faults[0]!.message).toMatch(/cannot be (read|written)/);
  });

  test.each(UNREADABLE)('%s does not keep columns from being found', async (_name, make) => {
    const rows = [make(), { a: '1', b: '2' }];
    const { row } = await firstRow(rows.slice(0, 1), true, undefined);
    expect(row === rows[0]).toBe(true);
    expect(await missingColumns(rows, layout, undefined)).toEqual(['b']);
  });

  test('the first row is the first one that can be read', async () => {
    const rows = [revoked({ a: '1' }), revoked(['1']), { a: '1' }];
    expect(await firstRow(rows, true, undefined)).toEqual({ row: rows[2] });
  });
});
