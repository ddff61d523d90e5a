/** `spillway load`: files → parser → BackpressureWritable → COPY. */

import { pipeline } from 'node:stream/promises';
import type { Readable } from 'node:stream';
import type { TableColumn, TableDescription } from '../postgres/catalogue.js';
import { connect, type Connection } from './connection.js';
import { CsvRows } from './csv-rows.js';
import { resolveDestination, type Environment } from './destination.js';
import { CliError, ExitCode, oneLine, UsageError } from './errors.js';
import { NdjsonRows } from './ndjson-rows.js';
import type { LoadOptions } from './options.js';
import { previewInput, type Preview } from './preview.js';
import { startProgress, type ProgressReading } from './progress.js';
import { RowStream, type RecordFormat } from './record-parser.js';
import { RowSink } from './row-sink.js';
import { findFiles, Source } from './source.js';
import { summarise, type LoadOutcome, type LoadSummary } from './summary.js';
import { columnsFor, createTable, findTable, refuseMissingTable, truncateTable } from './table.js';

/** What a command may touch of the process. */
export interface Terminal {
  readonly environment: Environment;
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WriteStream;
  /** Calls `stop` at the first SIGINT or SIGTERM. Answers what takes the handlers away again. */
  onStopSignal(stop: (signal: StopSignal) => void): () => void;
}

export type StopSignal = 'SIGINT' | 'SIGTERM';

/** `copyInto`'s own default, made of a pool of one more. */
const DEFAULT_CONNECTIONS = 3;

/** @throws {CliError} before anything was loaded; later failures are part of the summary. */
export async function load(options: LoadOptions, terminal: Terminal): Promise<LoadSummary> {
  const destination = resolveDestination(options.to, terminal.environment);
  const paths = options.files.length === 0 ? ['-'] : options.files;
  if (options.files.length === 0 && terminal.stdin.isTTY === true) {
    throw new UsageError('no file is given; - reads what is typed');
  }
  const source = new Source(await findFiles(paths), terminal.stdin);
  const job = new LoadJob(options, source, terminal);
  const release = terminal.onStopSignal((signal) => job.stop(signal));
  try {
    const connections = options.connections ?? DEFAULT_CONNECTIONS;
    const connection = await connect(destination, connections + 1, terminal.environment);
    try {
      return await job.run(connection);
    } finally {
      await connection.close();
    }
  } finally {
    release();
    source.stop();
  }
}

class LoadJob {
  readonly #options: LoadOptions;
  readonly #source: Source;
  readonly #terminal: Terminal;
  #stoppedBy: StopSignal | undefined;

  constructor(options: LoadOptions, source: Source, terminal: Terminal) {
    this.#options = options;
    this.#source = source;
    this.#terminal = terminal;
  }

  /** Reads no further; what was read is loaded. */
  stop(signal: StopSignal): void {
    this.#stoppedBy = signal;
    this.#source.stop();
  }

  async run(connection: Connection): Promise<LoadSummary> {
    const startedAt = performance.now();
    const { table, columns, created, head } = await this.#prepare(connection);
    let failure: CliError | undefined;
    const rows = new RowStream(this.#format(columns), (error) => {
      failure = error;
      this.#source.stop();
    });
    const sink = new RowSink(
      connection.pool,
      table,
      columns.map(({ name }) => name),
      this.#options,
    );
    const progress = startProgress(this.#options, this.#terminal.stderr, () => this.#reading(sink));
    try {
      await pipeline(this.#source.stream(head), rows, sink.stream);
    } catch (error) {
      failure = error instanceof CliError ? error : sink.describe(error);
    } finally {
      progress.stop();
    }
    const outcome: LoadOutcome = {
      options: this.#options,
      label: connection.label,
      created,
      seconds: (performance.now() - startedAt) / 1000,
      bytesRead: this.#source.bytesRead,
      metrics: sink.stream.getMetrics(),
      lastRow: rows.lastRow,
      failure,
      stoppedBy: this.#stoppedBy,
    };
    return summarise(outcome);
  }

  #reading(sink: RowSink): ProgressReading {
    return {
      done: this.#source.bytesRead,
      total: this.#source.totalBytes,
      metrics: sink.stream.getMetrics(),
      isStopping: this.#stoppedBy !== undefined,
    };
  }

  /** Table and columns, from the catalogue and the input's beginning. */
  async #prepare({ pool }: Connection): Promise<{
    table: TableDescription;
    columns: TableColumn[];
    created: boolean;
    head: Preview['head'];
  }> {
    const options = this.#options;
    try {
      let table = await findTable(pool, options.table);
      if (table === undefined && !options.create) refuseMissingTable(options.table);
      const created = table === undefined;
      const preview = await previewInput(this.#source, options, { withTypes: created });
      this.#refuseStopped();
      const names = preview.names?.filter(({ name }) => name !== '');
      table ??= await createTable(pool, options.table, names ?? []);
      const columns = columnsFor(table, names);
      if (options.truncate && !created) await truncateTable(pool, table);
      return { table, columns, created, head: preview.head };
    } catch (error) {
      this.#refuseStopped();
      throw error instanceof CliError
        ? error
        : new CliError(oneLine((error as Error).message), ExitCode.FAILED, error);
    }
  }

  #refuseStopped(): void {
    if (this.#stoppedBy === undefined) return;
    throw new CliError('stopped before anything was loaded', exitCodeOf(this.#stoppedBy));
  }

  #format(columns: readonly TableColumn[]): RecordFormat<unknown[]> {
    const { format, header, maxRecordBytes, delimiter, nullText, columns: names } = this.#options;
    if (format === 'ndjson') {
      const rowOptions = { columns, ignoresOtherKeys: names !== undefined };
      return { delimiter: undefined, maxRecordBytes, open: (file) => new NdjsonRows(file, rowOptions) };
    }
    const rowOptions = {
      delimiter,
      nullText,
      maxRecordBytes,
      header,
      names,
      columns: columns.map(({ name }) => name),
    };
    return { delimiter, maxRecordBytes, open: (file) => new CsvRows(file, rowOptions) };
  }
}

export function exitCodeOf(signal: StopSignal): ExitCode {
  return signal === 'SIGINT' ? ExitCode.INTERRUPTED : ExitCode.TERMINATED;
}
