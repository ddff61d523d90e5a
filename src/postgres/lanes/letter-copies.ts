/** Copies dead letters to a subject of their log, at least once: a letter says that it has to be copied until its copy is stored. */

import type { LogCopy } from '../../log/log.js';
import type { CopyClient } from '../protocol/pool.js';
import { quoteTable } from '../sql/identifiers.js';
import { EQUALS, runStatement, statement, type Statement } from '../sql/statement.js';
import type { LaneLedgerOptions } from './join-import.js';

/** Letters of one transaction. A body may have as many bytes as the log takes. */
const MOST_AT_ONCE = 16;

export interface CopiedLetters {
  readonly copied: number;
  readonly mayHaveMore: boolean;
  /** Why another one was not copied. */
  readonly failure: { readonly reason: unknown } | undefined;
}

interface LetterRow {
  lane: string;
  position: string;
  subject: string;
  headers: string | null;
  published_at: string;
  body: string;
  error: string;
  sqlstate: string | null;
}

export class LetterCopies {
  readonly #importId: string;
  readonly #importRow: string;
  readonly #subject: string;
  readonly #find: Statement;
  readonly #settle: Statement;

  constructor({ importId, schema, deadLetters }: LaneLedgerOptions, importRow: string, subject: string) {
    const table = quoteTable(schema, deadLetters);
    this.#importId = importId;
    this.#importRow = importRow;
    this.#subject = subject;
    // Those that another worker copies at the moment are left to it.
    this.#find =
      statement(`SELECT t.lane::pg_catalog.text AS lane, t.position::pg_catalog.text AS position, t.subject,
        t.headers::pg_catalog.text AS headers, t.error, t.sqlstate, pg_catalog.encode(t.body, 'base64') AS body,
        pg_catalog.to_char(pg_catalog.timezone('UTC', t.published_at), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS published_at
      FROM ${table} t WHERE t.copy_to ${EQUALS} $2::pg_catalog.text AND t.import ${EQUALS} $1
      ORDER BY t.lane, t.position LIMIT ${MOST_AT_ONCE} FOR NO KEY UPDATE SKIP LOCKED`);
    this.#settle = statement(`UPDATE ${table} AS t SET copy_to = NULL
      FROM pg_catalog.json_array_elements($2::pg_catalog.json) AS done
      WHERE t.import ${EQUALS} $1 AND t.lane ${EQUALS} (done OPERATOR(pg_catalog.->>) 0)::bigint
        AND t.position ${EQUALS} (done OPERATOR(pg_catalog.->>) 1)::bigint`);
  }

  /** Within one transaction. What was copied is recorded, also if others could not be. */
  async copySome(client: CopyClient, publish: (copy: LogCopy) => Promise<void>): Promise<CopiedLetters> {
    const { rows } = await runStatement(client, this.#find, [this.#importRow, this.#subject]);
    const letters = rows as LetterRow[];
    const results = await Promise.allSettled(letters.map((letter) => publish(this.#copyOf(letter))));
    const copied = letters.filter((_, index) => results[index]!.status === 'fulfilled');
    if (copied.length > 0) {
      const places = JSON.stringify(copied.map(({ lane, position }) => [lane, position]));
      await runStatement(client, this.#settle, [this.#importRow, places]);
    }
    const failure = results.find((result) => result.status === 'rejected');
    return { copied: copied.length, mayHaveMore: letters.length === MOST_AT_ONCE, failure };
  }

  #copyOf({ lane, position, subject, headers, published_at, body, error, sqlstate }: LetterRow): LogCopy {
    const original = headers === null ? {} : (JSON.parse(headers) as Record<string, string[]>);
    return {
      // Of an import that was deleted and begun again, letters are others.
      id: `spillway:${encodeURIComponent(this.#importId)}:${this.#importRow}:${lane}:${position}`,
      bytes: Buffer.from(body, 'base64'),
      headers: {
        ...original,
        'Spillway-Import': [this.#importId],
        'Spillway-Subject': [subject],
        'Spillway-Lane': [lane],
        'Spillway-Position': [position],
        'Spillway-Timestamp': [published_at],
        'Spillway-Error': [error],
        ...(sqlstate !== null && { 'Spillway-SqlState': [sqlstate] }),
      },
    };
  }
}
