import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dateText, plainDay, timestampText } from '../../../../../src/postgres/encoding/dates/date-text.js';

test('years 1 to 9999 are written as toISOString() does', () => {
  fc.assert(
    fc.property(
      fc.date({
        min: new Date('0001-01-01T00:00:00Z'),
        max: new Date('9999-12-31T23:59:59.999Z'),
        noInvalidDate: true,
      }),
      (date) => {
        const iso = date.toISOString();
        expect(dateText(date.getTime())).toBe(iso.slice(0, 10));
        expect(plainDay(Math.floor(date.getTime() / 86_400_000))).toBe(iso.slice(0, 10));
        const expected = iso.replace('T', ' ').replace('Z', '').replace('.000', '');
        expect(timestampText(date.getTime(), '+00')).toBe(`${expected}+00`);
      },
    ),
  );
});

test.each([
  ['0000-02-29T00:00:00Z', '0001-02-29 BC', '0001-02-29 00:00:00+00 BC'],
  ['-000099-01-01T12:00:00.500Z', '0100-01-01 BC', '0100-01-01 12:00:00.500+00 BC'],
  ['-271821-04-20T00:00:00Z', '271822-04-20 BC', '271822-04-20 00:00:00+00 BC'],
  ['+010000-01-01T00:00:00Z', '10000-01-01', '10000-01-01 00:00:00+00'],
  ['+275760-09-13T00:00:00Z', '275760-09-13', '275760-09-13 00:00:00+00'],
])('%s', (iso, date, timestamp) => {
  expect(dateText(Date.parse(iso))).toBe(date);
  expect(timestampText(Date.parse(iso), '+00')).toBe(timestamp);
});
