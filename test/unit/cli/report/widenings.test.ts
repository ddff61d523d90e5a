import { describe, expect, it } from 'vitest';
import { Widenings } from '../../../../src/cli/report/widenings.js';

const place = (line: number, countsRecords = false) => ({
  file: { name: 'a.csv', path: 'a.csv', sizeBytes: 1, countsRecords },
  line,
});
const N = { column: 'n', nulls: [] };

describe('the line on what was widened', () => {
  it('is absent if nothing was', () => {
    const widenings = new Widenings();
    expect(widenings.describe()).toBeUndefined();
    expect(widenings.toJson()).toEqual([]);
  });

  it('names columns, types and the first value that did not fit', () => {
    const widenings = new Widenings();
    widenings.add({ ...N, from: 'bigint', to: 'numeric', place: place(40_002) });
    widenings.add({ column: 'm', from: 'date', to: 'date', nulls: ['NA', ''], place: place(7, true) });
    expect(widenings.describe()).toBe(
      'widened: n: bigint → numeric at a.csv:40002; m: "NA" is NULL, "" is NULL at a.csv: record 7',
    );
    expect(widenings.toJson()).toEqual([
      { column: 'n', from: 'bigint', to: 'numeric', nulls: [], file: 'a.csv', line: 40_002 },
      { column: 'm', from: 'date', to: 'date', nulls: ['NA', ''], file: 'a.csv', line: null, record: 7 },
    ]);
  });

  it('joins the widenings of one column, and counts how often the load started over', () => {
    const widenings = new Widenings();
    widenings.add({ ...N, from: 'bigint', to: 'numeric', place: place(5) });
    widenings.startOver([{ ...N, from: 'bigint', to: 'text', place: place(9) }]);
    expect(widenings.describe()).toBe('widened: n: bigint → text at a.csv:5; the load started over');
    widenings.startOver([{ column: 'm', from: 'bigint', to: 'text', nulls: [], place: undefined }]);
    expect(widenings.describe()).toBe(
      'widened: n: bigint → text at a.csv:5; m: bigint → text; the load started over 2 times',
    );
    expect(widenings.restarts).toBe(2);
  });

  it('names all markers of one column, unless it has become a text, in which none is NULL', () => {
    const widenings = new Widenings();
    const marker = (text: string) => ({
      column: 'n',
      from: 'bigint',
      to: 'bigint',
      nulls: [text],
      place: place(5),
    });
    for (const text of ['NA', '-', 'NA']) widenings.add(marker(text));
    expect(widenings.describe()).toBe('widened: n: "NA" is NULL, "-" is NULL at a.csv:5');
    widenings.startOver([{ ...N, from: 'bigint', to: 'text', place: undefined }]);
    expect(widenings.describe()).toBe('widened: n: bigint → text at a.csv:5; the load started over');
  });
});
