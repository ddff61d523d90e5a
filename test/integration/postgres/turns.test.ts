/** Work on a batch gives way to the event loop. Each row takes a millisecond of real time, so that a turn can hold only a few. */

import { expect, test } from 'vitest';
import { copyInto, type CopyOptions } from '../../../src/postgres/index.js';
import { flushContext, useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();

const ROWS = 120;
const ROW_MS = 1;
/** What the budget of a turn holds, and the row that goes over. */
const MOST_IN_TURN = 8;

interface Row {
  id: number;
  k: string;
}

interface Item {
  n: number;
  bad: boolean;
}

/** Counts the rows that are asked for in one turn, from one look at I/O to the next. */
class TurnCounter {
  longest = 0;
  #inTurn = 0;
  #isOver = false;

  begin(): void {
    setImmediate(() => {
      this.#inTurn = 0;
      if (!this.#isOver) this.begin();
    });
  }

  end(): void {
    this.#isOver = true;
  }

  readonly rowOf = ({ n, bad }: Item): Row => {
    this.#inTurn += 1;
    this.longest = Math.max(this.longest, this.#inTurn);
    const until = performance.now() + ROW_MS;
    while (performance.now() < until);
    return { id: n, k: bad ? 'x' : String(n) };
  };
}

const everyTenth = (n: number) => n % 10 === 9;

test.each([
  { what: 'in binary', options: { format: 'binary' }, isBad: () => false, arrive: 120 },
  { what: 'as text', options: { format: 'text' }, isBad: () => false, arrive: 120 },
  { what: 'for an upsert', options: { onConflict: 'update', key: ['id'] }, isBad: () => false, arrive: 120 },
  { what: 'whose bad rows are isolated', options: {}, isBad: everyTenth, arrive: 108 },
  { what: 'of bad rows only', options: {}, isBad: () => true, arrive: 0 },
])('a batch $what: no turn has more rows than fit', async ({ options, isBad, arrive }) => {
  const table = await database.table('id int PRIMARY KEY, k int');
  const counter = new TurnCounter();
  const copy = copyInto<Item>(database.pool({ max: 2 }), {
    ...{ table, row: counter.rowOf, ...options },
  } as CopyOptions<Item>);
  const items = Array.from({ length: ROWS }, (_, n) => ({ n, bad: isBad(n) }));
  counter.begin();
  await copy(items, { ...flushContext(), takesFailures: true });
  counter.end();
  expect(await database.query(`SELECT count(*)::int AS n FROM ${table}`)).toEqual([{ n: arrive }]);
  expect(counter.longest).toBeGreaterThan(0);
  expect(counter.longest).toBeLessThanOrEqual(MOST_IN_TURN);
});

test('batches of several connections at the same time: they share each turn', async () => {
  const table = await database.table('id int, k int');
  const counter = new TurnCounter();
  const copy = copyInto<Item>(database.pool({ max: 3 }), { table, row: counter.rowOf });
  const items = Array.from({ length: ROWS }, (_, n) => ({ n, bad: false }));
  counter.begin();
  await Promise.all([1, 2, 3].map(() => copy(items, flushContext())));
  counter.end();
  expect(await database.query(`SELECT count(*)::int AS n FROM ${table}`)).toEqual([{ n: 3 * ROWS }]);
  expect(counter.longest).toBeLessThanOrEqual(MOST_IN_TURN + 2);
});

test('a signal that fires while a batch is being written: no further turn is spent on it', async () => {
  const table = await database.table('id int, k int');
  const counter = new TurnCounter();
  const abort = new AbortController();
  let asked = 0;
  const copy = copyInto<Item>(database.pool({ max: 2 }), {
    table,
    row: (item) => {
      asked += 1;
      if (item.n === 30) setImmediate(() => abort.abort(new Error('enough')));
      return counter.rowOf(item);
    },
  });
  const items = Array.from({ length: ROWS }, (_, n) => ({ n, bad: false }));
  await expect(copy(items, { ...flushContext(), signal: abort.signal })).rejects.toMatchObject({
    failureClass: 'aborted',
  });
  expect(asked).toBeGreaterThan(30);
  expect(asked).toBeLessThan(30 + 3 * MOST_IN_TURN);
  expect(await database.query(`SELECT count(*)::int AS n FROM ${table}`)).toEqual([{ n: 0 }]);
});
