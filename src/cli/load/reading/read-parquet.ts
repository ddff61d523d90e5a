/** Reads Parquet files as lines of the text format of COPY, which the rest of a load reads. */

import type { LoadOptions } from '../../args/options.js';
import type { ByteChunk } from '../../common/chunk-memory.js';
import { InputError } from '../../common/errors.js';
import { snakeCaseNames } from '../../common/snake-case.js';
import type { Source, SourceFile } from '../../input/source.js';
import { ParquetFile, wantedColumns } from '../../parquet/parquet-file.js';
import { ParquetReading } from '../../parquet/parquet-reading.js';
import { valuesByColumn } from '../../table/flag-columns.js';
import type { InputReading } from './input-reading.js';

/**
 * @param tableType returns the type of a column of the table, if it is there
 * @throws {InputError} for a file that is damaged, or has a column that cannot be loaded
 */
export async function readParquet(
  source: Source,
  options: LoadOptions,
  tableType: (name: string) => string | undefined,
): Promise<InputReading> {
  const reading = new ParquetReading();
  const first = source.files[0]!;
  const file = await ParquetFile.open(first);
  try {
    const names = options.columns ?? [...file.columns.keys()];
    const isSelection = options.columns !== undefined;
    const normalized = options.normalizeNames ? snakeCaseNames(names) : undefined;
    const named = names.map((name, index) => ({ name, columnName: normalized?.[index] }));
    const given = valuesByColumn('--type', options.types, named);
    const columnNames = new Map(named.map(({ name, columnName = name }) => [name, columnName]));
    const typeFor = (name: string): string | undefined =>
      tableType(columnNames.get(name) ?? name) ??
      (Object.hasOwn(given, name) ? given[name]!.text : undefined);
    const wanted = wantedColumns(first, file.columns, names, typeFor, options.nul);
    source.readBy((other, onBytes) =>
      linesOf(other, { names, isSelection, typeFor, nul: options.nul, onBytes, reading }),
    );
    const place = { file: isSelection ? undefined : first, line: undefined };
    const columns = named.map((column, index) => {
      const givenType = Object.hasOwn(given, column.name) ? given[column.name] : undefined;
      return { ...column, ...place, type: wanted[index]!.type.sqlType, givenType };
    });
    return { options: { ...options, columns: names }, reading, columns };
  } finally {
    await file.close();
  }
}

interface ReadLines {
  readonly names: readonly string[];
  /** Other columns are left out. */
  readonly isSelection: boolean;
  readonly typeFor: (name: string) => string | undefined;
  readonly nul: LoadOptions['nul'];
  readonly onBytes: (bytes: number) => void;
  readonly reading: ParquetReading;
}

async function* linesOf(
  source: SourceFile,
  { names, isSelection, typeFor, nul, onBytes, reading }: ReadLines,
): AsyncGenerator<ByteChunk, void> {
  const file = await ParquetFile.open(source);
  try {
    reading.add(file);
    const wanted = wantedColumns(source, file.columns, names, typeFor, nul);
    const other = isSelection ? undefined : [...file.columns.keys()].find((name) => !names.includes(name));
    if (other !== undefined) {
      const reason = `the columns differ from those of the first file: ${JSON.stringify(other)} is not among them`;
      throw new InputError(source.name, undefined, reason);
    }
    yield* file.lines(wanted, onBytes);
  } finally {
    await file.close();
  }
}
