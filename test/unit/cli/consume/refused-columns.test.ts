import { describe, expect, it } from 'vitest';
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

function failure(position: number, sqlState: string, column: string | undefined): FailedItem<LogMessage> {
  const error = new CopyError('refused', { failureClass: 'row', sqlState, column });
  return { item: { position } as LogMessage, error, weight: 1 };
}

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

  it.each([
    ['a constraint', failure(1, '23514', 'id')],
    ['no column', failure(1, '22P02', undefined)],
    ['a column that is not loaded', failure(1, '22P02', 'other')],
    ['a column whose type was given', failure(1, '22P02', 'price')],
    ['an error that is not of COPY', { ...failure(1, '22P02', 'id'), error: new Error('refused') }],
  ])('is missing for %s', (_, given) => {
    expect(new RefusedColumns(target).add([given])).toEqual([]);
  });
});
