/** `spillway query`: one query in a read-only transaction, its rows as a table or as lines of JSON. */

import { once } from 'node:events';
import type { FieldDef, QueryArrayResult } from 'pg';
import { connect } from './connection.js';
import { resolveDestination } from './destination.js';
import { CliError, ExitCode, oneLine } from './errors.js';
import type { Terminal } from './load.js';
import type { QueryOptions } from './options.js';
import { formatTable } from './query-table.js';

/** @throws {CliError} in the server's words where it refuses the query. */
export async function query(
  options: QueryOptions,
  terminal: Pick<Terminal, 'environment' | 'stdout'>,
): Promise<void> {
  const connection = await connect(resolveDestination(options.to, terminal.environment), 1);
  try {
    const client = await connection.pool.connect();
    try {
      await client.query('BEGIN READ ONLY');
      const { fields, rows } = await runQuery(client, options);
      await client.query('ROLLBACK');
      await write(
        terminal.stdout,
        options.json ? jsonLines(fields, rows) : [formatTable(fields, rows as (string | null)[][])],
      );
    } finally {
      client.release(true);
    }
  } finally {
    await connection.close();
  }
}

type Row = unknown[];

async function runQuery(
  client: { query(config: object): Promise<unknown> },
  options: QueryOptions,
): Promise<{ fields: FieldDef[]; rows: Row[] }> {
  try {
    const result = (await client.query({
      text: options.sql,
      rowMode: 'array',
      // For a table, what the server writes is right as it is.
      ...(options.json ? {} : { types: { getTypeParser: () => (text: string) => text } }),
    })) as QueryArrayResult<Row> | QueryArrayResult<Row>[];
    // Several statements give several results; the last one is looked at.
    const last = Array.isArray(result) ? result.at(-1)! : result;
    return { fields: last.fields, rows: last.rows };
  } catch (error) {
    throw new CliError(oneLine((error as Error).message), ExitCode.FAILED, error);
  }
}

function* jsonLines(fields: readonly FieldDef[], rows: readonly Row[]): Generator<string> {
  for (const row of rows) {
    const record = Object.fromEntries(fields.map((field, index) => [field.name, row[index]]));
    yield `${JSON.stringify(record)}\n`;
  }
}

async function write(stream: NodeJS.WritableStream, texts: Iterable<string>): Promise<void> {
  for (const text of texts) {
    if (!stream.writable) return;
    if (stream.write(text)) continue;
    // A reader that has gone will never drain.
    await Promise.race([once(stream, 'drain'), once(stream, 'close')]);
  }
}
