/** The fault of a row that cannot be written, and the tests for values that cannot be rows. */

import { messageOf, toError } from '../../common/thrown.js';
import { BinaryRefusal } from '../encoding/binary/binary-chunk.js';
import { AbsentRefusal, MissingColumn } from '../merge/absent-values.js';

/** A row that cannot be written. */
export class RowFault extends Error {
  override readonly name = 'RowFault';
  readonly row: number;
  readonly column: string | undefined;
  readonly sqlState: string;

  constructor(row: number, column: string | undefined, sqlState: string, message: string, cause?: Error) {
    super(message, cause === undefined ? undefined : { cause });
    this.row = row;
    this.column = column;
    this.sqlState = sqlState;
  }
}

/** The fault of a row whose values its source cannot tell. */
export function unreadValues(row: number, thrown: unknown): RowFault {
  return new RowFault(row, undefined, '22P02', messageOf(thrown), toError(thrown));
}

/** The fault of a row that throws when it is looked at: a getter, a trap of a proxy, or a proxy that was revoked. */
function unreadableRow(row: number, thrown: unknown): RowFault {
  return new RowFault(row, undefined, '22P02', `cannot be read: ${messageOf(thrown)}`, toError(thrown));
}

/** `thrown instanceof type`. A proxy that was thrown may refuse even that look. */
export function isInstance<E extends Error>(
  thrown: unknown,
  type: abstract new (...args: never[]) => E,
): thrown is E {
  try {
    return thrown instanceof type;
  } catch {
    return false;
  }
}

/** True for what concerns how the batch is sent, and no single row. */
export function isOfBatch(thrown: unknown): boolean {
  return (
    isInstance(thrown, AbsentRefusal) ||
    isInstance(thrown, BinaryRefusal) ||
    isInstance(thrown, MissingColumn)
  );
}

/** Whatever else is thrown while a row is written comes from the row. */
export function faultOfRow(row: number, thrown: unknown): RowFault {
  return isInstance(thrown, RowFault) ? thrown : unreadableRow(row, thrown);
}

/** True for bytes and promises. They are never rows, even if a column has the name of one of their properties (`length`). */
export function isNeverRow(values: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(values);
  if (prototype === Object.prototype || prototype === null) return false;
  return (
    ArrayBuffer.isView(values) ||
    values instanceof ArrayBuffer ||
    values instanceof SharedArrayBuffer ||
    ('then' in values && typeof values.then === 'function')
  );
}

/** True for a plain object, also from another realm (`node:vm`), which has its own `Object.prototype`. */
export function isPlain(values: object): boolean {
  const prototype = Object.getPrototypeOf(values) as object | null;
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

export function notRow(values: object, row: number): RowFault {
  const { constructor } = values as { constructor?: unknown };
  const name = typeof constructor === 'function' ? constructor.name : '';
  const kind = name === '' ? Object.prototype.toString.call(values).slice(8, -1) : name;
  const article = /^[AEIO]/i.test(kind) ? 'an' : 'a';
  const message = `a row must be an object or an array; got ${article} ${kind}`;
  return new RowFault(row, undefined, '22P02', message);
}
