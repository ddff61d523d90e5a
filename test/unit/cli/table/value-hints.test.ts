/** What a user is told of columns that are text. */

import { describe, expect, it } from 'vitest';
import { FieldInference } from '../../../../src/cli/table/field-inference.js';
import { describeHints } from '../../../../src/cli/table/value-hints.js';
import type { DateOrder } from '../../../../src/cli/values/dates.js';
import { numberFormat } from '../../../../src/cli/values/numbers.js';

interface Given {
  readonly strict?: boolean;
  readonly dates?: DateOrder;
  readonly numbers?: string;
  readonly booleans?: boolean;
}

function hintOf(values: string[], { strict = false, dates, numbers, booleans = false }: Given = {}) {
  const flags = { dates, numbers: numbers === undefined ? undefined : numberFormat(numbers), booleans };
  const inference = new FieldInference({ strict, detectsCommas: false, flags });
  for (const value of values) inference.add(value);
  return describeHints([{ name: 'c', hint: inference.done().hint }])[0];
}

describe('a column of text', () => {
  it.each<[string, string[], string]>([
    ['dates of one order', ['31/12/2024', '5/3/2024'], 'the column "c" of text has dates such as "31/12/2024": --dates dmy reads them'],
    ['dates of two orders', ['5/3/2024'], 'the column "c" of text has dates such as "5/3/2024": --dates dmy or --dates mdy reads them'],
    ['names of months', ['5 Mar 2024', 'NA'], 'the column "c" of text has dates such as "5 Mar 2024": --dates dmy or --dates mdy or --dates ymd reads them'],
    ['per cent', ['12 %', '3.5 %'], `the column "c" of text has numbers such as "12 %": --numbers '1,234.5' reads them`],
    ['thousands and decimal commas', ['1.234,50'], `the column "c" of text has numbers such as "1.234,50": --numbers '1.234,5' reads them`],
    ['thousands between spaces', ['1 234'], `the column "c" of text has numbers such as "1 234": --numbers '1 234,5' reads them`],
    ['commas that may be two things', ['1,234'], `the column "c" of text has numbers such as "1,234": --numbers '1,234.5' or --numbers '1.234,5' or --numbers '1 234,5' reads them`],
    ['words', ['yes', 'No'], 'the column "c" of text has words for true and false such as "yes": --booleans reads them'],
  ])('that has %s names the flag', (_title, values, hint) => {
    expect(hintOf(values)).toBe(hint);
  }); // prettier-ignore

  it.each<[string, string[], Given?]>([
    ['has texts', ['a', '5/3/2024']],
    ['has codes', ['007', '12']],
    ['has one letter', ['F', 'F']],
    ['has nothing', []],
    ['has markers only', ['NA', '-']],
    ['is read strictly', ['31/12/2024'], { strict: true }],
    ['has texts beside a few dates, with the flag', ['a', 'b', 'c', '5/3/2024'], { dates: 'dmy' }],
  ])('that %s needs no word', (_title, values, given) => {
    expect(hintOf(values, given)).toBeUndefined();
  });

  it.each<[string, string[], Given, string]>([
    ['dates', ['5/3/2024', '31/2/2024'], { dates: 'dmy' }, 'the column "c" of text has a value such as "31/2/2024": it is not a date as --dates dmy reads it, so that the type is text'],
    ['units', ['$5', '$6', '€7'], { numbers: '1,234.5' }, 'the column "c" of text has a value such as "€7": it is not a number written like 1,234.5 with $, so that the type is text'],
    ['words', ['yes', 'no', 'maybe'], { booleans: true }, 'the column "c" of text has a value such as "maybe": it is not yes or no, so that the type is text'],
  ])('of which a flag reads most %s names the other', (_title, values, given, hint) => {
    expect(hintOf(values, given)).toBe(hint);
  }); // prettier-ignore

  it('is named together with others', () => {
    const hint = { what: 'dates', help: '--dates dmy reads them', example: 'x'.repeat(50) };
    const columns = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => ({ name, hint }));
    expect(describeHints(columns)).toEqual([
      `the columns "a", "b", "c", "d", "e" … of text have dates such as "${'x'.repeat(30)}…": --dates dmy reads them`,
    ]);
  });

  it('that is a number, a date or a boolean needs no word', () => {
    for (const values of [['1'], ['2024-01-02'], ['true']]) expect(hintOf(values)).toBeUndefined();
  });
});
