/** What the readers of both formats have in common: blocks of whole records in, rows and faults out. */

import type { InputError } from '../common/errors.js';
import type { FindRecordEnd } from '../common/text.js';

/** Takes a row and the number of the line on which it begins; `records`: how many it is made of (1). */
export type OnRow<Row> = (row: Row, line: number, records?: number) => void;

/**
 * Takes a record that cannot be read: why, the number of the line on which it begins, and the record as it was written, with or without its
 * line break. Reading goes on with the next record, unless this throws.
 */
export type OnBadRecord = (fault: InputError, line: number, written: string | Buffer) => void;

/** The first fault ends the reading. */
export const throwFault: OnBadRecord = (fault) => {
  throw fault;
};

/** Reads the blocks of one file, in their order. */
export interface BlockReader<Row> {
  /**
   * Returns how many bytes it has read, if it has not read all of them: then it is to be called again with the rest. Without `refuse` the
   * first fault is thrown.
   *
   * @throws {InputError} naming file and line of what ends the file, such as a bad header.
   */
  read(block: Buffer, onRow: OnRow<Row>, onBadRecord?: OnBadRecord): number | undefined;
  /** The next line is no record, as `reason` says. @throws {InputError} where it may not be left out: it stands in place of a header. */
  rejectLine(reason: string, written: Buffer, onBadRecord?: OnBadRecord): void;
  /** The file has ended. @throws {InputError} where it should not have. */
  end?(): void;
}

/** Most records that are made rows in one go: as objects they take many times their bytes, and the time of a turn of the event loop. */
const MOST_ROWS = 2048;

/** Returns where so many records end as are made rows in one go. */
export function endOfRows(block: Buffer, recordEnd: FindRecordEnd): number {
  let end = 0;
  for (let left = MOST_ROWS; left > 0 && end < block.length; left -= 1) end = recordEnd(block, end);
  return end;
}

export const NESTED_TOO_DEEPLY = 'the record is nested too deeply';

export function tooLong(maxRecordBytes: number): string {
  return `the record is longer than --max-record-bytes (${maxRecordBytes})`;
}
