/** Looks up the layout of one table's batches: once for all that wait for it, and again after a change. */

import { toError } from '../../common/thrown.js';
import { describeTable, type TableDescription } from '../table/catalogue.js';
import { ClientLease } from '../connection/client-lease.js';
import { CopyError } from '../errors/copy-error.js';
import type { FormatOption } from '../rows/copy-format.js';
import type { ConflictRule } from '../merge/plan-request.js';
import { ClientDates } from '../encoding/dates/client-dates.js';
import type { DateZone } from '../encoding/dates/date-clock.js';
import { describeSetupFailure } from './copy-failure.js';
import { AbortFault, unlessAborted } from '../connection/answer-deadline.js';
import type { CopyClient, CopyPool } from '../protocol/pool.js';
import { describeConflict, type ConflictTarget } from '../table/conflict-target.js';
import { chooseColumns, planLayout, type ColumnChoice, type RowLayout } from '../rows/row-layout.js';

interface LookUp {
  layout: Promise<RowLayout>;
  waiting: number;
  /** Fires when no batch waits any more. */
  abort: AbortController;
}

export class TableLayout {
  readonly #pool: CopyPool;
  readonly #schema: string | undefined;
  readonly #table: string;
  readonly #columns: readonly string[] | undefined;
  readonly #conflict: ConflictRule;
  readonly #format: FormatOption;
  readonly #weightColumn: string | undefined;
  /** Fixed by the first row that fits. */
  #choice: ColumnChoice | undefined;
  #known: { readonly plan: (zone: DateZone) => RowLayout; layout: RowLayout } | undefined;
  readonly #dates: ClientDates;
  /** For the first layout. */
  #given: TableDescription | undefined;
  #lookUp: LookUp | undefined;

  /** @param given the table, if it has been looked up just now: it is looked up again only after a failure */
  constructor(
    pool: CopyPool,
    schema: string | undefined,
    table: string,
    columns: readonly string[] | undefined,
    conflict: ConflictRule,
    format: FormatOption,
    dates?: DateZone,
    weightColumn?: string,
    given?: TableDescription,
  ) {
    this.#pool = pool;
    this.#schema = schema;
    this.#table = table;
    this.#columns = columns;
    this.#conflict = conflict;
    this.#format = format;
    this.#weightColumn = weightColumn;
    this.#given = given;
    this.#dates = new ClientDates(pool, dates);
  }

  /** The layout, if it is known. Read once a batch: it follows the client's setting for dates. */
  get known(): RowLayout | undefined {
    const known = this.#known;
    if (known === undefined) return undefined;
    const zone = this.#dates.zone();
    if (known.layout.zone !== zone) known.layout = known.plan(zone);
    return known.layout;
  }

  /** The next batch looks it up again. */
  forget(layout: RowLayout): void {
    if (this.#known?.layout === layout) this.#known = undefined;
  }

  /** Later rows have keys that the first one did not have. */
  addColumns(layout: RowLayout, names: readonly string[]): void {
    const choice = this.#choice;
    if (choice !== undefined) this.#choice = { ...choice, names: [...new Set([...choice.names, ...names])] };
    this.forget(layout);
  }

  /** @throws {CopyError} */
  async find(firstRow: unknown, signal: AbortSignal): Promise<RowLayout> {
    const { known } = this;
    if (known !== undefined) return known;
    if (signal.aborted) throw describeSetupFailure(new AbortFault(signal), this.#table);
    const lookUp = (this.#lookUp ??= this.#start(firstRow));
    lookUp.waiting += 1;
    try {
      return await unlessAborted(signal, lookUp.layout);
    } catch (error) {
      throw describeSetupFailure(toError(error), this.#table);
    } finally {
      lookUp.waiting -= 1;
      if (lookUp.waiting === 0) {
        lookUp.abort.abort();
        if (this.#lookUp === lookUp) this.#lookUp = undefined;
      }
    }
  }

  #start(firstRow: unknown): LookUp {
    const abort = new AbortController();
    const layout = this.#run(firstRow, abort.signal);
    // Those that wait get the error. If none waits any more, it is ignored.
    layout.catch(() => undefined);
    return { layout, waiting: 0, abort };
  }

  async #run(firstRow: unknown, signal: AbortSignal): Promise<RowLayout> {
    const choice = this.#choice ?? chooseColumns(this.#columns, firstRow, this.#weightColumn);
    if (choice.source === 'keys' && choice.names.length === 0) {
      throw new CopyError(
        `COPY into table ${JSON.stringify(this.#table)}: row 0 of the batch is the first and must be an object with keys, or an array`,
        { failureClass: 'row', sqlState: '22P02', table: this.#table, row: 0, items: [firstRow] },
      );
    }
    const given = this.#given;
    this.#given = undefined;
    const lease = await ClientLease.take(this.#pool, signal);
    try {
      const description =
        given ?? (await unlessAborted(signal, describeTable(lease.client, this.#schema, this.#table)));
      const target = await unlessAborted(signal, this.#findConflictTarget(lease.client, description));
      const plan = (zone: DateZone): RowLayout =>
        planLayout(description, choice, {
          conflict: this.#conflict,
          format: this.#format,
          conflictTarget: target,
          zone,
          weightColumn: this.#weightColumn,
        });
      this.#dates.learn(lease.client);
      const layout = plan(this.#dates.zone());
      this.#choice = choice;
      this.#known = { plan, layout };
      lease.release();
      return layout;
    } catch (thrown) {
      const error = lease.reasonOf(toError(thrown));
      // An error of ours leaves the connection usable. After any other, that is not certain.
      if (error instanceof CopyError && !lease.isLost) lease.release();
      else lease.discard(error);
      throw error;
    }
  }

  #findConflictTarget(client: CopyClient, table: TableDescription): Promise<ConflictTarget | undefined> {
    const { onConflict } = this.#conflict;
    const key = onConflict === 'error' ? undefined : this.#conflict.key;
    return key === undefined ? Promise.resolve(undefined) : describeConflict(client, table, key);
  }
}
