import { expect, test } from 'vitest';
import { Ledger } from '../../../src/buffer/ledger.js';

test('the tests check both equations: an item that is counted on one side only is a defect (invariant 2)', () => {
  const ledger = new Ledger();
  ledger.assertBalanced();
  ledger.offered = 1;
  expect(() => ledger.assertBalanced()).toThrow('offered items are not accounted for');
  ledger.failed = 1;
  expect(() => ledger.assertBalanced()).toThrow('accepted items are not accounted for');
  ledger.accepted = 1;
  ledger.assertBalanced();
});
