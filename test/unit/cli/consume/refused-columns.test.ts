import { describe, expect, it } from 'vitest';
import { UnknownKey } from '../../../../src/cli/consume/message-row.js';
import { RefusedColumns } from '../../../../src/cli/consume/refused-columns.js';
import type { FailedItem } from '../../../../src/api/options.js';
import type { LogMessage } from '../../../../src/log/log.js';
import { CopyError } from '../../../../src/postgres/errors/copy-error.js';

type Target = ConstructorParameters<typeof RefusedColumns>[0];

const target = {
  table: { schema: 'my "own"', table: 'orders' },
  columns: [
    { columnName: 'id', typeName: 'bigint' },
    { columnName: 'odd "name"', typeName: 'boolean' },
    { columnName: 'price', typeName: 'numeric(10,2)', hasGivenType: true },
  ],
} as unknown as Target;

function failure(
  position: number,
  sqlState: string,
  column: string | undefined,
  cause?: unknown,
): FailedItem<LogMessage> {
  const error = new CopyError('refused', { failureClass: 'row', sqlState, column, cause });
  return { item: { position } as LogMessage, error, weight: 1 };
}

const ofKey = (position: number, key: string) =>
  failure(position, '22P02', undefined, new UnknownKey(key, 'unknown'));

describe('the statement that makes room for refused values', () => {
  it.each([
    ['22P02', 'text'],
    ['22007', 'text'],
    ['22008', 'text'],
    ['22003', 'numeric'],
  ])('of SQLSTATE %s gives the column the type %s', (sqlState, type) => {
    expect(new RefusedColumns(target).add([failure(7, sqlState, 'id')])).toEqual([
      'position 7 does not fit the column "id" (bigint); to make room for such values, stop the workers, run ' +
        `ALTER TABLE "my ""own"""."orders" ALTER COLUMN "id" TYPE ${type}; and start them again`,
    ]);
  });

  it('comes once for each column, with names quoted', () => {
    const refused = new RefusedColumns(target);
    expect(refused.add([failure(1, '22P02', 'id'), failure(2, '22P02', 'id')])).toHaveLength(1);
    expect(refused.add([failure(3, '22P02', 'id'), failure(4, '22P02', 'odd "name"')])).toEqual([
      expect.stringContaining('ALTER COLUMN "odd ""name""" TYPE text'),
    ]);
    expect(refused.lines).toEqual([
      expect.stringMatching(/^position 1 /),
      expect.stringMatching(/^position 4 /),
    ]);
  });

  it('makes a column for a key that has none, once', () => {
    const refused = new RefusedColumns(target);
    expect(refused.add([ofKey(3, 'a "note"'), ofKey(4, 'a "note"')])).toEqual([
      'position 3 has the key "a ""note""", which has no column; --columns leaves other keys out; to make a column for it, stop the workers, run ' +
        'ALTER TABLE "my ""own"""."orders" ADD COLUMN "a ""note""" text; and start them again',
    ]);
  });

  it('comes for at most 20 columns', () => {
    const keys = Array.from({ length: 30 }, (_, index) => ofKey(index, `key ${index}`));
    expect(new RefusedColumns(target).add(keys)).toHaveLength(20);
  });

  it.each([
    ['a key that no column can be called by', ofKey(1, '')],
    ['a key that the server would cut', ofKey(1, 'é'.repeat(32))],
    ['a constraint', failure(1, '23514', 'id')],
    ['no column', failure(1, '22P02', undefined)],
    ['a column that is not loaded', failure(1, '22P02', 'other')],
    ['a column whose type was given', failure(1, '22P02', 'price')],
    ['an error that is not of COPY', { ...failure(1, '22P02', 'id'), error: new Error('refused') }],
  ])('is missing for %s', (_, given) => {
    expect(new RefusedColumns(target).add([given])).toEqual([]);
  });
});
