import { describe, expect, test } from 'vitest';
import { boundsOfChecks } from '../../../../src/postgres/table/check-bounds.js';

const read = (...definitions: string[]) => Object.fromEntries(boundsOfChecks(definitions));

describe('the bounds of a CHECK constraint', () => {
  test.each([
    ['CHECK ((n >= 0))', { n: [{ operator: '>=', value: 0 }] }],
    ['CHECK ((n < 1.5))', { n: [{ operator: '<', value: 1.5 }] }],
    ["CHECK ((n > '-1'::integer))", { n: [{ operator: '>', value: -1 }] }],
    ['CHECK ((n <= (0)::numeric))', { n: [{ operator: '<=', value: 0 }] }],
    ["CHECK ((n <= ('-7'::integer)::double precision))", {}],
    ['CHECK (("Low ""x""" >= 0)) NOT VALID', { 'Low "x"': [{ operator: '>=', value: 0 }] }],
    [
      'CHECK (((n >= 0) AND (m < 5) AND (n < 10))) NO INHERIT',
      { n: [{ operator: '>=', value: 0 }, { operator: '<', value: 10 }], m: [{ operator: '<', value: 5 }] }, // prettier-ignore
    ],
  ])('%s', (definition, expected) => {
    expect(read(definition)).toEqual(expected);
  });

  test.each([
    'CHECK (((n >= 0) OR (m < 5)))',
    'CHECK ((NOT (n >= 0)))',
    'CHECK (((n >= 0) IS FALSE))',
    'CHECK ((n >= m))',
    "CHECK ((t >= '5'::text) OR true)",
    'CHECK (f((n >= 0)))',
    'CHECK ((n >= 0)) NOT ENFORCED',
    'CHECK ((n OPERATOR(public.>=) 0))',
    'CHECK ((abs(n) >= 0))',
  ])('is unknown of %s', (definition) => {
    expect(read(definition)).toEqual({});
  });

  test('those of several constraints all count', () => {
    expect(read('CHECK ((n >= 0))', 'CHECK ((n OR m))', 'CHECK ((n < 9))')).toEqual({
      n: [{ operator: '>=', value: 0 }, { operator: '<', value: 9 }], // prettier-ignore
    });
  });
});
