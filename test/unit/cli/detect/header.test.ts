/** Whether the first record of a table names its columns. */

import { describe, expect, it } from 'vitest';
import { judgeHeader } from '../../../../src/cli/detect/header.js';
import { readSample } from '../../../../src/cli/detect/sample-records.js';

const PLAIN = { delimiter: ',', quote: '"', escape: '"' };

describe('judgeHeader', () => {
  it.each<[string, string, boolean | undefined]>([
    ['names above numbers', 'id,v\n1,2\n', true],
    ['numbers above numbers', '1,2\n3,4\n', false],
    ['texts above texts', 'a,b\nc,d\n', true],
    ['a text above numbers, and a number above numbers', 'x,1\n2,3\n4,5\n', undefined],
    ['a text above dates', 'day\n2024-01-02\n2024-01-03\n', true],
    ['years above numbers', 'country,1990,1991\nfr,1,2\nde,4,5\n', true],
    ['a missing value above numbers', 'NA,x\n1,y\n2,z\n', true],
    ['one record of numbers', '1,2\n', false],
    ['one record of texts', 'a,b\n', true],
    ['one record of a text and a number', 'a,1\n', true],
    ['numbers above texts', '1,2\na,b\n', true],
    ['no record', '', true],
  ])('%s', (_title, text, expected) => {
    expect(judgeHeader(readSample({ text, isWhole: true, lineBreak: 'lf' }, PLAIN, 100))).toBe(expected);
  });
});
