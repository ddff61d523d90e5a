/** What node-postgres' own INSERT stores of a value, and what `copyInto` stores of it: by every way that a batch can go. */

import type pg from 'pg';
import { ItemError } from '../../src/api/errors.js';
import { BinaryChunk } from '../../src/postgres/encoding/binary/binary-chunk.js';
import { compileBinaryEncoder } from '../../src/postgres/encoding/binary/binary-encoders.js';
import type { FormatOption } from '../../src/postgres/rows/copy-format.js';
import { CopyError } from '../../src/postgres/errors/copy-error.js';
import { copyInto, type CopyOptions } from '../../src/postgres/index.js';
import { compileEncoder } from '../../src/postgres/encoding/text/text-encoders.js';
import { flushContext } from './postgres.js';

/** The text of what is stored; an error's SQLSTATE and message where it is refused. */
type Stored = { readonly text: string | null } | { readonly refusal: string };

interface Difference {
  readonly type: string;
  readonly value: unknown;
  readonly way: string;
  readonly inserted: string | null;
  readonly copied: Stored;
}

let tables = 0;

/**
 * Differences between INSERT and `copyInto`. A value that `copyInto` refuses by its column's name is none, and neither is one that INSERT
 * refuses.
 */
export async function compareWithInsert(
  pool: pg.Pool,
  type: string,
  values: readonly unknown[],
  options: Partial<CopyOptions<unknown[]>> = {},
  isListed: (value: unknown) => boolean = () => false,
): Promise<Difference[]> {
  const inserted = await storedByInsert(pool, type, values);
  const taken = values.flatMap((value, n) => {
    const stored = inserted[n]!;
    return 'text' in stored && !isListed(value) ? [{ value, text: stored.text }] : [];
  });
  const differences: Difference[] = [];
  const compare = async (
    way: string,
    rows: readonly { value: unknown; text: string | null }[],
    format: FormatOption,
    takesFailures: boolean,
  ): Promise<typeof rows> => {
    const copied = await storedByCopy(pool, type, rows.map(({ value }) => value), { ...options, format }, takesFailures); // prettier-ignore
    if (copied === undefined) return [];
    rows.forEach(({ value, text }, index) => {
      const stored = copied[index]!;
      if ('text' in stored && stored.text !== text)
        differences.push({ type, value, way, inserted: text, copied: stored });
    });
    return rows.filter((_, index) => 'text' in copied[index]!);
  };
  const good = await compare('auto, isolating', taken, 'auto', true);
  for (const format of ['auto', 'text'] as const) await compare(format, good, format, false);
  // A single value without a binary form would send the others as text, too.
  const binary = good.filter(({ value }) => hasBinaryForm(type, value));
  await compare('binary', binary, 'binary', false);
  return differences;
}

const NAMES = new Map([['char', 'bpchar'], ['"char"', 'char']]); // prettier-ignore

function hasBinaryForm(type: string, value: unknown): boolean {
  const plain = type.replace(/\(.*/, '');
  const columnType = { kind: 'scalar', name: NAMES.get(plain) ?? plain, category: '' } as const;
  const encoder = compileBinaryEncoder(columnType, compileEncoder(columnType));
  if (type.endsWith('[]') || value === null || value === undefined) return true;
  try {
    encoder?.write(new BinaryChunk(1), value);
    return true;
  } catch {
    return false;
  }
}

async function storedByInsert(pool: pg.Pool, type: string, values: readonly unknown[]): Promise<Stored[]> {
  const client = await pool.connect();
  try {
    const table = await makeTable(client, type);
    const refusals = new Map<number, string>();
    for (const [n, value] of values.entries()) {
      try {
        await client.query(`INSERT INTO ${table} VALUES ($1, $2)`, [n, value]);
      } catch (error) {
        refusals.set(n, (error as Error).message);
      }
    }
    return await readTable(client, table, values.length, refusals);
  } finally {
    client.release();
  }
}

/** Undefined: the type has no binary form. */
async function storedByCopy(
  pool: pg.Pool,
  type: string,
  values: readonly unknown[],
  options: Partial<CopyOptions<unknown[]>>,
  takesFailures: boolean,
): Promise<Stored[] | undefined> {
  const client = await pool.connect();
  try {
    const table = await makeTable(client, type);
    const copy = copyInto<unknown[]>(pool, { table, ...options });
    const refusals = new Map<number, string>();
    try {
      const rows = values.map((value, n) => [n, value]);
      const result = rows.length === 0 ? undefined : await copy(rows, { ...flushContext(), takesFailures });
      for (const error of result?.errors ?? []) {
        if (!(error instanceof ItemError) || !(error.cause instanceof CopyError)) throw error;
        refusals.set(error.index, error.cause.message);
        if (error.cause.column !== 'v') throw error.cause;
      }
    } catch (error) {
      if (error instanceof CopyError && error.sqlState === '0A000') return undefined;
      throw error;
    }
    return await readTable(client, table, values.length, refusals);
  } finally {
    client.release();
  }
}

async function makeTable(client: pg.PoolClient, type: string): Promise<string> {
  const table = `twin${String((tables += 1))}`;
  await client.query(`CREATE TABLE ${table} (n int, v ${type})`);
  return table;
}

async function readTable(
  client: pg.PoolClient,
  table: string,
  count: number,
  refusals: ReadonlyMap<number, string>,
): Promise<Stored[]> {
  const { rows } = await client.query<{ n: number; text: string | null }>(
    `SELECT n, v::text AS text FROM ${table}`,
  );
  await client.query(`DROP TABLE ${table}`);
  const texts = new Map(rows.map(({ n, text }) => [n, text]));
  return Array.from({ length: count }, (_, n) =>
    refusals.has(n) ? { refusal: refusals.get(n)! } : { text: texts.get(n) ?? null },
  );
}
