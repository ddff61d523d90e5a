/**
 * Dates as people write them, rewritten as ISO 8601. Pure.
 *
 * ```text
 *   5/3/2024  05.03.24  2024-3-5           digits between / . or -; the order of the flag, unless the year with four digits comes first
 *   5 March 2024  Mar 5, 2024  05MAR2024   an English month, as a name or its first three letters: the day before the year, unless the order is ymd
 *   Tue, 5 Mar 2024 2:05 pm +01:00         with the right day of the week, a time of 24 or 12 hours, and a zone
 * ```
 *
 * Years of two digits are those of PostgreSQL: 70 to 99 are 1970 to 1999, 00 to 69 are 2000 to 2069.
 */

/** The order of day, month and year in dates of digits. */
export const DATE_ORDERS = ['dmy', 'mdy', 'ymd'] as const;
export type DateOrder = (typeof DATE_ORDERS)[number];

const MONTH_NAMES =
  'january february march april may june july august september october november december'.split(' ');
const DAY_NAMES = 'sunday monday tuesday wednesday thursday friday saturday'.split(' ');
const MONTHS = numbersOf(MONTH_NAMES, 1, { sept: 9 });
const WEEKDAYS = numbersOf(DAY_NAMES, 0, { tues: 2, thur: 4, thurs: 4 });

const DIGITS = /^(\d{1,4})([/.-])(\d{1,2})\2(\d{1,4})(?!\d)/;
const WEEKDAY = /^([a-z]{3,9})\.?,?\s+/i;
const BETWEEN = String.raw`(?:\s*[-/.,]\s*|\s+)`;
const DAY = String.raw`(?<day>\d{1,2})(?:st|nd|rd|th)?`;
const MONTH = String.raw`(?<month>[a-z]{3,9})\.?`;
const FULL_YEAR = String.raw`(?<year>\d{4})`;
const ANY_YEAR = String.raw`(?<year>\d{4}|\d{2})`;

/** Dates with the name of a month. Beside a name, no separator is needed. */
function namedDates(isYearFirst: boolean): RegExp[] {
  const [first, last] = isYearFirst ? [ANY_YEAR, FULL_YEAR] : [FULL_YEAR, ANY_YEAR];
  const orders = [
    `${first}${BETWEEN}?${MONTH}${BETWEEN}?${DAY}`,
    `${DAY}${BETWEEN}?${MONTH}${BETWEEN}?${last}`,
    `${MONTH}${BETWEEN}?${DAY}${BETWEEN}${last}`,
  ];
  return orders.map((order) => new RegExp(`^${order}(?!\\d)`, 'i'));
}

