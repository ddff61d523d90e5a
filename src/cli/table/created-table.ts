/** `--create`: the table that this run makes, and drops again if the run fails before it has a row. */

import { quoteTable } from '../../postgres/sql/identifiers.js';
import type { ImportLog } from '../../postgres/imports/import-log.js';
import { inTransaction } from '../../postgres/imports/import-transaction.js';
import type { CopyClient, CopyPool } from '../../postgres/protocol/pool.js';
import { runStatement, sequence } from '../../postgres/sql/statement.js';
import * as tableStatements from '../../postgres/sql/table-statements.js';
import { OWN_TRANSACTION } from '../../postgres/sql/transaction-scope.js';
import type { TableDescription } from '../../postgres/table/catalogue.js';
import type { LoadOptions } from '../args/options.js';
import { CliError } from '../common/errors.js';
import type { InputName } from './input-names.js';
import { throwMissingTable, serverTableName, withClient } from './table.js';
import { showTable, type TableName } from '../args/table-name.js';
import { typesForServer } from './given-types.js';
import { serverNames } from './server-names.js';

/** How long the drop may take in all, and how long it waits for others who use the table. In milliseconds. */
const DROP_LIMIT_MS = 10_000;
const LOCK_LIMIT_MS = 5_000;

/** A relation of this name is there: found so, or met while another session was making it. */
const MADE_BY_ANOTHER = new Set(['42P07', '23505']);

export class CreatedTable {
  /** With its schema: the search path no longer decides which table is meant. */
  readonly name: TableName;
  readonly oid: string;
  readonly #table: string;

  private constructor(name: TableName, oid: string) {
    this.name = name;
    this.#table = quoteTable(name.schema, name.table);
    this.oid = oid;
  }

  /**
   * Makes the table, all columns nullable.
   *
   * @param watch calls the work that sends the statement, and nothing before it
   * @returns undefined if another session has made it meanwhile
   * @throws {CliError} if that was another role's, whose triggers would run as the user who loads
   */
  static async make(
    pool: CopyPool,
    name: TableName,
    columns: readonly InputName[],
    { atomic, resume }: Pick<LoadOptions, 'atomic' | 'resume'>,
    watch: <Result>(work: () => Promise<Result>) => Promise<Result>,
  ): Promise<CreatedTable | undefined> {
    if (columns.length === 0) {
      throw new CliError(
        `the table ${showTable(name)} cannot be made: the input has no records to infer its columns from`,
      );
    }
    return withClient(pool, async (client) => {
      const cut = await serverTableName(client, name);
      const schema = cut.schema ?? (await currentSchema(client));
      if (schema === undefined) {
        throw new CliError(
          `the table ${showTable(name)} cannot be made: no schema of the search path exists; give --table SCHEMA.TABLE`,
        );
      }
      const table = quoteTable(schema, cut.table);
      const names = await serverNames(
        client,
        columns.map(({ name, columnName = name }) => columnName),
      );
      const types = await typesForServer(client, columns);
      const typed = types.map((type, index) => ({ name: names[index]!, type }));
      let oid: string | null;
      try {
        const create = tableStatements.createTable(table, typed);
        // As one message, and so one transaction.
        const mark = resume === undefined ? [] : [tableStatements.commentOn(table, unbegun(resume))];
        oid = await watch(async () => {
          await runStatement(client, sequence([create, ...mark]));
          const { rows } = await runStatement(client, tableStatements.FIND_OID, [table]);
          return (rows[0] as { oid: string | null }).oid;
        });
      } catch (error) {
        if (!MADE_BY_ANOTHER.has((error as { code?: string }).code ?? '')) throw error;
        if (!atomic) await assertOwnTable(client, table);
        return undefined;
      }
      return oid === null ? throwMissingTable(name) : new CreatedTable({ schema, table: cut.table }, oid);
    });
  }

  /**
   * Drops a table that an earlier run of the import has made, if that run was killed before it was known as its table: types and reading of
   * the input are kept with the import.
   */
  static async dropUnbegun(
    pool: CopyPool,
    { schema, table }: TableDescription,
    importId: string,
  ): Promise<boolean> {
    const name = quoteTable(schema, table);
    const isUnbegun = async (client: CopyClient): Promise<boolean> => {
      const { rows } = await runStatement(client, tableStatements.FIND_COMMENT, [name]);
      return (rows[0] as { comment: string | null }).comment === unbegun(importId);
    };
    if (!(await withClient(pool, isUnbegun))) return false;
    return inTransaction(pool, OWN_TRANSACTION.begin, AbortSignal.timeout(DROP_LIMIT_MS), async (client) => {
      await runStatement(client, tableStatements.LIMIT_LOCK_WAIT, [String(LOCK_LIMIT_MS)]);
      await runStatement(client, tableStatements.lockTable(name));
      const { rows } = await runStatement(client, tableStatements.findOidAndUse(name), [name]);
      if ((rows[0] as { used: string }).used === 'true' || !(await isUnbegun(client))) return false;
      await runStatement(client, tableStatements.dropTable(name));
      return true;
    });
  }

  /** To be called in the transaction that makes the import known. */
  async begin(client: CopyClient): Promise<void> {
    await runStatement(client, tableStatements.commentOn(this.#table, null));
  }

  /**
   * Drops the table if it is still the one that was made, has no row, and no import has a checkpoint for it.
   *
   * @returns whether it was dropped
   * @throws when the server cannot be asked, or something else depends on the table
   */
  async dropIfEmpty(pool: CopyPool, importLog: ImportLog | undefined): Promise<boolean> {
    const drop = async (client: CopyClient): Promise<boolean> => {
      await runStatement(client, tableStatements.LIMIT_LOCK_WAIT, [String(LOCK_LIMIT_MS)]);
      await runStatement(client, tableStatements.lockTable(this.#table));
      const { rows } = await runStatement(client, tableStatements.findOidAndUse(this.#table), [this.#table]);
      const { oid, used } = rows[0] as { oid: string | null; used: string };
      if (oid !== this.oid || used === 'true') return false;
      if (importLog !== undefined && !(await importLog.forget(client))) return false;
      await runStatement(client, tableStatements.dropTable(this.#table));
      return true;
    };
    return inTransaction(pool, OWN_TRANSACTION.begin, AbortSignal.timeout(DROP_LIMIT_MS), drop);
  }
}

/** The comment of a table between its making and the beginning of the import. */
function unbegun(importId: string): string {
  return `made by spillway load for the import ${JSON.stringify(importId)}, which has not begun`;
}

async function assertOwnTable(client: CopyClient, table: string): Promise<void> {
  const { rows } = await runStatement(client, tableStatements.FIND_OWNER, [table]);
  const found = rows[0] as { owner: string; me: string; is_trusted: string } | undefined;
  if (found === undefined || found.is_trusted === 'true') return;
  throw new CliError(
    `the table ${table} was made by ${JSON.stringify(found.owner)} at the same time, and its triggers would run as ` +
      `${JSON.stringify(found.me)}; leave --create out if it is the table that you mean`,
  );
}

async function currentSchema(client: CopyClient): Promise<string | undefined> {
  const { rows } = await runStatement(client, tableStatements.CURRENT_SCHEMA);
  return (rows[0] as { schema: string | null }).schema ?? undefined;
}
