/** "Did you mean": which name is proposed for one that is not there. */

import { expect, it } from 'vitest';
import { didYouMean, mostSimilar } from '../../../../src/cli/common/similar-names.js';

it.each<[string, string[], string | undefined]>([
  ['scor', ['id', 'score'], 'score'],
  ['socre', ['score', 'store'], 'score'],
  ['Score', ['score'], 'score'],
  ['unit price', ['UnitPrice', 'unit_cost'], 'UnitPrice'],
  ['unit-price', ['unit_price'], 'unit_price'],
  ['customre_id', ['customer', 'customer_id'], 'customer_id'],
  ['x', ['id', 'score'], undefined],
  ['ab', ['ba'], undefined],
  ['email', ['name', 'phone'], undefined],
  ['größe', ['grösse', 'name'], 'grösse'],
  ['', ['id'], undefined],
  ['id', [], undefined],
  ['a'.repeat(5000), ['a'.repeat(5001), 'b'], undefined],
])('%j among %j: %j', (name, known, expected) => {
  expect(mostSimilar(name, known)).toBe(expected);
});

it('is a part of a sentence, or nothing', () => {
  expect(didYouMean('scor', ['score'])).toBe(' (did you mean "score"?)');
  expect(didYouMean('scor', ['x'])).toBe('');
});
