import { describe, expect, it } from 'vitest';
import { matches } from '../../../src/jetstream/stream-publisher.js';

describe('matches', () => {
  it.each([
    ['a.b', 'a.b', true],
    ['a.b', 'a.c', false],
    ['a.b', 'a', false],
    ['a', 'a.b', false],
    ['a.*', 'a.b', true],
    ['a.*', 'a.b.c', false],
    ['*.b', 'a.b', true],
    ['a.>', 'a.b', true],
    ['a.>', 'a.b.c', true],
    ['a.>', 'a', false],
    ['>', 'a', true],
    ['*.b.>', 'a.b.c.d', true],
    ['*.b.>', 'a.c.c.d', false],
  ])('%s of %s: %s', (filter, subject, expected) => {
    expect(matches(filter, subject)).toBe(expected);
  });
});
