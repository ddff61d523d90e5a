/** The parser as a stage of a pipeline: chunks in, rows or blocks of records out. */

import { Duplex } from 'node:stream';
import { WorkPacer } from '../../common/turn-budget.js';
import type { ChunkMemory } from '../input/chunk-memory.js';
import { CliError } from '../common/errors.js';
import { RecordBlock, rowsOf, type OpenReader } from './record-block.js';
import type { BlockContent } from './block-content.js';
import { RecordParser, SourceRow, type RecordFormat } from './record-parser.js';
import type { SourceChunk, SourceFile } from '../input/source.js';

/** Where a record stands. */
export interface RecordPlace {
  readonly file: SourceFile;
  readonly line: number;
}

export interface RecordStreamOptions {
  /**
   * Whether records that cannot be read come out in their place, as rows with a `fault`, and reading goes on; otherwise the first one ends
   * the source. What spoils a whole file (a header, the encoding, damaged gzip) ends the source in any case.
   */
  readonly keepsBadRecords?: boolean;
  /** Records that are read, but not passed on. */
  readonly skips?: ((ordinal: number) => boolean) | undefined;
}

type Done = (error?: Error | null) => void;

/**
 * Not a Transform: that holds a chunk's callback back by how many rows are there, and leaves it with a reader that took the last one while
 * what came next was none.
 */
export abstract class RecordStream extends Duplex {
  /** The last record that was read, or could not be. */
  lastRow: RecordPlace | undefined;
  /** Of that. */
  lastOrdinal = -1;
  protected abstract readonly parser: Pick<RecordParser<unknown>, 'begin' | 'step'>;
  readonly #onFailure: (error: CliError) => void;
  #failed = false;
  /** No rows wait to be read, or more were asked for. */
  #hasRoom = true;
  #isReading = false;
  readonly #pacer = new WorkPacer();
  /** Of the chunk that is being read. */
  #chunkDone: Done | undefined;
  /** That of its bytes. */
  protected memory: ChunkMemory | undefined;

  /**
   * `onFailure` learns of input that cannot be read. It must end the source: the rows before the failure then go on their way, and the
   * stream ends without an error.
   */
  constructor(onFailure: (error: CliError) => void) {
    // One chunk at a time comes in, and all of its rows wait on the other side: more would only be more memory.
    super({
      writableObjectMode: true,
      readableObjectMode: true,
      writableHighWaterMark: 1,
      readableHighWaterMark: 1,
    });
    this.#onFailure = onFailure;
  }

  override _write(chunk: SourceChunk, _encoding: BufferEncoding, callback: Done): void {
    // A chunk or two may be on their way already.
    if (this.#failed) {
      callback();
      return;
    }
    this.#chunkDone = callback;
    this.memory = chunk.memory;
    if (this.#begin(chunk)) this.#goOn();
    else this.#end();
  }

  override _final(callback: Done): void {
    this.push(null);
    callback();
  }

  override _read(): void {
    this.#hasRoom = true;
    this.#goOn();
  }

  override push(item: unknown): boolean {
    this.#hasRoom = super.push(item);
    return this.#hasRoom;
  }

  /** Reads on in the chunk until rows wait to be read: the rest of it comes after them. */
  #goOn(): void {
    // Asked from within: the loop sees to it.
    if (this.#isReading) return;
    this.#isReading = true;
    while (this.#hasRoom && this.#chunkDone !== undefined) {
      if (!this.#step()) this.#end();
      if (!this.#pacer.isTurnSpent()) continue;
      // Nothing came of what was read, such as blank lines, so that nobody else has interrupted it.
      this.#pacer.onNextTurn(() => {
        this.#isReading = false;
        this.#goOn();
      });
      return;
    }
    this.#isReading = false;
  }

  #step(): boolean {
    try {
      return this.parser.step();
    } catch (error) {
      return this.#fail(error);
    }
  }

