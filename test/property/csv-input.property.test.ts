/** Any bytes as CSV: what comes out is what csv-parse reads record by record, wherever they are cut, and nothing is lost on the way. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keepCsv, readCsv, type CsvSettings, type KeptRecord } from '../support/cli-records.js';
import type { CsvRow } from '../../src/cli/csv/csv-reader.js';
import { referenceRecords, type ReferenceRecord } from '../support/csv-reference.js';
import { fastCheckRuns } from '../support/test-runs.js';
import { range } from '../support/range.js';

const settings: fc.Arbitrary<CsvSettings> = fc.record({
  delimiter: fc.constantFrom(',', ',', ',', '\t', ';', '|', ' ', '\\', ']', '^', '-', 'a', '0'),
  nullText: fc.constantFrom('', '', 'a', 'NULL', '\\N', 'é'),
  maxRecordBytes: fc.constantFrom(1024 * 1024, 1024 * 1024, 1, 2, 3, 5, 8, 20),
});

/** Bytes that mean something to CSV, and pieces of characters. */
const bytesLikeCsv = fc
  .array(
    fc.constantFrom(
      ...['a', '0', ',', ',', '\n', '\n', '\r\n', '\r', '"', '"', '""', '"a"', ',"', '",', '"\n', '\n"'],
      ...['\t', ';', 'é', '😀', 'NULL', '\\N', '\\.', '\ufeff', '\0', ' ', '"a\nb"', '"a,b"', '"a""b"'],
    ),
    { maxLength: 50 },
  )
  .chain((parts) =>
    fc
      .array(fc.tuple(fc.nat(), fc.constantFrom(0xff, 0xc3, 0xe2, 0xed, 0x80)), { maxLength: 2 })
      .map((broken) => {
        const bytes = Buffer.from(parts.join(''));
        const insert = broken.map(([at, byte]) => ({ at: at % (bytes.length + 1), byte }));
        return insert.reduce(
          (all, { at, byte }) => Buffer.concat([all.subarray(0, at), Buffer.of(byte), all.subarray(at)]),
          bytes,
        );
      }),
  )
  // csv-parse takes a NUL after a closing quote for the end; we, as PostgreSQL, for text.
  .filter((bytes) => !bytes.includes('"\0'))
  // UTF-16's marks end a file.
  .filter((bytes) => !/^(fffe|feff)/.test(bytes.toString('hex', 0, 2)));

const cuts = fc.oneof(fc.array(fc.nat({ max: 200 }), { maxLength: 10 }), fc.constant(range(400)));

function asReference(records: readonly KeptRecord<CsvRow>[]): ReferenceRecord[] {
  return records.map((record) =>
    'row' in record ? { line: record.line, row: record.row } : { line: record.line, text: record.text },
  );
}

describe('any bytes, read on after bad records', () => {
  it('give what csv-parse reads record by record', () => {
    fc.assert(
      fc.property(bytesLikeCsv, cuts, settings, (bytes, at, options) => {
        const { records, error } = keepCsv(bytes, at, options);
        expect(error).toBeUndefined();
        expect(asReference(records)).toEqual(referenceRecords(bytes, options));
      }),
      fastCheckRuns(5_000),
    );
  });

  it('give the same words for what is wrong, wherever they are cut', () => {
    fc.assert(
      fc.property(bytesLikeCsv, cuts, settings, (bytes, at, options) => {
        expect(keepCsv(bytes, at, options)).toEqual(keepCsv(bytes, [], options));
        expect(readCsv(bytes, at, options)).toEqual(readCsv(bytes, [], options));
      }),
      fastCheckRuns(2_000),
    );
  });

  it('end with the first bad record where it is not kept, after the rows before it', () => {
    fc.assert(
      fc.property(bytesLikeCsv, cuts, settings, (bytes, at, options) => {
        const kept = keepCsv(bytes, at, options).records;
        const firstBad = kept.findIndex((record) => 'fault' in record);
        const { rows, error } = readCsv(bytes, at, options);
        expect(rows).toEqual(firstBad === -1 ? kept : kept.slice(0, firstBad));
        const bad = kept[firstBad];
        expect(error).toBe(bad !== undefined && 'fault' in bad ? bad.fault : undefined);
      }),
      fastCheckRuns(2_000),
    );
  });

  it('lose no line: each belongs to one record, in order', () => {
    fc.assert(
      fc.property(bytesLikeCsv, cuts, settings, (bytes, at, options) => {
        const { records } = keepCsv(bytes, at, options);
        const lines = records.map(({ line }) => line);
        expect(lines).toEqual([...new Set(lines)].toSorted((a, b) => a - b));
        const written = bytes.toString('latin1').replace(/^\xef\xbb\xbf/, '');
        if (written !== '') expect(lines[0]).toBe(1);
      }),
      fastCheckRuns(1_000),
    );
  });
});
