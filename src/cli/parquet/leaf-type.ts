/**
 * What a column of values is in PostgreSQL: the type for `--create`, and how a value is written. Pure.
 *
 * | Parquet | type |
 * |---|---|
 * | `BOOLEAN` | boolean |
 * | integers of 8 and 16, 32, 64 bits | smallint, integer, bigint; unsigned ones the next larger type, and `numeric(20)` for 64 bits |
 * | `DECIMAL` | numeric with its precision and scale |
 * | half and single, double precision | real, double precision |
 * | `DATE`, `TIME`, `TIMESTAMP` (adjusted to UTC), `INT96`, `INTERVAL` | date, time, timestamp (timestamptz), timestamp, interval |
 * | `STRING`, `ENUM`, `JSON`, `UUID` | text, text, json, uuid |
 * | `NULL` | text |
 * | other bytes, `BSON`, `GEOMETRY`, `GEOGRAPHY` | bytea |
 */

import type { LogicalType, SchemaElement } from 'hyparquet';
import type { NulAction } from '../values/value-flags.js';
import {
  bigEndian,
  booleanText,
  dateOf,
  decimalText,
  floatText,
  halfFloat,
  hexText,
  int96Text,
  integerText,
  intervalText,
  stringText,
  timestampText,
  timeText,
  unsignedText,
  uuidText,
  type RawNumber,
  type Text,
  type TimeUnit,
} from './value-text.js';

export type OfNumber = (value: RawNumber) => Text;
export type OfBytes = (bytes: Buffer, start: number, end: number, isPageAscii: boolean) => Text;

export interface LeafType {
  readonly sqlType: string;
  /** Its texts are numbers, `true` and `false`, as JSON has them. */
  readonly isJsonToken: boolean;
  /** Its texts may have characters that COPY escapes. */
  readonly isFreeText: boolean;
  /** Set if values are numbers or booleans; otherwise `ofBytes` is. */
  readonly ofNumber?: OfNumber;
  readonly ofBytes?: OfBytes;
}

export interface LeafOptions {
  /** Nanoseconds can be stored: the column of the table is a text. */
  readonly keepsNanos: boolean;
  /** What becomes of U+0000; undefined: it is a fault. */
  readonly nul: NulAction | undefined;
}

/** Returns undefined for a type that is not supported. */
export function leafTypeOf(element: SchemaElement, { keepsNanos, nul }: LeafOptions): LeafType | undefined {
  const { type } = element;
  const logical = logicalTypeOf(element);
  switch (logical?.type) {
    case 'DECIMAL':
      return decimal(element, logical);
    case 'INTEGER':
      return integer(logical);
    case 'DATE':
      return number('date', dateOf);
    case 'TIME':
      return number('time', timeText({ unit: logical.unit, keepsNanos, zone: '' }));
    case 'TIMESTAMP':
      return timestamp(logical, keepsNanos);
    case 'STRING':
    case 'ENUM':
      return freeText('text', nul);
    case 'JSON':
      return freeText('json', nul);
    case 'UUID':
      return bytes('uuid', uuidText);
    case 'INTERVAL':
      return bytes('interval', intervalText);
    case 'FLOAT16':
      return { ...bytes('real', (page, start) => floatText(halfFloat(page, start))), isJsonToken: true };
    case 'NULL':
      return { ...number('text', integerText), ...bytes('text', hexText) };
    case 'VARIANT':
    case 'MAP':
    case 'LIST':
      return undefined;
    case 'BSON':
    case 'GEOMETRY':
    case 'GEOGRAPHY':
    case undefined:
      return type === undefined ? undefined : physicalType(type, keepsNanos);
  }
}

function physicalType(type: NonNullable<SchemaElement['type']>, keepsNanos: boolean): LeafType {
  switch (type) {
    case 'BOOLEAN':
      return token('boolean', booleanText);
    case 'INT32':
      return token('integer', integerText);
    case 'INT64':
      return token('bigint', integerText);
    case 'INT96':
      return bytes('timestamp', int96Text({ unit: 'NANOS', keepsNanos, zone: '' }));
    case 'FLOAT':
      return token('real', floatText);
    case 'DOUBLE':
      return token('double precision', floatText);
    case 'BYTE_ARRAY':
    case 'FIXED_LEN_BYTE_ARRAY':
      return bytes('bytea', hexText);
  }
}

function number(sqlType: string, ofNumber: OfNumber): LeafType {
  return { sqlType, isJsonToken: false, isFreeText: false, ofNumber };
}

function token(sqlType: string, ofNumber: OfNumber): LeafType {
  return { ...number(sqlType, ofNumber), isJsonToken: true };
}

function bytes(sqlType: string, ofBytes: OfBytes): LeafType {
  // A backslash begins the hexadecimal digits of bytea.
  return { sqlType, isJsonToken: false, isFreeText: sqlType === 'bytea', ofBytes };
}

function freeText(sqlType: string, nul: NulAction | undefined): LeafType {
  return { sqlType, isJsonToken: false, isFreeText: true, ofBytes: stringText(nul) };
}

function decimal({ type }: SchemaElement, { precision, scale }: LogicalType & { type: 'DECIMAL' }): LeafType {
  const write = decimalText(scale);
  const leaf = token(`numeric(${precision},${scale})`, write);
  if (type === 'INT32' || type === 'INT64') return leaf;
  return { ...leaf, ofBytes: (page, start, end) => write(bigEndian(page, start, end)) };
}

function integer({ bitWidth, isSigned }: LogicalType & { type: 'INTEGER' }): LeafType {
  if (isSigned)
    return token(bitWidth <= 16 ? 'smallint' : bitWidth === 32 ? 'integer' : 'bigint', integerText);
  const types: Readonly<Record<number, string>> = { 8: 'smallint', 16: 'integer', 32: 'bigint' };
  return token(types[bitWidth] ?? 'numeric(20)', unsignedText(bitWidth));
}

function timestamp(
  { unit, isAdjustedToUTC }: LogicalType & { type: 'TIMESTAMP' },
  keepsNanos: boolean,
): LeafType {
  const zone = isAdjustedToUTC ? '+00' : '';
  return number(isAdjustedToUTC ? 'timestamptz' : 'timestamp', timestampText({ unit, keepsNanos, zone }));
}

/** The logical type, or what an older file says in its place. */
function logicalTypeOf(element: SchemaElement): LogicalType | undefined {
  const { logical_type: logical, converted_type: converted, precision = 0, scale = 0 } = element;
  if (logical !== undefined) return logical;
  const integerType = /^(U?)INT_(\d+)$/.exec(converted ?? '');
  if (integerType !== null) {
    return { type: 'INTEGER', bitWidth: Number(integerType[2]), isSigned: integerType[1] === '' };
  }
  // Older files have no others: the format's documentation says that they are adjusted to UTC.
  const time = /^(TIME|TIMESTAMP)_(MILLIS|MICROS)$/.exec(converted ?? '');
  if (time !== null) {
    return { type: time[1] as 'TIME' | 'TIMESTAMP', unit: time[2] as TimeUnit, isAdjustedToUTC: true };
  }
  if (converted === 'UTF8') return { type: 'STRING' };
  if (converted === 'DECIMAL') return { type: 'DECIMAL', precision, scale };
  const type = SAME_NAMES.find((name) => name === converted);
  return type === undefined ? undefined : { type };
}

const SAME_NAMES = ['DATE', 'ENUM', 'JSON', 'BSON', 'INTERVAL'] as const;
