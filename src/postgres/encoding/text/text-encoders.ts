/**
 * Encodes a JavaScript value as the text that PostgreSQL's type reads. Each column has one encoder, compiled once from the catalogue's type.
 * `null` and `undefined` never come here. Pure.
 *
 * A string is always taken as the type's own literal, as the server would read it. So a string for `json` is JSON text, and one for an
 * array is `{…}`.
 */

import * as types from 'node:util/types';
import { arrayText, isSequence } from './array-text.js';
import { isDate, type DateZone } from '../dates/date-clock.js';
import { checkClock, dateEncoder, timestampEncoder, timestamptzEncoder } from './date-encoders.js';
import { decimalText } from './decimal-object.js';
import { dateParameter, isCustomLiteral } from './insert-text.js';
import {
  encoder,
  fallbackFor,
  showValue,
  writeLiteral,
  type Fallback,
  type ToText,
  type ValueEncoder,
} from './value-encoder.js';
import { ValueFault } from './value-fault.js';

export type { ValueEncoder } from './value-encoder.js';

/** A type, as the catalogue describes it. */
export type ColumnType =
  | { kind: 'array'; element: ColumnType; delimiter: string }
  /** A type of PostgreSQL's own, by its name in `pg_type`; anything else (enum, range, composite, of an extension) has the name ''. */
  | { kind: 'scalar'; name: string; category: string; isEnum?: boolean };

/** @param zone whose wall clock a `Date` is written by */
export function compileEncoder(type: ColumnType, zone: DateZone = 'local'): ValueEncoder {
  if (type.kind === 'array') {
    const element = compileEncoder(type.element, zone);
    const fallback = fallbackFor(zone);
    const toText = (value: unknown): string | null => {
      if (typeof value === 'string') return value;
      if (isSequence(value)) return arrayText(value, element, type.delimiter);
      return fallback(value, 'an array or a string', toText);
    };
    // PostgreSQL has no arrays of arrays. So as an element it can only be a domain over an array, whose arrays are values.
    return encoder(toText, undefined, 'always');
  }
  const { byName, text, literal } = SCALARS[zone];
  return byName.get(type.name) ?? (type.category === 'S' ? text : literal);
}

function integerEncoder(min: bigint, max: bigint, fallback: Fallback): ValueEncoder {
  const low = Number(min);
  const high = Number(max);
  const expected = 'an integer (number, bigint or string)';
  const toText = (value: unknown): string | null => {
    if (typeof value === 'number') {
      if (!Number.isInteger(value))
        throw new ValueFault('22P02', `must be ${expected}; got ${showValue(value)}`);
      if (value < low || value > high) throw new ValueFault('22003', `is out of range: ${value}`);
      // A larger number has lost its last digits before it came here. The database must not store the rest.
      if (!Number.isSafeInteger(value))
        throw new ValueFault('22003', `is not exact beyond 2^53: ${value}; give it as a bigint or a string`);
      return String(value);
    }
    if (typeof value === 'bigint') {
      if (value < min || value > max) throw new ValueFault('22003', `is out of range: ${value}`);
      return String(value);
    }
    return typeof value === 'string' ? value : (decimalText(value) ?? fallback(value, expected, toText));
  };
  const isSmall = low > -(2 ** 31);
  return encoder(toText, (writer, value) => {
    if (typeof value === 'number' && (value | 0) === value && !(isSmall && (value < low || value > high))) {
      writer.writeInt32(value);
    } else writeLiteral(writer, toText(value));
  });
}

/** The sign of −0 is lost, as in node-postgres. */
function numberEncoder(fallback: Fallback): ValueEncoder {
  const expected = 'a number, a bigint or a string';
  const toText = (value: unknown): string | null => {
    if (typeof value === 'string') return value;
    if (typeof value === 'number' || typeof value === 'bigint') return String(value);
    return decimalText(value) ?? fallback(value, expected, toText);
  };
  return encoder(toText, (writer, value) => {
    if (typeof value !== 'number') writeLiteral(writer, toText(value));
    else if ((value | 0) === value) writer.writeInt32(value);
    else writer.writePlain(String(value));
  });
}

function booleanEncoder(fallback: Fallback): ValueEncoder {
  const toText = (value: unknown): string | null => {
    if (typeof value === 'boolean') return value ? 't' : 'f';
    if (value === 0 || value === 0n) return 'f';
    if (value === 1 || value === 1n) return 't';
    return typeof value === 'string' ? value : fallback(value, 'a boolean, 0, 1 or a string', toText);
  };
  return encoder(toText);
}

function textEncoder(zone: DateZone, fallback: Fallback): ValueEncoder {
  const expected = 'a string, number, bigint, boolean or Date';
  const toText = (value: unknown): string | null => {
    if (typeof value === 'string') return value;
    if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') {
      return String(value);
    }
    if (!isDate(value)) return fallback(value, expected, toText);
    checkClock(value.getTime(), expected);
    return dateParameter(value, zone);
  };
  return encoder(toText, (writer, value) => {
    if (typeof value === 'string') writer.writeText(value);
    else writeLiteral(writer, toText(value));
  });
}

