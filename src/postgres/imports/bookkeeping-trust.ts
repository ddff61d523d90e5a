/**
 * Decides whether the bookkeeping tables can be trusted: their code runs as the user who loads, and their rows say what need not be loaded.
 * Another role may have made them first. Pure.
 */

/** What the catalogue says of one of the two tables. See `bookkeeping-facts.ts`. */
export interface TableFacts {
  name: string;
  /** Of `pg_class`. */
  kind: string;
  persistence: string;
  isPartition: boolean;
  inherits: boolean;
  owner: string;
  isOwnerTrusted: boolean;
  /** Who asks. */
  user: string;
  /** Functions, types and relations of roles that are not trusted, and which part of the table uses them. */
  code: readonly { kind: string; name: string; used: string; owner: string }[];
  /** Rights that nobody else may have. */
  grants: readonly { right: string; to: string }[];
  columns: readonly ColumnFacts[];
  uniqueKeys: readonly (readonly string[])[];
}

interface ColumnFacts {
  name: string;
  type: string;
  isNotNull: boolean;
  isGenerated: boolean;
  isIdentity: boolean;
  default: string | null;
}

interface ExpectedColumn {
  type: string;
  isNotNull: boolean;
  /** The column fills itself; `1`: with this value. */
  filled?: 'always' | '1';
}

/**
 * What any version of ours has, and needs. Columns beside these are those of another version. The foreign key is not needed: it goes with a
 * DROP … CASCADE of the other table, which the statements can live with.
 */
export interface ExpectedTable {
  columns: Readonly<Record<string, ExpectedColumn>>;
  uniqueKeys: readonly (readonly string[])[];
}

export const IMPORTS = 'spillway_imports';
export const RANGES = 'spillway_import_ranges';

export const KEY = { type: 'pg_catalog.int8', isNotNull: true };
export const TEXT = { type: 'pg_catalog.text', isNotNull: true };
export const JSON_TEXT = { type: 'pg_catalog.json', isNotNull: false };

export const EXPECTED_IMPORTS: ExpectedTable = {
  columns: {
    id: { ...KEY, filled: 'always' },
    import_id: TEXT,
    table_name: TEXT,
    source: JSON_TEXT,
    run: { type: 'pg_catalog.int4', isNotNull: true, filled: '1' },
    finished_at: { type: 'pg_catalog.timestamptz', isNotNull: false },
  },
  uniqueKeys: [['id'], ['import_id']],
};

export const EXPECTED_RANGES: ExpectedTable = {
  columns: {
    import: KEY,
    first_position: KEY,
    last_position: KEY,
    rows: KEY,
    rejected: KEY,
    rejects: JSON_TEXT,
  },
  uniqueKeys: [['import', 'first_position']],
};

/** The bookkeeping tables that a transaction uses, by their names. */
export type BookkeepingTables = ReadonlyMap<string, ExpectedTable>;

/** Those of an import whose source is read by one loader at a time. */
export const IMPORT_TABLES: BookkeepingTables = new Map([
  [IMPORTS, EXPECTED_IMPORTS],
  [RANGES, EXPECTED_RANGES],
]);

/** Returns why the table is refused, and what helps. Undefined if it is trusted. @param loaded the loaded table's name, for messages */
export function distrust(
  facts: TableFacts,
  loaded: string,
  tables: BookkeepingTables = IMPORT_TABLES,
): string | undefined {
  const reason =
    notOrdinary(facts) ?? ownedByOthers(facts, loaded) ?? runsForeignCode(facts) ?? openToOthers(facts);
  return reason ?? notOurs(facts, tables.get(facts.name));
}

const KINDS: Readonly<Record<string, string>> = {
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
  p: 'a partitioned table',
  S: 'a sequence',
  c: 'a type',
  i: 'an index',
};

function notOrdinary({ kind, persistence, isPartition, inherits }: TableFacts): string | undefined {
  const helps = 'it must be an ordinary table: drop it, or rename it';
  if (kind !== 'r') return `it is ${KINDS[kind] ?? 'something else'}; ${helps}`;
  if (persistence === 't') return `it is a temporary table; ${helps}`;
  if (persistence === 'u') return 'it is unlogged, and empty after a crash: ALTER TABLE … SET LOGGED helps';
  if (isPartition) return `it is a partition of another table; ${helps}`;
  return inherits ? `it inherits from another table, or another from it; ${helps}` : undefined;
}

function ownedByOthers({ owner, isOwnerTrusted, user }: TableFacts, loaded: string): string | undefined {
  if (isOwnerTrusted) return undefined;
  return (
    `it belongs to ${quoted(owner)}, who may run code as ${quoted(user)} by it; it must belong to ${quoted(user)}, ` +
    `the owner of ${loaded} or of its schema, or a superuser: have a superuser drop it, or change its owner if you know what is in it`
  );
}

function runsForeignCode({ code }: TableFacts): string | undefined {
  const [first] = code;
  if (first === undefined) return undefined;
  const { kind, name, used, owner } = first;
  const part = name === '' ? `a ${kind} of it` : `its ${kind} ${quoted(name)}`;
  return `${part} uses ${quoted(used)}, which belongs to ${quoted(owner)}: drop the ${kind}, or change the owner`;
}

function openToOthers({ grants }: TableFacts): string | undefined {
  const [first] = grants;
  if (first === undefined) return undefined;
  const { right, to } = first;
  const role = to === 'PUBLIC' ? to : quoted(to);
  return `${role} has the right ${right} to it, and could forge what was loaded: REVOKE it, and GRANT it to loaders by name`;
}

function notOurs(
  { columns, uniqueKeys }: TableFacts,
  expected: ExpectedTable | undefined,
): string | undefined {
  if (expected === undefined) return undefined;
  const missing = expected.uniqueKeys.find((key) => !uniqueKeys.some((found) => sameNames(found, key)));
  const fault =
    columnFault(columns, expected.columns) ?? (missing && `it has no unique key (${missing.join(', ')})`);
  return fault && `${fault}, unlike Spillway's own: rename it, and a new one is made`;
}

function columnFault(
  columns: readonly ColumnFacts[],
  expected: Readonly<Record<string, ExpectedColumn>>,
): string | undefined {
  for (const [name, { type, isNotNull, filled }] of Object.entries(expected)) {
    const column = columns.find((candidate) => candidate.name === name);
    if (column === undefined) return `it has no column ${quoted(name)}`;
    if (column.type !== type) return `its column ${quoted(name)} is not of the type ${type}`;
    if (column.isGenerated) return `its column ${quoted(name)} is not plain, but generated`;
    if (isNotNull && !column.isNotNull) return `its column ${quoted(name)} is not NOT NULL`;
    const fillsItself = column.isIdentity || column.default !== null;
    const fits = filled === '1' ? column.default === '1' : fillsItself === (filled !== undefined);
    if (!fits) return `its column ${quoted(name)} has another default`;
  }
  const extra = columns.find(
    ({ name, isNotNull, isIdentity, isGenerated, default: value }) =>
      expected[name] === undefined && isNotNull && !isIdentity && !isGenerated && value === null,
  );
  return extra && `its column ${quoted(extra.name)} is NOT NULL, and nothing fills it`;
}

function sameNames(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && others.every((name) => some.includes(name));
}

function quoted(name: string): string {
  return JSON.stringify(name);
}
