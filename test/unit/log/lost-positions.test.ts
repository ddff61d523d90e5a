import { describe, expect, it } from 'vitest';
import type { LogMessage } from '../../../src/log/log.js';
import { lostPositions } from '../../../src/log/lost-positions.js';

const messages = (...positions: number[]): LogMessage[] =>
  positions.map((position) => ({ position }) as LogMessage);

describe('lostPositions', () => {
  it.each([
    ['nothing is missing', 5, [5, 6, 7], 7, 6, undefined],
    ['the log did not say what it has', 5, [9], 9, undefined, undefined],
    ['positions without a message are within the log', 5, [5, 9], 9, 5, undefined],
    ['all before the first message are deleted', 5, [9, 10], 10, 9, { first: 5, last: 8 }],
    ['some before the first message are deleted', 5, [9, 10], 10, 7, { first: 5, last: 6 }],
    ['the gap is between messages', 5, [5, 6, 9], 9, 12, { first: 7, last: 8 }],
    ['there is no message at all', 5, [], 20, 15, { first: 5, last: 14 }],
    ['the lane ends before the oldest position', 5, [], 20, 90, { first: 5, last: 20 }],
    ['the gap is behind the last message', 5, [5], 20, 90, { first: 6, last: 20 }],
    ['what was deleted had been read', 5, [5, 6], 6, 7, undefined],
  ] as const)('if %s', (_, next, positions, reached, oldest, lost) => {
    expect(lostPositions(next, { messages: messages(...positions), reached, oldest })).toEqual(lost);
  });
});
