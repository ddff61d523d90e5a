/**
 * Makes room for a value that the inferred type of its column cannot take, while a load is under way.
 *
 * ```text
 *   value does not fit
 *     ├── a number, for whole numbers ─────▶ ALTER … TYPE numeric, and the batch is tried again
 *     ├── the input can be read once only
 *     │     ├── a marker such as NA ───────▶ it is NULL from now on
 *     │     └── all before is as written ──▶ ALTER … TYPE text, and the batch is tried again
 *     └── anything else ───────────────────▶ MisfitError: the load starts over (load/start-over.ts), or fails
 * ```
 *
 * Only if every value so far is stored as it was written, can a column become text in place: `TRUE` and `.5` are stored in another form.
 */

import { LosslessNumber } from 'lossless-json';
import { toError } from '../../common/thrown.js';
import { CopyError } from '../../postgres/errors/copy-error.js';
import { inTransaction } from '../../postgres/imports/import-transaction.js';
import type { CopyClient, CopyPool } from '../../postgres/protocol/pool.js';
import { runStatement } from '../../postgres/sql/statement.js';
import { LIMIT_STATEMENTS } from '../../postgres/sql/table-statements.js';
import { OWN_TRANSACTION } from '../../postgres/sql/transaction-scope.js';
import { columnFlag } from '../args/column-flag.js';
import type { Format } from '../args/options.js';
import { causesOf, CliError, ExitCode, InputError } from '../common/errors.js';
import { USUAL_NULLS } from '../detect/cells/cell-kind.js';
import type { FieldRules } from '../csv/field-rules.js';
import { FieldFit, type FitOptions } from '../csv/field-fit.js';
import { textForServer } from '../values/converted-field.js';
import { SourceRow } from '../records/record-parser.js';
import type { Widenings } from '../report/widenings.js';
import { TypeInference, type InferredType } from '../table/infer-types.js';
import { inferredTypeOf, type OwnTable } from '../table/own-table.js';
import { withClient, type LoadColumn } from '../table/table.js';
import { describeLoadFailure } from './load-failure.js';

/** A value that its type cannot read: invalid text, out of range, of a wrong form or field, an unknown time zone. */
const MISFIT_STATES: ReadonlySet<string> = new Set(['22P02', '22003', '22007', '22008', '22009', '22023']);
const MARKERS: ReadonlySet<string> = new Set(['', ...USUAL_NULLS]);
/** Characters of a value that a message quotes. */
const LONGEST_SHOWN = 60;
/** Less than a batch may take: other batches wait for it. */
const ALTER_LIMIT_MS = 40_000;

/** A value does not fit the inferred type of its column, and the type cannot be changed in place. */
export class MisfitError extends CliError {
  override readonly name = 'MisfitError';
  readonly column: LoadColumn;
  readonly row: SourceRow;

  /** @param message says what ends the load if it cannot start over */
  constructor(message: string, { column, row, cause }: Misfit) {
    super(message, ExitCode.FAILED, cause);
    this.column = column;
    this.row = row;
  }
}

/** A value that the server would take, but that is not written like the others of its column. */
class UnlikeError extends InputError {
  readonly place: number;

  constructor({ file, line }: SourceRow, place: number, reason: string) {
    super(file, line, reason);
    this.place = place;
  }
}

function unlikeIn(error: CopyError): UnlikeError | undefined {
  return causesOf(error).find((cause) => cause instanceof UnlikeError);
}

interface Misfit {
  readonly column: LoadColumn;
  readonly row: SourceRow;
  /** Among the columns. */
  readonly place: number;
  readonly value: unknown;
  /** Why it does not fit. */
  readonly cause: CopyError | CliError;
}

export interface WidenerOptions {
  readonly pool: CopyPool;
  readonly table: OwnTable;
  /** Those whose types may be changed. */
  readonly columns: readonly LoadColumn[];
  /** The load is one transaction, whose connection is all that the pool has. */
  readonly isAtomic: boolean;
  readonly format: Format;
  /** How fields are written where a block of them is sent. */
  readonly fields: FitOptions;
  /** How fields are read. */
  readonly rules: FieldRules | undefined;
  /** The usual markers of missing values are NULL, except in texts. */
  readonly hasMarkers: boolean;
  /** The input cannot be read again. */
  readonly isOnce: boolean;
  /** No earlier run of an import has loaded a part of the input, whose values are not known here. */
  readonly isFirstRun: boolean;
  readonly widenings: Widenings;
}

export class ColumnWidener {
  readonly #options: WidenerOptions;
  /** By the table's names of the columns. */
  readonly #types = new Map<string, InferredType>();
  /** Knows the forms of the types. */
  readonly fit: FieldFit;
  /** Widenings go one after another: several batches may ask for the same. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: WidenerOptions) {
    this.#options = options;
    for (const column of options.columns) {
      const type = column.hasGivenType === true ? undefined : inferredTypeOf(column);
      if (type !== undefined && type !== 'text' && type !== 'jsonb') this.#types.set(column.columnName, type);
    }
    const types = options.columns.map(({ columnName }) => this.#types.get(columnName));
    this.fit = new FieldFit(
      types.map((type) => this.#formOf(type)),
      options.fields,
    );
  }

  /** Whether a row was refused because the type that was inferred for a column is too narrow. */
  readonly isMisfit = (error: CopyError): boolean => {
    const { sqlState, column } = error;
    if (column === undefined) return unlikeIn(error) !== undefined;
    return this.#types.has(column) && MISFIT_STATES.has(sqlState ?? '');
  };

  /** Whether a column of whole numbers may become one of decimals. */
  isWholeNumber({ columnName }: LoadColumn): boolean {
    return this.#types.get(columnName) === 'bigint';
  }

