import { expect, it } from 'vitest';
import { StatementSize, type TimeLimit } from '../../../../src/postgres/copy/statement-size.js';

const limit: TimeLimit = { setting: 'statement_timeout', ms: 400, lockMs: 0, isAtCommit: false };

it('is an eighth after each statement that takes too long, down to one row', () => {
  const statementSize = new StatementSize();
  expect([statementSize.rows, statementSize.lockLimitMs]).toEqual([Infinity, undefined]);
  const sizes: number[] = [];
  while (statementSize.tookTooLong(1_000, limit)) sizes.push(statementSize.rows);
  expect(sizes).toEqual([125, 16, 2, 1]);
});

it('is three quarters of the rows that the server had done by then', () => {
  const statementSize = new StatementSize();
  statementSize.tookTooLong(1_000, limit, 40);
  expect(statementSize.rows).toBe(30);
  // Not even one: that row is tried alone, and says nothing of the others.
  statementSize.tookTooLong(30, limit, 0);
  expect(statementSize.rows).toBe(30);
});

it('grows again only with a whole batch whose statements were fast', () => {
  const statementSize = new StatementSize();
  statementSize.tookTooLong(64, limit);
  statementSize.batchCommitted(101);
  expect(statementSize.rows).toBe(8);
  statementSize.batchCommitted(99);
  expect(statementSize.rows).toBe(16);
  statementSize.batchCommitted(10);
  expect(statementSize.rows).toBe(128);
});

it('tries one row again with a limit on locks before it gives up', () => {
  const statementSize = new StatementSize();
  expect(statementSize.tookTooLong(1, limit)).toBe(true);
  expect(statementSize.lockLimitMs).toBe(300);
  expect(statementSize.tookTooLong(1, limit)).toBe(false);
});

it('leaves a shorter lock_timeout of the session as it is', () => {
  for (const [lockMs, expected] of [
    [100, undefined],
    [300, undefined],
    [1_000, 300],
  ] as const) {
    const statementSize = new StatementSize();
    statementSize.tookTooLong(2, { ...limit, lockMs });
    expect(statementSize.lockLimitMs).toBe(expected);
  }
});

it('does not help against transaction_timeout', () => {
  const statementSize = new StatementSize();
  expect(statementSize.tookTooLong(1_000, { ...limit, setting: 'transaction_timeout', ms: undefined })).toBe(
    false,
  );
  expect(statementSize.rows).toBe(Infinity);
});

it('checks at once what made COMMIT too slow', () => {
  const statementSize = new StatementSize();
  statementSize.tookTooLong(4, { ...limit, isAtCommit: true });
  statementSize.tookTooLong(4, limit);
  expect(statementSize.checksAtOnce).toBe(true);
});
