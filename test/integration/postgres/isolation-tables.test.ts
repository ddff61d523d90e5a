/** Rows that the table refuses, in tables that are more than columns: triggers that look at other rows, partitions, several keys. */

import { describe, expect, test } from 'vitest';
import type { CopyError, CopyOptions } from '../../../src/postgres/index.js';
import { loadRows } from '../../support/load-rows.js';
import { useTestDatabase } from '../../support/postgres.js';
import { range } from '../../support/range.js';

const database = useTestDatabase();

interface Outcome {
  ids: number[];
  failures: {
    id: unknown;
    sqlState: string | undefined;
    column: string | undefined;
    constraint: string | undefined;
    message: string;
  }[];
}

async function load(
  table: string,
  rows: readonly object[],
  options: Partial<CopyOptions<object>> = {},
  batchSize = 20_000,
): Promise<Outcome> {
  const { failures } = await loadRows(database.pool({ max: 3 }), { table, ...options }, rows, batchSize);
  const name = `"${(options.table ?? table).replaceAll('"', '""')}"`;
  const inserted = await database.query<{ id: number }>(`SELECT id FROM ${name} ORDER BY id`);
  return {
    ids: inserted.map(({ id }) => id),
    failures: failures.map(({ item, error }) => {
      const { sqlState, column, constraint, message } = error.cause as CopyError;
      return { id: (item as { id: unknown }).id, sqlState, column, constraint, message };
    }),
  };
}

function idsBut(count: number, bad: readonly number[]): number[] {
  return range(count).filter((id) => !bad.includes(id));
}

describe('rows that need others', () => {
  test.each(['BEFORE', 'AFTER'])(
    'a trigger %s each row that asks for an earlier row of the batch',
    async (when) => {
      const table = await database.table("id int PRIMARY KEY, n int, t text CHECK (t <> 'bad')");
      await database.query(
        `CREATE FUNCTION ${table}_guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.n IS NOT NULL AND NOT EXISTS (SELECT FROM ${table} WHERE id = NEW.n) THEN RAISE EXCEPTION 'no such row'; END IF; RETURN NEW; END $$`,
      );
      await database.query(
        `CREATE TRIGGER guard ${when} INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION ${table}_guard()`,
      );
      const bad = range(30).map((index) => index * 31 + 40);
      const rows = range(1_000).map((id) => {
        let before: number | null = id - 1;
        while (bad.includes(before)) before -= 1;
        if (before < 0) before = null;
        return { id, n: before, t: bad.includes(id) ? 'bad' : 'x' };
      });
      const { ids, failures } = await load(table, rows);
      expect(failures.map(({ id, sqlState }) => [id, sqlState])).toEqual(bad.map((id) => [id, '23514']));
      expect(ids).toEqual(idsBut(1_000, bad));
    },
  );

  test('a foreign key to what a trigger makes of an earlier row of the batch', async () => {
    const parent = await database.table('id int PRIMARY KEY');
    const table = await database.table(
      `id int PRIMARY KEY, n int REFERENCES ${parent}, t text CHECK (t <> 'bad')`,
    );
    await database.query(
      `CREATE FUNCTION ${table}_make() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.t = 'makes' THEN INSERT INTO ${parent} VALUES (NEW.n); END IF; RETURN NEW; END $$`,
    );
    await database.query(
      `CREATE TRIGGER make BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION ${table}_make()`,
    );
    const bad = range(30).map((index) => index * 31 + 40);
    const rows = range(1_000).map((id) => ({
      id,
      n: 7,
      t: bad.includes(id) ? 'bad' : id === 3 ? 'makes' : 'x',
    }));
    const { ids, failures } = await load(table, rows);
    expect(failures.map(({ id, sqlState }) => [id, sqlState])).toEqual(bad.map((id) => [id, '23514']));
    expect(ids).toEqual(idsBut(1_000, bad));
  });
});
