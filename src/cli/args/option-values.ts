/** Parses the values of flags. Each function rejects a wrong value with a message that names the range. Pure. */

import { InvalidArgumentError } from 'commander';
import { IMPORT_ID_RANGE, isImportId } from '../../postgres/imports/import-id.js';
import { BackpressureStrategy } from '../../api/states.js';
import { labelOf } from '../common/text-decoder.js';
import { numberFormat, type NumberFormat } from '../values/numbers.js';
import type { ConsumeStart } from './options.js';
import { parseTableName, type TableName } from './table-name.js';
import { parseTypeName, type TypeName } from './type-name.js';

/** V8's strings end near 512 Mi characters, and a record exists as bytes, as text and as a row at the same time. */
const LARGEST_MAX_RECORD_BYTES = 256 * 1024 * 1024;

export function parseTable(value: string): TableName {
  const name = parseTableName(value);
  if (name === undefined) {
    throw new InvalidArgumentError(
      'It must be NAME or SCHEMA.NAME; a name with a dot goes in double quotes.',
    );
  }
  return name;
}

/** A table in the schema of another one. */
export function parseTableInSchema(value: string): string {
  const name = parseTableName(value);
  if (name === undefined || name.schema !== undefined) {
    throw new InvalidArgumentError(
      'It must be NAME: the table is in the schema of --table. A name with a dot goes in double quotes.',
    );
  }
  return name.table;
}

export function notEmpty(value: string): string {
  if (value.trim() === '') throw new InvalidArgumentError('It must not be empty.');
  return value;
}

/** One subject of NATS, which may have wildcards. A comma could be a part of it, but is meant to divide several, and nothing would match. */
export function parseFilter(value: string): string {
  if (!value.includes(',')) return notEmpty(value);
  throw new InvalidArgumentError(
    'It must be one subject, without a comma; wildcards take several: "orders.*", "orders.>".',
  );
}

/** Names in their order; an empty one leaves its field out. */
export function parseColumns(value: string): string[] {
  const names = value.split(',').map((name) => name.trim());
  const real = names.filter((name) => name !== '');
  if (real.length === 0) throw new InvalidArgumentError('It must name at least one column.');
  const seen = new Set<string>();
  const twice = real.find((name) => seen.size === seen.add(name).size);
  if (twice !== undefined) throw new InvalidArgumentError(`It names the column "${twice}" twice.`);
  return names;
}

const DELIMITER_NAMES: Readonly<Record<string, string>> = { '\\t': '\t', tab: '\t' };

