/** Prepares a load: table and columns, the import's log, the file of rejects. */

import { messageOf } from '../../common/thrown.js';
import { cancelledBy } from '../../postgres/connection/cancel-request.js';
import type { TableDescription } from '../../postgres/table/catalogue.js';
import { showImportId } from '../../postgres/imports/import-id.js';
import { ImportLog } from '../../postgres/imports/import-log.js';
import type { CopyPool } from '../../postgres/protocol/pool.js';
import { leavesConnectionUsable } from '../../postgres/errors/sqlstate.js';
import { causesOf, CliError, ExitCode, oneLine } from '../common/errors.js';
import { openImport } from './import.js';
import type { LoadOptions } from '../args/options.js';
import type { InputName } from '../table/input-names.js';
import { previewInput } from '../table/preview.js';
import type { RejectFile } from '../rejects/reject-file.js';
import { fingerprintOf } from '../input/source-fingerprint.js';
import type { Source, SourceChunk } from '../input/source.js';
import { showTable } from '../args/table-name.js';
import {
  columnsFor,
  findTable,
  keyColumns,
  nameNotes,
  throwMissingTable,
  truncateTable,
  withClient,
  type LoadColumn,
} from '../table/table.js';
import { convertsValues } from '../values/value-flags.js';
import { describeHints } from '../table/value-hints.js';
import { fieldNames, rulesFor, rulesOf } from './column-rules.js';
import type { FieldRules } from '../csv/field-rules.js';
import { CreatedTable } from '../table/created-table.js';
import { OwnTable } from '../table/own-table.js';
import { valuesByColumn } from '../table/flag-columns.js';
import { assertGivenTypes, markGivenTypes } from '../table/given-types.js';
import { readInput, readingToKeep, storedReading, type KnownBefore } from './reading/read-input.js';
import type { InputFormatReading, InputReading } from './reading/input-reading.js';

export interface LoadPlan {
  /** The pool of the load: one connection if the load is one transaction. */
  readonly pool: CopyPool;
  /** With what was detected in the place of the defaults. */
  readonly options: LoadOptions;
  /** How the input is read; undefined if nothing was detected. */
  readonly reading: InputFormatReading | undefined;
  /** How fields are read: only of a table that this load, or the first run of its import, has made. */
  readonly rules: FieldRules | undefined;
  readonly table: TableDescription;
  readonly columns: readonly LoadColumn[];
  /** The table's own names of the columns of `--key`. */
  readonly key: readonly string[] | undefined;
  /** The chunks that were read for the preview. */
  readonly head: readonly SourceChunk[];
  readonly created: boolean;
  /** Notes for the user: names that the server has cut. */
  readonly notes: readonly string[];
  readonly truncated: boolean;
  readonly importLog: ImportLog | undefined;
  /** What the import keeps of the source. */
  readonly importSource?: object;
  /** Set if the load, or an earlier run of its import, has made the table. */
  readonly own: OwnTable | undefined;
}

export interface LoadRequest {
  readonly options: LoadOptions;
  readonly source: Source;
  readonly rejects: RejectFile | undefined;
  /** Fires when the load is to stop: then the plan is rejected as soon as possible. */
  readonly signal: AbortSignal;
  /** Is told what is done next. */
  readonly onStep: (step: string) => void;
  /** Filled as soon as something is made, as a later step may fail. */
  readonly made: MadeByLoad;
}

/** What a load has made before its first row. */
export interface MadeByLoad {
  table?: CreatedTable;
  importLog?: ImportLog;
  /** The table was emptied. */
  isTruncated?: boolean;
  /** Describes a statement that was sent and is not answered: its effect is unknown. */
  open?: string;
}

