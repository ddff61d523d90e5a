/** Dates as people write them. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DATE_ORDERS, readDate, type DateOrder } from '../../../../src/cli/values/dates.js';
import { fastCheckRuns } from '../../../support/test-runs.js';

describe('a date', () => {
  it.each<[string, string | undefined, string | undefined, string | undefined]>([
    // text, dmy, mdy, ymd
    ['5/3/2024', '2024-03-05', '2024-05-03', undefined],
    ['05.03.2024', '2024-03-05', '2024-05-03', undefined],
    ['05-03-24', '2024-03-05', '2024-05-03', '2005-03-24'],
    ['31/12/1999', '1999-12-31', undefined, undefined],
    ['12/31/1999', undefined, '1999-12-31', undefined],
    ['99/12/31', undefined, undefined, '1999-12-31'],
    ['69/1/1', undefined, undefined, '2069-01-01'],
    ['70/1/1', undefined, undefined, '1970-01-01'],
    ['2024-3-5', '2024-03-05', '2024-03-05', '2024-03-05'],
    ['2024/03/05', '2024-03-05', '2024-03-05', '2024-03-05'],
    [' 5/3/2024 ', '2024-03-05', '2024-05-03', undefined],
    ['5 March 2024', '2024-03-05', '2024-03-05', '2024-03-05'],
    ['05-Mar-24', '2024-03-05', '2024-03-05', '2005-03-24'],
    ['March 5, 2024', '2024-03-05', '2024-03-05', '2024-03-05'],
    ['Mar. 5th 2024', '2024-03-05', '2024-03-05', '2024-03-05'],
    ['Sept 1, 24', '2024-09-01', '2024-09-01', undefined],
    ['05MAR2024', '2024-03-05', '2024-03-05', '2024-03-05'],
    ['2024-MAR-05', '2024-03-05', '2024-03-05', '2024-03-05'],
    ['24 mar 5', undefined, undefined, '2024-03-05'],
    ['Tue, 5 Mar 2024', '2024-03-05', '2024-03-05', '2024-03-05'],
    ['Tuesday, March 5, 2024', '2024-03-05', '2024-03-05', '2024-03-05'],
    ['29/2/2024', '2024-02-29', undefined, undefined],
    ['29/2/2023', undefined, undefined, undefined],
    ['31/02/2024', undefined, undefined, undefined],
    ['13/13/2024', undefined, undefined, undefined],
    ['0/1/2024', undefined, undefined, undefined],
    ['1/1/0000', undefined, undefined, undefined],
    ['1/1/224', undefined, undefined, undefined],
    ['1/1/20240', undefined, undefined, undefined],
    ['5/3-2024', undefined, undefined, undefined],
    ['5/3', undefined, undefined, undefined],
    ['Mar 2024', undefined, undefined, undefined],
    ['March 24', undefined, undefined, undefined],
    ['Marc 5, 2024', undefined, undefined, undefined],
    ['5 März 2024', undefined, undefined, undefined],
    ['Wed, 5 Mar 2024', undefined, undefined, undefined],
    ['10.10.10.10', undefined, undefined, undefined],
    ['5/3/2024x', undefined, undefined, undefined],
    ['', undefined, undefined, undefined],
  ])('%j is read by its order', (text, ...expected) => {
    expect(DATE_ORDERS.map((order) => readDate(text, order))).toEqual(expected);
  });

  it.each<[string, string | undefined]>([
    ['5/3/2024 14:05', '2024-03-05 14:05'],
    ['5/3/2024 2:05', '2024-03-05 02:05'],
    ['5/3/2024T14:05:30.123', '2024-03-05 14:05:30.123'],
    ['5/3/2024, 14:05:30,5', '2024-03-05 14:05:30.5'],
    ['5/3/2024 2:05 PM', '2024-03-05 14:05'],
    ['5/3/2024 12:00am', '2024-03-05 00:00'],
    ['5/3/2024 12:00 p.m.', '2024-03-05 12:00'],
    ['5/3/2024 14:05Z', '2024-03-05 14:05+00'],
    ['5/3/2024 14:05:00 UTC', '2024-03-05 14:05:00+00'],
    ['5/3/2024 14:05 -0330', '2024-03-05 14:05-0330'],
    ['5/3/2024 14:05 +05:30', '2024-03-05 14:05+05:30'],
    ['Tue, 05 Mar 2024 14:05:30 GMT', '2024-03-05 14:05:30+00'],
    ['05/Mar/2024:14:05:30 +0100', '2024-03-05 14:05:30+0100'],
    ['5/3/2024 24:00', undefined],
    ['5/3/2024 14:60', undefined],
    ['5/3/2024 14:05:60', undefined],
    ['5/3/2024 13:05 PM', undefined],
    ['5/3/2024 0:05 PM', '2024-03-05 12:05'],
    ['5/3/2024 14:05 CET', undefined],
    ['5/3/2024 14:05 +16:00', undefined],
    ['5/3/2024 14:05:30.1234567', undefined],
    ['5/3/2024 14', undefined],
  ])('%j is read with its time', (text, expected) => {
    expect(readDate(text, 'dmy')).toBe(expected);
  });

  it.each(['infinity', '-infinity', 'epoch', '20240305', '20240305T140530', '12024-03-05', '2024-03-05 BC', '2024-03-05 14:05 CET'])(
    '%j stays as it is, as the server reads it in one way only',
    (text) => {
      for (const order of DATE_ORDERS) expect(readDate(text, order)).toBe(text);
    },
  ); // prettier-ignore
});

describe('any day of the calendar', () => {
  /** Swedish for digits only: its months have other names. */
  const LOCALES: Record<DateOrder, string> = { dmy: 'en-GB', mdy: 'en-US', ymd: 'sv-SE' };
  const styles = fc.constantFrom<Intl.DateTimeFormatOptions>(
    { year: 'numeric', month: '2-digit', day: '2-digit' },
    { year: 'numeric', month: 'numeric', day: 'numeric' },
    { dateStyle: 'medium' },
    { dateStyle: 'long' },
    { dateStyle: 'full' },
  );
  // Since the calendar that PostgreSQL has for all days was introduced.
  const days = fc.date({
    min: new Date('1582-10-15'),
    max: new Date('9999-12-31T23:59:59Z'),
    noInvalidDate: true,
  });

  it('that ICU writes is read as it was', () => {
    fc.assert(
      fc.property(days, fc.constantFrom(...DATE_ORDERS), styles, (day, order, style) => {
        const isNamed = style.dateStyle !== undefined;
        const locale = isNamed && order === 'ymd' ? 'en-GB' : LOCALES[order];
        const format = new Intl.DateTimeFormat(locale, { ...style, timeZone: 'UTC' });
        const text = format.format(day);
        expect({ text, read: readDate(text, order) }).toEqual({ text, read: day.toISOString().slice(0, 10) });
      }),
      fastCheckRuns(2000),
    );
  });
});
