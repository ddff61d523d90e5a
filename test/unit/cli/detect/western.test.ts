/** How well text fits a Western encoding. */

import { describe, expect, it } from 'vitest';
import { plausibility } from '../../../../src/cli/detect/western.js';

describe('plausibility', () => {
  it.each<[string, string]>([
    ['ASCII', 'plain'],
    ['small letters in words', 'café, Müller'],
    ['a capital that begins a word', 'Émile'],
    ['capitals among capitals', 'ÉTÉ'],
    ['an apostrophe behind a letter', 'it’s'],
    ['quotes around a word', '“so” «so»'],
    ['signs behind numbers', '20°, 5€, 3²'],
  ])('%s: fully', (_title, text) => {
    expect(plausibility(text)).toBe(1);
  });

  it.each<[string, string]>([
    ['a capital behind a small letter', 'cafÈ'],
    ['a sign within a word', 'M¸ller'],
    ['a currency within a word', 'M€ller'],
    ['a closing quote before a word', ' ”so'],
  ])('%s: hardly', (_title, text) => {
    expect(plausibility(text)).toBeLessThan(0.2);
  });

  it('a rare letter counts half', () => {
    expect(plausibility('coþ')).toBe(0.5);
  });
});
