/** Names that are longer than the server's longest. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { distinctNames, numbered } from '../../../../src/cli/table/server-names.js';

const cutAt = (length: number) => (name: string) => Array.from(name).slice(0, length).join('');

describe('distinctNames', () => {
  it('keeps names that need no cut, and numbers those that collide with them', () => {
    const names = ['abcdef2', 'abcd', 'abcdef1', 'x'];
    expect(distinctNames(names, names.map(cutAt(4)))).toEqual(['ab_3', 'abcd', 'ab_2', 'x']);
  });

  it('passes over a number that another column has', () => {
    const names = ['abcdef', 'abcd', 'ab_2'];
    expect(distinctNames(names, names.map(cutAt(4)))).toEqual(['ab_3', 'abcd', 'ab_2']);
  });

  it('gives different names of at most the cut length, whatever the order', () => {
    const names = fc.uniqueArray(
      fc.string({ unit: fc.constantFrom('a', 'b', '_', '2', 'é', '😀'), maxLength: 9 }),
      {
        minLength: 1,
      },
    );
    fc.assert(
      fc.property(names, (given) => {
        const result = distinctNames(given, given.map(cutAt(5)));
        expect(new Set(result).size).toBe(given.length);
        for (const name of result) expect(Array.from(name).length).toBeLessThanOrEqual(5);
        const turned = given.toReversed();
        expect(distinctNames(turned, turned.map(cutAt(5))).toReversed()).toEqual(result);
      }),
    );
  });
});

it('a number takes the place of whole characters', () => {
  expect(numbered('ab😀😀', 2)).toBe('ab_2');
});
