/** An open Parquet file: its columns, and its rows as lines of COPY's text format. */

import { open, type FileHandle } from 'node:fs/promises';
import type { ColumnMetaData, CompressionCodec, FileMetaData } from 'hyparquet';
import { WorkPacer } from '../../common/turn-budget.js';
import { CliError, InputError } from '../common/errors.js';
import type { ByteChunk } from '../common/chunk-memory.js';
import { LEFT_OUT } from '../common/text.js';
import { repairNames } from '../csv/column-names.js';
import { readingError, type SourceFile } from '../input/files/find-files.js';
import type { NulAction } from '../values/value-flags.js';
import { PARQUET_NULL } from '../args/options.js';
import { columnTypeOf, openColumn, type ColumnType, type NextValue, type OpenLeaf } from './columns.js';
import { LeafCursor, type CursorOptions } from './leaf-cursor.js';
import { loadCodec, loadLibrary, type Decompress, type Library } from './library.js';
import { columnsOf, leavesOf, type LeafNode, type SchemaNode } from './schema.js';
import type { Text } from './value-text.js';

const MAGIC = 'PAR1';
/** Of a file whose footer is encrypted. */
const ENCRYPTED_MAGIC = 'PARE';
/** The length of the footer, and the magic. */
const END_BYTES = 8;

/** Values that are turned into lines together. */
const MOST_ROWS = 2048;
const MOST_VALUES = 64 * 1024;
/** Characters of all columns that wait for others. */
const MOST_CHARACTERS = 4 * 1024 * 1024;

export interface Wanted {
  readonly name: string;
  readonly type: ColumnType;
}

export class ParquetFile {
  readonly rows: number;
  readonly rowGroups: number;
  /** By their names, which are repaired if they are not distinct. */
  readonly columns: ReadonlyMap<string, SchemaNode>;
  readonly #file: SourceFile;
  readonly #handle: FileHandle;
  readonly #library: Library;
  readonly #metadata: FileMetaData;

  private constructor(file: SourceFile, handle: FileHandle, library: Library, metadata: FileMetaData) {
    this.#file = file;
    this.#handle = handle;
    this.#library = library;
    this.#metadata = metadata;
    const nodes = columnsOf(metadata.schema);
    const { names } = repairNames(nodes.map(({ name }) => name));
    this.columns = new Map(nodes.map((node, index) => [names[index]!, node]));
    this.rowGroups = metadata.row_groups.length;
    this.rows = metadata.row_groups.reduce((sum, group) => sum + Number(group.num_rows), 0);
    if (this.rows !== Number(metadata.num_rows))
      throw new Error('its row groups have another number of rows than it says');
  }

