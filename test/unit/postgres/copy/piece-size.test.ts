import { expect, it } from 'vitest';
import { PieceSize, type TimeLimit } from '../../../../src/postgres/copy/piece-size.js';

const limit: TimeLimit = { setting: 'statement_timeout', ms: 400, lockMs: 0, isAtCommit: false };

it('is an eighth after each statement that takes too long, down to one row', () => {
  const pieces = new PieceSize();
  expect([pieces.rows, pieces.lockLimitMs]).toEqual([Infinity, undefined]);
  const sizes: number[] = [];
  while (pieces.tookTooLong(1_000, limit)) sizes.push(pieces.rows);
  expect(sizes).toEqual([125, 16, 2, 1]);
});

it('is three quarters of the rows that the server had done by then', () => {
  const pieces = new PieceSize();
  pieces.tookTooLong(1_000, limit, 40);
  expect(pieces.rows).toBe(30);
  // Not even one: that row is tried alone, and says nothing of the others.
  pieces.tookTooLong(30, limit, 0);
  expect(pieces.rows).toBe(30);
});

it('grows again only with a whole batch whose statements were fast', () => {
  const pieces = new PieceSize();
  pieces.tookTooLong(64, limit);
  pieces.batchLanded(101);
  expect(pieces.rows).toBe(8);
  pieces.batchLanded(99);
  expect(pieces.rows).toBe(16);
  pieces.batchLanded(10);
  expect(pieces.rows).toBe(128);
});

it('tries one row again with a limit on locks before it gives up', () => {
  const pieces = new PieceSize();
  expect(pieces.tookTooLong(1, limit)).toBe(true);
  expect(pieces.lockLimitMs).toBe(300);
  expect(pieces.tookTooLong(1, limit)).toBe(false);
});

it('leaves a shorter lock_timeout of the session as it is', () => {
  for (const [lockMs, expected] of [
    [100, undefined],
    [300, undefined],
    [1_000, 300],
  ] as const) {
    const pieces = new PieceSize();
    pieces.tookTooLong(2, { ...limit, lockMs });
    expect(pieces.lockLimitMs).toBe(expected);
  }
});

it('does not help against transaction_timeout', () => {
  const pieces = new PieceSize();
  expect(pieces.tookTooLong(1_000, { ...limit, setting: 'transaction_timeout', ms: undefined })).toBe(false);
  expect(pieces.rows).toBe(Infinity);
});

it('checks at once what made COMMIT too slow', () => {
  const pieces = new PieceSize();
  pieces.tookTooLong(4, { ...limit, isAtCommit: true });
  pieces.tookTooLong(4, limit);
  expect(pieces.checksAtOnce).toBe(true);
});