/** Types whose literal only the server understands. */
function literalEncoder(fallback: Fallback): ValueEncoder {
  const toText = (value: unknown): string | null => {
    if (typeof value === 'string') return value;
    return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
      ? String(value)
      : fallback(value, 'a string', toText);
  };
  return encoder(toText);
}

function jsonEncoder(fallback: Fallback): ValueEncoder {
  const toText = (value: unknown): string | null => {
    if (typeof value === 'string') return value;
    // JSON has no infinity and no NaN: `JSON.stringify` would make them null.
    if (typeof value === 'bigint' || Number.isFinite(value)) return String(value);
    if (isCustomLiteral(value) || typeof value === 'number' || isOpaque(value)) {
      return fallback(value, 'JSON', toText);
    }
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
    return fallback(value, 'JSON', toText);
  };
  return encoder(toText, undefined, 'mixed');
}

/** True for objects whose JSON (`{}`, or numbered keys) keeps nothing of what they hold. */
function isOpaque(value: unknown): boolean {
  if (typeof value !== 'object' || 'toJSON' in value!) return ArrayBuffer.isView(value);
  return (
    ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value) || types.isMap(value) || types.isSet(value)
  );
}

function bytesOf(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value;
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return types.isAnyArrayBuffer(value) ? new Uint8Array(value) : undefined;
}

function byteaEncoder(fallback: Fallback): ValueEncoder {
  const toText = (value: unknown): string | null => {
    if (typeof value === 'string') return value;
    const bytes = bytesOf(value);
    return bytes === undefined
      ? fallback(value, 'a Buffer, a Uint8Array, an ArrayBuffer or a string', toText)
      : `\\x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`;
  };
  return encoder(toText, (writer, value) => {
    const bytes = typeof value === 'string' ? undefined : bytesOf(value);
    if (bytes === undefined) writeLiteral(writer, toText(value));
    else writer.writeHex(bytes);
  });
}

/** For `point` and `circle`, as node-postgres returns them. */
function pointEncoder(fallback: Fallback): ValueEncoder {
  const toText: ToText = (value) => {
    if (typeof value === 'string') return value;
    if (isPoint(value)) return `(${value.x},${value.y})`;
    return fallback(value, 'a string or { x, y }', toText);
  };
  return encoder(toText);
}

function circleEncoder(fallback: Fallback): ValueEncoder {
  const toText: ToText = (value) => {
    if (typeof value === 'string') return value;
    if (isPoint(value) && 'radius' in value && typeof value.radius === 'number') {
      return `<(${value.x},${value.y}),${value.radius}>`;
    }
    return fallback(value, 'a string or { x, y, radius }', toText);
  };
  return encoder(toText);
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

interface ScalarEncoders {
  /** By name in `pg_type`. What is missing takes literals. */
  readonly byName: ReadonlyMap<string, ValueEncoder>;
  readonly text: ValueEncoder;
  readonly literal: ValueEncoder;
}

function scalarEncoders(zone: DateZone): ScalarEncoders {
  const fallback = fallbackFor(zone);
  const number = numberEncoder(fallback);
  const text = textEncoder(zone, fallback);
  const json = jsonEncoder(fallback);
  const unsigned = integerEncoder(0n, 2n ** 32n - 1n, fallback);
  const byName = new Map([
    ['bool', booleanEncoder(fallback)],
    ['int2', integerEncoder(-(2n ** 15n), 2n ** 15n - 1n, fallback)],
    ['int4', integerEncoder(-(2n ** 31n), 2n ** 31n - 1n, fallback)],
    ['int8', integerEncoder(-(2n ** 63n), 2n ** 63n - 1n, fallback)],
    ['oid', unsigned],
    ['xid', unsigned],
    ['cid', unsigned],
    ['float4', number],
    ['float8', number],
    ['numeric', number],
    ['money', number],
    ['text', text],
    ['varchar', text],
    ['bpchar', text],
    ['name', text],
    ['char', text],
    ['xml', text],
    ['json', json],
    ['jsonb', json],
    ['bytea', byteaEncoder(fallback)],
    ['date', dateEncoder(zone, fallback)],
    ['timestamp', timestampEncoder(zone, fallback)],
    ['timestamptz', timestamptzEncoder(zone, fallback)],
    ['point', pointEncoder(fallback)],
    ['circle', circleEncoder(fallback)],
  ]);
  return { byName, text, literal: literalEncoder(fallback) };
}

const SCALARS: Readonly<Record<DateZone, ScalarEncoders>> = {
  local: scalarEncoders('local'),
  utc: scalarEncoders('utc'),
};
