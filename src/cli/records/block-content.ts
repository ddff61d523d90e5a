/** What a reader makes of a block of a file: bytes that the server reads as they are, or rows. */

import type { CopyFormat } from '../../postgres/merge/copy-plan.js';
import type { TextLines } from '../../postgres/encoding/binary/line-transcoder.js';
import type { InputError } from '../common/errors.js';

/** How the server is to read the bytes of a block. Two are the same where they are one object: then blocks can be sent together. */
export interface BlockFormat {
  readonly copy: CopyFormat;
  /** Set where the records are lines without quotes and backslashes. */
  readonly textLines?: TextLines;
}

/** What a reader gives: whole records of one file. */
export type BlockContent = SentContent | RowContent;

/** Each of its records can be read; whether the table takes it is another question. */
export interface SentContent {
  readonly kind: 'sent';
  readonly records: number;
  /** From the line that is told with it to that on which the last record begins. */
  readonly linesBeforeLast: number;
  /** As they stand in the file, with blank lines of NDJSON. */
  readonly written: Buffer;
  /** The same as the server is to get them, with a line break at the end of each. May be the same bytes. */
  readonly sent: Buffer;
  /** In which of these it may read them, the best first. */
  readonly formats: readonly BlockFormat[];
  /** Set where each record is a line, and its fields lie open in it. */
  readonly lines: LineFormat | undefined;
}

export interface RowContent {
  readonly kind: 'rows';
  /** Not empty. */
  readonly rows: readonly ReadRecord[];
}

/** One that was read, or could not be. */
export interface ReadRecord {
  readonly line: number;
  readonly values: unknown[];
  readonly fault: InputError | undefined;
  readonly text: string | undefined;
}

/** What the server reads as lines, and how. */
export interface LineFormat {
  readonly format: BlockFormat;
  readonly delimiter: string;
  readonly nullText: string;
}
