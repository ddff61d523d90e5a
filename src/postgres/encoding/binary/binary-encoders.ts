/**
 * Encodes JavaScript values in PostgreSQL's binary format, if that certainly stores what the text would store. Compiled once for each column.
 * Anything else is a `BinaryRefusal`, never a fault, because the text encoder describes what is wrong with a value. Pure.
 */

import { BinaryRefusal, type BinaryChunk } from './binary-chunk.js';
import { writeDecimal } from './binary-numeric.js';
import { CLOCKS, isDate, type DateZone } from '../dates/date-clock.js';
import { dayOf, FIRST_PLAIN_DAY, LAST_PLAIN_DAY } from '../dates/date-text.js';
import { isoDay, isoMoment, IsoReader } from '../dates/iso-text.js';
import type { ColumnType, ValueEncoder } from '../text/text-encoders.js';

export interface BinaryEncoder {
  /** @throws {BinaryRefusal} @throws {ValueFault} as the text encoder */
  write(chunk: BinaryChunk, value: unknown): void;
  /**
   * Writes a literal that stands in a line, without making a string of it. Returns where the literal ends. If that is not the end of the
   * field, the caller forgets what was written. Undefined: no literal can be written in this way.
   */
  copyField?: (chunk: BinaryChunk, line: Uint8Array, start: number, delimiter: number) => number;
}

/** 2000-01-01, from which PostgreSQL counts. */
const EPOCH_DAY = 10_957;
const EPOCH_MS = EPOCH_DAY * 86_400_000;
/** Up to this many milliseconds, the number of microseconds is exact: below 2⁵³. */
const MOST_EXACT_MS = Math.floor(Number.MAX_SAFE_INTEGER / 1000);
/** Integers of at most this many digits are exact as numbers. */
const EXACT_DIGITS = 15;
/** Plain decimals of at most this many characters neither overflow nor underflow. */
const MOST_FLOAT_CHARACTERS = 30;
const LARGEST_FLOAT4 = 3.4028234663852886e38;
const SMALLEST_FLOAT4 = 1.1754943508222875e-38;
const JSONB_VERSION = 1;

/** Returns undefined if the type has no binary encoder. @param text its encoder for text @param zone whose wall clock a `Date` is written by */
export function compileBinaryEncoder(
  type: ColumnType,
  text: ValueEncoder,
  zone: DateZone = 'local',
): BinaryEncoder | undefined {
  if (type.kind === 'array') return undefined;
  if (type.isEnum === true) return STRINGS;
  return ENCODERS.get(type.name)?.(text, zone);
}

function refuse(): never {
  throw new BinaryRefusal('the value goes as text');
}

/** Reads decimal digits without a leading zero, with or without a minus. Returns NaN for anything else. */
function plainInteger(text: string): number {
  const start = text.charCodeAt(0) === 45 ? 1 : 0;
  const digits = text.length - start;
  if (digits === 0 || digits > EXACT_DIGITS || (digits > 1 && text.charCodeAt(start) === 48)) return NaN;
  let value = 0;
  for (let at = start; at < text.length; at += 1) {
    const digit = text.charCodeAt(at) - 48;
    if (!(digit >= 0 && digit <= 9)) return NaN;
    value = 10 * value + digit;
  }
  return start === 1 ? -value : value;
}

/** Where the integer ends that was read last. */
let integerEnd = 0;

/** The same for digits that stand in a line. */
function integerIn(line: Uint8Array, start: number): number {
  const isNegative = line[start] === 45;
  const first = isNegative ? start + 1 : start;
  let at = first;
  let value = 0;
  for (let digit = line[at]! - 48; digit >= 0 && digit <= 9; digit = line[at]! - 48) {
    value = 10 * value + digit;
    at += 1;
  }
  integerEnd = at;
  const digits = at - first;
  if (digits === 0 || digits > EXACT_DIGITS || (digits > 1 && line[first] === 48)) return NaN;
  return isNegative ? -value : value;
}

/** Returns the value as a number, if both formats take it; otherwise NaN. */
function exactInteger(value: unknown): number {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : NaN;
  if (typeof value === 'string') return plainInteger(value);
  return typeof value === 'bigint' && BigInt.asIntN(48, value) === value ? Number(value) : NaN;
}

function integers(
  low: number,
  high: number,
  write: (chunk: BinaryChunk, value: number) => void,
): BinaryEncoder {
  return {
    write(chunk, value) {
      const exact = exactInteger(value);
      // NaN is refused, too.
      if (!(exact >= low && exact <= high)) refuse();
      write(chunk, exact);
    },
    copyField(chunk, line, start) {
      const exact = integerIn(line, start);
      if (!(exact >= low && exact <= high)) return start;
      write(chunk, exact);
      return integerEnd;
    },
  };
}