export function parseDelimiter(value: string): string {
  const delimiter = DELIMITER_NAMES[value] ?? value;
  // One byte, neither quote nor line break: as in PostgreSQL's own CSV format.
  if (Buffer.byteLength(delimiter) !== 1 || /["\r\n\0]/.test(delimiter)) {
    throw new InvalidArgumentError(
      'It must be one ASCII character other than a quote or line break; "tab" is a tab.',
    );
  }
  return delimiter;
}

/** @returns one character, or `none` */
export function parseQuote(value: string): string {
  return value === 'none' ? value : parseMark(value);
}

/** A character that encloses text, or stands before a quote within it. */
export function parseMark(value: string): string {
  if (Buffer.byteLength(value) === 1 && !/[\r\n\0 \t]/.test(value)) return value;
  throw new InvalidArgumentError('It must be one ASCII character other than a space or line break.');
}

export function parseComment(value: string): string {
  if (/^[!-~]{1,8}$/.test(value) && !/["']/.test(value)) return value;
  throw new InvalidArgumentError('It must be 1 to 8 ASCII characters other than spaces and quotes.');
}

export function parseEncoding(value: string): string {
  try {
    return labelOf(value);
  } catch {
    throw new InvalidArgumentError(
      'It must be a name of the WHATWG Encoding Standard, such as utf-8, utf-16le, windows-1252, macintosh, shift_jis.',
    );
  }
}

/** How numbers are written, by an example. */
export function parseNumbers(value: string): NumberFormat {
  const format = numberFormat(value);
  if (format !== undefined) return format;
  throw new InvalidArgumentError(
    'It must be the number 1234.5 as the file writes it: 1,234.5, 1.234,5, "1 234,5", "1\'234.5" or 1234,5.',
  );
}

/** For an option that may be given more than once. */
export function collect(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/** `COLUMN=TEXT`: the first equals sign divides them, unless the column is in double quotes. */
function divideAtEquals(value: string): [column: string, text: string] | undefined {
  const [, quoted, plain, text] = /^(?:"((?:[^"]|"")+)"|([^=]+))=([^]*)$/.exec(value) ?? [];
  const column = quoted?.replaceAll('""', '"') ?? plain;
  return column === undefined ? undefined : [column, text!];
}

export function collectNullFor(
  value: string,
  before: Readonly<Record<string, string[]>> | undefined,
): Record<string, string[]> {
  const divided = divideAtEquals(value);
  if (divided === undefined) throw new InvalidArgumentError('It must be COLUMN=TEXT, for example score=-99.');
  const [column, text] = divided;
  const known = before !== undefined && Object.hasOwn(before, column) ? before[column]! : [];
  return { ...before, [column]: [...known, text] };
}

export function collectType(
  value: string,
  before: Readonly<Record<string, TypeName>> | undefined,
): Record<string, TypeName> {
  const [column, text] = divideAtEquals(value) ?? [];
  const type = text === undefined ? undefined : parseTypeName(text);
  if (column === undefined || type === undefined) {
    throw new InvalidArgumentError(
      'It must be COLUMN=TYPE, for example price=numeric(10,2) or tags=text[]; a name with capitals or signs goes in double quotes: v=gis."My Type".',
    );
  }
  if (before !== undefined && Object.hasOwn(before, column))
    throw new InvalidArgumentError(`It gives the column "${column}" a second type.`);
  return { ...before, [column]: type };
}

export function integer(min: number, max: number): (value: string) => number {
  return (value) => {
    const number = /^\d+$/.test(value) ? Number(value) : NaN;
    if (number >= min && number <= max) return number;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

const UNIT_BYTES: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

export function parseBytes(value: string): number {
  const match = /^(\d+)(?:([kmg])(?:i?b)?)?$/i.exec(value);
  const bytes = match === null ? NaN : Number(match[1]) * UNIT_BYTES[(match[2] ?? '').toLowerCase()]!;
  if (bytes >= 1 && bytes <= LARGEST_MAX_RECORD_BYTES) return bytes;
  throw new InvalidArgumentError(
    `It must be a number of bytes from 1 to ${LARGEST_MAX_RECORD_BYTES} (or with a unit: 64KiB, 16MiB).`,
  );
}

export function parseStrategy(value: string): BackpressureStrategy {
  const strategies = Object.values(BackpressureStrategy);
  const strategy = strategies.find((name) => name === value.replaceAll('-', '_'));
  if (strategy !== undefined) return strategy;
  throw new InvalidArgumentError(`It must be one of ${strategies.join(', ')}.`);
}

export function parseKey(value: string): string[] {
  const names = parseColumns(value);
  if (names.includes('')) throw new InvalidArgumentError('It has an empty name.');
  return names;
}

export function parseRejects(value: string): string {
  if (value === '-') throw new InvalidArgumentError('It must be a file; standard output is for --json.');
  return notEmpty(value);
}

export function parseReport(value: string): string {
  if (value === '-')
    throw new InvalidArgumentError('It must be a file; for standard output give /dev/stdout.');
  return notEmpty(value);
}

export function parseImportId(value: string): string {
  if (isImportId(value)) return value;
  throw new InvalidArgumentError(`It must be ${IMPORT_ID_RANGE}.`);
}

/** A time with its zone: without one, it would be another time on each machine. */
const TIME = /^(\d{4}-\d\d-\d\d)T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d)$/;

/** Where an import begins. */
export function parseStart(value: string): ConsumeStart {
  if (value === 'first' || value === 'last') return value;
  const sequence = /^[1-9]\d*$/.test(value) ? Number(value) : NaN;
  if (Number.isSafeInteger(sequence)) return sequence;
  const [, day] = TIME.exec(value) ?? [];
  // The 30th of February would be taken for one of March.
  const midnight = Date.parse(`${day}T00:00Z`);
  const isDay = !Number.isNaN(midnight) && new Date(midnight).toISOString().startsWith(day!);
  const time = Date.parse(isDay ? value : '');
  if (!Number.isNaN(time)) return new Date(time);
  throw new InvalidArgumentError(
    'It must be first, last, a sequence of the stream (from 1), or a time with its zone, such as 2026-11-30T08:00:00Z.',
  );
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Returns a parser of durations such as `500ms`, in milliseconds. */
export function parseDuration(min: number, max: number): (value: string) => number {
  return (value) => {
    const match = /^(\d{1,9})(ms|s|m|h)$/.exec(value);
    const milliseconds = match === null ? NaN : Number(match[1]) * UNIT_MS[match[2]!]!;
    if (milliseconds >= min && milliseconds <= max) return milliseconds;
    throw new InvalidArgumentError(
      `It must be a time from ${min} ms to ${max / 3_600_000} h, with its unit: 500ms, 15s, 10m, 1h.`,
    );
  };
}
