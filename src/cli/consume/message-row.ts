/** Makes a row of a message, as `load` makes it of a line of NDJSON: numbers keep their digits, and no key is left out in silence. */

import { NESTED_TOO_DEEPLY, readObject, RecordColumns } from '../load/parts.js';
import { isUtf8 } from 'node:buffer';
import type { LogMessage } from '../../log/log.js';
import type { JsonRecord } from '../ndjson/rows/ndjson-reader.js';
import type { NdjsonRowOptions } from '../ndjson/rows/ndjson-rows.js';

const BYTE_ORDER_MARK = '\ufeff';

/** A message has a key that no column stands for. */
export class UnknownKey extends Error {
  readonly key: string;

  constructor(key: string, message: string) {
    super(message);
    this.key = key;
  }
}

/** @throws {Error} saying what the message is, if it is not a JSON object */
export function recordOf(message: Pick<LogMessage, 'bytes'>, kept?: RecordColumns['keptKeys']): JsonRecord {
  const { buffer, byteOffset, length } = message.bytes;
  const bytes = Buffer.from(buffer, byteOffset, length);
  // Otherwise the bytes at fault would become U+FFFD in silence.
  if (!isUtf8(bytes)) throw new Error('not UTF-8');
  const text = bytes.toString();
  return readObject(text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text, kept);
}

/** Returns the function that makes the values of a row, in the order of the columns. It throws for a message that has none. */
export function messageRow(options: NdjsonRowOptions): (message: Pick<LogMessage, 'bytes'>) => unknown[] {
  const columns = new RecordColumns(options);
  const { keptKeys } = columns;
  return (message) => {
    const record = recordOf(message, keptKeys);
    const row = valuesOf(columns, record);
    if (row === undefined) throw new UnknownKey(columns.unknownKey(record), columns.describeUnknown(record));
    return row;
  };
}

function valuesOf(columns: RecordColumns, record: JsonRecord): unknown[] | undefined {
  try {
    return columns.rowOf(record);
  } catch (error) {
    throw error instanceof RangeError ? new Error(NESTED_TOO_DEEPLY, { cause: error }) : error;
  }
}
