/**
 * From a JavaScript value to the text that PostgreSQL's type reads. One encoder for each column, compiled once from the catalogue's type.
 * `null` and `undefined` never get here. Pure.
 *
 * A string is always taken as the type's own literal, as the server would read it. So a string for `json` is JSON text, and one for an
 * array is `{…}`.
 */

import { show } from '../validate.js';
import { arrayText, isSequence } from './array-text.js';
import type { ChunkWriter } from './chunk-writer.js';
import {
  dateText,
  dayOf,
  FIRST_PLAIN_DAY,
  LAST_PLAIN_DAY,
  plainDay,
  timeOfDay,
  timestampText,
  ZONE,
} from './date-text.js';
import { ValueFault } from './value-fault.js';

export interface ValueEncoder {
  /** The type's literal, not yet escaped. @throws {ValueFault} */
  toText(value: unknown): string;
  /** The same into a chunk, escaped. @throws {ValueFault} */
  write(writer: ChunkWriter, value: unknown): void;
  /** An element that is itself an array belongs to the value (json, a domain over an array), and is no further dimension. */
  readonly takesArrays: boolean;
}

/** A type, as the catalogue describes it. */
export type ColumnType =
  | { kind: 'array'; element: ColumnType; delimiter: string }
  /** A type of PostgreSQL's own, by its name in `pg_type`; anything else (enum, range, composite, of an extension) has the name ''. */
  | { kind: 'scalar'; name: string; category: string; isEnum?: boolean };

export function compileEncoder(type: ColumnType): ValueEncoder {
  if (type.kind === 'array') {
    const element = compileEncoder(type.element);
    const toText = (value: unknown): string => {
      if (typeof value === 'string') return value;
      if (isSequence(value)) return arrayText(value, element, type.delimiter);
      return otherText(value, 'an array or a string', toText);
    };
    // As an element it can only be a domain over an array, whose arrays are values: PostgreSQL knows no arrays of arrays.
    return encoder(toText, undefined, true);
  }
  return SCALARS.get(type.name) ?? (type.category === 'S' ? TEXT : LITERAL);
}

function encoder(
  toText: (value: unknown) => string,
  write: ValueEncoder['write'] = (writer, value) => writer.writeText(toText(value)),
  takesArrays = false,
): ValueEncoder {
  return { toText, write, takesArrays };
}

/** The last resort: objects that node-postgres, too, asks for their literal (its own intervals, for one). Anything else is refused. */
function otherText(value: unknown, expected: string, again: (value: unknown) => string): string {
  if (hasLiteral(value)) {
    const literal = value.toPostgres((inner) => inner);
    if (literal !== null && literal !== undefined && !hasLiteral(literal)) return again(literal);
  }
  throw new ValueFault('22P02', `must be ${expected}; got ${showValue(value)}`);
}

function hasLiteral(value: unknown): value is { toPostgres(prepare: (inner: unknown) => unknown): unknown } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'toPostgres' in value &&
    typeof value.toPostgres === 'function'
  );
}

function showValue(value: unknown): string {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'an invalid Date' : 'a Date';
  if (value instanceof Uint8Array) return 'bytes';
  if (typeof value === 'boolean') return `the boolean ${value}`;
  if (typeof value === 'number') return `the number ${value}`;
  if (typeof value === 'string') return `the string ${show(value)}`;
  if (typeof value === 'symbol') return 'a symbol';
  return show(value);
}

function timeOf(value: Date, expected: string): number {
  const epochMs = value.getTime();
  if (Number.isNaN(epochMs)) throw new ValueFault('22007', `must be ${expected}; got an invalid Date`);
  return epochMs;
}

function integerEncoder(min: bigint, max: bigint): ValueEncoder {
  const low = Number(min);
  const high = Number(max);
  const expected = 'an integer (number, bigint or string)';
  const toText = (value: unknown): string => {
    if (typeof value === 'number') {
      if (!Number.isInteger(value))
        throw new ValueFault('22P02', `must be ${expected}; got ${showValue(value)}`);
      if (value < low || value > high) throw new ValueFault('22003', `is out of range: ${value}`);
      // A larger number has lost its last digits on its way here; the database must not keep what is left.
      if (!Number.isSafeInteger(value))
        throw new ValueFault('22003', `is not exact beyond 2^53: ${value}; give it as a bigint or a string`);
      return String(value);
    }
    if (typeof value === 'bigint') {
      if (value < min || value > max) throw new ValueFault('22003', `is out of range: ${value}`);
      return String(value);
    }
    return typeof value === 'string' ? value : otherText(value, expected, toText);
  };
  const isSmall = low > -(2 ** 31);
  return encoder(toText, (writer, value) => {
    if (typeof value === 'number' && (value | 0) === value && !(isSmall && (value < low || value > high))) {
      writer.writeInt32(value);
    } else writer.writeText(toText(value));
  });
}

const NUMBER = 'a number, a bigint or a string';

function numberText(value: unknown): string {
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  if (typeof value === 'string') return value;
  return typeof value === 'bigint' ? String(value) : otherText(value, NUMBER, numberText);
}

const FLOATING = encoder(numberText, (writer, value) => {
  if (typeof value === 'number') {
    if ((value | 0) === value && !Object.is(value, -0)) writer.writeInt32(value);
    else writer.writePlain(numberText(value));
  } else writer.writeText(numberText(value));
});

const BOOLEAN = 'a boolean, 0, 1 or a string';