const LONG_INTEGER = /^-?[1-9]\d{15,18}$/;

const INT8: BinaryEncoder = {
  write(chunk, value) {
    const exact = exactInteger(value);
    if (!Number.isNaN(exact)) {
      chunk.writeInt64(exact);
      return;
    }
    const isLong = typeof value === 'bigint' || (typeof value === 'string' && LONG_INTEGER.test(value));
    const long = isLong ? BigInt(value) : refuse();
    if (BigInt.asIntN(64, long) !== long) refuse();
    chunk.writeBigInt64(long);
  },
  copyField(chunk, line, start) {
    const exact = integerIn(line, start);
    if (Number.isNaN(exact)) return start;
    chunk.writeInt64(exact);
    return integerEnd;
  },
};

const PLAIN_DECIMAL = /^-?\d+(?:\.\d+)?$/;

/** Takes a number, or a decimal that both sides round in the same way. */
function floatOf(value: unknown): number {
  // Adding 0 removes the sign of −0, as its text does.
  if (typeof value === 'number') return value + 0;
  if (typeof value === 'string' && value.length <= MOST_FLOAT_CHARACTERS && PLAIN_DECIMAL.test(value))
    return Number(value);
  return refuse();
}

const FLOAT8: BinaryEncoder = {
  write(chunk, value) {
    chunk.writeFloat64(floatOf(value));
  },
};

const bits = new DataView(new ArrayBuffer(8));

/** True halfway between two `float4`. The decimal, which may lie on either side, decides there. */
function isTie(value: number): boolean {
  bits.setFloat64(0, value);
  return (bits.getUint32(4) & 0x1fff_ffff) === 0x1000_0000;
}

const FLOAT4: BinaryEncoder = {
  write(chunk, value) {
    // The server rounds a decimal once. Here it would be rounded twice.
    const float = typeof value === 'number' ? value : refuse();
    const size = Math.abs(float);
    const isOrdinary = size >= SMALLEST_FLOAT4 && size <= LARGEST_FLOAT4;
    if (isOrdinary ? isTie(float) : size !== 0 && size !== Infinity && !Number.isNaN(float)) refuse();
    chunk.writeFloat32(float + 0);
  },
};

const BOOLEANS = new Map<unknown, number>([
  [1, 1],
  [0, 0],
  [1n, 1],
  [0n, 0],
  ['true', 1],
  ['false', 0],
  ['t', 1],
  ['f', 0],
]);

const BOOL: BinaryEncoder = {
  write(chunk, value) {
    chunk.writeByte(typeof value === 'boolean' ? Number(value) : (BOOLEANS.get(value) ?? refuse()));
  },
};

const iso = new IsoReader();

function dates(zone: DateZone): BinaryEncoder {
  const clock = CLOCKS[zone];
  return {
    write(chunk, value) {
      let day = NaN;
      if (typeof value === 'string') day = isoDay(value);
      else if (value instanceof Date || isDate(value)) day = dayOf(clock.wallMs(value));
      // NaN is refused, too.
      if (!(day >= FIRST_PLAIN_DAY && day <= LAST_PLAIN_DAY)) refuse();
      chunk.writeInt32(day - EPOCH_DAY);
    },
    copyField(chunk, line, start) {
      if (!iso.readDay(line, start)) return start;
      chunk.writeInt32(iso.dayNumber - EPOCH_DAY);
      return iso.end;
    },
  };
}

/** @param clock of a `Date`: its instant for `timestamptz`, its wall clock for `timestamp` */
function moments(clock: (date: Date) => number, needsZone: boolean): BinaryEncoder {
  return {
    write(chunk, value) {
      if (value instanceof Date || isDate(value)) {
        const clockMs = clock(value);
        const sinceMs = clockMs - EPOCH_MS;
        const day = dayOf(clockMs);
        // NaN is refused, too.
        if (!(day >= FIRST_PLAIN_DAY && day <= LAST_PLAIN_DAY)) refuse();
        if (Math.abs(sinceMs) > MOST_EXACT_MS) chunk.writeBigInt64(BigInt(sinceMs) * 1000n);
        else chunk.writeInt64(sinceMs * 1000);
        return;
      }
      const moment = typeof value === 'string' ? isoMoment(value, needsZone) : undefined;
      const { dayNumber, secondOfDay, microsecond } = moment ?? refuse();
      chunk.writeMoment(dayNumber - EPOCH_DAY, secondOfDay, microsecond);
    },
    copyField(chunk, line, start) {
      if (!iso.readMoment(line, start, needsZone)) return start;
      chunk.writeMoment(iso.dayNumber - EPOCH_DAY, iso.secondOfDay, iso.microsecond);
      return iso.end;
    },
  };
}

