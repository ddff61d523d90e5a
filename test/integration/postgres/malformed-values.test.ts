/** Values that their type cannot read, whatever state it says it with: that row is at fault, and the others are inserted. */

import { expect, test } from 'vitest';
import type { CopyOptions } from '../../../src/postgres/index.js';
import { loadRows } from '../../support/load-rows.js';
import { useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();

const ROWS = 60;
const PLACES = [7, 8, 41];

const VALUES: readonly [type: string, good: string, bad: string, state: string][] = [
  ['tsvector', 'a:1 b', "'a", '42601'],
  ['tsquery', 'a & b', 'a &', '42601'],
  ['jsonpath', '$.a', '$[', '42601'],
  ['tsvector[]', '{a}', `{"'a"}`, '42601'],
  ['regclass', 'pg_class', 'no_such_table', '42P01'],
  ['regnamespace', 'pg_catalog', 'no_such_schema', '3F000'],
  ['regclass', 'pg_class', '"', '42602'],
  ['regclass', 'pg_class', 'elsewhere.public.t', '0A000'],
  ['regtype', 'integer', 'no_such_type', '42704'],
  ['regtype', 'integer', 'int4(', '42601'],
  ['regtype[]', '{integer}', '{int4)}', '42601'],
  ['regproc', 'pg_sleep', 'abs', '42725'],
  ['regprocedure', 'abs(integer)', 'no_such_function(integer)', '42883'],
  ['regrole', 'pg_monitor', 'no_such_role', '42704'],
  ['json', '{"a":1}', '['.repeat(60_000), '54001'],
  ['jsonb', '{"a":1}', '['.repeat(60_000), '54001'],
  ['date', '2024-01-01', '2024-02-30', '22008'],
];

const CASES = VALUES.flatMap(([type, good, bad, state]) =>
  [{}, { format: 'text' }, { onConflict: 'update', key: ['id'] }].map((options) => ({
    type,
    good,
    bad,
    state,
    options: options as Partial<CopyOptions<{ id: number; v: string }>>,
    title: `${bad.slice(0, 24)} for ${type} (${state}), options ${JSON.stringify(options)}: only its rows are left out`,
  })),
);

test.each(CASES)('$title', async ({ type, good, bad, state, options }) => {
  const table = await database.table(`id int PRIMARY KEY, v ${type}`);
  const rows = Array.from({ length: ROWS }, (_, id) => ({ id, v: PLACES.includes(id) ? bad : good }));
  const { failures } = await loadRows(database.pool(), { table, ...options }, rows, ROWS);
  expect(failures.map(({ item }) => item.id)).toEqual(PLACES);
  for (const { error } of failures)
    expect(error.cause).toMatchObject({ failureClass: 'row', sqlState: state, column: 'v' });
  expect(await database.query(`SELECT count(*)::int AS n FROM ${table}`)).toEqual([
    { n: ROWS - PLACES.length },
  ]);
});

test('what a default or the code of a domain lacks is the set-up, whichever row meets it first', async () => {
  await database.query(`CREATE FUNCTION asks(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
    PERFORM FROM no_such_table; RETURN true; END $$`);
  await database.query('CREATE DOMAIN asked AS text CHECK (asks(VALUE))');
  for (const [column, rows] of [
    ["text DEFAULT current_setting('app.tenant')", [{ id: 1, v: 'x' }, { id: 2 }]],
    [
      'asked',
      [
        { id: 1, v: null },
        { id: 2, v: 'x' },
      ],
    ],
  ] as const) {
    const table = await database.table(`id int, v ${column}`);
    const { failures } = await loadRows(database.pool(), { table }, rows as readonly object[], ROWS);
    expect(failures.map(({ error }) => error)).toMatchObject(rows.map(() => ({ failureClass: 'setup' })));
    expect(await database.query(`SELECT count(*)::int AS n FROM ${table}`)).toEqual([{ n: 0 }]);
  }
});
