/** Checks lines of COPY's text format without parsing their fields, as `scanCsv` checks records of CSV. Pure. */

import { BACKSLASH, CARRIAGE_RETURN, LINE_FEED } from '../../common/bytes.js';
import type { CsvScan } from './csv-scan.js';

/**
 * Scans up to `most` whole lines from `start` on.
 *
 * @param delimiter code of the delimiter
 * @param fieldCount number of fields that each line must have
 * @returns undefined if a line has another number of fields, or ends in a backslash, if a carriage return stands alone, or line breaks are
 * of both kinds
 */
export function scanCopy(
  bytes: Buffer,
  start: number,
  most: number,
  delimiter: number,
  fieldCount: number,
): CsvScan | undefined {
  const { length } = bytes;
  const highest = Math.max(delimiter, BACKSLASH);
  let end = start;
  let records = 0;
  let fields = 1;
  let carriageReturns = 0;
  for (let at = start; at < length; at += 1) {
    const byte = bytes[at]!;
    if (byte > highest) continue;
    if (byte === LINE_FEED) {
      if (fields !== fieldCount) return undefined;
      fields = 1;
      records += 1;
      end = at + 1;
      if (records === most) break;
    } else if (byte === delimiter) fields += 1;
    else if (byte === BACKSLASH) {
      at += 1;
      const escaped = bytes[at];
      if (escaped === undefined || escaped === LINE_FEED || escaped === CARRIAGE_RETURN) return undefined;
    } else if (byte === CARRIAGE_RETURN) {
      if (bytes[at + 1] !== LINE_FEED) return undefined;
      carriageReturns += 1;
    }
  }
  const lines = records;
  if (carriageReturns !== 0 && carriageReturns !== lines) return undefined;
  const lineBreak = lines === 0 ? undefined : carriageReturns === 0 ? 'lf' : 'crlf';
  const isComplete = records === most || end === length;
  if (!isComplete) {
    if (fields !== fieldCount) return undefined;
    records += 1;
    end = length;
  }
  return { end, records, lines, linesBeforeLast: records - 1, lineBreak, isComplete, hasQuotes: false };
}
