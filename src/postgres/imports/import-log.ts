/**
 * Records what an import has committed, in two small tables beside the one that is loaded. Each batch writes a checkpoint in its own
 * transaction, so that rows and checkpoint are committed together. A later run of the same source leaves out what has a checkpoint.
 */

import { describeOutOfOrder, type Position } from '../../common/position.js';
import { expectOtherStatements } from '../protocol/own-query.js';
import { LARGE_ANSWER } from '../protocol/protocol-guard.js';
import { CopyError } from '../errors/copy-error.js';
import { AlreadyCommitted, describeImportFailure, SourceChanged, takenOver } from './import-errors.js';
import { showImportId } from './import-id.js';
import { readCommitted, type Committed } from './committed-ranges.js';
import { PositionRanges, toPosition } from './import-positions.js';
import { asciiJson, sourceDifferences } from './import-source.js';
import { importStatements, type ImportStatements } from './import-statements.js';
import {
  checkTables,
  ensureTables,
  isMadeMeanwhile,
  isDuplicateCheckpoint,
  type LoadedTable,
} from './import-tables.js';
import { inTransaction, limitLockWait } from './import-transaction.js';
import type { CopyClient, CopyPool } from '../protocol/pool.js';
import { runStatement, statement, type Statement } from '../sql/statement.js';

/** Longer than a batch stays open behind its checkpoint. */
const LOCK_TIMEOUT_MS = 30_000;
/** SQLSTATE */
const UNDEFINED_TABLE = '42P01';
const FETCH_REJECTS = statement('FETCH 200 FROM spillway_rejects');

export interface ImportOptions<Client extends CopyClient = CopyClient> {
  /** Names the import: the same in every run. See `isImportId`. */
  readonly importId: string;
  /** Of the table that is loaded; the bookkeeping lies in the same schema. */
  readonly schema: string;
  readonly table: string;
  /** Describes the source in values of JSON. A later run must give the same. */
  readonly source?: object | undefined;
  /** Runs in the transaction that makes the import known, and so once for all of its runs. */
  readonly onFirstRun?: ((client: Client) => Promise<unknown>) | undefined;
  /** How long to wait for batches of an earlier run. Default 30 000 ms. */
  readonly lockTimeoutMs?: number | undefined;
}

/** An item that the table could not take, with what is to be kept of it. */
export interface ImportReject {
  readonly position: Position;
  /** A value of JSON. */
  readonly reject: unknown;
}

interface Found {
  readonly id: string;
  readonly run: string;
  readonly isFirstRun: boolean;
  readonly isFinished: boolean;
}

export class ImportLog<Client extends CopyClient = CopyClient> {
  readonly importId: string;
  /** True if this run has made the import known. */
  readonly isFirstRun: boolean;
  /** Rows that earlier runs have committed. */
  readonly rowsBefore: number;
  /** Rejects that earlier runs have committed. */
  readonly rejectedBefore: number;
  readonly #pool: CopyPool<Client>;
  readonly #loaded: LoadedTable;
  readonly #statements: ImportStatements;
  readonly #id: string;
  readonly #run: string;
  #isFinished: boolean;
  readonly #committed: PositionRanges;

  private constructor(
    pool: CopyPool<Client>,
    { importId, schema, table }: ImportOptions<Client>,
    statements: ImportStatements,
    found: Found,
    committed: Committed,
  ) {
    this.#pool = pool;
    this.importId = importId;
    this.#loaded = { schema, table };
    this.#statements = statements;
    this.#id = found.id;
    this.#run = found.run;
    this.isFirstRun = found.isFirstRun;
    this.#isFinished = found.isFinished;
    this.rowsBefore = committed.rows;
    this.rejectedBefore = committed.rejected;
    this.#committed = committed.ranges;
  }

