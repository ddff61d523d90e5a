/** Writes messages that the table could not take into the table of dead letters, in their batch's own transaction. */

import { MIB } from '../../common/bytes.js';
import type { LogMessage } from '../../log/log.js';
import { CopyError } from '../errors/copy-error.js';
import { showImportId } from '../imports/import-id.js';
import { asciiJson } from '../imports/import-source.js';
import type { CopyClient } from '../protocol/pool.js';
import { quoteTable } from '../sql/identifiers.js';
import { EQUALS, runStatement, statement, type Statement } from '../sql/statement.js';
import type { LaneLedgerOptions } from './join-import.js';

export interface DeadLetter {
  readonly message: LogMessage;
  readonly error: CopyError;
}

/** The bodies of one statement, unless a single one is larger. */
const MOST_BYTES = MIB;

/** The dead letters of one import. */
export class DeadLetters {
  readonly #options: LaneLedgerOptions;
  readonly #importRow: string;
  readonly #insert: Statement;
  readonly #count: Statement;

  constructor(options: LaneLedgerOptions, importRow: string) {
    const table = quoteTable(options.schema, options.deadLetters);
    this.#options = options;
    this.#importRow = importRow;
    this.#insert = insertInto(table);
    // Not all of them, if there are many.
    this.#count = statement(`SELECT pg_catalog.count(*)::pg_catalog.text AS count
      FROM (SELECT FROM ${table} t WHERE t.import ${EQUALS} $1 LIMIT $2::bigint) AS few`);
  }

  /**
   * Only the one who has locked the import knows that nobody else adds some meanwhile.
   *
   * @throws {CopyError} `setup`, if there would be more than `most`
   */
  async checkLimit(client: CopyClient, letters: readonly DeadLetter[], most: number): Promise<void> {
    const { rows } = await runStatement(client, this.#count, [this.#importRow, String(most + 1)]);
    const stored = Number((rows as [{ count: string }])[0].count);
    if (stored + letters.length <= most) return;
    throw describeLimit(this.#options, stored, letters, most);
  }

  async write(client: CopyClient, letters: readonly DeadLetter[]): Promise<void> {
    let entries: unknown[] = [];
    let bytes = 0;
    const flush = async (): Promise<void> => {
      const values = [this.#importRow, asciiJson(entries), this.#options.deadLetterSubject ?? null];
      if (entries.length > 0) await runStatement(client, this.#insert, values);
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
}

/** @param table quoted, with its schema */
function insertInto(table: string): Statement {
  const text = (field: number): string => `(entry OPERATOR(pg_catalog.->>) ${field})`;
  return statement(`INSERT INTO ${table} (import, lane, position, subject, headers, published_at, body, error, sqlstate, copy_to)
    SELECT $1::bigint, ${text(0)}::bigint, ${text(1)}::bigint, ${text(2)}, ${text(3)}::pg_catalog.json,
      pg_catalog.to_timestamp(${text(4)}::double precision), pg_catalog.decode(${text(5)}, 'base64'), ${text(6)}, ${text(7)}, $3::pg_catalog.text
    FROM pg_catalog.json_array_elements($2::pg_catalog.json) AS entry`);
}

const MOST_SHOWN = 5;

function describeLimit(
  { importId, table, schema, deadLetters }: LaneLedgerOptions,
  stored: number,
  letters: readonly DeadLetter[],
  most: number,
): CopyError {
  const [first] = letters;
  const shown = letters.slice(0, MOST_SHOWN).map(({ message }) => message.position);
  const rest = letters.length - shown.length;
  const positions = `${shown.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
  return new CopyError(
    `import ${showImportId(importId)} has ${stored} dead letters, and a batch would add ${letters.length}, of lane ${first!.message.lane} at ` +
      `${letters.length === 1 ? 'position' : 'positions'} ${positions} (${reasonOf(first!)}): more than ${most}; nothing of the batch is stored. ` +
      `Mend what is wrong, delete those from ${quoteTable(schema, deadLetters)} that are dealt with, or raise 'maxRejects' (--max-rejects)`,
    { failureClass: 'setup', table, cause: first!.error },
  );
}

function entryOf(letter: DeadLetter): unknown[] {
  const { message, error } = letter;
  const { bytes, headers } = message;
  return [
    message.lane,
    message.position,
    storable(message.subject),
    headers === undefined ? null : JSON.stringify(headers),
    message.timestamp.getTime() / 1_000,
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64'),
    storable(reasonOf(letter)),
    error.sqlState ?? null,
  ];
}

/** The error by the message's position: nobody can look up which row of a batch it was. */
export function reasonOf({ message, error }: DeadLetter): string {
  return error.message.replace(`row ${error.row} of the batch`, `position ${message.position}`);
}

/** PostgreSQL's texts have no U+0000, and no half of a surrogate pair. */
function storable(text: string): string {
  return text.replaceAll('\0', '\ufffd').toWellFormed();
}