function booleanText(value: unknown): string {
  if (typeof value === 'boolean') return value ? 't' : 'f';
  if (value === 0 || value === 1) return value === 1 ? 't' : 'f';
  return typeof value === 'string' ? value : otherText(value, BOOLEAN, booleanText);
}

const STRING = 'a string, number, bigint, boolean or Date';

function stringText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') {
    return String(value);
  }
  return value instanceof Date
    ? new Date(timeOf(value, STRING)).toISOString()
    : otherText(value, STRING, stringText);
}

const TEXT = encoder(stringText, (writer, value) => {
  writer.writeText(typeof value === 'string' ? value : stringText(value));
});

/** Types whose literal only the server understands. */
function literalText(value: unknown): string {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'bigint'
    ? String(value)
    : otherText(value, 'a string', literalText);
}

const LITERAL = encoder(literalText);

function jsonText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'bigint') return String(value);
  if (hasLiteral(value)) return otherText(value, 'JSON', jsonText);
  if (ArrayBuffer.isView(value)) throw new ValueFault('22P02', `must be JSON; got ${showValue(value)}`);
  try {
    // Functions and symbols have no JSON.
    const text = JSON.stringify(value) as string | undefined;
    if (text !== undefined) return text;
  } catch (error) {
    throw new ValueFault(
      '22P02',
      `cannot be turned into JSON: ${(error as Error).message.split('\n', 1)[0]!}`,
    );
  }
  return otherText(value, 'JSON', jsonText);
}

const BYTES = 'a Buffer, a Uint8Array, an ArrayBuffer or a string';

function bytesOf(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value;
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return value instanceof ArrayBuffer || value instanceof SharedArrayBuffer
    ? new Uint8Array(value)
    : undefined;
}

function byteaText(value: unknown): string {
  if (typeof value === 'string') return value;
  const bytes = bytesOf(value);
  return bytes === undefined
    ? otherText(value, BYTES, byteaText)
    : `\\x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`;
}

const BYTEA = encoder(byteaText, (writer, value) => {
  const bytes = typeof value === 'string' ? undefined : bytesOf(value);
  if (bytes === undefined) writer.writeText(byteaText(value));
  else writer.writeHex(bytes);
});

const DATE_OR_STRING = 'a Date or a string';

function dayText(value: unknown): string {
  if (value instanceof Date) return dateText(timeOf(value, DATE_OR_STRING));
  return typeof value === 'string' ? value : otherText(value, DATE_OR_STRING, dayText);
}

const DATE = encoder(dayText, (writer, value) => {
  if (value instanceof Date) {
    const day = dayOf(value.getTime());
    if (day >= FIRST_PLAIN_DAY && day <= LAST_PLAIN_DAY) {
      writer.writePlain(plainDay(day));
      return;
    }
  }
  writer.writeText(dayText(value));
});

function momentText(value: unknown): string {
  if (value instanceof Date) return timestampText(timeOf(value, DATE_OR_STRING));
  return typeof value === 'string' ? value : otherText(value, DATE_OR_STRING, momentText);
}

const TIMESTAMP = encoder(momentText, (writer, value) => {
  if (value instanceof Date) {
    const epochMs = value.getTime();
    const day = dayOf(epochMs);
    // Not for NaN either.
    if (day >= FIRST_PLAIN_DAY && day <= LAST_PLAIN_DAY) {
      writer.writePlain(plainDay(day));
      writer.writePlain(' ');
      writer.writeTimeOfDay(timeOfDay(epochMs, day));
      writer.writePlain(ZONE);
      return;
    }
  }
  writer.writeText(momentText(value));
});

/** `point` and `circle`, as node-postgres reads them. */
function pointText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (isPoint(value)) return `(${numberText(value.x)},${numberText(value.y)})`;
  return otherText(value, 'a string or { x, y }', pointText);
}

function circleText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (isPoint(value) && 'radius' in value && typeof value.radius === 'number') {
    return `<(${numberText(value.x)},${numberText(value.y)}),${numberText(value.radius)}>`;
  }
  return otherText(value, 'a string or { x, y, radius }', circleText);
}

function isPoint(value: unknown): value is { x: number; y: number } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'x' in value &&
    'y' in value &&
    typeof value.x === 'number' &&
    typeof value.y === 'number'
  );
}

const UNSIGNED_32 = integerEncoder(0n, 2n ** 32n - 1n);
const JSON_ENCODER = encoder(jsonText, undefined, true);

/** By name in `pg_type`. What is missing here takes strings. */
const SCALARS: ReadonlyMap<string, ValueEncoder> = new Map([
  ['bool', encoder(booleanText)],
  ['int2', integerEncoder(-(2n ** 15n), 2n ** 15n - 1n)],
  ['int4', integerEncoder(-(2n ** 31n), 2n ** 31n - 1n)],
  ['int8', integerEncoder(-(2n ** 63n), 2n ** 63n - 1n)],
  ['oid', UNSIGNED_32],
  ['xid', UNSIGNED_32],
  ['cid', UNSIGNED_32],
  ['float4', FLOATING],
  ['float8', FLOATING],
  ['numeric', FLOATING],
  ['money', FLOATING],
  ['text', TEXT],
  ['varchar', TEXT],
  ['bpchar', TEXT],
  ['name', TEXT],
  ['char', TEXT],
  ['xml', TEXT],
  ['json', JSON_ENCODER],
  ['jsonb', JSON_ENCODER],
  ['bytea', BYTEA],
  ['date', DATE],
  ['timestamp', TIMESTAMP],
  ['timestamptz', TIMESTAMP],
  ['point', encoder(pointText)],
  ['circle', encoder(circleText)],
]);
