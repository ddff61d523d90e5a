/** Names the rights that the role lacks, as GRANTs that its owner can paste. Asked only once the server has refused something (42501). */

import type { CopyPool } from '../../postgres/protocol/pool.js';
import { quoteTable } from '../../postgres/sql/identifiers.js';
import { EQUALS, numberOf, runStatement, statement } from '../../postgres/sql/statement.js';
import type { TableName } from '../args/table-name.js';
import { causesOf, CliError, ExitCode, oneLine } from '../common/errors.js';
import { messageOf, toError } from '../../common/thrown.js';
import { ClientLease } from '../../postgres/connection/client-lease.js';
import { inTime } from './answer-time.js';

const MISSING_RIGHT = '42501';
/** To ask for the rights must not hold up the message by much. */
const LOOK_LIMIT_MS = 5_000;

/** What a command does with its tables. */
export interface RightsNeeded {
  readonly table: TableName;
  /** Those that are loaded, once that is known. The others get their defaults. */
  readonly columns: readonly string[] | undefined;
  readonly onConflict: 'error' | 'ignore' | 'update';
  readonly truncates: boolean;
  /** Tables beside it that say what is loaded. They are made if they are not there. */
  readonly bookkeeping: readonly string[];
}

type Right = 'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE' | 'REFERENCES';

interface FoundTable {
  readonly name: string;
  /** Quoted, with its schema. */
  readonly quoted: string;
  readonly lacks: readonly Right[];
  readonly hasRowSecurity: boolean;
  /** Sequences that its defaults take values of, and that the role may not use. */
  readonly sequences: readonly { readonly column: string; readonly name: string; readonly quoted: string }[];
}

interface FoundRights {
  /** Quoted, as are the names below. */
  readonly role: string;
  readonly schema: string;
  readonly database: string;
  readonly lacksUsage: boolean;
  readonly lacksCreate: boolean;
  readonly lacksTemporary: boolean;
  readonly tables: readonly FoundTable[];
}

const lacksOn = (kind: string, object: string, right: string): string =>
  `NOT pg_catalog.has_${kind}_privilege(${object}, ${right})`;

/** A part of the columns is enough for INSERT and SELECT, if the role has the right to each of those that are loaded: then the server refuses nothing. */
const FIND_RIGHTS = statement(`SELECT pg_catalog.json_build_object(
    'role', pg_catalog.quote_ident(current_user::pg_catalog.text), 'schema', pg_catalog.quote_ident(n.nspname::pg_catalog.text),
    'database', pg_catalog.quote_ident(pg_catalog.current_database()::pg_catalog.text),
    'lacksUsage', ${lacksOn('schema', 'n.oid', "'USAGE'")}, 'lacksCreate', ${lacksOn('schema', 'n.oid', "'CREATE'")},
    'lacksTemporary', ${lacksOn('database', 'pg_catalog.current_database()', "'TEMPORARY'")},
    'tables', coalesce((SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
        'name', c.relname, 'quoted', pg_catalog.format('%I.%I', n.nspname, c.relname), 'hasRowSecurity', c.relrowsecurity,
        'lacks', coalesce((SELECT pg_catalog.json_agg(wanted.name) FROM (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE'),
          ('REFERENCES')) AS wanted (name) WHERE ${lacksOn('table', 'c.oid', 'wanted.name')}), '[]'),
        'sequences', coalesce((SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
            'column', a.attname, 'name', q.relname, 'quoted', pg_catalog.format('%I.%I', s.nspname, q.relname)))
          FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class q ON q.oid ${EQUALS} d.objid
          JOIN pg_catalog.pg_namespace s ON s.oid ${EQUALS} q.relnamespace
          JOIN pg_catalog.pg_attribute a ON a.attrelid ${EQUALS} c.oid AND a.attnum ${EQUALS} d.refobjsubid
          WHERE d.classid ${EQUALS} ${numberOf('pg_class')} AND d.refclassid ${EQUALS} ${numberOf('pg_class')}
            AND d.refobjid ${EQUALS} c.oid AND d.deptype ${EQUALS} 'a' AND q.relkind ${EQUALS} 'S'
            AND ${lacksOn('sequence', 'q.oid', "'USAGE'")}), '[]')))
      FROM pg_catalog.pg_class c JOIN pg_catalog.json_array_elements_text($3::pg_catalog.json) AS asked (name)
        ON c.relname::pg_catalog.text ${EQUALS} asked.name WHERE c.relnamespace ${EQUALS} n.oid), '[]')
  )::pg_catalog.text AS found
  FROM pg_catalog.pg_namespace n WHERE n.nspname::pg_catalog.text ${EQUALS} coalesce($1::pg_catalog.text, (SELECT t.nspname::pg_catalog.text
    FROM pg_catalog.pg_class k JOIN pg_catalog.pg_namespace t ON t.oid ${EQUALS} k.relnamespace
    WHERE k.oid ${EQUALS} pg_catalog.to_regclass($2::pg_catalog.text)::pg_catalog.oid), pg_catalog.current_schema()::pg_catalog.text)`);

