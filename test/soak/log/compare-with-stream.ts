/** Compares rows and dead letters with the messages of the stream. */

import type pg from 'pg';
import { countBad } from './bad-messages.js';

export interface Comparison {
  readonly rows: number;
  /** Rows that are there more than once, beyond the first. */
  readonly duplicates: number;
  /** Good messages without a row. */
  readonly missing: number;
  /** Rows that stand for no good message. */
  readonly strangers: number;
  readonly letters: number;
  readonly duplicateLetters: number;
  readonly missingLetters: number;
  /** Dead letters of good messages, or whose body is another one's. */
  readonly strangeLetters: number;
}

/** Bad are the ids of `isBad`. */
const IS_BAD = 'id % 1000 = 7';

export async function compareWithStream(pool: pg.Pool, table: string, messages: number): Promise<Comparison> {
  const { rows: found } = await pool.query<Record<string, number>>(
    `WITH known AS MATERIALIZED (SELECT id, count(*) AS times FROM ${table} GROUP BY id)
    SELECT (SELECT count(*)::int FROM ${table}) AS rows,
      count(*) FILTER (WHERE id BETWEEN 0 AND $1 - 1 AND NOT ${IS_BAD})::int AS good,
      count(*) FILTER (WHERE NOT (id BETWEEN 0 AND $1 - 1 AND NOT ${IS_BAD}))::int AS strangers,
      coalesce(sum(times - 1), 0)::int AS duplicates FROM known`,
    [messages],
  );
  const { rows: dead } = await pool.query<Record<string, number>>(
    `WITH letter AS MATERIALIZED (SELECT position - 1 AS id, convert_from(body, 'UTF8') AS body FROM spillway_dead_letters)
    SELECT count(*)::int AS letters, count(DISTINCT id) FILTER (WHERE ${IS_BAD})::int AS bad,
      count(*) FILTER (WHERE NOT ${IS_BAD} OR (body NOT LIKE '%' || id || '%'))::int AS strange FROM letter`,
  );
  const { rows, good, strangers, duplicates } = found[0]!;
  const { letters, bad, strange } = dead[0]!;
  const badMessages = countBad(messages);
  return {
    rows: rows!,
    duplicates: duplicates!,
    missing: messages - badMessages - good!,
    strangers: strangers!,
    letters: letters!,
    duplicateLetters: letters! - bad! - strange!,
    missingLetters: badMessages - bad!,
    strangeLetters: strange!,
  };
}
