/** What is to be there before the first row: table and columns, the import's log, the file of rejects. */

import { messageOf } from '../errors.js';
import type { TableColumn, TableDescription } from '../postgres/catalogue.js';
import type { ImportLog } from '../postgres/import-log.js';
import type { CopyPool } from '../postgres/pool.js';
import { CliError, ExitCode, oneLine } from './errors.js';
import { openImport } from './import.js';
import type { LoadOptions } from './options.js';
import { previewInput } from './preview.js';
import type { RejectFile } from './reject-file.js';
import { fingerprintOf } from './source-fingerprint.js';
import type { Source, SourceChunk } from './source.js';
import {
  checkKey,
  columnsFor,
  createTable,
  findTable,
  refuseMissingTable,
  truncateTable,
  withClient,
} from './table.js';

export interface LoadPlan {
  /** Of one connection, where the load is one transaction. */
  readonly pool: CopyPool;
  readonly table: TableDescription;
  readonly columns: readonly TableColumn[];
  /** What was read of the source so far. */
  readonly head: readonly SourceChunk[];
  readonly created: boolean;
  readonly truncated: boolean;
  readonly importLog: ImportLog | undefined;
}

export interface LoadRequest {
  readonly options: LoadOptions;
  readonly source: Source;
  readonly rejects: RejectFile | undefined;
  /** Fires when the load is to stop: then this rejects, as soon as it can. */
  readonly signal: AbortSignal;
}

/** @throws {CliError} */
export async function planLoad(pool: CopyPool, request: LoadRequest): Promise<LoadPlan> {
  try {
    const target = await findTarget(pool, request);
    const { resume } = request.options;
    if (resume !== undefined) return await planImport(pool, request, target, resume);
    await request.rejects?.start();
    const truncated = truncates(request, target);
    if (truncated) await withClient(pool, (client) => truncateTable(client, target.table));
    return { ...target, pool, truncated, importLog: undefined };
  } catch (error) {
    throw error instanceof CliError ? error : new CliError(oneLine(messageOf(error)), ExitCode.FAILED, error);
  }
}

type Target = Pick<LoadPlan, 'table' | 'columns' | 'head' | 'created'>;

function truncates({ options }: LoadRequest, { created }: Target): boolean {
  return options.truncate && !created;
}

/** Table and columns, from the catalogue and the input's beginning. */
async function findTarget(
  pool: CopyPool,
  { options, source, rejects, signal }: LoadRequest,
): Promise<Target> {
  let table = await findTable(pool, options.table);
  if (table === undefined && !options.create) refuseMissingTable(options.table);
  const created = table === undefined;
  const keepsBadRecords = rejects !== undefined;
  const preview = await previewInput(source, options, { withTypes: created, keepsBadRecords });
  signal.throwIfAborted();
  const names = preview.names?.filter(({ name }) => name !== '');
  table ??= await createTable(pool, options.table, names ?? []);
  const columns = columnsFor(table, names);
  checkKey(options.key, columns);
  return { table, columns, created, head: preview.head };
}

async function planImport(
  pool: CopyPool,
  request: LoadRequest,
  target: Target,
  importId: string,
): Promise<LoadPlan> {
  const { options, source, rejects, signal } = request;
  const fingerprint = await fingerprintOf(source, options, target.head);
  signal.throwIfAborted();
  const importLog = await openImport(pool, {
    importId,
    table: target.table,
    source: fingerprint.source,
    files: source.files,
    onFirstRun: truncates(request, target) ? (client) => truncateTable(client, target.table) : undefined,
    signal,
  });
  await rejects?.start((use) => importLog.readRejects((line) => use(line as string)));
  const truncated = truncates(request, target) && importLog.isFirstRun;
  return { ...target, head: fingerprint.head, pool, truncated, importLog };
}