/** Returns the error, or one that names the GRANTs if a right is missing. Never rejects. */
export async function withMissingRights<Failure>(
  error: Failure,
  pool: CopyPool,
  needed: RightsNeeded,
): Promise<Failure | CliError> {
  if (!causesOf(error).some(isMissingRight)) return error;
  const grants = await findRights(pool, needed).then(
    (found) => (found === undefined ? [] : grantsFor(found, needed, messageOf(error))),
    () => [],
  );
  if (grants.length === 0) return error;
  const { exitCode = ExitCode.FAILED } = error as { exitCode?: ExitCode };
  return new CliError(`${oneLine(messageOf(error))}; the role needs: ${grants.join('; ')};`, exitCode, error);
}

function isMissingRight(
  error: Error & { code?: unknown; sqlState?: unknown; failureClass?: unknown },
): boolean {
  // A policy of row-level security refuses single rows by the same number.
  return (error.code === MISSING_RIGHT || error.sqlState === MISSING_RIGHT) && error.failureClass !== 'row';
}

async function findRights(
  pool: CopyPool,
  { table, bookkeeping }: RightsNeeded,
): Promise<FoundRights | undefined> {
  const lease = await ClientLease.take(pool, AbortSignal.timeout(LOOK_LIMIT_MS));
  try {
    const values = [
      table.schema ?? null,
      quoteTable(undefined, table.table),
      JSON.stringify([table.table, ...bookkeeping]),
    ];
    const { rows } = await inTime(runStatement(lease.client, FIND_RIGHTS, values), LOOK_LIMIT_MS);
    lease.release();
    const [row] = rows as { found: string }[];
    return row && (JSON.parse(row.found) as FoundRights);
  } catch (error) {
    lease.discard(toError(error));
    throw error;
  }
}

/** One statement for each set of rights. Pure. @param message of the server: it names a sequence that a record without a value would need */
function grantsFor(found: FoundRights, needed: RightsNeeded, message: string): string[] {
  const { role, schema, database } = found;
  const target = found.tables.find(({ name }) => name === needed.table.table);
  const own = found.tables.filter((table) => table !== target);
  const isMade = target === undefined || own.length < needed.bookkeeping.length;
  const grants: string[] = [];
  const grant = (rights: readonly string[], on: string): void => {
    if (rights.length > 0) grants.push(`GRANT ${rights.join(', ')} ON ${on} TO ${role}`);
  };
  grant(
    [...(found.lacksUsage ? ['USAGE'] : []), ...(isMade && found.lacksCreate ? ['CREATE'] : [])],
    `SCHEMA ${schema}`,
  );
  if (target !== undefined) {
    const isStaged = needed.onConflict !== 'error' || target.hasRowSecurity;
    if (isStaged && found.lacksTemporary) grant(['TEMPORARY'], `DATABASE ${database}`);
    grant(missing(target, rightsOfTarget(needed)), target.quoted);
    const { columns } = needed;
    const sequences = target.sequences.filter(
      ({ column, name }) => columns?.includes(column) === false || message.includes(name),
    );
    grant(
      sequences.length > 0 ? ['USAGE'] : [],
      `SEQUENCE ${sequences.map(({ quoted }) => quoted).join(', ')}`,
    );
  }
  const byRights = new Map<string, string[]>();
  for (const table of own) {
    const isReferred = isMade && table.name === needed.bookkeeping[0];
    const rights = missing(table, [
      'SELECT',
      'INSERT',
      'UPDATE',
      'DELETE',
      ...(isReferred ? (['REFERENCES'] as const) : []),
    ]);
    if (rights.length === 0) continue;
    const key = rights.join(', ');
    byRights.set(key, [...(byRights.get(key) ?? []), table.quoted]);
  }
  for (const [rights, tables] of byRights) grant([rights], tables.join(', '));
  return grants;
}

function rightsOfTarget({ onConflict, truncates }: RightsNeeded): Right[] {
  return [
    ...(onConflict === 'error' ? [] : (['SELECT'] as const)),
    'INSERT',
    ...(onConflict === 'update' ? (['UPDATE'] as const) : []),
    ...(truncates ? (['TRUNCATE'] as const) : []),
  ];
}

function missing({ lacks }: FoundTable, rights: readonly Right[]): Right[] {
  return rights.filter((right) => lacks.includes(right));
}