  /** @throws {InputError} for anything but a whole Parquet file that can be read at any place */
  static async open(file: SourceFile): Promise<ParquetFile> {
    const library = await loadLibrary(file.name);
    const handle = await openHandle(file);
    try {
      return new ParquetFile(file, handle, library, await readMetadata(handle, library));
    } catch (error) {
      await handle.close();
      throw damaged(file.name, error);
    }
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  /** The codecs of all pages. */
  get codecs(): CompressionCodec[] {
    const chunks = this.#metadata.row_groups.flatMap(({ columns }) => columns);
    return [...new Set(chunks.flatMap(({ meta_data: chunk }) => (chunk === undefined ? [] : [chunk.codec])))];
  }

  /** Yields the rows, one on each line. @throws {InputError} if a page is damaged */
  async *lines(wanted: readonly Wanted[], onBytes: (bytes: number) => void): AsyncGenerator<ByteChunk, void> {
    try {
      const cursors: LeafCursor[] = [];
      const columns = await this.#openColumns(wanted, onBytes, cursors);
      yield* linesOf(columns, this.rows);
      for (const cursor of cursors) cursor.assertEnd();
    } catch (error) {
      throw damaged(this.#file.name, error);
    }
  }

  async #openColumns(
    wanted: readonly Wanted[],
    onBytes: (bytes: number) => void,
    cursors: LeafCursor[],
  ): Promise<Column[]> {
    const codecs = new Map<CompressionCodec, Decompress>();
    for (const codec of this.codecs)
      codecs.set(codec, await loadCodec(this.#file.name, codec, this.#library));
    const options: CursorOptions = {
      fd: this.#handle.fd,
      library: this.#library,
      decompressFor: ({ codec }) => codecs.get(codec)!,
      onBytes,
    };
    const open: OpenLeaf = (leaf, writer) => {
      const cursor = new LeafCursor(leaf, writer, this.#chunksOf(leaf), options);
      cursors.push(cursor);
      return cursor;
    };
    return wanted.map(({ name, type }) => new Column(name, openColumn(this.columns.get(name)!, type, open)));
  }

  #chunksOf({ index, repetition }: LeafNode): ColumnMetaData[] {
    return this.#metadata.row_groups.map(({ columns, num_rows: rows }) => {
      const { meta_data: chunk, file_path: other, crypto_metadata: crypto } = columns[index] ?? {};
      if (other !== undefined) throw new Error(`its values are in another file, ${JSON.stringify(other)}`);
      if (chunk === undefined || crypto !== undefined)
        throw new Error('a column is encrypted, which is not supported');
      // Its values would be taken for those of other rows.
      if (repetition === 0 && chunk.num_values !== rows)
        throw new Error('a column has another number of values than its row group has rows');
      return chunk;
    });
  }
}

async function openHandle({ name, path, sizeBytes }: SourceFile): Promise<FileHandle> {
  if (path === undefined || sizeBytes === undefined) {
    throw new InputError(
      name,
      undefined,
      'Parquet begins with its end, and so is not read from a pipe: save it as a file, and give its name',
    );
  }
  const handle = await open(path).catch((error: unknown) => {
    throw readingError(name, error);
  });
  try {
    await assertParquet(name, handle);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Looks at both ends of each file, so that one that is no Parquet is refused early. @throws {InputError} */
export async function checkParquet(files: readonly SourceFile[]): Promise<void> {
  for (const file of files) {
    const handle = await openHandle(file);
    await handle.close();
  }
}

async function assertParquet(name: string, handle: FileHandle): Promise<void> {
  const { size } = await handle.stat();
  const read = async (position: number): Promise<string> => {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAGIC.length), 0, MAGIC.length, position);
    return buffer.toString('latin1', 0, bytesRead);
  };
  const [first, last] = [await read(0), size < END_BYTES ? '' : await read(size - MAGIC.length)];
  if (first === ENCRYPTED_MAGIC || last === ENCRYPTED_MAGIC)
    throw new InputError(name, undefined, 'is an encrypted Parquet file, which is not supported');
  if (first !== MAGIC)
    throw new InputError(name, undefined, 'is no Parquet file: it does not begin with PAR1');
  if (last !== MAGIC)
    throw new InputError(name, undefined, 'is a Parquet file that is cut short: its end is missing');
}

async function readMetadata(handle: FileHandle, { parquetMetadataAsync }: Library): Promise<FileMetaData> {
  const { size } = await handle.stat();
  const slice = async (start: number, end = size): Promise<ArrayBuffer> => {
    const bytes = new ArrayBuffer(end - start);
    const { bytesRead } = await handle.read(new Uint8Array(bytes), 0, end - start, start);
    if (bytesRead < end - start) throw new Error('it became shorter while it was read');
    return bytes;
  };
  return parquetMetadataAsync({ byteLength: size, slice }, { geoparquet: false });
}

/** @returns an error as it is if it says what is wrong, or if reading has failed */
function damaged(name: string, error: unknown): CliError {
  if (error instanceof CliError || (error as NodeJS.ErrnoException).syscall !== undefined)
    return readingError(name, error);
  return new InputError(
    name,
    undefined,
    `the Parquet file is damaged, or not supported: ${(error as Error).message}`,
    error,
  );
}

/** Returns the columns that are to be loaded. @throws {InputError} naming a column that is missing, or cannot be loaded */
export function wantedColumns(
  { name: file }: SourceFile,
  columns: ReadonlyMap<string, SchemaNode>,
  names: readonly string[],
  typeFor: (name: string) => string | undefined,
  nul?: NulAction,
): Wanted[] {
  return names.map((name) => {
    const node = columns.get(name);
    if (node === undefined) {
      const known = [...columns.keys()].join(', ');
      throw new InputError(
        file,
        undefined,
        `the file has no column ${JSON.stringify(name)}; it has ${known}`,
      );
    }
    const type = columnTypeOf(node, typeFor(name), nul);
    if (type !== undefined) return { name, type };
    const parts = [
      ...new Set(leavesOf(node).map(({ element }) => element.logical_type?.type ?? element.type)),
    ];
    throw new InputError(
      file,
      undefined,
      `the column ${JSON.stringify(name)} has a type that is not supported (${parts.join(', ')}); --columns names those to load`,
    );
  });
}

/** A column, with texts that wait for those of other columns. */
class Column {
  readonly name: string;
  readonly #next: NextValue;
  texts: (Text | null)[] = [];
  #characters = 0;

  constructor(name: string, next: NextValue) {
    this.name = name;
    this.#next = next;
  }

  /** Reads on, up to so many texts or characters. There is at least one text then. */
  fill(rows: number, characters: number): void {
    const { texts } = this;
    while (texts.length < rows && (texts.length === 0 || this.#characters < characters)) {
      const text = this.#next();
      if (typeof text === 'string') this.#characters += text.length;
      texts.push(text);
    }
  }

  drop(rows: number): void {
    this.texts = this.texts.slice(rows);
    this.#characters = 0;
    for (const text of this.texts) if (typeof text === 'string') this.#characters += text.length;
  }
}

async function* linesOf(columns: readonly Column[], rows: number): AsyncGenerator<ByteChunk, void> {
  const pacer = new WorkPacer();
  const most = Math.max(1, Math.min(MOST_ROWS, Math.floor(MOST_VALUES / columns.length)));
  const characters = Math.floor(MOST_CHARACTERS / columns.length);
  for (let left = rows; left > 0;) {
    const wanted = Math.min(left, most);
    let ready = wanted;
    for (const column of columns) {
      column.fill(ready, characters);
      ready = Math.min(ready, column.texts.length);
      if (pacer.look()) await pacer.nextTurn();
    }
    yield { bytes: Buffer.from(written(columns, ready)) };
    for (const column of columns) column.drop(ready);
    left -= ready;
  }
}

function written(columns: readonly Column[], rows: number): string {
  let lines = '';
  for (let row = 0; row < rows; row += 1) {
    let line = '';
    let isFaulty = false;
    for (let index = 0; index < columns.length; index += 1) {
      const text = columns[index]!.texts[row] ?? null;
      if (index > 0) line += '\t';
      if (typeof text === 'string') line += text;
      else if (text === null) line += PARQUET_NULL;
      else isFaulty = true;
    }
    lines += isFaulty ? faultyLine(columns, row, line) : line;
    lines += '\n';
  }
  return lines;
}

/** The reader of the lines reports it as a record that cannot be read: see `CopyFields`. */
function faultyLine(columns: readonly Column[], row: number, line: string): string {
  for (const { name, texts } of columns) {
    const text = texts[row] ?? null;
    if (text === null || typeof text === 'string') continue;
    return `${LEFT_OUT}column ${JSON.stringify(name)}: ${text.reason}${LEFT_OUT}${line.replaceAll(PARQUET_NULL, '\\N')}`;
  }
  return line;
}
