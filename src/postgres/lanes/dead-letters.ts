/** Writes messages that the table could not take into the table of dead letters, in their batch's own transaction. */

import { MIB } from '../../common/bytes.js';
import type { LogMessage } from '../../log/log.js';
import type { CopyError } from '../errors/copy-error.js';
import { asciiJson } from '../imports/import-source.js';
import type { CopyClient } from '../protocol/pool.js';
import { quoteTable } from '../sql/identifiers.js';
import { runStatement, statement, type Statement } from '../sql/statement.js';

export interface DeadLetter {
  readonly message: LogMessage;
  readonly error: CopyError;
}

/** The bodies of one statement, unless a single one is larger. */
const MOST_BYTES = MIB;

export function insertDeadLetters(schema: string, table: string): Statement {
  const text = (field: number): string => `(entry OPERATOR(pg_catalog.->>) ${field})`;
  return statement(`INSERT INTO ${quoteTable(schema, table)} (import, lane, position, subject, headers, published_at, body, error, sqlstate)
    SELECT $1::bigint, ${text(0)}::bigint, ${text(1)}::bigint, ${text(2)}, ${text(3)}::pg_catalog.json,
      pg_catalog.to_timestamp(${text(4)}::double precision), pg_catalog.decode(${text(5)}, 'base64'), ${text(6)}, ${text(7)}
    FROM pg_catalog.json_array_elements($2::pg_catalog.json) AS entry`);
}

export async function writeDeadLetters(
  client: CopyClient,
  insert: Statement,
  importRow: string,
  letters: readonly DeadLetter[],
): Promise<void> {
  let entries: unknown[] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    if (entries.length > 0) await runStatement(client, insert, [importRow, asciiJson(entries)]);
    entries = [];
    bytes = 0;
  };
  for (const letter of letters) {
    const size = letter.message.bytes.length;
    if (bytes + size > MOST_BYTES) await flush();
    entries.push(entryOf(letter));
    bytes += size;
  }
  await flush();
}

function entryOf({ message, error }: DeadLetter): unknown[] {
  const { bytes, headers } = message;
  return [
    message.lane,
    message.position,
    storable(message.subject),
    headers === undefined ? null : JSON.stringify(headers),
    message.timestamp.getTime() / 1_000,
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64'),
    storable(error.message),
    error.sqlState ?? null,
  ];
}

/** PostgreSQL's texts have no U+0000, and no half of a surrogate pair. */
function storable(text: string): string {
  return text.replaceAll('\0', '\ufffd').toWellFormed();
}