  #begin(chunk: SourceChunk): boolean {
    try {
      this.parser.begin(chunk);
      return true;
    } catch (error) {
      return this.#fail(error);
    }
  }

  /** Nothing more comes of the chunk. What is no fault of the input ends the stream. */
  #fail(error: unknown): false {
    if (!(error instanceof CliError)) {
      this.destroy(error as Error);
      return false;
    }
    this.#failed = true;
    this.#onFailure(error);
    return false;
  }

  #end(): void {
    const done = this.#chunkDone;
    this.#chunkDone = undefined;
    this.memory?.release();
    this.memory = undefined;
    done?.();
  }
}

/** Each record by itself, as a {@link SourceRow}. */
export class RowStream extends RecordStream {
  declare lastRow: SourceRow | undefined;
  protected override readonly parser: RecordParser<unknown[]>;

  constructor(
    format: RecordFormat<unknown[]>,
    onFailure: (error: CliError) => void,
    { keepsBadRecords = false, skips }: RecordStreamOptions = {},
  ) {
    super(onFailure);
    const pass = (row: SourceRow): void => {
      this.lastRow = row;
      this.lastOrdinal = row.ordinal;
      if (skips?.(row.ordinal) !== true) this.push(row);
    };
    this.parser = new RecordParser(
      format,
      (values, line, file, ordinal) => pass(new SourceRow(values, file, line, ordinal)),
      keepsBadRecords
        ? (fault, line, file, ordinal, text) => pass(new SourceRow([], file, line, ordinal, fault, text))
        : undefined,
    );
  }
}

/** Records together, as {@link RecordBlock}s. */
export class BlockStream extends RecordStream {
  protected override readonly parser: RecordParser<BlockContent>;
  /** Records that were passed on. */
  passed = 0;
  readonly #skips: ((ordinal: number) => boolean) | undefined;
  readonly #open: OpenReader;

  /** @param open reads the rows of a block of which only some are to be skipped */
  constructor(
    format: RecordFormat<BlockContent>,
    open: OpenReader,
    onFailure: (error: CliError) => void,
    { keepsBadRecords = false, skips }: RecordStreamOptions = {},
  ) {
    super(onFailure);
    this.#open = open;
    this.#skips = skips;
    this.parser = new RecordParser(
      format,
      (content, line, file, ordinal) => this.#pass(content, line, file, ordinal),
      keepsBadRecords
        ? (fault, line, file, ordinal, text) =>
            this.#pass({ kind: 'rows', rows: [{ line, values: [], fault, text }] }, line, file, ordinal)
        : undefined,
    );
  }

  #pass(content: BlockContent, line: number, file: SourceFile, ordinal: number): void {
    const isSent = content.kind === 'sent';
    this.lastRow = { file, line: isSent ? line + content.linesBeforeLast : content.rows.at(-1)!.line };
    const block = new RecordBlock(
      file,
      line,
      ordinal,
      isSent ? content : rowsOf(content.rows, file, ordinal),
    );
    this.lastOrdinal = block.lastOrdinal;
    const skips = this.#skips;
    const skipped = skips === undefined ? 0 : countSkipped(block, skips);
    this.passed += block.records - skipped;
    if (skipped === 0) this.#passOn(block);
    else if (skipped < block.records) {
      const rows = block.rows(this.#open).filter((row) => skips?.(row.ordinal) === false);
      this.#passOn(new RecordBlock(file, rows[0]!.line, rows[0]!.ordinal, rows));
    }
  }

  #passOn(block: RecordBlock): void {
    block.hold(this.memory);
    this.push(block);
  }
}

function countSkipped(block: RecordBlock, skips: (ordinal: number) => boolean): number {
  let count = 0;
  // Before any is left out, a block's records lie side by side.
  for (let ordinal = block.ordinal; ordinal <= block.lastOrdinal; ordinal += 1)
    if (skips(ordinal)) count += 1;
  return count;
}
