/**
 * Starts a load over, with types that fit more of its input.
 *
 * ```text
 *   a value that does not fit, in record n
 *     │ the types of the first 4 n records
 *     ▼
 *   one transaction: the table is emptied and gets these types; an import forgets what it has committed
 *     │ the file of rejects is emptied
 *     ▼
 *   the load begins again at the first record
 * ```
 *
 * Each time at least four times as many records are known, so that a load of 40 million starts over six times at the most.
 */

import { AbortFault } from '../../postgres/connection/answer-deadline.js';
import { inTransaction } from '../../postgres/imports/import-transaction.js';
import type { ImportLog } from '../../postgres/imports/import-log.js';
import type { CopyClient } from '../../postgres/protocol/pool.js';
import { runStatement } from '../../postgres/sql/statement.js';
import { LIMIT_LOCK_WAIT } from '../../postgres/sql/table-statements.js';
import { OWN_TRANSACTION } from '../../postgres/sql/transaction-scope.js';
import { describeTable, type TableDescription } from '../../postgres/table/catalogue.js';
import { columnFlag } from '../args/column-flag.js';
import { CliError } from '../common/errors.js';
import type { FieldRule, FieldRules } from '../csv/field-rules.js';
import type { Source } from '../input/source.js';
import type { RejectFile } from '../rejects/reject-file.js';
import type { Widening } from '../report/widenings.js';
import { inferredTypeOf, type OwnTable, type RetypedColumn } from '../table/own-table.js';
import type { InputName } from '../table/input-names.js';
import { previewInput } from '../table/preview.js';
import { withClient, type LoadColumn } from '../table/table.js';
import { describeLoadFailure } from '../write/load-failure.js';
import type { MisfitError } from '../write/column-widener.js';
import { rulesOf } from './column-rules.js';
import type { LoadPlan } from './load-plan.js';
import { readingToKeep } from './reading/read-input.js';

/** How many times as many records are looked at as were read up to the value that did not fit. */
const SCAN_FACTOR = 4;
/** How long batches that the server still works on may hold the table. In milliseconds. */
const LOCK_LIMIT_MS = 30_000;

export interface StartOverRequest {
  readonly plan: LoadPlan;
  readonly own: OwnTable;
  readonly misfit: MisfitError;
  /** To be read for the types. */
  readonly source: Source;
  readonly rejects: RejectFile | undefined;
  readonly signal: AbortSignal;
  /** Is told what is done next. */
  readonly onStep: (step: string) => void;
}

export interface StartedOver {
  readonly plan: LoadPlan;
  readonly changes: readonly Widening[];
}

/** @throws {CliError} if no type is found that fits, or what was done cannot be undone; {@link AbortFault} if a signal ends it before */
export async function startOver(request: StartOverRequest): Promise<StartedOver> {
  const { plan, misfit, rejects, signal, onStep } = request;
  if (rejects?.canStartOver === false) {
    throw new CliError(
      `${describeLoadFailure(misfit.cause).message}; the rows that ${rejects.path} has got already cannot be taken back, ` +
        `so that the load cannot start over: give ${columnFlag('--type', misfit.column.name, 'text')}, or a file for --rejects`,
    );
  }
  onStep(
    `starting over, as a value does not fit ${JSON.stringify(misfit.column.name)}: looking at more records`,
  );
  const names = await scanTypes(request);
  // A signal ends the reading, too.
  if (signal.aborted) throw new AbortFault(signal);
  const changes = changesOf(names, request);
  // The server refuses what would be taken here: another type would not help.
  if (!changes.some(({ column }) => column === misfit.column.name)) throw describeLoadFailure(misfit.cause);
  const rules = rulesOf(names);
  onStep('starting over: emptying the table, and changing its types');
  const { importLog, table } = await resetTable(request, changes, rules);
  await rejects?.startOver();
  const byName = new Map(table.columns.map((column) => [column.name, column]));
  const columns = plan.columns.map(({ name, columnName, written, hasGivenType = false }) => ({
    ...byName.get(columnName)!,
    name,
    columnName,
    written,
    hasGivenType,
  }));
  return { plan: { ...plan, rules, table, columns, head: [], importLog }, changes };
}

async function scanTypes({ plan, misfit, source, rejects }: StartOverRequest): Promise<readonly InputName[]> {
  const { options, columns } = plan;
  const isCsv = options.format !== 'ndjson';
  // Further keys of NDJSON have no column.
  const scanned = isCsv ? options : { ...options, columns: columns.map(({ name }) => name) };
  const { names = [] } = await previewInput(source, scanned, {
    withTypes: true,
    keepsBadRecords: rejects !== undefined,
    records: SCAN_FACTOR * (misfit.row.ordinal + 1),
  });
  return names;
}

/** The columns whose type or rule is another one now. */
function changesOf(names: readonly InputName[], { plan, misfit }: StartOverRequest): Widening[] {
  const found = new Map(names.map((name) => [name.name, name]));
  return plan.columns.flatMap((column): Widening[] => {
    const name = found.get(column.name);
    const from = inferredTypeOf(column);
    if (name === undefined || from === undefined || column.hasGivenType === true) return [];
    const before = plan.rules?.[column.name];
    if (from === name.type && isSameRule(before, name.rule)) return [];
    const nulls = (name.rule?.nulls ?? []).filter((text) => before?.nulls.includes(text) !== true);
    const { file, line } = misfit.row;
    const place = column === misfit.column ? { file, line } : undefined;
    return [{ column: column.name, from, to: name.type, nulls, place }];
  });
}

function isSameRule(before: FieldRule | undefined, now: FieldRule | undefined): boolean {
  const textOf = (rule: FieldRule | undefined) =>
    JSON.stringify([rule?.nulls ?? [], rule?.conversion ?? null]);
  return textOf(before) === textOf(now);
}

interface ResetTable {
  readonly importLog: ImportLog | undefined;
  readonly table: TableDescription;
}

async function resetTable(
  { plan, own, signal }: StartOverRequest,
  changes: readonly Widening[],
  rules: FieldRules | undefined,
): Promise<ResetTable> {
  const { pool, options, importLog, importSource, reading, columns } = plan;
  const { schema, table } = plan.table;
  const work = async (client: CopyClient): Promise<ResetTable> => {
    let log: ImportLog | undefined;
    const retyped = changes.filter(({ from, to }) => from !== to);
    await own.startOver(
      client,
      retyped.map((change) => retypedColumn(change, columns)),
      async (rows) => {
        if (importLog === undefined) return;
        const kept = reading && { reading: readingToKeep(reading, rules) };
        const started = await importLog.startOver(client, { ...importSource, ...kept });
        if ((await rows()) > started.rows) throw hasOtherRows(plan);
        ({ log } = started);
      },
    );
    return { importLog: log, table: await describeTable(client, schema, table) };
  };
  if (options.atomic) return withClient(pool, work);
  return inTransaction(pool, OWN_TRANSACTION.begin, signal, async (client) => {
    await runStatement(client, LIMIT_LOCK_WAIT, [String(LOCK_LIMIT_MS)]);
    return work(client);
  });
}

function retypedColumn({ column, to }: Widening, columns: readonly LoadColumn[]): RetypedColumn {
  const { columnName } = columns.find(({ name }) => name === column)!;
  return { name: columnName, type: to as RetypedColumn['type'] };
}

function hasOtherRows({ table }: LoadPlan): CliError {
  return new CliError(
    `the load must start over with other types, but the table ${JSON.stringify(table.table)} has rows that it has not loaded; ` +
      'load into a new table, with a new --import ID',
  );
}