  /** @throws {UnlikeError} if the server would take a value as something else than what is written */
  assertFit(row: SourceRow, values: unknown[]): void {
    const place = this.fit.misfit(values);
    if (place === -1) return;
    const { name, columnName } = this.#options.columns[place]!;
    const shown = JSON.stringify(values[place]).slice(0, LONGEST_SHOWN);
    const type = this.#types.get(columnName)!;
    const reason = `column ${JSON.stringify(name)}: ${shown} is not written like the values of type ${type} before it`;
    throw new UnlikeError(row, place, reason);
  }

  /**
   * Resolves when the batch can be tried again.
   *
   * @param widened steps that were taken for this batch before
   * @throws {MisfitError} if the column cannot be widened in place; `error`, if it is about something else
   */
  async makeRoomAfter(error: unknown, widened: Set<string>): Promise<void> {
    const misfit = this.#misfitOf(error);
    if (misfit === undefined) throw error;
    const done = this.#last.then(() => this.#widen(misfit, widened));
    this.#last = done.catch(() => undefined);
    await done;
  }

  #misfitOf(error: unknown): Misfit | undefined {
    if (!(error instanceof CopyError) || !this.isMisfit(error)) return undefined;
    const [row] = error.items;
    if (!(row instanceof SourceRow) || error.items.length > 1) return undefined;
    const { columns } = this.#options;
    const unlike = unlikeIn(error);
    const place = unlike?.place ?? columns.findIndex(({ columnName }) => columnName === error.column);
    return { column: columns[place]!, place, row, value: row.values[place], cause: unlike ?? error };
  }

  async #widen(misfit: Misfit, widened: Set<string>): Promise<void> {
    const { column } = misfit;
    const room = this.#roomFor(misfit);
    // Another type for the same batch must be another step.
    const step = `${column.columnName} ${room?.type ?? ''} ${room?.nullText ?? ''}`;
    if (room === undefined || widened.has(step)) throw this.#misfitError(misfit, 'text');
    widened.add(step);
    // Another batch has asked before.
    const from = this.#types.get(column.columnName) ?? 'text';
    if (room.nullText !== undefined) this.fit.addNull(misfit.place, room.nullText);
    else if (room.type === from) return;
    else await this.#alter(misfit, room.type);
    const { row } = misfit;
    const place = { file: row.file, line: row.line };
    const nulls = room.nullText === undefined ? [] : [room.nullText];
    this.#options.widenings.add({ column: column.name, from, to: room.type, nulls, place });
  }

  /** Returns what makes room for a value, without a look at the values before. Undefined: nothing does. */
  #roomFor({ column, value, place }: Misfit): { type: InferredType; nullText?: string } | undefined {
    const { format, isOnce, isFirstRun, rules } = this.#options;
    const type = this.#types.get(column.columnName);
    if (type === undefined) return { type: 'text' };
    if ((type === 'bigint' || type === 'numeric') && isNumber(value, format)) return { type: 'numeric' };
    if (!isOnce || format !== 'csv' || typeof value !== 'string') return undefined;
    if (MARKERS.has(value) && this.#options.hasMarkers) return { type, nullText: value };
    const hasRule = rules !== undefined && Object.hasOwn(rules, column.name);
    return isFirstRun && !hasRule && this.fit.isAsWritten(place) ? { type: 'text' } : undefined;
  }

  async #alter(misfit: Misfit, type: InferredType): Promise<void> {
    const { pool, table, isAtomic } = this.#options;
    const { columnName } = misfit.column;
    const work = async (client: CopyClient): Promise<void> => {
      if (!isAtomic) await runStatement(client, LIMIT_STATEMENTS, [String(ALTER_LIMIT_MS)]);
      await table.widen(client, { name: columnName, type }, () => {
        // Batches that were under way may have had another form.
        if (type === 'text' && !this.fit.isAsWritten(misfit.place)) throw this.#misfitError(misfit, type);
      });
    };
    try {
      if (isAtomic) await withClient(pool, work);
      else await inTransaction(pool, OWN_TRANSACTION.begin, AbortSignal.timeout(2 * ALTER_LIMIT_MS), work);
    } catch (error) {
      if (isAtomic || error instanceof MisfitError) throw error;
      throw this.#misfitError(misfit, type, toError(error));
    }
    if (type === 'text') this.#types.delete(columnName);
    else this.#types.set(columnName, type);
    this.fit.setType(misfit.place, this.#formOf(type));
  }

  /** The type whose form the fields have. Booleans and decimals of JSON are no texts, and have forms of their own. */
  #formOf(type: InferredType | undefined): InferredType | undefined {
    const isOfJson = type === 'boolean' || type === 'numeric';
    return this.#options.format === 'ndjson' && isOfJson ? undefined : type;
  }

  #misfitError(misfit: Misfit, wider: InferredType, failure?: Error): MisfitError {
    const why = failure === undefined ? '' : ` (it could not be widened: ${failure.message})`;
    const message =
      `${describeLoadFailure(misfit.cause).message}; the column's type is that of the records before${why}, ` +
      `and they cannot be read again: give ${columnFlag('--type', misfit.column.name, wider)}`;
    return new MisfitError(message, misfit);
  }
}

/** A number of JSON, or a text that a column of decimals keeps as it is written. */
function isNumber(given: unknown, format: Format): boolean {
  const value = textForServer(given);
  if (typeof value === 'number' || value instanceof LosslessNumber) return true;
  if (typeof value !== 'string' || format === 'ndjson') return false;
  const inference = new TypeInference();
  inference.addText(value);
  return inference.type === 'bigint' || inference.type === 'numeric';
}
