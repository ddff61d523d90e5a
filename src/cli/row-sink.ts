/** Rows into the table, through the library's own stream; and from the library's errors back to a place in the input. */

import { ItemError, messageOf } from '../errors.js';
import type { FailedItem } from '../options.js';
import type { TableColumn, TableDescription } from '../postgres/catalogue.js';
import { CopyError } from '../postgres/copy-error.js';
import { createCopy } from '../postgres/copy-into.js';
import type { ImportLog } from '../postgres/import-log.js';
import type { CopyPool } from '../postgres/pool.js';
import { NESTED_TRANSACTION } from '../postgres/transaction-scope.js';
import { BackpressureWritable } from '../stream/backpressure-writable.js';
import type { FlushContext, FlushDefaults, FlushFunction, FlushResult } from '../types.js';
import { causesOf, CliError, ExitCode, oneLine, placeOf } from './errors.js';
import type { LoadOptions } from './options.js';
import { SourceRow } from './record-parser.js';
import type { RejectFile } from './reject-file.js';
import { rejectLines, wordsOf, type RejectLine } from './reject.js';

export interface RowSinkTarget {
  readonly pool: CopyPool;
  readonly table: TableDescription;
  readonly columns: readonly TableColumn[];
  /** Where rows that the table refuses go. Without it the first one ends the load. */
  readonly rejects: RejectFile | undefined;
  readonly importLog: ImportLog | undefined;
}

export class RowSink {
  readonly stream: BackpressureWritable<SourceRow>;
  readonly #lineOf: RejectLine;
  /** Flushes that may still have rejects to write. */
  readonly #flushes = new Set<Promise<unknown>>();

  constructor(target: RowSinkTarget, options: LoadOptions) {
    const { rejects, columns } = target;
    this.#lineOf = rejectLines(columns, options.format);
    const copy = this.#copyInto(target, options);
    const flush = rejects === undefined ? copy : this.#rejecting(copy, rejects);
    this.stream = new BackpressureWritable<SourceRow>(
      Object.assign(flush, { defaults: defaultsFrom(copy.defaults) }),
      {
        strategy: options.strategy,
        ...(options.batchSize === undefined ? {} : { batchSize: options.batchSize }),
        ...(options.connections === undefined ? {} : { concurrency: options.connections }),
        ...(rejects === undefined ? {} : { onFailed: (failures) => this.#judge(failures, rejects) }),
      },
    );
  }

  /** Resolves when the last flush has ended, whatever has become of the stream. */
  async ended(): Promise<void> {
    await Promise.allSettled([...this.#flushes]);
  }

  #copyInto({ pool, table, columns, importLog }: RowSinkTarget, options: LoadOptions) {
    const { key, onConflict, atomic } = options;
    return createCopy<SourceRow>(
      pool,
      {
        schema: table.schema,
        table: table.table,
        columns: columns.map(({ name }) => name),
        onConflict,
        key,
        ...(importLog === undefined
          ? {}
          : { importId: importLog.importId, positionOf: (row: SourceRow) => row.ordinal }),
      },
      {
        valuesOf,
        rejectOf: this.#lineOf,
        ...(importLog === undefined ? {} : { importLog }),
        ...(atomic ? { scope: NESTED_TRANSACTION } : {}),
      },
    );
  }

  /** What a batch has left out is written before its rows count as loaded, and also when the load has failed meanwhile. */
  #rejecting(copy: FlushFunction<SourceRow>, rejects: RejectFile): FlushFunction<SourceRow> {
    const flush = async (rows: SourceRow[], context: FlushContext): Promise<FlushResult | undefined> => {
      const answer = (await copy(rows, context)) ?? undefined;
      const lines = answer?.errors.map((error) => this.#lineOf(...rejectOf(error, rows)));
      if (lines !== undefined && lines.length > 0) await rejects.add(lines);
      return answer;
    };
    return (rows, context) => {
      const flushing = flush(rows, context);
      const ended = flushing.finally(() => this.#flushes.delete(ended));
      this.#flushes.add(ended);
      ended.catch(() => undefined);
      return flushing;
    };
  }

  /** Rows that are at fault have been written; whatever else fails ends the load. */
  #judge(failures: readonly FailedItem<SourceRow>[], rejects: RejectFile): void {
    for (const { error } of failures) if (!(error instanceof ItemError)) throw error;
    rejects.refuseTooMany();
  }

  /** Whatever the stream failed with, in one line that names the place in the input as far as it is known. */
  describe(error: unknown): CliError {
    const chain = causesOf(error);
    const own = chain.find((cause) => cause instanceof CliError);
    if (own !== undefined) return own;
    const copyError = chain.find((cause) => cause instanceof CopyError);
    if (copyError === undefined) return new CliError(oneLine(messageOf(error)), ExitCode.FAILED, error);
    const places = copyError.items.filter((item) => item instanceof SourceRow);
    const [first, last] = [places[0], places.at(-1)];
    // A fault of the set-up or the connection is no row's, wherever it struck.
    if (first === undefined || last === undefined || copyError.failureClass !== 'row') {
      return new CliError(oneLine(copyError.message), ExitCode.FAILED, error);
    }
    const place =
      copyError.row !== undefined || first === last
        ? placeOf(first.file.name, first.line)
        : `a row from ${placeOf(first.file.name, first.line)} to ${placeOf(last.file.name, last.line)}`;
    const column = copyError.column === undefined ? '' : `column ${JSON.stringify(copyError.column)}: `;
    return new CliError(`${place}: ${column}${oneLine(wordsOf(copyError))}`, ExitCode.FAILED, error);
  }
}

function valuesOf(row: SourceRow): unknown {
  if (row.fault !== undefined) throw row.fault;
  return row.values;
}

/** The size of a row is that of its values, or of the text that could not be read. */
function defaultsFrom({ sizeOf, ...defaults }: FlushDefaults<SourceRow>): FlushDefaults<SourceRow> {
  if (sizeOf === undefined) return defaults;
  return { ...defaults, sizeOf: (row) => row.text?.length ?? sizeOf(row.values as never) };
}

/** `copyInto` names each item that it has left out, and why. */
function rejectOf(error: Error, rows: readonly SourceRow[]): [SourceRow, CopyError] {
  if (!(error instanceof ItemError) || !(error.cause instanceof CopyError)) throw error;
  return [rows[error.index]!, error.cause];
}
