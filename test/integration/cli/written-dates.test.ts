/** Dates as `--dates` reads them, compared with PostgreSQL's own reading under the same order (`DateStyle`). */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { DATE_ORDERS, readDate } from '../../../src/cli/values/dates.js';
import { useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();

const padded = (most: number) =>
  fc
    .tuple(fc.integer({ min: 0, max: most }), fc.boolean())
    .map(([value, pads]) => String(value).padStart(pads ? 2 : 1, '0'));
const day = padded(32);
const month = padded(13);
const year = fc.oneof(
  fc.integer({ min: 1000, max: 9999 }).map(String),
  fc.integer({ min: 0, max: 99 }).map((value) => String(value).padStart(2, '0')),
);
const name = fc.constantFrom(
  'January',
  'feb',
  'MAR',
  'April',
  'may',
  'June',
  'Jul',
  'aug',
  'Sept',
  'October',
  'nov',
  'DEC',
);
const separator = fc.constantFrom('/', '.', '-');
const digits = fc
  .tuple(fc.oneof(day, month, year), separator, fc.oneof(day, month), fc.oneof(day, year))
  .map(([first, between, second, third]) => [first, second, third].join(between));
const named = fc
  .tuple(fc.constantFrom('dmy', 'mdy', 'ymd'), day, name, year, fc.constantFrom(' ', '-', '/'))
  .map(([order, ...parts]) => {
    const [d, m, y, between] = parts;
    return { dmy: [d, m, y], mdy: [m, d, y], ymd: [y, m, d] }[order].join(between);
  });
const clock = fc
  .tuple(
    padded(25),
    fc.integer({ min: 0, max: 60 }),
    fc.constantFrom('', ' am', ' PM', 'Z', ' +02', '-03:30', ' UTC'),
  )
  .map(([hour, minute, end]) => ` ${hour}:${String(minute).padStart(2, '0')}${end}`);
const text = fc
  .tuple(fc.oneof(digits, named), fc.oneof({ weight: 3, arbitrary: fc.constant('') }, { weight: 1, arbitrary: clock }))
  .map(([date, time]) => date + time); // prettier-ignore

it('any date that both can read is the same for both', async () => {
  const texts = [...new Set(fc.sample(text, { numRuns: 20_000, seed: 14 }))];
  await database.query(`CREATE FUNCTION read_date(text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RETURN $1::timestamptz::text; EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$`);
  const client = await database.pool({ max: 1 }).connect();
  try {
    await client.query(`SET timezone = 'UTC'`);
    for (const order of DATE_ORDERS) {
      await client.query(`SET datestyle = 'ISO, ${order}'`);
      const { rows } = await client.query<{ theirs: (string | null)[]; ours: (string | null)[] }>(
        `SELECT array_agg(read_date(theirs) ORDER BY place) theirs, array_agg(read_date(ours) ORDER BY place) ours
         FROM unnest($1::text[], $2::text[]) WITH ORDINALITY u(theirs, ours, place)`,
        [texts, texts.map((each) => readDate(each, order) ?? null)],
      );
      const { theirs, ours } = rows[0]!;
      const compared = texts.map((each, at) => ({ order, text: each, read: ours[at], expected: theirs[at] }));
      const both = compared.filter(({ read, expected }) => read !== null && expected !== null);
      expect(both.length).toBeGreaterThan(2000);
      expect(both.filter(({ read, expected }) => read !== expected)).toEqual([]);
      // PostgreSQL alone reads years of one digit, a year between month and day, and 24:00.
      const isShortYear = order === 'ymd' ? /^(?:\d\D|[A-Za-z])/ : /[-/. ]\d(?: |$)/;
      const missed = compared.filter(
        (each) =>
          each.read === null &&
          each.expected !== null &&
          !isShortYear.test(each.text) &&
          !/ 24:/.test(each.text),
      );
      expect(missed.slice(0, 20)).toEqual([]);
    }
  } finally {
    client.release();
  }
});
