/** `spillway query`: one query in a read-only transaction, its rows as a table or as lines of JSON. */

import type { FieldDef, QueryArrayResult } from 'pg';
import { expectOtherStatements } from '../../postgres/protocol/own-query.js';
import { runStatement, statement } from '../../postgres/sql/statement.js';
import { OWN_TRANSACTION } from '../../postgres/sql/transaction-scope.js';
import { connecting, startTasks, type Tasks } from '../live/tasks.js';
import { connect, type Connection } from '../server/connection.js';
import { inTime } from '../server/answer-time.js';
import { resolveDestination } from '../server/destination.js';
import { CliError, ExitCode, oneLine } from '../common/errors.js';
import { printable, safeJson } from '../common/terminal.js';
import type { Terminal } from '../load/load.js';
import type { QueryOptions } from '../args/options.js';
import { formatTable } from '../report/value-table.js';

const BEGIN_READ_ONLY = statement('BEGIN READ ONLY');

/** @throws {CliError} with the server's message if it rejects the query */
export async function query(
  options: QueryOptions,
  terminal: Pick<Terminal, 'environment' | 'stdout' | 'stderr'>,
): Promise<void> {
  const { environment } = terminal;
  const destination = resolveDestination(options.to, environment);
  const progress = startTasks('query', terminal);
  try {
    progress.step(connecting(destination));
    await run(options, terminal.stdout, await connect(destination, 1, environment), progress);
  } finally {
    progress.stop();
  }
}

async function run(
  options: QueryOptions,
  stdout: NodeJS.WritableStream,
  connection: Connection,
  progress: Tasks,
): Promise<void> {
  try {
    const client = await connection.pool.connect();
    try {
      await inTime(runStatement(client, BEGIN_READ_ONLY));
      expectOtherStatements(client);
      progress.step(`waiting for the answer to ${options.sql}`);
      const { fields, rows, command } = await runQuery(client, options);
      if (options.json) assertDistinctNames(fields);
      await inTime(runStatement(client, OWN_TRANSACTION.rollback));
      // What is written may go to the same terminal.
      progress.stop();
      await write(
        stdout,
        options.json ? jsonLines(fields, rows) : asText(fields, rows as (string | null)[][], command),
      );
    } finally {
      client.release(true);
    }
  } finally {
    await connection.close();
  }
}

type Row = unknown[];

/** By the numbers of types, which are the same on every server: int8, int2, int4, oid, json, float4, float8, jsonb. */
const JSON_TYPES: ReadonlySet<number> = new Set([20, 21, 23, 26, 114, 700, 701, 3802]);
const BOOLEAN = 16;

/** JSON's own types where nothing is lost by them; everything else is the server's own text. */
function toJson(type: number): (text: string) => unknown {
  if (type === BOOLEAN) return (text) => text === 't';
  if (!JSON_TYPES.has(type)) return (text) => text;
  return (text) => {
    if (/^-?\d+$/.test(text)) return Number.isSafeInteger(Number(text)) ? Number(text) : text;
    // NaN and the infinities have no JSON.
    return /^-?(?:Infinity|NaN)$/.test(text) ? text : (JSON.parse(text) as unknown);
  };
}

async function runQuery(
  client: { query(config: object): Promise<unknown> },
  options: QueryOptions,
): Promise<{ fields: FieldDef[]; rows: Row[]; command: string | null }> {
  try {
    const result = (await client.query({
      text: options.sql,
      // The protocol that takes one statement only: a second one could come after a COMMIT, out of the read-only transaction.
      queryMode: 'extended',
      rowMode: 'array',
      types: { getTypeParser: options.json ? toJson : () => (text: string) => text },
    })) as QueryArrayResult<Row>;
    return { fields: result.fields, rows: result.rows, command: result.command };
  } catch (error) {
    throw new CliError(oneLine((error as Error).message), ExitCode.FAILED, error);
  }
}

/** What has no columns answers no rows, but a command tag: as in psql, that is printed. */
function asText(fields: FieldDef[], rows: (string | null)[][], command: string | null): string[] {
  if (fields.length > 0 || rows.length > 0) return [formatTable(fields, rows)];
  // An empty statement has none.
  return command === null ? [] : [`${printable(command)}\n`];
}

/** An object has one value for a name: of two columns it would keep the last. */
function assertDistinctNames(fields: readonly FieldDef[]): void {
  const names = new Set<string>();
  for (const { name } of fields) {
    if (names.has(name)) {
      throw new CliError(
        oneLine(
          `two columns have the name ${JSON.stringify(name)}; with --json give one of them another by AS`,
        ),
      );
    }
    names.add(name);
  }
}

function* jsonLines(fields: readonly FieldDef[], rows: readonly Row[]): Generator<string> {
  for (const row of rows) {
    const record = Object.fromEntries(fields.map((field, index) => [field.name, row[index]]));
    yield `${safeJson(JSON.stringify(record))}\n`;
  }
}

async function write(stream: NodeJS.WritableStream, texts: Iterable<string>): Promise<void> {
  for (const text of texts) {
    if (!stream.writable) return;
    if (!stream.write(text)) await drained(stream);
  }
}

/** A reader that has gone will never drain. */
function drained(stream: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      stream.removeListener('drain', go).removeListener('error', go).removeListener('close', go);
      resolve();
    };
    stream.on('drain', go).on('error', go).on('close', go);
  });
}