function texts(encoder: ValueEncoder, version?: number): BinaryEncoder {
  return {
    write(chunk, value) {
      const text = typeof value === 'string' ? value : encoder.toText(value);
      if (text === null) chunk.writeNull();
      else chunk.writeText(text, version);
    },
    copyField(chunk, line, start, delimiter) {
      return chunk.copyText(line, start, delimiter, version);
    },
  };
}

/** For labels, and for other text that only the server understands. */
const STRINGS: BinaryEncoder = {
  write(chunk, value) {
    chunk.writeText(typeof value === 'string' ? value : refuse());
  },
  copyField(chunk, line, start, delimiter) {
    return chunk.copyText(line, start, delimiter);
  },
};

const UUID_CHARACTERS = 36;
const uuid = new Uint8Array(16);

/** Reads 8, 4, 4, 4 and 12 hexadecimal digits with dashes between them. */
const UUID: BinaryEncoder = {
  write(chunk, value) {
    if (typeof value !== 'string' || value.length !== UUID_CHARACTERS) refuse();
    let at = 0;
    for (let index = 0; index < uuid.length; index += 1) {
      if (index === 4 || index === 6 || index === 8 || index === 10) {
        if (value.charCodeAt(at) !== 45) refuse();
        at += 1;
      }
      const byte = 16 * hexDigit(value.charCodeAt(at)) + hexDigit(value.charCodeAt(at + 1));
      if (Number.isNaN(byte)) refuse();
      uuid[index] = byte;
      at += 2;
    }
    chunk.writeBytes(uuid);
  },
};

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 0x20;
  return lower >= 97 && lower <= 102 ? lower - 87 : NaN;
}

const BYTEA: BinaryEncoder = {
  write(chunk, value) {
    if (value instanceof Uint8Array) chunk.writeBytes(value);
    else if (value instanceof ArrayBuffer) chunk.writeBytes(new Uint8Array(value));
    else if (ArrayBuffer.isView(value))
      chunk.writeBytes(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    else refuse();
  },
};

const INT2 = integers(-(2 ** 15), 2 ** 15 - 1, (chunk, value) => chunk.writeInt16(value));
const LONG_INT4 = integers(-(2 ** 31), 2 ** 31 - 1, (chunk, value) => chunk.writeInt32(value));
/** For the most frequent type: saves a call for each value. */
const INT4: BinaryEncoder = {
  write(chunk, value) {
    if (typeof value === 'number' && (value | 0) === value) chunk.writeInt32(value);
    else LONG_INT4.write(chunk, value);
  },
  copyField(chunk, line, start) {
    const exact = integerIn(line, start);
    if ((exact | 0) !== exact) return start;
    chunk.writeInt32(exact);
    return integerEnd;
  },
};
const UNSIGNED_32 = integers(0, 2 ** 32 - 1, (chunk, value) => chunk.writeInt32(value));
const NUMERIC: BinaryEncoder = { write: writeDecimal };

type CompileBinary = (text: ValueEncoder, zone: DateZone) => BinaryEncoder;

/** By name in `pg_type`. */
const ENCODERS: ReadonlyMap<string, CompileBinary> = new Map<string, CompileBinary>([
  ['bool', () => BOOL],
  ['int2', () => INT2],
  ['int4', () => INT4],
  ['int8', () => INT8],
  ['oid', () => UNSIGNED_32],
  ['float4', () => FLOAT4],
  ['float8', () => FLOAT8],
  ['numeric', () => NUMERIC],
  ['text', (text) => texts(text)],
  ['varchar', (text) => texts(text)],
  ['bpchar', (text) => texts(text)],
  ['name', (text) => texts(text)],
  ['json', (text) => texts(text)],
  ['jsonb', (text) => texts(text, JSONB_VERSION)],
  ['bytea', () => BYTEA],
  ['uuid', () => UUID],
  ['date', (_text, zone) => dates(zone)],
  ['timestamp', (_text, zone) => moments(CLOCKS[zone].wallMs, false)],
  ['timestamptz', (_text, zone) => moments(CLOCKS[zone].instantMs, true)],
]);
