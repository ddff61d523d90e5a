/**
 * The tables of an import that reads a log with several workers. They lie in the schema of the table that is loaded.
 *
 *     spillway_lanes          one row for each lane that is being read; finished lanes between them share one row
 *     spillway_dead_letters   messages that the table could not take; `copy_to` is the subject that one has still to be copied to
 */

import {
  EXPECTED_IMPORTS,
  EXPECTED_RANGES,
  IMPORTS,
  JSON_TEXT,
  KEY,
  RANGES,
  TEXT,
  type BookkeepingTables,
  type ExpectedTable,
} from '../imports/bookkeeping-trust.js';
import { importStatements } from '../imports/import-statements.js';
import { quoteTable } from '../sql/identifiers.js';
import { statement, type Statement } from '../sql/statement.js';

export const LANES = 'spillway_lanes';
export const DEAD_LETTERS = 'spillway_dead_letters';

const EXPECTED_LANES: ExpectedTable = {
  columns: {
    import: KEY,
    lane: KEY,
    through_lane: KEY,
    first: KEY,
    last: KEY,
    next: KEY,
    run: { type: 'pg_catalog.int4', isNotNull: true },
    lease_until: { type: 'pg_catalog.timestamptz', isNotNull: false },
    rows: KEY,
    dead_letters: KEY,
  },
  uniqueKeys: [['import', 'lane']],
};

const EXPECTED_DEAD_LETTERS: ExpectedTable = {
  columns: {
    import: KEY,
    lane: KEY,
    position: KEY,
    subject: TEXT,
    headers: JSON_TEXT,
    published_at: { type: 'pg_catalog.timestamptz', isNotNull: true },
    body: { type: 'pg_catalog.bytea', isNotNull: true },
    error: TEXT,
    sqlstate: { type: 'pg_catalog.text', isNotNull: false },
    copy_to: { type: 'pg_catalog.text', isNotNull: false },
  },
  uniqueKeys: [['import', 'lane', 'position']],
};

/** @param deadLetters the name of the table of dead letters */
export function laneTables(deadLetters: string): BookkeepingTables {
  return new Map([
    [IMPORTS, EXPECTED_IMPORTS],
    [RANGES, EXPECTED_RANGES],
    [LANES, EXPECTED_LANES],
    [deadLetters, EXPECTED_DEAD_LETTERS],
  ]);
}

export function createLaneTables(schema: string, deadLetters: string): Statement[] {
  const imports = quoteTable(schema, IMPORTS);
  return [
    ...importStatements(schema).create,
    statement(`CREATE TABLE IF NOT EXISTS ${quoteTable(schema, LANES)} (
      import bigint NOT NULL REFERENCES ${imports} ON DELETE CASCADE,
      lane bigint NOT NULL,
      through_lane bigint NOT NULL,
      first bigint NOT NULL,
      last bigint NOT NULL,
      next bigint NOT NULL,
      run integer NOT NULL,
      lease_until pg_catalog.timestamptz,
      rows bigint NOT NULL,
      dead_letters bigint NOT NULL,
      PRIMARY KEY (import, lane)
    )`),
    statement(`CREATE TABLE IF NOT EXISTS ${quoteTable(schema, deadLetters)} (
      import bigint NOT NULL REFERENCES ${imports} ON DELETE CASCADE,
      lane bigint NOT NULL,
      position bigint NOT NULL,
      subject pg_catalog.text NOT NULL,
      headers pg_catalog.json,
      published_at pg_catalog.timestamptz NOT NULL,
      body pg_catalog.bytea NOT NULL,
      error pg_catalog.text NOT NULL,
      sqlstate pg_catalog.text,
      failed_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now(),
      copy_to pg_catalog.text,
      PRIMARY KEY (import, lane, position),
      UNIQUE (copy_to, import, lane, position)
    )`),
  ];
}
