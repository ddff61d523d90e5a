/** The tables of the bookkeeping, made or changed by another role: refused by name, before anything runs or is believed. */

import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { consumeLog, copyInto } from '../../../src/postgres/index.js';
import { ImportLog } from '../../../src/postgres/imports/import-log.js';
import { checkTables } from '../../../src/postgres/imports/import-tables.js';
import { MemoryLog } from '../../support/memory-log.js';
import { flushContext, useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();

const IMPORTS = `CREATE TABLE public.spillway_imports (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, import_id text NOT NULL UNIQUE,
  table_name text NOT NULL, source json, run integer NOT NULL DEFAULT 1, started_at timestamptz NOT NULL DEFAULT now(), finished_at timestamptz)`;
const RANGES = `CREATE TABLE public.spillway_import_ranges (import bigint NOT NULL REFERENCES public.spillway_imports ON DELETE CASCADE,
  first_position bigint NOT NULL, last_position bigint NOT NULL, rows bigint NOT NULL, rejected bigint NOT NULL, rejects json,
  PRIMARY KEY (import, first_position))`;
const OURS = `${IMPORTS}; ${RANGES}`;

// Roles belong to the whole server.
const suffix = process.pid;
const [mallory, loader, owner, friend] = ['mallory', 'loader', 'owner', 'friend'].map(
  (name) => `spillway_test_${name}_${suffix}`,
) as [string, string, string, string];

let pool: pg.Pool;

beforeAll(async () => {
  for (const role of [mallory, loader, owner, friend]) await database.query(`CREATE ROLE ${role}`);
  // A role with the rights of the loaded table's owner can make triggers for that table, too.
  await database.query(`GRANT ${owner} TO ${friend}`);
});

beforeEach(async () => {
  await database.query(`
    GRANT CREATE ON SCHEMA public TO PUBLIC;
    CREATE SCHEMA evil AUTHORIZATION ${mallory}; GRANT USAGE, CREATE ON SCHEMA evil TO PUBLIC;
    CREATE SEQUENCE public.calls; GRANT USAGE ON SEQUENCE public.calls TO PUBLIC;
    SET ROLE ${mallory};
    CREATE FUNCTION evil.spy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM nextval(''public.calls''); RETURN NEW; END';
    CREATE FUNCTION evil.fits(anyelement) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM nextval(''public.calls''); RETURN true; END';
    CREATE DOMAIN evil.json AS json CHECK (evil.fits(VALUE::text));
    SET ROLE ${owner};
    CREATE TABLE public.events (id int); GRANT ALL ON public.events TO ${loader};
    RESET ROLE`);
});

afterEach(async () => {
  await database.query(
    'DROP SCHEMA evil CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC',
  );
});

afterAll(async () => {
  for (const role of [friend, mallory, loader, owner])
    await database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
});

const grants = (to: string): string =>
  `GRANT SELECT, INSERT, UPDATE, DELETE ON public.spillway_imports, public.spillway_import_ranges TO ${to}`;

/** What is there before the load; each statement as the role that is named. */
type Plant = readonly (readonly [role: string | undefined, sql: string])[];

const made = (by: string, ...then: Plant): Plant => [[by, OURS], [by, grants(loader)], ...then];

const REFUSED: readonly (readonly [what: string, plant: Plant, message: RegExp])[] = [
  [
    'tables of another role',
    made(mallory),
    /"spillway_imports" is not trusted.*belongs to "spillway_test_mallory/,
  ],
  [
    'only the second one of another role',
    [
      [loader, IMPORTS],
      [loader, `GRANT REFERENCES ON public.spillway_imports TO ${mallory}`],
      [mallory, RANGES],
      [mallory, `GRANT ALL ON public.spillway_import_ranges TO ${loader}`],
    ],
    /"spillway_import_ranges" is not trusted.*belongs to/,
  ],
  [
    'a table of a role that the user is a member of',
    [[undefined, `GRANT ${mallory} TO ${loader}`], ...made(mallory)],
    /belongs to "spillway_test_mallory/,
  ],
  [
    'a view',
    [
      [mallory, 'CREATE VIEW public.spillway_imports AS SELECT 1 AS id'],
      [mallory, `GRANT ALL ON public.spillway_imports TO ${loader}`],
    ],
    /is a view/,
  ],
  ['a view of the user', [[loader, 'CREATE VIEW public.spillway_imports AS SELECT 1 AS id']], /is a view/],
  [
    'a partitioned table',
    [[loader, 'CREATE TABLE public.spillway_imports (id int) PARTITION BY LIST (id)']],
    /is a partitioned table/,
  ],
  [
    'a partition',
    [
      [
        loader,
        'CREATE TABLE public.whole (id int) PARTITION BY LIST (id); CREATE TABLE public.spillway_imports PARTITION OF public.whole DEFAULT',
      ],
    ],
    /is a partition/,
  ],
  [
    'a table that inherits',
    [
      [
        loader,
        'CREATE TABLE public.above (id int); CREATE TABLE public.spillway_imports () INHERITS (public.above)',
      ],
    ],
    /inherits/,
  ],
  [
    'a table that another inherits from',
    [...made(loader), [loader, 'CREATE TABLE public.below () INHERITS (public.spillway_import_ranges)']],
    /"spillway_import_ranges" is not trusted.*inherits/,
  ],
  [
    'an unlogged table',
    [[loader, OURS.replaceAll('CREATE TABLE', 'CREATE UNLOGGED TABLE')]],
    /unlogged.*SET LOGGED/,
  ],
  [
    'a sequence',
    [[loader, 'CREATE SEQUENCE public.spillway_import_ranges']],
    /"spillway_import_ranges" is not trusted.*is a sequence/,
  ],
  [
    'a trigger of another role’s function',
    made(loader, [
      loader,
      'CREATE TRIGGER t BEFORE INSERT ON public.spillway_imports FOR EACH ROW EXECUTE FUNCTION evil.spy()',
    ]),
    /its trigger "t" uses "spy", which belongs to/,
  ],
  [
    'a trigger on the second one',
    made(loader, [
      loader,
      'CREATE TRIGGER t AFTER INSERT ON public.spillway_import_ranges FOR EACH STATEMENT EXECUTE FUNCTION evil.spy()',
    ]),
    /"spillway_import_ranges".*its trigger "t"/,
  ],
  [
    'a trigger whose condition calls another role’s function',
    made(loader, [
      loader,
      'CREATE TRIGGER t BEFORE INSERT ON public.spillway_imports FOR EACH ROW WHEN (evil.fits(NEW.import_id)) EXECUTE FUNCTION suppress_redundant_updates_trigger()',
    ]),
    /its trigger "t" uses "fits"/,
  ],
  [
    'a rule',
    made(loader, [
      loader,
      'CREATE RULE r AS ON INSERT TO public.spillway_imports DO ALSO SELECT evil.fits(1)',
    ]),
    /its rule "r" uses "fits"/,
  ],
  [
    'a rule about another role’s table',
    [
      [mallory, 'CREATE TABLE evil.target (id bigint)'],
      ...made(loader, [
        undefined,
        'CREATE RULE r AS ON DELETE TO public.spillway_imports DO ALSO INSERT INTO evil.target VALUES (OLD.id)',
      ]),
    ],
    /its rule "r" uses "target"/,
  ],
  [
    'a policy',
    made(loader, [
      loader,
      'CREATE POLICY p ON public.spillway_imports USING (evil.fits(import_id)); ALTER TABLE public.spillway_imports FORCE ROW LEVEL SECURITY, ENABLE ROW LEVEL SECURITY',
    ]),
    /its policy "p" uses "fits"/,
  ],
  [
    'a default',
    made(loader, [loader, 'ALTER TABLE public.spillway_imports ADD extra bool DEFAULT evil.fits(1)']),
    /its default "extra" uses "fits"/,
  ],
  [
    'a generated column',
    made(loader, [
      loader,
      'ALTER TABLE public.spillway_imports ADD extra bool GENERATED ALWAYS AS (evil.fits(import_id)) STORED',
    ]),
    /(a column of it|"extra") uses "fits"/,
  ],
  [
    'a CHECK constraint',
    made(loader, [
      loader,
      'ALTER TABLE public.spillway_import_ranges ADD CONSTRAINT c CHECK (evil.fits(rows))',
    ]),
    /its constraint "c" uses "fits"/,
  ],
  [
    'an index of an expression',
    made(loader, [loader, 'CREATE INDEX i ON public.spillway_import_ranges (evil.fits(rows))']),
    /its index "i" uses "fits"/,
  ],
  [
    'an index with a condition',
    made(loader, [loader, 'CREATE INDEX i ON public.spillway_import_ranges (rows) WHERE evil.fits(rows)']),
    /its index "i" uses "fits"/,
  ],
  [
    'a column of another role’s type',
    made(loader, [loader, 'ALTER TABLE public.spillway_imports ADD extra evil.json']),
    /a column of it uses "json", which belongs to/,
  ],
  [
    'the right to insert for all',
    made(loader, [loader, 'GRANT INSERT ON public.spillway_imports TO PUBLIC']),
    /PUBLIC has the right INSERT.*REVOKE/,
  ],
  [
    'the right to update a column for all',
    made(loader, [loader, 'GRANT UPDATE (finished_at) ON public.spillway_imports TO PUBLIC']),
    /PUBLIC has the right UPDATE/,
  ],
  [
    'the right to delete for all',
    made(loader, [loader, 'GRANT DELETE ON public.spillway_import_ranges TO PUBLIC']),
    /PUBLIC has the right DELETE/,
  ],
  [
    'the right to make triggers for another',
    made(loader, [loader, `GRANT TRIGGER ON public.spillway_import_ranges TO ${mallory}`]),
    /has the right TRIGGER/,
  ],
  [
    'another type',
    [[loader, OURS.replace('source json', 'source text')]],
    /its column "source" is not of the type pg_catalog.json/,
  ],
  ['a column fewer', [[loader, OURS.replace('rejects json,', '')]], /has no column "rejects"/],
  [
    'a generated column in place of a plain one',
    [
      [
        loader,
        OURS.replace(
          'finished_at timestamptz',
          `finished_at timestamptz GENERATED ALWAYS AS ('2024-01-01'::timestamptz) STORED`,
        ),
      ],
    ],
    /"finished_at" is not plain/,
  ],
  [
    'a default that makes imports finished',
    [[loader, OURS.replace('finished_at timestamptz', 'finished_at timestamptz DEFAULT now()')]],
    /"finished_at" has another default/,
  ],
  ['another default', [[loader, OURS.replace('DEFAULT 1', 'DEFAULT 7')]], /"run" has another default/],
  [
    'no unique key',
    [[loader, OURS.replace('import_id text NOT NULL UNIQUE', 'import_id text NOT NULL')]],
    /has no unique key \(import_id\)/,
  ],
  [
    'no primary key',
    [[loader, OURS.replace('PRIMARY KEY (import, first_position)', 'UNIQUE (import)')]],
    /has no unique key \(import, first_position\)/,
  ],
  [
    'a key that is checked late',
    [
      [
        loader,
        OURS.replace(
          'PRIMARY KEY (import, first_position)',
          'PRIMARY KEY (import, first_position) DEFERRABLE',
        ),
      ],
    ],
    /has no unique key/,
  ],
  [
    'NULL allowed',
    [[loader, OURS.replace('rejected bigint NOT NULL', 'rejected bigint')]],
    /"rejected" is not NOT NULL/,
  ],
  [
    'a column that nothing fills',
    made(loader, [loader, 'ALTER TABLE public.spillway_imports ADD extra int NOT NULL']),
    /"extra" is NOT NULL, and nothing fills it/,
  ],
];

const TAKEN: readonly (readonly [what: string, plant: Plant])[] = [
  ['nothing', []],
  ['the user’s own', made(loader)],
  ['those of the loaded table’s owner', made(owner)],
  ['those of a role with the rights of that owner', made(friend)],
  ['those of the schema’s owner', [[undefined, `ALTER SCHEMA public OWNER TO ${mallory}`], ...made(mallory)]],
  ['no foreign key', [[loader, OURS.replace('REFERENCES public.spillway_imports ON DELETE CASCADE', '')]]],
  [
    'those of a superuser',
    [
      [undefined, OURS],
      [undefined, grants(loader)],
    ],
  ],
  ['the first one alone', [[loader, IMPORTS]]],
  [
    'a newer version’s, with more columns',
    made(loader, [
      loader,
      `ALTER TABLE public.spillway_imports ADD note text, ADD size bigint NOT NULL DEFAULT 0; ALTER TABLE public.spillway_import_ranges ADD lines int`,
    ]),
  ],
  [
    'a trigger of a superuser’s function',
    [
      [
        undefined,
        `CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`,
      ],
      ...made(loader, [
        loader,
        'CREATE TRIGGER t BEFORE INSERT ON public.spillway_imports FOR EACH ROW EXECUTE FUNCTION public.audit()',
      ]),
    ],
  ],
  [
    'a trigger of the user’s own function',
    [
      [loader, `CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`],
      ...made(loader, [
        loader,
        'CREATE TRIGGER t BEFORE INSERT ON public.spillway_imports FOR EACH ROW EXECUTE FUNCTION public.audit()',
      ]),
    ],
  ],
  [
    'a CHECK of the server’s own functions',
    made(loader, [loader, 'ALTER TABLE public.spillway_imports ADD CHECK (length(import_id) < 1000)']),
  ],
  ['rights for another role by its name', made(loader, [loader, grants(friend)])],
  [
    'the right to read for all',
    made(loader, [
      loader,
      'GRANT SELECT ON public.spillway_imports, public.spillway_import_ranges TO PUBLIC',
    ]),
  ],
];

async function plantAll(plant: Plant): Promise<void> {
  for (const [role, sql] of plant) {
    await database.query(`${role === undefined ? '' : `SET ROLE ${role};`} ${sql}; RESET ROLE`);
  }
}

/** Through a copyInto with an import id, as the role `loader`. */
async function loadAs(role: string): Promise<void> {
  pool = database.pool({ options: `-c role=${role}` });
  const copy = copyInto<{ id: number }>(pool, {
    table: 'events',
    schema: 'public',
    importId: 'x',
    positionOf: ({ id }) => id,
  });
  await copy([{ id: 1 }, { id: 2 }], flushContext());
}

test.each(REFUSED)('%s: refused, nothing runs', async (_, plant, message) => {
  await plantAll(plant);
  const calls = 'SELECT last_value, is_called FROM public.calls';
  const before = await database.query(calls);
  await expect(loadAs(loader)).rejects.toMatchObject({
    failureClass: 'setup',
    message: expect.stringMatching(message) as string,
  });
  expect(await database.query(calls)).toEqual(before);
  expect(await database.query('SELECT * FROM public.events')).toEqual([]);
});

test.each(TAKEN)('%s: taken', async (_, plant) => {
  await plantAll(plant);
  await loadAs(loader);
  expect(await database.query('SELECT * FROM public.events')).toEqual([{ id: 1 }, { id: 2 }]);
});

const sourceOf = (importId: string) => {
  const options = { schema: 'public', table: 'events', importId };
  const client = database.pool({ options: `-c role=${loader}` });
  return ImportLog.findSource(client, options, new AbortController().signal);
};

test('the source of an import in a table of another role: refused, no policy of it runs', async () => {
  const [row, policy] = [
    "INSERT INTO public.spillway_imports (import_id, table_name, source) VALUES ('x', 'events', '[]')",
    'CREATE POLICY p ON public.spillway_imports USING (evil.fits(import_id))',
  ];
  const secure = 'ALTER TABLE public.spillway_imports ENABLE ROW LEVEL SECURITY';
  await plantAll(made(mallory, [mallory, row], [mallory, secure], [mallory, policy]));
  const calls = 'SELECT last_value, is_called FROM public.calls';
  const before = await database.query(calls);
  await expect(sourceOf('x')).rejects.toMatchObject({
    failureClass: 'setup',
    message: expect.stringMatching(/"spillway_imports" is not trusted.*belongs to/) as string,
  });
  expect(await database.query(calls)).toEqual(before);
});

test('the source of an import: nothing without the tables, nor for another import', async () => {
  expect(await sourceOf('x')).toBeUndefined();
  const row =
    "INSERT INTO public.spillway_imports (import_id, table_name, source) VALUES ('x', 'events', '[7]')";
  await plantAll(made(loader, [loader, row]));
  expect(await sourceOf('y')).toBeUndefined();
  expect(await sourceOf('x')).toEqual([7]);
});

const copyOf = (client: pg.Pool) =>
  copyInto<{ id: number }>(client, {
    table: 'events',
    schema: 'public',
    importId: 'x',
    positionOf: ({ id }) => id,
  });

test('tables that another role makes while a load is under way: the next batch is refused', async () => {
  const copy = copyOf(database.pool({ options: `-c role=${loader}` }));
  await copy([{ id: 1 }], flushContext());
  await database.query('DROP TABLE public.spillway_import_ranges, public.spillway_imports');
  await plantAll(made(mallory));
  await expect(copy([{ id: 2 }], flushContext())).rejects.toThrow(/"spillway_imports" is not trusted/);
  expect(await database.query('SELECT * FROM public.events')).toEqual([{ id: 1 }]);
});

test('a trigger that is made while a load is under way: the next batch is refused', async () => {
  const copy = copyOf(database.pool({ options: `-c role=${loader}` }));
  await copy([{ id: 1 }], flushContext());
  await database.query(
    'CREATE TRIGGER t AFTER INSERT ON public.spillway_import_ranges EXECUTE FUNCTION evil.spy()',
  );
  await expect(copy([{ id: 2 }], flushContext())).rejects.toThrow(/its trigger "t" uses "spy"/);
  expect(await database.query('SELECT is_called FROM public.calls')).toEqual([{ is_called: false }]);
});

test.each(['COMMIT', 'ROLLBACK'])(
  'tables that another role is just making, then %s: refused, or the user’s own are made',
  async (end) => {
    const other = await database.pool({ options: `-c role=${mallory}` }).connect();
    await other.query(`BEGIN; ${OURS}; ${grants(loader)}`);
    const copy = copyOf(database.pool({ options: `-c role=${loader}` }));
    const loading = copy([{ id: 1 }], flushContext()).then(
      () => 'taken',
      (error: unknown) => (error as Error).message,
    );
    await expect
      .poll(() =>
        database.query(
          `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`,
        ),
      )
      .toHaveLength(1);
    await other.query(end);
    other.release();
    expect(await loading).toMatch(
      end === 'COMMIT' ? /"spillway_imports" is not trusted.*belongs to/ : /^taken$/,
    );
  },
);

test('while a batch is marked nobody can make a trigger or change the owner', async () => {
  const client = await database.pool({ options: `-c role=${loader}` }).connect();
  const copy = copyOf(database.pool({ options: `-c role=${loader}` }));
  await copy([{ id: 1 }], flushContext());
  await client.query('BEGIN');
  await checkTables(client, { schema: 'public', table: 'events' });
  for (const sql of [
    'CREATE TRIGGER t AFTER INSERT ON public.spillway_imports EXECUTE FUNCTION evil.spy()',
    `ALTER TABLE public.spillway_import_ranges OWNER TO ${mallory}`,
    'CREATE RULE r AS ON INSERT TO public.spillway_imports DO ALSO SELECT 1',
    'CREATE POLICY p ON public.spillway_import_ranges',
    'DROP TABLE public.spillway_import_ranges',
  ]) {
    await expect(database.query(`SET lock_timeout = '20ms'; ${sql}`)).rejects.toMatchObject({
      code: '55P03',
    });
  }
  await database.query('RESET lock_timeout');
  await client.query('ROLLBACK');
  client.release();
});

const LANES = `CREATE TABLE public.spillway_lanes (import bigint NOT NULL, lane bigint NOT NULL, through_lane bigint NOT NULL,
  first bigint NOT NULL, last bigint NOT NULL, next bigint NOT NULL, run integer NOT NULL, lease_until timestamptz, PRIMARY KEY (import, lane))`;

const consumeAs = (role: string) => {
  const log = new MemoryLog({ laneSize: 100 });
  log.append({ id: 1 });
  const options = { table: 'events', schema: 'public', importId: 'log', untilCaughtUp: true };
  return consumeLog(log, database.pool({ options: `-c role=${role}` }), options).finished;
};

test.each([
  [
    'lanes of another role',
    `SET ROLE ${mallory}; ${LANES}; GRANT ALL ON public.spillway_lanes TO ${loader}`,
    /belongs to/,
  ],
  [
    'a policy of another role on the lanes',
    `SET ROLE ${loader}; ${LANES}; GRANT ALL ON public.spillway_lanes TO ${mallory}; RESET ROLE;
      CREATE POLICY p ON public.spillway_lanes USING (evil.fits(1)); ALTER TABLE public.spillway_lanes ENABLE ROW LEVEL SECURITY`,
    /policy|TRIGGER/,
  ],
  [
    'a trigger on the dead letters',
    `SET ROLE ${loader}; CREATE TABLE public.spillway_dead_letters (id int); RESET ROLE;
      CREATE TRIGGER t BEFORE INSERT ON public.spillway_dead_letters EXECUTE FUNCTION evil.spy()`,
    /its trigger "t" uses "spy"/,
  ],
  [
    'lanes of another form',
    `SET ROLE ${loader}; CREATE TABLE public.spillway_lanes (lane bigint)`,
    /has no column "import"/,
  ],
] as const)('consumeLog refuses %s, and runs nothing of them', async (_, sql, message) => {
  await database.query(`${sql}; RESET ROLE`);
  await expect(consumeAs(loader)).rejects.toThrow(message);
  expect(await database.query('SELECT is_called FROM public.calls')).toEqual([{ is_called: false }]);
  expect(await database.query('SELECT * FROM public.events')).toEqual([]);
});

test.each([
  [
    'a trigger on the dead letters',
    'CREATE TRIGGER t BEFORE INSERT ON public.spillway_dead_letters EXECUTE FUNCTION evil.spy()',
    /trigger "t" uses "spy"/,
  ],
  [
    'a trigger on the lanes',
    'CREATE TRIGGER t BEFORE UPDATE ON public.spillway_lanes FOR EACH ROW EXECUTE FUNCTION evil.spy()',
    /trigger "t" uses "spy"/,
  ],
  [
    'the right to make triggers',
    `GRANT TRIGGER ON public.spillway_lanes TO ${mallory}`,
    /has the right TRIGGER/,
  ],
  [
    'dead letters of another role',
    `DROP TABLE public.spillway_dead_letters; SET ROLE ${mallory}; CREATE TABLE public.spillway_dead_letters (id int);
      GRANT ALL ON public.spillway_dead_letters TO ${loader}; RESET ROLE`,
    /"spillway_dead_letters" is not trusted/,
  ],
])('%s, made while a log is loaded: the next batch is refused', async (_, sql, message) => {
  const log = new MemoryLog({ laneSize: 100 });
  log.append({ id: 1 });
  const options = { table: 'events', schema: 'public', importId: 'log', maxFlushIntervalMs: 10 };
  const load = consumeLog(log, database.pool({ options: `-c role=${loader}` }), options);
  await expect.poll(() => load.getMetrics().rowsLoaded, { timeout: 20_000 }).toBe(1);
  await database.query(sql);
  log.append({ id: 2 });
  await expect(load.finished).rejects.toThrow(message);
  expect(await database.query('SELECT * FROM public.events')).toEqual([{ id: 1 }]);
  expect(await database.query('SELECT is_called FROM public.calls')).toEqual([{ is_called: false }]);
});

test('consumeLog loads by its own tables as a role that may only load', async () => {
  await consumeAs(loader);
  expect(await database.query('SELECT * FROM public.events')).toEqual([{ id: 1 }]);
});
