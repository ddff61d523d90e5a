import { describe, expect, test } from 'vitest';
import { BatchFailure, type BatchStage } from '../../../../src/postgres/copy/batch.js';
import { describeBatchFailure } from '../../../../src/postgres/copy/copy-failure.js';
import { AbortFault } from '../../../../src/postgres/connection/answer-deadline.js';
import { planLayout } from '../../../../src/postgres/rows/row-layout.js';
import { SentRows } from '../../../../src/postgres/rows/sent-rows.js';
import { RowFault } from '../../../../src/postgres/rows/row-fault.js';

const type = { kind: 'scalar', name: 'text', category: 'S' } as const;
const layout = planLayout(
  {
    schema: 'public',
    table: 't',
    columns: [{ name: 'a', typeName: 'text', type, isGenerated: false }],
    refersToItself: false,
    hasTriggers: false,
  },
  { source: 'keys', names: ['a'] },
);
const items = [{ a: 'zero' }, { a: 'one' }, { a: 'two' }];

function describeFailure(stage: BatchStage, cause: Error, isCommitOpen = false) {
  return describeBatchFailure(
    new BatchFailure(stage, cause, isCommitOpen),
    layout,
    new SentRows(layout, items),
  );
}

function serverError(code: string, fields: object = {}): Error {
  return Object.assign(new Error("the server's words"), { code, severity: 'ERROR', ...fields });
}

const where = 'COPY t, line 2, column a: "one"';

describe('what is told of a batch that failed', () => {
  test('a row at fault is named, and is all that the error carries', () => {
    const error = describeFailure('copy', serverError('22P02', { where }));
    expect(error).toMatchObject({ failureClass: 'row', row: 1, column: 'a', sqlState: '22P02', table: 't' });
    expect(error.items).toEqual([items[1]]);
    expect(error.message).toBe(
      'COPY into "public"."t" failed at row 1 of the batch, column "a": the server\'s words',
    );
  });

  test.each(['57P01', '57014', '53100', '40P01'])('%s happened at a row, which is not to blame', (code) => {
    const error = describeFailure('copy', serverError(code, { where }));
    expect(error).toMatchObject({
      failureClass: 'transport',
      retryable: true,
      row: undefined,
      column: undefined,
    });
    expect(error.items).toEqual(items);
    expect(error.message).not.toContain('row 1');
  });

  test("a code that no table knows is the row's fault where a row is named, else the set-up's", () => {
    expect(describeFailure('copy', serverError('MY001', { where }))).toMatchObject({
      failureClass: 'row',
      row: 1,
    });
    expect(describeFailure('copy', serverError('MY001'))).toMatchObject({
      failureClass: 'setup',
      row: undefined,
    });
  });

  test.each([
    ['42601', where, 'row'],
    ['54001', where, 'row'],
    ['42501', where, 'setup'],
    ['28000', where, 'setup'],
    ['42601', 'COPY t, line 2: "one"', 'setup'],
    ['42601', `SQL function "f" statement 1\n${where}`, 'setup'],
  ])('%s in the context %j is of the class %s', (code, context, failureClass) => {
    expect(describeFailure('copy', serverError(code, { where: context }))).toMatchObject({ failureClass });
  });

  test.each([false, true])('the outcome is unknown if COMMIT is open: %s', (isCommitOpen) => {
    const error = describeFailure('commit', new Error('Connection terminated unexpectedly'), isCommitOpen);
    expect(error.ambiguous).toBe(isCommitOpen);
    expect(error.message.includes('after COMMIT was sent')).toBe(isCommitOpen);
  });

  test('an abort is ambiguous after COMMIT was sent, and only then', () => {
    const signal = AbortSignal.abort(new Error('why'));
    const during = describeFailure('copy', new AbortFault(signal));
    expect(during).toMatchObject({
      failureClass: 'aborted',
      ambiguous: false,
      retryable: true,
      cause: signal.reason as unknown,
    });
    const after = describeFailure('commit', new AbortFault(signal), true);
    expect(after).toMatchObject({ failureClass: 'aborted', ambiguous: true, retryable: false });
  });

  test('a fault noticed before sending reads like one that the server noticed', () => {
    const error = describeFailure('copy', new RowFault(2, 'a', '22021', 'column "a" (text) holds U+0000'));
    expect(error).toMatchObject({ failureClass: 'row', row: 2, column: 'a', sqlState: '22021' });
    expect(error.items).toEqual([items[2]]);
  });

  test("a host with several addresses: the first one's words", () => {
    const refused = Object.assign(new AggregateError([new Error('connect ECONNREFUSED ::1:5432')]), {
      code: 'ECONNREFUSED',
    });
    const error = describeFailure('connect', refused);
    expect(error).toMatchObject({ failureClass: 'transport' });
    expect(error.message).toContain('ECONNREFUSED ::1:5432');
  });

  test("long words of the server's are cut", () => {
    expect(
      describeFailure('copy', Object.assign(new Error('x'.repeat(10_000)), { code: '22P02' })).message.length,
    ).toBeLessThan(700);
  });
});
