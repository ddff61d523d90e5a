/** A row that was left out, as one line of the file of rejects. Pure. */

import { stringify } from 'lossless-json';
import type { TableColumn } from '../../postgres/table/catalogue.js';
import type { CopyError } from '../../postgres/errors/copy-error.js';
import { oneLine } from '../common/errors.js';
import { NUL_HELP } from '../values/value-flags.js';
import { ConvertedField } from '../values/converted-field.js';
import { WrittenArray } from '../ndjson/values/written-array.js';
import type { Format } from '../args/options.js';
import type { SourceRow } from '../records/record-parser.js';
import { safeJson } from '../common/terminal.js';

/** PostgreSQL's own for a file that COPY cannot read. */
const UNREADABLE_RECORD = '22P04';
/** In characters. What is longer is cut: the place in the input is there, and a line must fit into memory several times. */
export const LONGEST_REJECTED_VALUE = 1024 * 1024;

const ELLIPSIS = '\\u2026';

/** Makes the lines, without their line feeds. */
export type RejectLine = (row: SourceRow, error: CopyError) => string;

export function rejectLines(columns: readonly TableColumn[], format: Format): RejectLine {
  const fields = columns.map(({ name, type }) => ({
    key: JSON.stringify(name),
    // From NDJSON such a value comes as JSON text.
    isJson: format === 'ndjson' && type.kind === 'scalar' && (type.name === 'json' || type.name === 'jsonb'),
  }));
  return (row, error) => {
    const parts: [string, string][] = [
      ['file', JSON.stringify(row.file.name)],
      ['line', row.file.countsRecords === true ? 'null' : String(row.line)],
      ['record', String(row.ordinal + 1)],
    ];
    const { code, message } = causeOfReject(row, error);
    if (row.fault === undefined) {
      const values = fields.map(({ key, isJson }, index) => `${key}:${valueJson(row.values[index], isJson)}`);
      parts.push(['row', `{${values.join(',')}}`]);
    } else parts.push(['text', JSON.stringify(row.text ?? '')]);
    parts.push(
      ['code', JSON.stringify(code)],
      ['column', JSON.stringify(error.column ?? null)],
      ['constraint', JSON.stringify(error.constraint ?? null)],
      ['message', narrow(JSON.stringify(message))],
    );
    // The file may be looked at on a terminal; and JSON that came in as it was may hold half a surrogate pair, which no file can.
    return safeJson(`{${parts.map(([name, json]) => `"${name}":${json}`).join(',')}}`);
  };
}

/** Returns the SQLSTATE, and what is wrong with the row. */
export function causeOfReject(
  { fault }: SourceRow,
  error: CopyError,
): { code: string | null; message: string } {
  return fault === undefined
    ? { code: error.sqlState ?? null, message: oneLine(messageFor(error)) }
    : { code: UNREADABLE_RECORD, message: oneLine(fault.reason) };
}

function valueJson(given: unknown, isJson: boolean): string {
  const value = given instanceof ConvertedField ? given.written : given;
  // Its JSON is longer still, and would only be cut.
  if (typeof value === 'string' && value.length > LONGEST_REJECTED_VALUE) return cutJson(value);
  const text = isJson && typeof value === 'string' ? value : jsonOf(value ?? null);
  if (text.length <= LONGEST_REJECTED_VALUE) return text;
  return cutJson(typeof value === 'string' ? value : text);
}

function cutJson(text: string): string {
  return `${JSON.stringify(text.slice(0, LONGEST_REJECTED_VALUE)).slice(0, -1)}${ELLIPSIS}"`;
}

/** Leaves out what alone would make two bytes of each character of the line: the ellipsis of a text that was cut. */
function narrow(json: string): string {
  return json.replaceAll('…', ELLIPSIS);
}

/** Numbers as they were written. */
function jsonOf(value: unknown): string {
  if (value instanceof WrittenArray) return value.text;
  return typeof value === 'object' ? stringify(value)! : JSON.stringify(value);
}

/** Returns the server's message without the library's frame: "row 3 of the batch" means nothing to a user of the command line. */
export function messageFor(error: CopyError): string {
  const { cause, sqlState = '' } = error;
  const message = cause instanceof Error && cause.message !== '' ? cause.message : error.message;
  return isAboutNul(sqlState, message) ? `${message}; ${NUL_HELP}` : message;
}

/** The server says of an escape of JSON only that it is not supported: the others it refuses as JSON. */
function isAboutNul(sqlState: string, message: string): boolean {
  return sqlState === '22P05'
    ? /Unicode escape/.test(message)
    : sqlState === '22021' && message.includes('U+0000');
}
