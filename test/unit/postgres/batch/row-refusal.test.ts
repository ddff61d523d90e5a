import { describe, expect, test } from 'vitest';
import { WorkPacer } from '../../../../src/common/turn-budget.js';
import type { BatchStage } from '../../../../src/postgres/copy/batch.js';
import { planLayout } from '../../../../src/postgres/rows/row-layout.js';
import { refusalOf } from '../../../../src/postgres/batch/row-refusal.js';
import { SentRows } from '../../../../src/postgres/rows/sent-rows.js';

const type = { kind: 'scalar', name: 'text', category: 'S' } as const;
const ITEMS = ['x', 'y', 'x', 'y', 'z'].map((a) => ({ a }));

interface Case {
  code: string;
  /** CONTEXT of the server's error. */
  where?: string;
  detail?: string;
  column?: string;
  /** Places in the batch. Default: all. */
  rows?: readonly number[];
  stage?: BatchStage;
  refersToItself?: boolean;
  hasTriggers?: boolean;
}

function refusal({ rows, stage = 'copy', refersToItself = false, hasTriggers = false, ...error }: Case) {
  const columns = [{ name: 'a', typeName: 'text', type, isGenerated: false }];
  const layout = planLayout(
    { schema: 'public', table: 't', columns, refersToItself, hasTriggers },
    { source: 'option', names: ['a'] },
  );
  const thrown = Object.assign(new Error('refused'), { severity: 'ERROR', ...error });
  return refusalOf(thrown, stage, new SentRows(layout, ITEMS, rows), new WorkPacer());
}

describe('the row', () => {
  test('the row that the server names is the one at that line of what was sent', () => {
    const found = refusal({ code: '22P02', where: 'COPY t, line 2, column a: "y"', rows: [0, 3, 4] });
    expect(found).toMatchObject({ row: 3, isOnReading: true, error: { row: 3, items: [ITEMS[3]] } });
  });

  test('the row that was sent alone is blamed, although the server has not named it', () => {
    const found = refusal({ code: '23503', rows: [4] });
    expect(found).toMatchObject({ row: undefined, isOnReading: false, error: { row: 4, items: [ITEMS[4]] } });
    expect(found!.error.message).toContain('at row 4 of the batch');
  });

  test('is unknown among several', () => {
    expect(refusal({ code: '23503', rows: [3, 4] })).toMatchObject({
      row: undefined,
      error: { row: undefined },
    });
  });
});

test.each(['connect', 'beforeCommit', 'checkpoint'] as const)(
  'what fails in stage %s is of no row',
  (stage) => {
    expect(refusal({ code: '23514', stage })).toBeUndefined();
  },
);

test.each(['57P01', '42501', '53100'])('%s is no fault of a row', (code) => {
  expect(refusal({ code, where: 'COPY t, line 2' })).toBeUndefined();
});

test('a unique key: pairs are looked for in the whole batch, whatever was sent', async () => {
  const found = refusal({ code: '23505', detail: 'Key (a)=(y) already exists.', rows: [1, 4] });
  expect(await found!.candidates()).toEqual([1]);
  expect(await found!.pairs!()).toEqual([
    [0, 2],
    [1, 3],
  ]);
  expect(refusal({ code: '23514' })!.pairs).toBeUndefined();
});

describe('what else may have a part in it', () => {
  const where = 'COPY t, line 2, column a: "y"';

  test.each<[string, Case, { isOfValue: boolean; mayPassLater: boolean }]>([
    [
      'a value of a column that is read',
      { code: '22P02', where, hasTriggers: true },
      { isOfValue: true, mayPassLater: false },
    ],
    [
      'a value that a trigger complains of',
      { code: '22P02', column: 'a', hasTriggers: true },
      { isOfValue: false, mayPassLater: false },
    ],
    ['NOT NULL', { code: '23502', column: 'a' }, { isOfValue: true, mayPassLater: false }],
    ['CHECK', { code: '23514' }, { isOfValue: true, mayPassLater: false }],
    [
      'CHECK behind a trigger',
      { code: '23514', hasTriggers: true },
      { isOfValue: false, mayPassLater: false },
    ],
    ['a reference to another table', { code: '23503' }, { isOfValue: true, mayPassLater: false }],
    [
      'a reference to a row of the same table',
      { code: '23503', refersToItself: true },
      { isOfValue: false, mayPassLater: true },
    ],
    ['a unique key', { code: '23505' }, { isOfValue: false, mayPassLater: true }],
    ['an exclusion', { code: '23P01' }, { isOfValue: false, mayPassLater: true }],
  ])('%s', (_name, error, expected) => {
    expect(refusal(error)).toMatchObject(expected);
  });

  test('a key is seen when the row is put into the table, although the server names its line', () => {
    expect(refusal({ code: '23505', where: 'COPY t, line 2' })).toMatchObject({ row: 1, isOnReading: false });
  });
});
