/** How rows are sent changes nothing: COPY fires no RULE on INSERT, so rows that leave out columns must not fire one either. */

import { describe, expect, test } from 'vitest';
import type { CopyError, CopyOptions } from '../../../src/postgres/index.js';
import { loadRows } from '../../support/load-rows.js';
import { testedPackage, useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();
const takesMarker = testedPackage().version !== '14';

type Row = Record<string, unknown>;

async function ruledTable(columns: string, rule: (log: string) => string): Promise<[string, string]> {
  const [table, log] = [await database.table(columns), await database.table('n int')];
  await database.query(`CREATE RULE logged AS ON INSERT TO ${table} DO ${rule(log)}`);
  return [table, log];
}

const also = (log: string): string => `ALSO INSERT INTO ${log} VALUES (NEW.n)`;

function load(table: string, rows: readonly Row[], batchSize: number, options: Partial<CopyOptions> = {}) {
  return loadRows(database.pool({ max: 2 }), { table, ...options }, rows, batchSize);
}

const causes = ({ failures }: Awaited<ReturnType<typeof load>>) =>
  failures.map(({ item, error }) => [item, error.cause as CopyError] as const);

describe('a table with a RULE on INSERT', () => {
  test.each([1, 2, 5, 1_000])(
    'rows that leave out a default do not fire it, in batches of %i',
    async (size) => {
      const [table, log] = await ruledTable('id serial, n int CHECK (n <> 13), d text DEFAULT $$d$$', also);
      const rows: Row[] = Array.from({ length: 40 }, (_, n) => ({
        n: n === 17 ? 'bad' : n,
        ...(n % 3 === 0 && { id: 1_000 + n }),
        ...(n % 4 === 0 && { d: null }),
      }));
      const loaded = await load(table, rows, size);
      expect(causes(loaded).map(([item, { row }]) => [item, row])).toEqual([
        [rows[13], 13 % size],
        [rows[17], 17 % size],
      ]);
      expect(await database.query(`SELECT * FROM ${log}`)).toEqual([]);
      const stored = await database.query<Row>(`SELECT n, d, id >= 1000 AS given FROM ${table} ORDER BY n`);
      expect(stored).toEqual(
        rows
          .filter((_, n) => n !== 13 && n !== 17)
          .map(({ n, d }) => ({ n, d: d === null ? null : 'd', given: Number(n) % 3 === 0 })),
      );
    },
  );

  test('more groups than are sent one after the other: every row arrives, and none fires it', async () => {
    const [table, log] = await ruledTable('id serial, n int, d text DEFAULT $$d$$', also);
    const rows: Row[] = Array.from({ length: 600 }, (_, n) => ({
      n: n === 300 ? 'bad' : n,
      d: n % 2 === 0 ? undefined : 'x',
    }));
    const loaded = await load(table, rows, 1_000);
    expect(causes(loaded).map(([item]) => item)).toEqual([rows[300]]);
    expect(await database.query(`SELECT * FROM ${log}`)).toEqual([]);
    const stored = await database.query(`SELECT n, d, id IS NULL AS lacks FROM ${table} ORDER BY n`);
    const expected = rows.map(({ n }) => ({ n, d: Number(n) % 2 === 0 ? 'd' : 'x', lacks: false }));
    expect(stored).toEqual(expected.filter(({ n }) => n !== 'bad'));
  });

  test('with row-level security rows go by INSERT, so each of them fires it', async () => {
    const [table, log] = await ruledTable('id serial, n int', also);
    const role = `${table}_${process.pid}`;
    await database.query(
      `CREATE ROLE ${role} LOGIN PASSWORD 'x'; GRANT INSERT ON ${table}, ${log} TO ${role};
       GRANT USAGE ON SEQUENCE ${table}_id_seq TO ${role};
       ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON ${table} FOR INSERT WITH CHECK (true)`,
    );
    const url = new URL(database.url);
    url.username = role;
    url.password = 'x';
    const pool = database.pool({ max: 2, connectionString: url.href });
    await loadRows<Row>(pool, { table, columns: ['id', 'n'] }, [{ n: 1 }, { n: 2, id: 7 }, { n: 3 }], 2);
    expect(await database.query(`SELECT n FROM ${log} ORDER BY n`)).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
    await database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  });

  test('a RULE that is DO INSTEAD NOTHING takes no row away', async () => {
    const [table] = await ruledTable('id serial, n int', () => 'INSTEAD NOTHING');
    await load(table, [{ n: 1 }, { n: 2, id: 7 }, { n: 3 }], 10);
    expect(await database.query(`SELECT n FROM ${table} ORDER BY n`)).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  });

  test('a row that leaves out every column: PostgreSQL 16 takes it, an older one refuses that row by name', async () => {
    const [table, log] = await ruledTable('id serial, n int DEFAULT 5', also);
    const loaded = await load(table, [{ id: 1, n: 1 }, {}, { n: 2 }], 10, { columns: ['id', 'n'] });
    expect(await database.query(`SELECT * FROM ${log}`)).toEqual([]);
    const stored = await database.query(`SELECT n FROM ${table} ORDER BY n`);
    if (takesMarker) expect(stored).toEqual([{ n: 1 }, { n: 2 }, { n: 5 }]);
    else {
      expect(stored).toEqual([{ n: 1 }, { n: 2 }]);
      expect(causes(loaded)).toMatchObject([[{}, { failureClass: 'row', row: 1 }]]);
      expect(causes(loaded)[0]![1].message).toContain('leaves out every column');
      expect(causes(loaded)[0]![1].message).toContain('PostgreSQL 16');
    }
  });

  test('with onConflict it is refused, as by INSERT', async () => {
    const [table] = await ruledTable('id serial, n int PRIMARY KEY', also);
    const options = { onConflict: 'update', key: ['n'] } as const;
    const { failures } = await load(table, [{ n: 1 }], 10, options);
    expect(failures).toMatchObject([{ error: { failureClass: 'setup' } }]);
    expect(failures[0]!.error.message).toContain('INSERT or UPDATE rules');
  });
});

describe('a table of 1,600 columns', () => {
  const columns = Array.from(
    { length: 1_600 },
    (_, n) => `c${n} int${n === 0 ? ' PRIMARY KEY' : ' DEFAULT 1'}`,
  );
  const names = columns.map((column) => column.split(' ')[0]!);
  const nulls = Object.fromEntries(names.map((name) => [name, null]));
  const rows = [
    { ...nulls, c0: 1, c5: undefined },
    { ...nulls, c0: 2 },
    { ...nulls, c0: 3, c7: undefined, c9: undefined },
  ];

  test('a row that leaves out a default is loaded', async () => {
    const table = await database.table(columns.join());
    expect((await load(table, rows, 10, { columns: names })).failures).toEqual([]);
    expect(await database.query(`SELECT c0, c5, c7, c9, c11 FROM ${table} ORDER BY c0`)).toEqual([
      { c0: 1, c5: 1, c7: null, c9: null, c11: null },
      { c0: 2, c5: null, c7: null, c9: null, c11: null },
      { c0: 3, c5: null, c7: 1, c9: 1, c11: null },
    ]);
  });

  test('with onConflict only rows that leave out nothing are taken, and the error says what helps', async () => {
    const table = await database.table(columns.join());
    const options = { columns: names, onConflict: 'update', key: ['c0'] } as const;
    await load(table, [{ ...nulls, c0: 1 }], 10, options);
    const { failures } = await load(table, rows, 10, options);
    expect(failures).toHaveLength(3);
    expect(failures[0]!.error).toMatchObject({ failureClass: 'setup', sqlState: '54011' });
    expect(failures[0]!.error.message).toMatch(/leaves out .* the 1,600 columns .*option 'columns'/);
  });
});