/** @throws {CliError} */
export async function planLoad(pool: CopyPool, request: LoadRequest): Promise<LoadPlan> {
  try {
    const target = await findTarget(pool, request);
    const { resume } = request.options;
    if (resume !== undefined) return await planImport(pool, request, target, resume);
    await request.rejects?.start();
    const truncated = truncates(request, target);
    if (truncated) {
      const name = showTable(target.table);
      request.onStep(`emptying the table ${name}`);
      await unlessOpen(
        request.made,
        `TRUNCATE was sent and not answered: the table ${name} may be empty`,
        // Without a cancel it would empty the table whenever it gets its lock.
        () =>
          withClient(pool, (client) =>
            cancelledBy(request.signal, client, () => truncateTable(client, target.table)),
          ),
      );
      request.made.isTruncated = true;
      request.signal.throwIfAborted();
    }
    return { ...target, pool, truncated, importLog: undefined };
  } catch (error) {
    throw error instanceof CliError ? error : new CliError(oneLine(messageOf(error)), ExitCode.FAILED, error);
  }
}

type Target = Pick<
  LoadPlan,
  'options' | 'reading' | 'rules' | 'table' | 'columns' | 'key' | 'head' | 'created' | 'notes' | 'own'
> & {
  /** Number of the table that the first run of the import has made. */
  readonly madeOid: string | undefined;
};

function truncates({ options }: LoadRequest, { created }: Target): boolean {
  return options.truncate && !created;
}

/** Determines table and columns from the catalogue and the beginning of the input. */
async function findTarget(pool: CopyPool, request: LoadRequest): Promise<Target> {
  const { source, rejects, signal } = request;
  const { create } = request.options;
  request.onStep('looking for the table');
  const existing = await findBegun(pool, request.options);
  if (existing === undefined && !create) throwMissingTable(request.options.table);
  request.onStep('reading the beginning of the input');
  const found = await findReading(pool, request, existing);
  const { options, reading, rules, notes = [] } = found;
  const keepsBadRecords = rejects !== undefined;
  // Into a table that is there, the sample shows how numbers are written.
  const isUntyped = existing === undefined && found.columns === undefined;
  const withTypes = isUntyped || convertsValues(options.valueFlags);
  const columnNames = options.columns ?? (withTypes ? fieldNames(options, existing) : undefined);
  const sampled = { ...options, columns: columnNames };
  const preview = await previewInput(source, sampled, { withTypes, keepsBadRecords });
  signal.throwIfAborted();
  const names = (found.columns ?? preview.names)?.filter(({ name }) => name !== '');
  const made = existing === undefined ? await makeTable(pool, request, names ?? []) : undefined;
  const table =
    existing ?? (await findTable(pool, made?.name ?? options.table)) ?? throwMissingTable(options.table);
  const columns = markGivenTypes(await columnsFor(pool, table, names, options.normalizeNames), options.types);
  if (made === undefined) await assertGivenTypes(pool, table, options.types, columns);
  const madeOid = made?.oid ?? found.madeOid;
  return {
    madeOid,
    // Types that the file says are not guessed, and stay.
    own: found.columns === undefined ? await findOwn(pool, table, madeOid) : undefined,
    options: { ...options, nullsFor: valuesByColumn('--null-for', options.nullsFor, columns) },
    reading,
    rules: made === undefined ? (rules ?? rulesFor(columns, names ?? [])) : rulesOf(names ?? []),
    table,
    columns,
    key: keyColumns(options.key, columns),
    created: made !== undefined,
    notes: [
      ...notes,
      ...(preview.notes ?? []),
      ...(made === undefined ? [] : describeHints(names ?? [])),
      ...nameNotes(options, table, columns),
    ],
    head: preview.head,
  };
}

async function findBegun(
  pool: CopyPool,
  { table: name, create, resume }: LoadOptions,
): Promise<TableDescription | undefined> {
  const table = await findTable(pool, name);
  if (table === undefined || !create || resume === undefined) return table;
  return (await CreatedTable.dropUnbegun(pool, table, resume)) ? undefined : table;
}