const YEAR_FIRST = namedDates(true);
const YEAR_LAST = namedDates(false);
const TIME =
  /^(?:T|:|,?\s+)(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,6}))?)?(?:\s*([ap])\.?m\.?)?(?:\s*(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?$/i;

/** The server reads them in one way only, whatever the order is. */
const PLAIN = /^(?:[+-]?infinity|epoch|\d{8}(?:T?\d{6})?|\d{4,}-\d\d-\d\d\b.*)$/is;

/** In characters: the longest date that can be written here is shorter. */
const LONGEST = 80;

/** Returns the date as ISO 8601; undefined for anything else. Texts that PostgreSQL reads in one way only stay as they are. */
export function readDate(text: string, order: DateOrder): string | undefined {
  const trimmed = text.trim();
  if (trimmed.length > LONGEST) return undefined;
  const found = findDate(trimmed, order);
  if (found === undefined) return PLAIN.test(trimmed) ? text : undefined;
  const rest = trimmed.slice(found.length);
  if (rest === '') return found.iso;
  const time = readTime(rest);
  if (time !== undefined) return `${found.iso} ${time}`;
  return PLAIN.test(trimmed) ? text : undefined;
}

interface FoundDate {
  readonly iso: string;
  /** Characters of it. */
  readonly length: number;
}

function findDate(text: string, order: DateOrder): FoundDate | undefined {
  const digits = DIGITS.exec(text);
  if (digits !== null) return fromDigits(digits, order);
  const weekday = WEEKDAY.exec(text);
  const dayOfWeek = weekday === null ? undefined : WEEKDAYS.get(weekday[1]!.toLowerCase());
  const start = dayOfWeek === undefined ? 0 : weekday![0].length;
  const found = fromNames(text.slice(start), order);
  if (found === undefined || dayOfWeek === undefined) return found;
  // Of a day of the week that is wrong, the date may be wrong, too.
  if (new Date(`${found.iso}T00:00:00Z`).getUTCDay() !== dayOfWeek) return undefined;
  return { iso: found.iso, length: found.length + start };
}

function fromDigits(
  [match, first, , second, third]: readonly string[],
  order: DateOrder,
): FoundDate | undefined {
  const isYearFirst = first!.length === 4 || order === 'ymd';
  const year = isYearFirst ? first! : third!;
  const [month, day] = isYearFirst
    ? [second!, third!]
    : order === 'dmy'
      ? [second!, first!]
      : [first!, second!];
  return dated(year, Number(month), day, match!.length);
}

function fromNames(text: string, order: DateOrder): FoundDate | undefined {
  for (const pattern of order === 'ymd' ? YEAR_FIRST : YEAR_LAST) {
    const match = pattern.exec(text);
    if (match === null) continue;
    const { day, month, year } = match.groups!;
    return dated(year!, MONTHS.get(month!.toLowerCase()) ?? 0, day!, match[0].length);
  }
  return undefined;
}

/** Returns undefined if the calendar has no such day. */
function dated(yearText: string, month: number, dayText: string, length: number): FoundDate | undefined {
  const year = yearOf(yearText);
  const day = Number(dayText);
  if (year === undefined || dayText.length > 2 || month < 1 || month > 12) return undefined;
  if (day < 1 || day > daysIn(year, month)) return undefined;
  return { iso: `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`, length };
}

/** The year 0 does not exist for PostgreSQL. */
function yearOf(text: string): number | undefined {
  const year = Number(text);
  if (text.length === 4) return year === 0 ? undefined : year;
  if (text.length !== 2) return undefined;
  return year < 70 ? 2000 + year : 1900 + year;
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}

/** @param text what follows the date */
function readTime(text: string): string | undefined {
  const match = TIME.exec(text);
  if (match === null) return undefined;
  const [, hourText, minute, second, fraction, half, zone] = match;
  const hour = hourOf(Number(hourText), half?.toLowerCase());
  if (hour === undefined || Number(minute) > 59 || Number(second ?? 0) > 59) return undefined;
  const offset = zone === undefined ? '' : offsetOf(zone.toUpperCase());
  if (offset === undefined) return undefined;
  const seconds = second === undefined ? '' : `:${second}`;
  return `${two(hour)}:${minute!}${seconds}${fraction === undefined ? '' : `.${fraction}`}${offset}`;
}

/** @param half `a` or `p` of a clock of 12 hours */
function hourOf(hour: number, half: string | undefined): number | undefined {
  if (half === undefined) return hour > 23 ? undefined : hour;
  if (hour > 12) return undefined;
  return (hour % 12) + (half === 'p' ? 12 : 0);
}

/** PostgreSQL's own limit of an offset is 15:59. */
function offsetOf(zone: string): string | undefined {
  if (['Z', 'UTC', 'GMT'].includes(zone)) return '+00';
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(3).replace(':', ''))];
  return hours > 15 || minutes > 59 ? undefined : zone;
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}

/** Whole names, and their first three letters. */
function numbersOf(
  names: readonly string[],
  first: number,
  others: Readonly<Record<string, number>>,
): Map<string, number> {
  const entries = names.flatMap((name, index): [string, number][] => [
    [name, index + first],
    [name.slice(0, 3), index + first],
  ]);
  return new Map([...entries, ...Object.entries(others)]);
}
