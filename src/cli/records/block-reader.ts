/** The interface of both formats' readers: blocks of whole records in, rows and faults out. */

import type { InputError } from '../common/errors.js';
import type { FindRecordEnd } from '../common/text.js';

/** Receives a row and the line on which it begins. `records`: how many records it stands for (default 1). */
export type OnRow<Row> = (row: Row, line: number, records?: number) => void;

/**
 * Receives a record that cannot be read: its fault, the line on which it begins, and its text, with or without the line break.
 *
 * Reading continues with the next record, unless this throws.
 */
export type OnBadRecord = (fault: InputError, line: number, written: string | Buffer) => void;

/** Throws the fault, so that the first one ends the reading. */
export const throwFault: OnBadRecord = (fault) => {
  throw Object.assign(fault, { isOfRecord: true });
};

/** Reads the blocks of one file, in their order. */
export interface BlockReader<Row> {
  /**
   * Reads whole records. Returns how many bytes were read; undefined means all. If some are left, it must be called again with them.
   *
   * @param onBadRecord without it, the first fault is thrown
   * @throws {InputError} naming file and line of what ends the file, such as a bad header
   */
  read(block: Buffer, onRow: OnRow<Row>, onBadRecord?: OnBadRecord): number | undefined;
  /** Rejects the next line, which the splitter found to be no record. @throws {InputError} if it stands in place of a header */
  rejectLine(reason: string, written: Buffer, onBadRecord?: OnBadRecord): void;
  /** Ends the file. @throws {InputError} if its header is missing */
  end?(): void;
}

/** Most records that become rows in one step: as objects they take many times their bytes, and they hold the event loop. */
export const MOST_ROWS = 2048;

/** Returns where the records of one step end, at most so many. */
export function endOfRows(block: Buffer, recordEnd: FindRecordEnd, most = MOST_ROWS): number {
  let end = 0;
  for (let left = most; left > 0 && end < block.length; left -= 1) end = recordEnd(block, end);
  return end;
}

export const NESTED_TOO_DEEPLY = 'the record is nested too deeply';

export function tooLong(maxRecordBytes: number): string {
  return `the record is longer than --max-record-bytes (${maxRecordBytes})`;
}
