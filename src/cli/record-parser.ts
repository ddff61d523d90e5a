/** From chunks of files to rows: splits, reads, and passes each row on with the place it came from. */

import { Transform, type TransformCallback } from 'node:stream';
import type { TakeRow } from './csv-reader.js';
import { CliError } from './errors.js';
import type { SourceChunk, SourceFile } from './source.js';
import { Oversized, RecordSplitter } from './splitter.js';
import { withoutByteOrderMark } from './text.js';

/** Reads the blocks of one file. */
export interface BlockReader<Row> {
  /** @throws {InputError} naming file and line. */
  read(block: Buffer, take: TakeRow<Row>): void;
  /** A record that has outgrown the limit. @throws {InputError} always. */
  refuseOversized(beginning: Buffer): never;
  /** The file has ended. @throws {InputError} where it should not have. */
  end?(): void;
}

export interface RecordFormat<Row> {
  /** Whether a line break within double quotes belongs to the record. */
  readonly quotes: boolean;
  readonly maxRecordBytes: number;
  readonly open: (file: SourceFile) => BlockReader<Row>;
}

/** A row of the table, and where it begins. */
export class SourceRow {
  readonly values: unknown[];
  readonly file: SourceFile;
  readonly line: number;

  constructor(values: unknown[], file: SourceFile, line: number) {
    this.values = values;
    this.file = file;
    this.line = line;
  }
}

/** Takes the chunks of one file after another. */
export class RecordParser<Row> {
  readonly #format: RecordFormat<Row>;
  #open: { file: SourceFile; reader: BlockReader<Row>; splitter: RecordSplitter; begun: boolean } | undefined;

  constructor(format: RecordFormat<Row>) {
    this.#format = format;
  }

  /** Calls `take` for each record that ends in the chunk. @throws {InputError} naming file and line. */
  add(chunk: SourceChunk, take: (row: Row, line: number, file: SourceFile) => void): void {
    const { file } = chunk;
    const { quotes, maxRecordBytes } = this.#format;
    this.#open ??= {
      file,
      reader: this.#format.open(file),
      splitter: new RecordSplitter(quotes, maxRecordBytes),
      begun: false,
    };
    const { reader, splitter } = this.#open;
    const takeRow: TakeRow<Row> = (row, line) => take(row, line, file);
    const whole = splitter.add(chunk.bytes);
    if (whole !== undefined) {
      if (whole instanceof Oversized) reader.refuseOversized(this.#begin(whole.beginning));
      else reader.read(this.#begin(whole), takeRow);
    }
    if (!chunk.last) return;
    const rest = splitter.end();
    if (rest !== undefined) reader.read(this.#begin(rest), takeRow);
    reader.end?.();
    this.#open = undefined;
  }

  #begin(block: Buffer): Buffer {
    const open = this.#open!;
    if (open.begun) return block;
    open.begun = true;
    return withoutByteOrderMark(block, open.file.name);
  }
}

/** The parser as a stage of a pipeline: chunks in, {@link SourceRow}s out. */
export class RowStream extends Transform {
  /** The last row that was passed on. */
  lastRow: SourceRow | undefined;
  readonly #parser: RecordParser<unknown[]>;
  readonly #onFailure: (error: CliError) => void;
  #failed = false;
  readonly #take = (values: unknown[], line: number, file: SourceFile): void => {
    this.lastRow = new SourceRow(values, file, line);
    this.push(this.lastRow);
  };

  /**
   * `onFailure` learns of input that cannot be read. It must end the source: the rows before the failure then go on their way, and the
   * stream ends without an error.
   */
  constructor(format: RecordFormat<unknown[]>, onFailure: (error: CliError) => void) {
    // One chunk at a time comes in, and all of its rows wait on the other side: more would only be more memory.
    super({
      writableObjectMode: true,
      readableObjectMode: true,
      writableHighWaterMark: 1,
      readableHighWaterMark: 1,
    });
    this.#parser = new RecordParser(format);
    this.#onFailure = onFailure;
  }

  override _transform(chunk: SourceChunk, _encoding: BufferEncoding, callback: TransformCallback): void {
    try {
      // A chunk or two may be on their way already.
      if (!this.#failed) this.#parser.add(chunk, this.#take);
      callback();
    } catch (error) {
      if (!(error instanceof CliError)) {
        callback(error as Error);
        return;
      }
      this.#failed = true;
      this.#onFailure(error);
      callback();
    }
  }
}