async function findOwn(
  pool: CopyPool,
  table: TableDescription,
  oid: string | undefined,
): Promise<OwnTable | undefined> {
  return oid === undefined ? undefined : withClient(pool, (client) => OwnTable.find(client, table, oid));
}

/** An import reads its input as its first run has. */
async function findReading(
  pool: CopyPool,
  { source, options, signal }: LoadRequest,
  existing: TableDescription | undefined,
): Promise<InputReading & { madeOid?: string | undefined }> {
  const { resume } = options;
  const known = knownOf(existing);
  if (resume === undefined || existing === undefined) {
    return readInput(source, options, { ...known, stored: undefined });
  }
  const { schema, table } = existing;
  const before = await ImportLog.findSource(pool, { schema, table, importId: resume }, signal);
  const stored = before === undefined ? undefined : storedReading(before);
  // Nothing was detected then.
  const strict = options.strict || (before !== undefined && stored === undefined);
  const { made } = (before ?? {}) as { made?: unknown };
  const madeOid = typeof made === 'string' ? made : undefined;
  return { ...(await readInput(source, { ...options, strict }, { ...known, stored })), madeOid };
}

/** What is known of the columns before the input is read. */
export function knownOf(table: TableDescription | undefined): Pick<KnownBefore, 'tableColumns' | 'typeFor'> {
  const types = new Map(table?.columns.map(({ name, typeName }) => [name, typeName]));
  return { tableColumns: table && [...types.keys()], typeFor: (name) => types.get(name) };
}

/** Sets `made.open` until the server has answered, also with an error. @throws as `work` does */
async function unlessOpen<Result>(
  made: MadeByLoad,
  open: string,
  work: () => Promise<Result>,
): Promise<Result> {
  made.open = open;
  try {
    const result = await work();
    delete made.open;
    return result;
  } catch (error) {
    if (causesOf(error).some((cause) => leavesConnectionUsable(cause))) delete made.open;
    throw error;
  }
}

/** Returns undefined if another session has made the table meanwhile: it is used as it is. */
async function makeTable(
  pool: CopyPool,
  { options, made, onStep }: LoadRequest,
  names: readonly InputName[],
): Promise<CreatedTable | undefined> {
  onStep(`creating the table ${showTable(options.table)}`);
  const open = `CREATE TABLE was sent and not answered: the table ${showTable(options.table)} may be there`;
  const table = await CreatedTable.make(pool, options.table, names, options, (work) =>
    unlessOpen(made, open, work),
  );
  if (table !== undefined) made.table = table;
  else if (options.atomic) {
    throw new CliError(
      `another session has made the table ${showTable(options.table)} at the same time; run the command again`,
    );
  }
  return table;
}

async function planImport(
  pool: CopyPool,
  request: LoadRequest,
  target: Target,
  importId: string,
): Promise<LoadPlan> {
  const { source, rejects, signal, made, onStep } = request;
  const { options, reading, rules, madeOid } = target;
  onStep('comparing the input with that of earlier runs');
  const kept = reading && readingToKeep(reading, rules);
  const fingerprint = await fingerprintOf(source, options, target.head, kept);
  // Absent as in imports into tables that were there.
  const importSource = { ...fingerprint.source, ...(madeOid !== undefined && { made: madeOid }) };
  signal.throwIfAborted();
  // Before the first run empties the table.
  rejects?.prepare();
  onStep(`beginning the import ${showImportId(importId)}`);
  const importLog = await openImport(pool, {
    importId,
    table: target.table,
    source: importSource,
    files: source.files,
    onFirstRun: async (client) => {
      if (truncates(request, target)) await truncateTable(client, target.table);
      await made.table?.begin(client);
    },
    signal,
  });
  made.importLog = importLog;
  const truncated = truncates(request, target) && importLog.isFirstRun;
  made.isTruncated = truncated;
  await rejects?.start((use) => importLog.readRejects((line) => use(line as string)));
  return { ...target, head: fingerprint.head, pool, truncated, importLog, importSource };
}