  /**
   * Begins a run. From then on, earlier runs can commit nothing more. That includes a run whose loader was killed while the server still works
   * on its last batch.
   *
   * @throws {CopyError} `setup` for another table or source; `transport` if batches of an earlier run do not end in time
   */
  static async open<Client extends CopyClient>(
    pool: CopyPool<Client>,
    options: ImportOptions<Client>,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<ImportLog<Client>> {
    const statements = importStatements(options.schema);
    try {
      const open = async (client: Client): Promise<ImportLog<Client>> => {
        const found = await beginRun(client, statements, options);
        const committed = await readCommitted(client, statements, found.id);
        return new ImportLog(pool, options, statements, found, committed);
      };
      try {
        return await inTransaction(pool, statements.begin, signal, open);
      } catch (error) {
        if (!isMadeMeanwhile(error)) throw error;
        return await inTransaction(pool, statements.begin, signal, open);
      }
    } catch (error) {
      throw describeImportFailure(error, 'begin', options.importId);
    }
  }

  /**
   * Returns the `source` of earlier runs; undefined without one.
   *
   * @throws {CopyError} `setup`, if the tables are not trusted: even to read them may run code of another role
   */
  static async findSource(
    pool: CopyPool,
    { schema, table, importId }: Pick<ImportOptions, 'schema' | 'table' | 'importId'>,
    signal: AbortSignal,
  ): Promise<unknown> {
    const statements = importStatements(schema);
    try {
      return await inTransaction(pool, statements.begin, signal, async (client) => {
        await limitLockWait(client, LOCK_TIMEOUT_MS);
        await checkTables(client, { schema, table });
        const { rows } = await runStatement(client, statements.find, [importId]);
        return parsed((rows[0] as KnownImport | undefined)?.source ?? null);
      });
    } catch (error) {
      if ((error as { code?: unknown }).code === UNDEFINED_TABLE) return undefined;
      throw describeImportFailure(error, 'begin', importId);
    }
  }

  get isFinished(): boolean {
    return this.#isFinished;
  }

  /** The highest position that has been committed. */
  get lastCommitted(): Position | undefined {
    return this.#committed.last;
  }

  /** True if an earlier run has committed it, or `confirm` was called for it. Costs the logarithm of the number of ranges. */
  has(position: Position): boolean {
    return this.#committed.has(position);
  }

  /**
   * Writes the checkpoint of a batch, as the last statement before its COMMIT. Then all positions from `first` to `last` count as committed.
   * Those between that are not in the batch must be committed already, or be in no batch at all.
   *
   * @throws {AlreadyCommitted} an earlier attempt has stored the batch: this one must be rolled back
   * @throws {CopyError} `setup`, if another run has taken over; or what the client throws
   */
  async writeCheckpoint(
    client: CopyClient,
    first: Position,
    last: Position,
    rows: number,
    rejects: readonly ImportReject[] = [],
  ): Promise<void> {
    if (last < first) throw new CopyError(describeOutOfOrder(last, first, false), { failureClass: 'setup' });
    // A text within JSON: PostgreSQL's functions of JSON fail on an escaped U+0000, which they do not see here.
    const entries = rejects.map(
      ({ position, reject }) => `[${toPosition(position)},${JSON.stringify(asciiJson(reject ?? null))}]`,
    );
    const values = [
      this.#id,
      this.#run,
      String(first),
      String(last),
      String(rows),
      String(entries.length),
      entries.length === 0 ? null : `[${entries.join(',')}]`,
    ];
    try {
      await checkTables(client, this.#loaded);
      const { rows: written } = await runStatement(client, this.#statements.checkpoint, values);
      if (written.length === 0) throw takenOver(this.importId);
    } catch (error) {
      if (!isDuplicateCheckpoint(error)) throw error;
      throw new AlreadyCommitted(`the batch from ${first} to ${last} had been committed`, { cause: error });
    }
  }

  /** Records that the batch's COMMIT has succeeded. */
  confirm(first: Position, last: Position): void {
    this.#committed.add(first, last);
  }

  /**
   * Reads what has been committed again, after a COMMIT whose response was lost. Waits until the server has ended that COMMIT.
   *
   * @throws {CopyError} `setup`, if another run has taken over
   */
  async refresh(signal?: AbortSignal): Promise<void> {
    await this.#inRun('read what was committed by', signal, async (client) => {
      await this.#expectRun(client, this.#statements.lockRun);
      const { ranges } = await readCommitted(client, this.#statements, this.#id);
      ranges.forEach((first, last) => this.#committed.add(first, last));
    });
  }

  /** Records that all of the source is committed. @throws {CopyError} `setup`, if another run has taken over */
  async finish(signal?: AbortSignal): Promise<void> {
    await this.#inRun('finish', signal, async (client) => {
      await this.#expectRun(client, this.#statements.finish);
      await runStatement(client, this.#statements.compact, [this.#id]);
    });
    this.#isFinished = true;
  }

  /** Passes what was kept of the rejects of all runs to `use`, in the order of their positions, and awaits each call. */
  async readRejects(use: (reject: unknown) => Promise<void> | void, signal?: AbortSignal): Promise<void> {
    await this.#inRun('read the rejects of', signal, async (client) => {
      // Nothing is locked, and `use` may take long.
      await runStatement(client, this.#statements.liftSilenceLimit);
      await runStatement(client, this.#statements.openRejects, [this.#id]);
      for (;;) {
        const { rows } = await runStatement(client, FETCH_REJECTS, [], LARGE_ANSWER);
        if (rows.length === 0) return;
        for (const { reject } of rows as { reject: string }[]) await use(JSON.parse(reject));
      }
    });
  }

  /**
   * Deletes the import in the caller's transaction, unless it has a checkpoint or another run has taken over.
   *
   * @returns whether it is gone
   */
  async forget(client: CopyClient): Promise<boolean> {
    await checkTables(client, this.#loaded);
    const { rows } = await runStatement(client, this.#statements.forget, [this.#id, this.#run]);
    return rows.length > 0;
  }

  /**
   * Forgets in the caller's transaction what the import has committed, and replaces the description of its source. Earlier batches can commit nothing more.
   *
   * @returns the import as it is once the transaction is committed, and how many rows had been
   * @throws {CopyError} `setup`, if another run has taken over
   */
  async startOver(client: CopyClient, source: object): Promise<{ log: ImportLog<Client>; rows: number }> {
    await checkTables(client, this.#loaded);
    const values = [this.#id, this.#run, asciiJson(source)];
    const { rows: updated } = await runStatement(client, this.#statements.startOver, values);
    const { run } = (updated[0] ?? {}) as { run?: string };
    if (run === undefined) throw takenOver(this.importId);
    const { rows: gone } = await runStatement(client, this.#statements.forgetRanges, [this.#id]);
    const log = new ImportLog<Client>(
      this.#pool,
      { importId: this.importId, ...this.#loaded },
      this.#statements,
      { id: this.#id, run, isFirstRun: this.isFirstRun, isFinished: false },
      { ranges: new PositionRanges(), rows: 0, rejected: 0 },
    );
    return { log, rows: Number((gone[0] as { rows: string }).rows) };
  }

  async #expectRun(client: CopyClient, text: Statement): Promise<void> {
    const { rows } = await runStatement(client, text, [this.#id, this.#run]);
    if (rows.length === 0) throw takenOver(this.importId);
  }

  async #inRun(
    what: string,
    signal: AbortSignal = new AbortController().signal,
    work: (client: CopyClient) => Promise<void>,
  ): Promise<void> {
    try {
      await inTransaction(this.#pool, this.#statements.begin, signal, async (client) => {
        await limitLockWait(client, LOCK_TIMEOUT_MS);
        await checkTables(client, this.#loaded);
        await work(client);
      });
    } catch (error) {
      throw describeImportFailure(error, what, this.importId);
    }
  }
}

async function beginRun<Client extends CopyClient>(
  client: Client,
  statements: ImportStatements,
  options: ImportOptions<Client>,
): Promise<Found> {
  const { importId, table, source, onFirstRun } = options;
  const limitBefore = await limitLockWait(client, options.lockTimeoutMs ?? LOCK_TIMEOUT_MS);
  await ensureTables(client, options, statements.create);
  const sourceText = source === undefined ? null : asciiJson(source);
  const inserted = await runStatement(client, statements.insert, [importId, table, sourceText]);
  const made = inserted.rows[0] as { id: string; run: string } | undefined;
  if (made !== undefined) {
    // For locks on other tables than ours, the session's own limit applies.
    await limitLockWait(client, limitBefore);
    expectOtherStatements(client);
    await onFirstRun?.(client);
    return { ...made, isFirstRun: true, isFinished: false };
  }
  const { rows } = await runStatement(client, statements.find, [importId]);
  const known = rows[0] as KnownImport | undefined;
  // Deleted since the statement before.
  if (known === undefined) throw takenOver(importId);
  if (known.table_name !== table) {
    throw new CopyError(
      `import ${showImportId(importId)} is one of table ${JSON.stringify(known.table_name)}, not of ${JSON.stringify(table)}; give another import id`,
      { failureClass: 'setup', table },
    );
  }
  const differences = sourceDifferences(parsed(known.source), parsed(sourceText));
  if (differences.length > 0) throw new SourceChanged(importId, differences);
  const { rows: updated } = await runStatement(client, statements.nextRun, [known.id]);
  const { run } = updated[0] as { run: string };
  return { id: known.id, run, isFirstRun: false, isFinished: known.is_finished === 'true' };
}

interface KnownImport {
  readonly id: string;
  readonly table_name: string;
  readonly source: string | null;
  readonly is_finished: string;
}

function parsed(json: string | null): unknown {
  return json === null ? undefined : JSON.parse(json);
}
