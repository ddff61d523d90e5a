/** Rows into the table, through the library's own stream; and from the library's errors back to a place in the input. */

import type { Pool } from 'pg';
import { messageOf } from '../errors.js';
import { CopyError } from '../postgres/copy-error.js';
import { copyInto } from '../postgres/index.js';
import type { TableDescription } from '../postgres/catalogue.js';
import { BackpressureWritable } from '../stream/backpressure-writable.js';
import type { FlushContext, FlushFunction } from '../types.js';
import { CliError, ExitCode, oneLine, placeOf } from './errors.js';
import type { LoadOptions } from './options.js';
import type { SourceRow } from './record-parser.js';

/** The places of a failed batch: the row at fault where it is known, and the batch's ends. */
interface FailedRows {
  readonly row: SourceRow | undefined;
  readonly first: SourceRow;
  readonly last: SourceRow;
}

export class RowSink {
  readonly stream: BackpressureWritable<SourceRow>;
  /** By the error that the flush function threw, which the stream's own error has as its cause. */
  readonly #failed = new WeakMap<Error, FailedRows>();

  constructor(pool: Pool, table: TableDescription, columns: readonly string[], options: LoadOptions) {
    const copy = copyInto<unknown[]>(pool, { schema: table.schema, table: table.table, columns });
    this.stream = new BackpressureWritable<SourceRow>(this.#locating(copy), {
      strategy: options.strategy,
      ...(options.batchSize === undefined ? {} : { batchSize: options.batchSize }),
      ...(options.connections === undefined ? {} : { concurrency: options.connections }),
    });
  }

  /** The flush function over rows that know their place. */
  #locating(copy: FlushFunction<unknown[]>): FlushFunction<SourceRow> {
    const { sizeOf, ...defaults } = copy.defaults ?? {};
    const flush = async (rows: SourceRow[], context: FlushContext): Promise<void> => {
      try {
        await copy(
          rows.map((row) => row.values),
          context,
        );
      } catch (error) {
        if (error instanceof Error) {
          const row = error instanceof CopyError && error.row !== undefined ? rows[error.row] : undefined;
          this.#failed.set(error, { row, first: rows[0]!, last: rows.at(-1)! });
        }
        throw error;
      }
    };
    return Object.assign(flush, {
      defaults: {
        ...defaults,
        ...(sizeOf === undefined ? {} : { sizeOf: (row: SourceRow) => sizeOf(row.values) }),
      },
    });
  }

  /** Whatever the stream failed with, in one line that names the place in the input as far as it is known. */
  describe(error: unknown): CliError {
    const copyError = causes(error).find((cause) => cause instanceof CopyError);
    if (copyError === undefined) return new CliError(oneLine(messageOf(error)), ExitCode.FAILED, error);
    const places = this.#failed.get(copyError);
    const words = oneLine(wordsOf(copyError));
    // A fault of the set-up or the connection is no row's, wherever it struck.
    if (places === undefined || copyError.failureClass !== 'row') {
      return new CliError(oneLine(copyError.message), ExitCode.FAILED, error);
    }
    const { row, first, last } = places;
    const place =
      row !== undefined
        ? placeOf(row.file.name, row.line)
        : `a row from ${placeOf(first.file.name, first.line)} to ${placeOf(last.file.name, last.line)}`;
    const column = copyError.column === undefined ? '' : `column ${JSON.stringify(copyError.column)}: `;
    return new CliError(`${place}: ${column}${words}`, ExitCode.FAILED, error);
  }
}

/** The server's own words without our frame around them: "row 3 of the batch" means nothing to a user of the command line. */
function wordsOf(error: CopyError): string {
  return error.cause instanceof Error && error.cause.message !== '' ? error.cause.message : error.message;
}

function causes(error: unknown): Error[] {
  const found: Error[] = [];
  for (let cause = error; cause instanceof Error && !found.includes(cause); cause = cause.cause)
    found.push(cause);
  return found;
}
