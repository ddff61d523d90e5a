/** Records that are rewritten as COPY's text format hold what their rows hold. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CsvBlocks, csvFormats } from '../../../../src/cli/csv/csv-blocks.js';
import { CsvRows } from '../../../../src/cli/csv/csv-rows.js';
import { FieldFit } from '../../../../src/cli/csv/field-fit.js';
import { FieldRuleSet, type FieldRules } from '../../../../src/cli/csv/field-rules.js';
import type { BlockContent } from '../../../../src/cli/records/block-content.js';
import { BlockSizer } from '../../../../src/cli/records/block-sizer.js';
import { textForServer } from '../../../../src/cli/values/converted-field.js';
import { fastCheckRuns } from '../../../support/test-runs.js';

const FILE = { name: 'events.csv', path: 'events.csv', sizeBytes: undefined };
const RULES: FieldRules = {
  b: { nulls: ['NA'], conversion: { kind: 'date', order: 'dmy' } },
  c: { nulls: [], conversion: { kind: 'number', format: '1.234,5', unit: '' } },
};

function options(otherNulls: string[] = []) {
  const texts = { delimiter: ',', nullText: '', otherNulls };
  return {
    ...texts,
    otherNulls: new Set(otherNulls),
    maxRecordBytes: 10_000,
    header: false,
    names: undefined,
    columns: ['a', 'b', 'c'],
    rules: new FieldRuleSet(RULES, ['a', 'b', 'c'], texts),
  };
}

function contentsOf(text: string, fit?: FieldFit, most?: number): BlockContent[] {
  const found: BlockContent[] = [];
  const reader = new CsvBlocks(FILE, {
    ...options(['-']),
    formats: csvFormats(',', '')!,
    sizer: new BlockSizer(most),
    keepsBadRecords: true,
    fit,
  });
  const block = Buffer.from(text);
  for (let at = 0; at < block.length;)
    at += reader.read(block.subarray(at), (content) => found.push(content));
  return found;
}

function sentText(text: string, fit?: FieldFit): string[] {
  return contentsOf(text, fit).map((content) =>
    content.kind === 'sent' ? content.sent.toString() : `${content.rows.length} rows`,
  );
}

describe('records to which a rule applies', () => {
  it.each<[string, string[]]>([
    ['x,5/3/2024,"1.234,5"\n', ['x\t2024-03-05\t1234.5\n']],
    ['"a, ""b""",NA,\n', ['a, "b"\t\\N\t\\N\n']],
    ['a\\b,-,2\r\n"c\nd",1/1/24,3\r\n', ['a\\\\b\t\\N\t2\nc\\nd\t2024-01-01\t3\n']],
    ['é\t,5 Mar 2024,-1', ['é\\t\t2024-03-05\t-1\n']],
    ['"-",,""\n', ['1 rows']],
    ['x,5/3/2024,1\ny,31/2/2024,2\n', ['2 rows']],
    ['x,5/3/2024,1\ny,6/3/2024\n', ['x\t2024-03-05\t1\n', '1 rows']],
  ])('are sent as text, or become rows if one does not fit: %j', (text, expected) => {
    expect(sentText(text)).toEqual(expected);
  });

  it('become rows if a field does not have the form of its type', () => {
    const fit = new FieldFit(['text', 'date', 'bigint'], { delimiter: ',', nullText: '' });
    expect(sentText('x,5/3/2024,1.000\n', fit)).toEqual(['x\t2024-03-05\t1000\n']);
    expect(sentText('x,5/3/2024 10:00,1\n', fit)).toEqual(['1 rows']);
    expect(sentText('x,5/3/2024,007\n', fit)).toEqual(['1 rows']);
  });

  it('end where batches do, and know their lines', () => {
    const found = contentsOf('"x\ny",5/3/2024,1\nz,6/3/2024,2\nz,7/3/2024,3\n', undefined, 2);
    expect(found).toMatchObject([
      { records: 2, linesBeforeLast: 2, written: Buffer.from('"x\ny",5/3/2024,1\nz,6/3/2024,2\n') },
      { records: 1, linesBeforeLast: 0, written: Buffer.from('z,7/3/2024,3\n') },
    ]);
  });

  it('hold the values of their rows, whatever the file has', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'é', '\\', '\t', '\n', '"', ',', ' ', '-', 'N') });
    const field = fc.oneof(text, fc.constantFrom('', '-', 'NA', '\\N', '\\'));
    const date = fc.constantFrom('', 'NA', '5/3/2024', '-', '2024-01-02', '31/2/2024');
    const number = fc.constantFrom('', '1.234,5', '7', '-', '12.5');
    const record = fc.tuple(field, date, number, fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }));
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 5 }), (records) => {
        const lines = records.map(([a, b, c, quotes]) =>
          [a, b, c].map((each, at) => (quotes[at] === true || /[",\n]/.test(each) ? `"${each.replaceAll('"', '""')}"` : each)),
        );
        const csv = lines.map((line) => `${line.join(',')}\n`).join('');
        const rows: unknown[][] = [];
        new CsvRows(FILE, options(['-'])).read(Buffer.from(csv), (row) => rows.push(row.map(textForServer)));
        const found = contentsOf(csv);
        if (found.every(({ kind }) => kind === 'rows')) return;
        const sent = found.map((content) => (content.kind === 'sent' ? content.sent.toString() : '')).join('');
        const [first] = found;
        if (first?.kind === 'sent' && first.formats[0]?.copy.startsWith('FORMAT csv') === true) return;
        expect(valuesOf(sent)).toEqual(rows);
      }),
      fastCheckRuns(2000),
    );
  }); // prettier-ignore
});

/** COPY's text format, read as the documentation says. */
function valuesOf(text: string): (string | null)[][] {
  const lines = text.split('\n').slice(0, -1);
  const letters: Record<string, string> = { n: '\n', r: '\r', t: '\t' };
  return lines.map((line) =>
    line
      .split('\t')
      .map((field) =>
        field === '\\N' ? null : field.replace(/\\(.)/g, (_, letter: string) => letters[letter] ?? letter),
      ),
  );
}
