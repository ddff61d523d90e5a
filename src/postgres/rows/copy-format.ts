/** Text or binary: which format a table's batches are sent in. Pure. */

import { CopyError } from '../errors/copy-error.js';
import { compileBinaryEncoder, type BinaryEncoder } from '../encoding/binary/binary-encoders.js';
import type { TableColumn } from '../table/catalogue.js';
import type { DateZone } from '../encoding/dates/date-clock.js';
import { quoteIdentifier, quoteTable } from '../sql/identifiers.js';
import { sequence, statement, type Statement } from '../sql/statement.js';
import type { ValueEncoder } from '../encoding/text/text-encoders.js';

/** The formats that can be asked for. */
export const FORMATS = ['auto', 'text', 'binary'] as const;
export type FormatOption = (typeof FORMATS)[number];

export interface BinaryFormat {
  /** For each column of the COPY. */
  encoders: readonly BinaryEncoder[];
  /**
   * Statements for after the COPY, in its transaction, which holds the table as it is: they fail if its columns no longer have the types
   * that the rows were written for. Text is read by the type that the column has now; in binary the bytes of one type may pass for another's.
   * They also fail if text would be read in another encoding than UTF-8.
   */
  check: Statement;
  /** Whether binary takes less time than text, of client and server together: for values, and for lines of text that are read here. */
  isFaster: Readonly<Record<RowSource, boolean>>;
}

/** What the rows are, before they are written in a format. */
export type RowSource = 'values' | 'lines';

/**
 * What a value in binary saves against text, in nanoseconds of client and server together: measured against PostgreSQL 18, with values as
 * plain rows have them. See the benchmarks' notes on COPY.
 */
const SAVED_NS: Readonly<Record<string, number>> = {
  bool: 0,
  int2: 10,
  int4: 10,
  int8: 170,
  oid: 60,
  float4: 310,
  float8: 170,
  numeric: -60,
  text: -10,
  varchar: -10,
  bpchar: -20,
  name: -15,
  json: 30,
  jsonb: 20,
  bytea: 490,
  uuid: 250,
  date: 200,
  timestamp: 440,
  timestamptz: 400,
};
/** Labels of an enum. */
const SAVED_BY_LABEL_NS = -10;

/**
 * The same of values that stand in lines of text, which cost the client nothing as they are: nanoseconds of a machine about half as fast, and
 * only compared with each other. What is never taken from text keeps a table from it.
 */
const SAVED_BY_LINE_NS: Readonly<Record<string, number>> = {
  bool: -290,
  int2: -40,
  int4: -75,
  int8: -40,
  oid: -45,
  float4: -Infinity,
  float8: -420,
  numeric: -460,
  json: -170,
  jsonb: -70,
  bytea: -Infinity,
  uuid: -370,
  date: 280,
  timestamp: 480,
  timestamptz: 670,
};
/** Texts and labels. */
const SAVED_BY_TEXT_NS = -100;

/** @throws {CopyError} `setup`, if `format` is `'binary'` and a column's type has no binary encoder */
export function planBinary(
  { schema, table }: { schema: string; table: string },
  columns: readonly (TableColumn & { encoder: ValueEncoder })[],
  format: FormatOption,
  zone: DateZone = 'local',
): BinaryFormat | undefined {
  if (format === 'text') return undefined;
  const encoders: BinaryEncoder[] = [];
  let savedNs = 0;
  let savedByLineNs = 0;
  for (const { name, typeName, type, typeOid, encoder } of columns) {
    const binary = typeOid === undefined ? undefined : compileBinaryEncoder(type, encoder, zone);
    if (binary === undefined) {
      if (format === 'auto') return undefined;
      throw new CopyError(
        `column ${JSON.stringify(name)} (${typeName}) of table "${schema}"."${table}" cannot be sent in binary format: leave the option 'format' to 'auto'`,
        { failureClass: 'setup', sqlState: '0A000', table, column: name },
      );
    }
    encoders.push(binary);
    const typeKey = type.kind === 'array' ? '' : type.name;
    savedNs += SAVED_NS[typeKey] ?? SAVED_BY_LABEL_NS;
    savedByLineNs += SAVED_BY_LINE_NS[typeKey] ?? SAVED_BY_TEXT_NS;
  }
  const isFaster = { values: savedNs > 0, lines: savedByLineNs > 0 };
  return { encoders, check: typeCheck(quoteTable(schema, table), columns), isFaster };
}

/**
 * Checks the columns' types by a cursor, because the rows of a SELECT would come in the middle of a COPY. Divides by zero if a type differs.
 */
function typeCheck(table: string, columns: readonly TableColumn[]): Statement {
  const types = columns.map(({ name }) => `pg_catalog.pg_typeof((row_of).${quoteIdentifier(name)})`);
  const oids = columns.map(({ typeOid }) => typeOid);
  return sequence([
    statement(
      'DECLARE spillway_types NO SCROLL CURSOR FOR ' +
        `SELECT 1 OPERATOR(pg_catalog./) (ARRAY[${types.join(', ')}]::pg_catalog.oid[] OPERATOR(pg_catalog.=) '{${oids.join()}}'::pg_catalog.oid[] ` +
        `AND pg_catalog.pg_client_encoding() OPERATOR(pg_catalog.=) 'UTF8')::int ` +
        `FROM (SELECT NULL::${table} AS row_of) AS columns_of`,
    ),
    statement('MOVE FORWARD 1 FROM spillway_types'),
    statement('CLOSE spillway_types'),
  ]);
}

/** Batches that go as text after one that could not be sent in binary; twice as many each time. */
const FEWEST_AS_TEXT = 8;
const MOST_AS_TEXT = 4096;

/** Shared by the batches of a table. If values or rows often prevent binary, most batches are not tried in it. */
export class FormatChoice {
  readonly #format: FormatOption;
  #pause = FEWEST_AS_TEXT;
  #left = 0;

  constructor(format: FormatOption) {
    this.#format = format;
  }

  /** Asked once for each batch. */
  isBinary(binary: BinaryFormat | undefined, source: RowSource): binary is BinaryFormat {
    if (binary === undefined) return false;
    if (this.#format === 'binary') return true;
    if (this.#left > 0) {
      this.#left -= 1;
      return false;
    }
    return binary.isFaster[source];
  }

  succeeded(): void {
    this.#pause = FEWEST_AS_TEXT;
  }

  failed(): void {
    // Batches that were under way together say it once.
    if (this.#left > 0) return;
    this.#left = this.#pause;
    this.#pause = Math.min(2 * this.#pause, MOST_AS_TEXT);
  }
}
