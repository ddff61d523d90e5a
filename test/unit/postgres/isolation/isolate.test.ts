import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isolate } from '../../../../src/postgres/isolation/isolate.js';
import type { ByKind, Refusal, Prediction } from '../../../../src/postgres/isolation/refusal.js';
import { range } from '../../../support/range.js';

interface ModelRow {
  /** `named`: the server names the row. `unnamed`: it finds it after the rows of a statement, and names none. */
  fault: 'none' | 'named' | 'unnamed';
  key: number;
  /** A key that must be in the table by the end of the statement. */
  refersTo?: number;
  /** A key that must be in the table, or before this row in its statement, as a trigger for each row may ask. */
  needs?: number;
  /** Another row, by its place, that may not be in the same statement, as a trigger after the statement may ask. */
  apartFrom?: number;
  /** Errors may hint at it, or at others that are good. */
  isCandidate?: boolean;
}

type Spacing = ByKind<number | undefined>;

const MOST_PARSED = 900;

/** A table with a unique key and, maybe, a foreign key to itself; its checks come in the order in which PostgreSQL makes them. */
class ModelTable {
  readonly inserted: number[] = [];
  readonly keys = new Set<number>();
  statements = 0;
  rounds = 0;
  /** Rows, in all trials. */
  sent = 0;
  /** Rows that were read, but not put into the table. */
  parsed = 0;
  readonly #rows: readonly ModelRow[];

  constructor(rows: readonly ModelRow[]) {
    this.#rows = rows;
  }

