/** What a reader makes of a block of a file: bytes for the server, or rows. */

import type { CopyFormat } from '../../postgres/merge/copy-plan.js';
import type { TextLines } from '../../postgres/encoding/binary/line-transcoder.js';
import type { InputError } from '../common/errors.js';

/** How the server is to read a block. Blocks can be sent together if they share this object. */
export interface BlockFormat {
  readonly copy: CopyFormat;
  /** Set if the records are lines without quotes and backslashes. */
  readonly textLines?: TextLines;
}

/** Whole records of one file, as a reader returns them. */
export type BlockContent = SentContent | RowContent;

/** Bytes for the server. Each record can be read; the table may still refuse it. */
export interface SentContent {
  readonly kind: 'sent';
  readonly records: number;
  /** Lines from the first record's to the one on which the last record begins. */
  readonly linesBeforeLast: number;
  /** The records as they stand in the file, with blank lines of NDJSON. */
  readonly written: Buffer;
  /** The records as the server gets them, each with a line break. May be the same bytes as `written`. */
  readonly sent: Buffer;
  /** Formats in which the server can read them, the best first. */
  readonly formats: readonly BlockFormat[];
  /** Set if each record is a line whose fields are found by the delimiter alone. */
  readonly lines: LineFormat | undefined;
}

interface RowContent {
  readonly kind: 'rows';
  /** Not empty. */
  readonly rows: readonly ReadRecord[];
}

/** A record that was read, or could not be read (`fault` is set). */
export interface ReadRecord {
  readonly line: number;
  readonly values: unknown[];
  readonly fault: InputError | undefined;
  readonly text: string | undefined;
}

/** How the fields of a line are found, and in which format the server reads it. */
export interface LineFormat {
  readonly format: BlockFormat;
  readonly delimiter: string;
  readonly nullText: string;
}
