/** The choice between readings. */

import { describe, expect, it } from 'vitest';
import { choose, type Scored } from '../../../../src/cli/detect/likelihood.js';

function choice(scores: Record<string, number>, same = '') {
  const candidates: Scored<string>[] = Object.entries(scores).map(([value, score]) => ({ value, score }));
  return choose(candidates, (a, b) => same.includes(a) && same.includes(b));
}

describe('choose', () => {
  it.each<[string, Record<string, number>, string, string, string | undefined]>([
    ['one candidate has no rival', { a: 0.2 }, '', 'a', undefined],
    ['the best score wins', { a: 0.2, b: 0.9 }, '', 'b', undefined],
    ['a score of nine tenths is no rival', { a: 1, b: 0.9 }, '', 'a', undefined],
    ['a score above nine tenths is a rival', { a: 1, b: 0.91 }, '', 'a', 'b'],
    ['of equals the first is best', { a: 1, b: 1 }, '', 'a', 'b'],
    ['the same table is no rival', { a: 1, b: 1 }, 'ab', 'a', undefined],
    ['the rival may be behind one with the same table', { a: 1, b: 1, c: 0.95 }, 'ab', 'a', 'c'],
  ])('%s', (_title, scores, same, best, rival) => {
    expect(choice(scores, same)).toEqual({ best, rival });
  });

  it('without candidates there is no choice', () => {
    expect(choice({})).toBeUndefined();
  });
});