  readonly insert = async (rows: readonly number[]): Promise<Refusal<string> | undefined> => {
    this.rounds += 1;
    const refusal = this.#check(rows);
    if (refusal === undefined) {
      this.inserted.push(...rows);
      for (const row of rows) this.keys.add(this.#rows[row]!.key);
    }
    return refusal;
  };

  readonly parseOnly = async (slices: readonly (readonly number[])[]) => {
    this.rounds += 1;
    return slices.map((rows) => {
      expect(rows.length).toBeLessThanOrEqual(MOST_PARSED);
      const found = rows.findIndex((row) => this.#rows[row]!.fault === 'named');
      this.parsed += found === -1 ? rows.length : found + 1;
      this.statements += found === -1 ? 1 : 0;
      return found === -1 ? undefined : this.#check(rows.slice(found));
    });
  };

  readonly dryRun = async (slices: readonly (readonly number[])[]) => {
    this.rounds += 1;
    return slices.map((rows) => this.#check(rows));
  };

  #repeatedKeys(): [number, number][] {
    const firsts = new Map<number, number>();
    const pairs: [number, number][] = [];
    for (const [row, { key }] of this.#rows.entries()) {
      const first = firsts.get(key);
      if (first === undefined) firsts.set(key, row);
      else pairs.push([first, row]);
    }
    return pairs;
  }

  #check(rows: readonly number[]): Refusal<string> | undefined {
    this.statements += 1;
    this.sent += rows.length;
    expect(rows.length).toBeGreaterThan(0);
    expect([...rows]).toEqual([...rows].toSorted((a, b) => a - b));
    const keys = new Set(this.keys);
    const refuse = (error: string, row: number | undefined, mayPassLater: boolean): Refusal<string> => ({
      error,
      row,
      mayPassLater,
      isOfValue: error === 'named',
      isOnReading: error === 'named',
      candidates: () => rows.filter((candidate) => this.#rows[candidate]!.isCandidate === true),
      ...(error === 'unique' && { pairs: () => this.#repeatedKeys() }),
    });
    for (const row of rows) {
      const { fault, key, needs } = this.#rows[row]!;
      if (fault === 'named') return refuse('named', row, false);
      if (needs !== undefined && !keys.has(needs)) return refuse('needs', row, false);
      if (keys.has(key)) return refuse('unique', row, true);
      keys.add(key);
    }
    for (const row of rows) {
      const { fault, refersTo, apartFrom } = this.#rows[row]!;
      if (fault === 'unnamed') return refuse('unnamed', undefined, false);
      if (apartFrom !== undefined && rows.includes(apartFrom)) return refuse('apart', undefined, false);
      if (refersTo !== undefined && !keys.has(refersTo)) return refuse('foreign', undefined, true);
    }
    return undefined;
  }
}

async function isolateAll(
  rows: readonly ModelRow[],
  known: readonly number[] = [],
  spacing?: Spacing,
  predictions: readonly Prediction[] = [],
) {
  const table = new ModelTable(rows);
  const faults = new Map(known.map((row) => [row, 'known'] as const)) as Map<number, string>;
  const all = rows.map((_, row) => row).filter((row) => !faults.has(row));
  const none = { reading: 0, writing: 0 };
  if (all.length === 0) return { table, faults, unpredicted: none };
  const first = spacing ?? (await table.insert(all));
  if (first === undefined) return { table, faults, unpredicted: none };
  const unpredicted = await isolate({
    count: rows.length,
    first,
    predictions,
    faults,
    insert: table.insert,
    dryRun: table.dryRun,
    parseOnly: table.parseOnly,
    mostParsed: MOST_PARSED,
  });
  return { table, faults, unpredicted };
}

const NOTHING_EXPECTED: Spacing = { reading: undefined, writing: undefined };

/** Rows that are hinted at, and rows that repeat a key. */
function predictionsOf(rows: readonly ModelRow[]): Prediction[] {
  return rows.flatMap(({ isCandidate, key }, row): Prediction[] => {
    const first = rows.findIndex((other) => other.key === key);
    return [...(isCandidate === true ? [[row]] : []), ...(first < row ? [[first, row]] : [])];
  });
}

const good = (key: number): ModelRow => ({ fault: 'none', key });

/** What row after row would come to; rows that refer to others get as many chances as there are rows. */
function insertedOneByOne(rows: readonly ModelRow[]): Set<number> {
  const inserted = new Set<number>();
  const keys = new Set<number>();
  for (let before = -1; before !== inserted.size;) {
    before = inserted.size;
    for (const [row, { fault, key, refersTo, needs }] of rows.entries()) {
      if (inserted.has(row) || fault !== 'none' || keys.has(key)) continue;
      if (needs !== undefined && !keys.has(needs)) continue;
      if (refersTo !== undefined && refersTo !== key && !keys.has(refersTo)) continue;
      inserted.add(row);
      keys.add(key);
    }
  }
  return inserted;
}

describe('isolation of the rows that a table refuses', () => {
  test('keys that repeat far apart are found in one round', async () => {
    const rows = Array.from({ length: 20_000 }, (_, row) =>
      good(row >= 10_000 && row % 100 === 0 ? row - 10_000 : row),
    );
    const { table, faults } = await isolateAll(rows);
    expect(faults.size).toBe(100);
    expect(table.inserted.length).toBe(19_900);
    expect(table.rounds).toBeLessThan(8);
    expect(table.sent).toBeLessThan(4 * rows.length);
  });

  test('keys that repeat far apart are found in one round, if another kind of fault comes before them', async () => {
    const rows = Array.from({ length: 20_000 }, (_, row) =>
      good(row >= 10_000 && row % 100 === 0 ? row - 10_000 : row),
    );
    rows[10] = { fault: 'named', key: 20_000 };
    const { table, faults } = await isolateAll(rows);
    expect(faults.size).toBe(101);
    expect(table.rounds).toBeLessThan(8);
    expect(table.sent).toBeLessThan(5 * rows.length);
  });

  test('what is seen as rows are read is found in few rounds, and before any is put into the table', async () => {
    const rows = Array.from({ length: 20_000 }, (_, key): ModelRow => {
      return { fault: key % 100 === 99 ? 'named' : 'none', key };
    });
    const { table, faults } = await isolateAll(rows, [], { reading: 100, writing: undefined });
    expect(faults.size).toBe(200);
    expect(table.parsed).toBe(rows.length);
    expect(table.rounds).toBeLessThan(10);
    // All but those at fault once; and each fault, and what is left of each slice, in a trial of its own.
    expect(table.statements).toBeLessThan(260);
  });

  test('predictions are tried at once, and then the other rows are inserted at once', async () => {
    const rows = range(20_000).map((key): ModelRow => {
      if (key % 500 === 99) return { fault: 'named', key };
      return { fault: 'none', key: key % 500 === 499 ? key - 50 : key };
    });
    const predictions = [...predictionsOf(rows), ...range(40).map((index) => [99 + 500 * index])];
    const { table, faults, unpredicted } = await isolateAll(rows, [], NOTHING_EXPECTED, predictions);
    expect(faults.size).toBe(80);
    // The predictions, the insert, and once more the rows that repeat a key.
    expect(table.rounds).toBe(3);
    expect(table.parsed).toBe(0);
    expect(unpredicted).toEqual({ reading: 0, writing: 0 });
  });

  test('predictions without a fault are inserted in their order', async () => {
    const rows = range(1_000).map((key): ModelRow => ({ ...good(key), ...(key > 0 && { needs: key - 1 }) }));
    const predictions = [[0], [10], [500, 501], [999]];
    const { table, faults } = await isolateAll(rows, [], NOTHING_EXPECTED, predictions);
    expect([...faults]).toEqual([]);
    expect(table.inserted).toEqual(range(1_000));
  });

  const faults = fc.constantFrom<ModelRow['fault']>('none', 'none', 'none', 'none', 'named', 'unnamed');
  const rowsPerFault = fc.option(fc.integer({ min: 1, max: 50 }), { nil: undefined });
  const spacing = fc.option(fc.record({ reading: rowsPerFault, writing: rowsPerFault }), { nil: undefined });

  test('whatever the faults and hints: each row is inserted or is at fault, once, and no good row is blamed', async () => {
    const rows = fc
      .array(fc.record({ fault: faults, isCandidate: fc.boolean() }), { minLength: 1, maxLength: 300 })
      .map((list) => list.map((row, key) => ({ ...row, key })));
    await fc.assert(
      fc.asyncProperty(rows, spacing, async (list, expected) => {
        const { table, faults: found } = await isolateAll(list, [], expected, predictionsOf(list));
        const bad = list.flatMap(({ fault }, row) => (fault === 'none' ? [] : [row]));
        expect([...found.keys()].toSorted((a, b) => a - b)).toEqual(bad);
        expect(table.inserted.toSorted((a, b) => a - b)).toEqual(
          list.flatMap(({ fault }, row) => (fault === 'none' ? [row] : [])),
        );
      }),
      { numRuns: 400 },
    );
  });

  test('keys that come twice: as many rows are inserted as one by one, and of those with one key exactly one', async () => {
    const rows = fc.array(fc.record({ fault: faults, key: fc.nat(40), isCandidate: fc.boolean() }), {
      minLength: 1,
      maxLength: 200,
    });
    await fc.assert(
      fc.asyncProperty(rows, spacing, async (list, given) => {
        const { table, faults: found } = await isolateAll(list, [], given, predictionsOf(list));
        expect(table.inserted.length + found.size).toBe(list.length);
        const expected = insertedOneByOne(list);
        expect(new Set(table.inserted.map((row) => list[row]!.key))).toEqual(
          new Set([...expected].map((row) => list[row]!.key)),
        );
        expect(table.inserted.length).toBe(table.keys.size);
      }),
      { numRuns: 400 },
    );
  });

  test('the first of several rows with one key is inserted', async () => {
    const rows = range(500).map((row) => good(row % 450));
    const { table, faults: found } = await isolateAll(rows);
    expect([...found.keys()]).toEqual(range(50).map((row) => 450 + row));
    expect(table.inserted.length).toBe(450);
  });

  test('a row that refers to a later one of the table is inserted, though others are at fault', async () => {
    const rows: ModelRow[] = range(300).map((row) => ({
      ...good(row),
      ...(row < 299 && { refersTo: row + 1 }),
    }));
    rows[150] = { fault: 'unnamed', key: 1_000 };
    rows[20] = { fault: 'named', key: 2_000 };
    const { table, faults: found } = await isolateAll(rows);
    // 19 refers to 20 and 149 to 150, which are not there: they and all that lead to them cannot be inserted.
    expect(table.inserted.toSorted((a, b) => a - b)).toEqual(
      [...insertedOneByOne(rows)].toSorted((a, b) => a - b),
    );
    expect(found.size + table.inserted.length).toBe(300);
  });

  test('two rows that refer to each other are both inserted, though a bad row lies between them', async () => {
    const rows = range(300).map(good);
    rows[10]!.refersTo = 290;
    rows[290]!.refersTo = 10;
    rows[150] = { fault: 'unnamed', key: 150 };
    const { table, faults: found } = await isolateAll(rows);
    expect([...found.keys()]).toEqual([150]);
    expect(table.inserted.length).toBe(299);
  });

  test('two pairs of rows that may not share a statement are all inserted, and the search ends', async () => {
    const rows = range(121).map(good);
    rows[65]!.apartFrom = 88;
    rows[8]!.apartFrom = 36;
    const { table, faults: found } = await isolateAll(rows);
    expect([...found.keys()]).toEqual([]);
    expect(table.inserted.length).toBe(121);
  });

  test('pairs of rows that may not share a statement are all inserted, wherever they are and whatever the hints', async () => {
    const pairs = fc.uniqueArray(fc.nat(149), { maxLength: 8 });
    const hints = fc.array(fc.nat(149), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(pairs, hints, async (places, candidates) => {
        const rows = range(150).map(good);
        for (let at = 0; at + 1 < places.length; at += 2) rows[places[at]!]!.apartFrom = places[at + 1]!;
        for (const row of candidates) rows[row]!.isCandidate = true;
        const { table, faults: found } = await isolateAll(rows);
        expect([...found.keys()]).toEqual([]);
        expect(table.inserted.length).toBe(150);
      }),
      { numRuns: 400 },
    );
  });

  test('rows that need an earlier one are inserted as one by one, whatever the faults and hints', async () => {
    const row = fc.record({
      fault: faults,
      isCandidate: fc.boolean(),
      back: fc.option(fc.integer({ min: 1, max: 30 })),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 200 }), spacing, async (list, expected) => {
        const rows = list.map(({ fault, isCandidate, back }, key): ModelRow => {
          return { fault, isCandidate, key, ...(back !== null && back <= key && { needs: key - back }) };
        });
        const { table, faults: found } = await isolateAll(rows, [], expected, predictionsOf(rows));
        expect(new Set(table.inserted)).toEqual(insertedOneByOne(rows));
        expect(found.size + table.inserted.length).toBe(rows.length);
      }),
      { numRuns: 400 },
    );
  });

  test('rows that are known to be at fault are never tried', async () => {
    const rows = range(100).map(good);
    rows[7] = { fault: 'named', key: 7 };
    rows[50] = { fault: 'named', key: 50 };
    const { table, faults: found } = await isolateAll(rows, [7]);
    expect([...found]).toEqual([
      [7, 'known'],
      [50, 'named'],
    ]);
    expect(table.inserted).not.toContain(7);
  });

  test.each([
    ['named', 1, 3],
    ['named', 20, 60],
    ['named', 200, 430],
    ['unnamed', 1, 34],
    ['unnamed', 20, 520],
  ] as const)('%s faults, %i in 20 000 rows: at most %i trials', async (fault, count, mostStatements) => {
    const rows = range(20_000).map(good);
    const bad = range(count).map((index) => 77 + index * Math.floor(19_900 / count));
    for (const row of bad) rows[row] = { fault, key: row };
    const { table, faults: found } = await isolateAll(rows);
    expect([...found.keys()].toSorted((a, b) => a - b)).toEqual(bad);
    expect(table.statements).toBeLessThanOrEqual(mostStatements);
  });

  test('the search for the first one ends with it', async () => {
    const rows = range(1_000).map(good);
    for (const row of [400, 600]) rows[row] = { fault: 'unnamed', key: row };
    const table = new ModelTable(rows);
    const first = await table.insert([...rows.keys()]);
    const found = new Map<number, string>();
    const { insert, dryRun, parseOnly } = table;
    await isolate({
      count: 1_000,
      first: first!,
      faults: found,
      mostFaults: 1,
      insert,
      dryRun,
      parseOnly,
      mostParsed: MOST_PARSED,
    });
    expect([...found.keys()]).toEqual([400]);
  });
});
