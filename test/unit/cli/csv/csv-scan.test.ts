import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scanCsv, scanLines } from '../../../../src/cli/csv/csv-scan.js';

const field = fc.string({
  unit: fc.constantFrom('a', '7', '.', '-', '\v', '\x2b', '\x2d', '\x8a', '\xac', '\xff'),
  maxLength: 9,
});

describe('scanLines', () => {
  it('sees in lines without quotes what scanCsv sees', () => {
    const records = fc.array(
      fc.oneof({ weight: 20, arbitrary: fc.array(field, { minLength: 3, maxLength: 3 }) }, fc.array(field)),
      { minLength: 1, maxLength: 12 },
    );
    const most = fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 12 }));
    fc.assert(
      fc.property(
        records,
        fc.constantFrom(',', ';', '\t', '|', ' '),
        fc.boolean(),
        fc.integer({ min: 0, max: 7 }),
        most,
        (rows, delimiter, isComplete, offset, limit) => {
          const text = rows.map((row) => row.join(delimiter)).join('\n') + (isComplete ? '\n' : '');
          fc.pre(text !== '');
          // Beside the bytes there may be anything.
          const bytes = Buffer.from(`\n,${text},\n`, 'latin1');
          const held = Buffer.alloc(bytes.length + 8, 0x0a);
          bytes.copy(held, offset);
          const block = held.subarray(offset, offset + 2 + text.length);
          const code = delimiter.charCodeAt(0);
          expect(scanLines(block, 2, limit, code, 3)).toEqual(scanCsv(block, 2, limit, code, 3));
        },
      ),
      { numRuns: 3_000 },
    );
  });
});
