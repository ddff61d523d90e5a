/** A table that this load, or an earlier run of its import, has made: the types of its columns were inferred, and may be widened. */

import { quoteTable } from '../../postgres/sql/identifiers.js';
import type { CopyClient } from '../../postgres/protocol/pool.js';
import { runStatement } from '../../postgres/sql/statement.js';
import * as tableStatements from '../../postgres/sql/table-statements.js';
import type { TableColumn, TableDescription } from '../../postgres/table/catalogue.js';
import { CliError } from '../common/errors.js';
import type { InferredType } from './infer-types.js';

/** The inferred types as the server writes them. A column of another type was changed by somebody. */
const INFERRED: Readonly<Record<string, InferredType>> = {
  boolean: 'boolean',
  bigint: 'bigint',
  numeric: 'numeric',
  date: 'date',
  'timestamp without time zone': 'timestamp',
  'timestamp with time zone': 'timestamptz',
  uuid: 'uuid',
  jsonb: 'jsonb',
  text: 'text',
};

export function inferredTypeOf({ typeName }: Pick<TableColumn, 'typeName'>): InferredType | undefined {
  return Object.hasOwn(INFERRED, typeName) ? INFERRED[typeName] : undefined;
}

export interface RetypedColumn {
  /** Its name in the table. */
  readonly name: string;
  readonly type: InferredType;
}

export class OwnTable {
  /** Its number: a table of the same name that somebody else has made meanwhile has another. */
  readonly oid: string;
  readonly #table: string;

  constructor({ schema, table }: Pick<TableDescription, 'schema' | 'table'>, oid: string) {
    this.oid = oid;
    this.#table = quoteTable(schema, table);
  }

  /** Returns the table if it is the one that `oid` numbers. */
  static async find(client: CopyClient, table: TableDescription, oid: string): Promise<OwnTable | undefined> {
    const own = new OwnTable(table, oid);
    return (await own.#isThere(client)) ? own : undefined;
  }

  /**
   * Changes the type of a column in the caller's transaction. The values must stay as they are.
   *
   * @param check throws if they do not. It is called when no batch is under way.
   */
  async widen(client: CopyClient, column: RetypedColumn, check: () => void): Promise<void> {
    await this.#lock(client);
    check();
    await runStatement(client, tableStatements.WRITE_ISO_DATES);
    await runStatement(client, tableStatements.widenColumn(this.#table, column));
  }

  /** Empties the table in the caller's transaction, and gives columns other types. @param check is called before, with the table locked */
  async startOver(
    client: CopyClient,
    columns: readonly RetypedColumn[],
    check: (rows: () => Promise<number>) => Promise<void>,
  ): Promise<void> {
    await this.#lock(client);
    await check(async () => {
      const { rows } = await runStatement(client, tableStatements.countRows(this.#table));
      return Number((rows[0] as { rows: string }).rows);
    });
    for (const statement of tableStatements.emptyAndRetype(this.#table, columns))
      await runStatement(client, statement);
  }

  async #lock(client: CopyClient): Promise<void> {
    await runStatement(client, tableStatements.lockTable(this.#table));
    if (await this.#isThere(client)) return;
    throw new CliError(`the table ${this.#table} is no longer the one that --create has made`);
  }

  async #isThere(client: CopyClient): Promise<boolean> {
    const { rows } = await runStatement(client, tableStatements.FIND_OID, [this.#table]);
    return (rows[0] as { oid: string | null }).oid === this.oid;
  }
}
