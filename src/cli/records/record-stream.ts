/** The parser as a stage of the pipeline: chunks in, rows or blocks of records out. */

import { Duplex } from 'node:stream';
import { WorkPacer } from '../../common/turn-budget.js';
import type { ChunkMemory } from '../common/chunk-memory.js';
import { CliError } from '../common/errors.js';
import { RecordBlock, rowsOf, type OpenReader } from './record-block.js';
import type { BlockContent } from './block-content.js';
import { ReadRow, RecordParser, type SourceRow, type RecordFormat } from './record-parser.js';
import type { SourceChunk, SourceFile } from '../input/source.js';

/** Place of a record in the input. */
export interface RecordPlace {
  readonly file: SourceFile;
  readonly line: number;
}

export interface RecordStreamOptions {
  /**
   * `true`: a record that cannot be read comes out in its place, as a row with a `fault`. `false`: the first one ends the source. A bad
   * header, another encoding or damaged gzip ends the source in any case.
   */
  readonly keepsBadRecords?: boolean;
  /** Returns `true` for records that are read, but not passed on. */
  readonly skips?: ((ordinal: number) => boolean) | undefined;
}

type Done = (error?: Error | null) => void;

/**
 * The parser as a Duplex stream: a chunk's callback is called when all of its rows were passed on.
 *
 * Not a Transform: one whose chunk ends with nothing to pass on, such as blank lines, may never call that callback.
 */
export abstract class RecordStream extends Duplex {
  /** Place of the last record, whether it could be read or not. */
  lastRow: RecordPlace | undefined;
  /** Ordinal of the last record. */
  lastOrdinal = -1;
  protected abstract readonly parser: Pick<RecordParser<unknown>, 'begin' | 'step'>;
  readonly #onFailure: (error: CliError) => void;
  #failed = false;
  /** The reader has asked for more rows. */
  #hasRoom = true;
  #isReading = false;
  readonly #pacer = new WorkPacer();
  /** Callback of the chunk that is being read. */
  #chunkDone: Done | undefined;
  /** Memory of that chunk. */
  protected memory: ChunkMemory | undefined;

  /**
   * @param onFailure receives the error if input cannot be read. It must end the source: the rows before the failure are still passed on,
   * and the stream ends without an error.
   */
  constructor(onFailure: (error: CliError) => void) {
    // One chunk at a time: all of its rows wait on the readable side, and more would only take memory.
    super({
      writableObjectMode: true,
      readableObjectMode: true,
      writableHighWaterMark: 1,
      readableHighWaterMark: 1,
    });
    this.#onFailure = onFailure;
  }

  override _write(chunk: SourceChunk, _encoding: BufferEncoding, callback: Done): void {
    // A chunk or two may still come after the failure.
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

  /** Reads on in the chunk until the readable side is full. */
  #goOn(): void {
    // Called from within the loop below, which continues by itself.
    if (this.#isReading) return;
    this.#isReading = true;
    while (this.#hasRoom && this.#chunkDone !== undefined) {
      if (!this.#step()) this.#end();
      if (!this.#pacer.isTurnSpent()) continue;
      // Bytes without a row, such as blank lines: without a pause they would hold the event loop.
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

  /** Ends the chunk. An error that is not the input's destroys the stream. */
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

/** Passes on each record as a {@link SourceRow}. */
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
      (values, line, file, ordinal) => pass(new ReadRow(values, file, line, ordinal)),
      keepsBadRecords
        ? (fault, line, file, ordinal, text) => pass(new ReadRow([], file, line, ordinal, fault, text))
        : undefined,
    );
  }
}

/** Passes on records together, as {@link RecordBlock}s. */
export class BlockStream extends RecordStream {
  protected override readonly parser: RecordParser<BlockContent>;
  /** How many records were passed on. */
  passed = 0;
  readonly #skips: ((ordinal: number) => boolean) | undefined;
  readonly #open: OpenReader;

  /** @param open reads the rows of a block of which some are skipped */
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
  // The ordinals of a block that the reader has made are consecutive.
  for (let ordinal = block.ordinal; ordinal <= block.lastOrdinal; ordinal += 1)
    if (skips(ordinal)) count += 1;
  return count;
}
