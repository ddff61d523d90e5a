import { describe, expect, it } from 'vitest';
import { blockBounds } from '../../../../src/jetstream/jetstream-log.js';
import { boundsStart, checkStart, missingAtStart } from '../../../../src/postgres/lanes/log-start.js';

const NOW = Date.parse('2026-06-01T00:00:00Z');

describe('checkStart', () => {
  it.each([
    ['first', 'first'],
    ['last', 'last'],
    [0, 0],
    [71, 71],
    ['2026-01-31T08:00:00Z', '2026-01-31T08:00:00.000Z'],
    ['2026-01-31T08:00Z', '2026-01-31T08:00:00.000Z'],
    ['2024-02-29T23:59:59.123-05:30', '2024-03-01T05:29:59.123Z'],
    [new Date(NOW), '2026-06-01T00:00:00.000Z'],
    // No message is older.
    ['0001-01-01T00:00Z', '1970-01-01T00:00:00.000Z'],
  ])('takes %s', (value, expected) => {
    expect(checkStart(value, NOW)).toBe(expected);
  });

  it.each([
    ['First'],
    [''],
    ['71'],
    [-1],
    [1.5],
    [NaN],
    [2 ** 53],
    [null],
    [true],
    [{}],
    [new Date(NaN)],
    ['2026-01-31'],
    ['2026-01-31T08:00:00'],
    ['2026-01-31 08:00:00Z'],
    ['2026-02-30T08:00:00Z'],
    ['2026-13-01T08:00:00Z'],
    ['2026-01-31T25:00:00Z'],
    ['2026-01-31T08:00:00.1234Z'],
    ['2026-01-31T08:00:00+0100'],
  ])('refuses %j', (value) => {
    expect(() => checkStart(value, NOW)).toThrow(
      /option 'from' must be 'first', 'last', a position, or a time/,
    );
  });

  it('refuses a time that is still to come', () => {
    const message = /option 'from' must be a time that has passed; got "2026-06-01T00:00:00.001Z"/;
    expect(() => checkStart(new Date(NOW + 1), NOW)).toThrow(message);
  });
});

describe('boundsStart', () => {
  it.each([
    ['first', undefined],
    ['last', undefined],
    [71, 71],
    ['2026-01-31T08:00:00.000Z', new Date('2026-01-31T08:00:00Z')],
  ])('of %s', (start, expected) => {
    expect(boundsStart(start)).toEqual(expected);
  });
});

describe('missingAtStart', () => {
  const bounds = blockBounds(120, 350, 100);

  it.each([
    ['first', 0],
    ['2026-01-31T08:00:00.000Z', 0],
    [120, 0],
    [351, 0],
    [100, 20],
    [1, 119],
    // No stream has such a position.
    [0, 119],
  ])('of %s', (start, expected) => {
    expect(missingAtStart(start, bounds, true)).toBe(expected);
  });

  it('refuses a position behind the end, and one of several orders', () => {
    expect(() => missingAtStart(352, bounds, true)).toThrow(
      /ends before position 351, so the import cannot begin at 352/,
    );
    expect(() => missingAtStart(1, bounds, false)).toThrow(/each lane of this log has positions of its own/);
  });
});
