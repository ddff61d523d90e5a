/** Statements of ours and the search path: whatever an ordinary role plants on it, none of that runs as the user who loads. */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { beforeAll, expect, test } from 'vitest';
import { BackpressureWritable } from '../../../src/index.js';
import { consumeLog, copyInto, type CopyOptions } from '../../../src/postgres/index.js';
import { useCli } from '../../support/cli.js';
import { PLANTED, plantedObjects, plantLookAlikes } from '../../support/hostile-schema.js';
import { MemoryLog } from '../../support/memory-log.js';
import { startOwnServer, useTestDatabase } from '../../support/postgres.js';
import { searchPathFaults } from '../../support/search-path-faults.js';
import { LOG_SETTINGS, logTime, readServerLog, withClient, type LogEntry } from '../../support/server-log.js';
import { IS_CAMPAIGN } from '../../support/test-runs.js';

let serverUrl = '';
const database = useTestDatabase(async () => {
  const server = await startOwnServer({ settings: { fsync: 'off', max_connections: '50', ...LOG_SETTINGS } });
  serverUrl = server.url;
  return server;
});
const cli = useCli();

let planted: Map<string, string>;

const FILES: Readonly<Record<string, string>> = {
  'plain.csv': 'id,at,note\n1,2024-05-01T10:00:00Z,a\n2,2024-05-02T10:00:00Z,b\n2,2024-05-02T10:00:00Z,c\n',
  'unique.csv': 'id,at,note\n1,2024-05-01T10:00:00Z,a\n2,2024-05-02T10:00:00Z,b\n',
  'bad.csv':
    'id,at,note\n1,2024-05-01T10:00:00Z,a\nx,2024-05-02T10:00:00Z,b\n3,2024-05-01T10:00:00Z,no\n4,2024-05-01T10:00:00Z,\n5,yesterday or so,c\n',
  'many.csv': `id,at,note\n${Array.from({ length: 40 }, (_, row) => `${row},2024-05-01T10:00:00Z,n${row}\n`).join('')}`,
  'plain.ndjson':
    '{"id":11,"at":"2024-05-01T10:00:00Z","note":"p"}\n{"id":12,"at":"2024-05-01T10:00:00Z","note":"q"}\n',
  'new.csv':
    'a,b,c,d,e,f,g\n1,1.5,x,2024-05-01,2024-05-01T10:00:00Z,true,0a2b3c4d-0a2b-3c4d-0a2b-3c4d0a2b3c4d\n',
  'broken.csv': 'a,b\n1,2,3\n',
  'new.ndjson': '{"a":{"b":1},"c":"2024-05-01T10:00:00"}\n',
};

/** Each empties its table first, or makes it. */
const LOADS: readonly (readonly [files: string, ...flags: string[]])[] = [
  ['plain.csv', '--table', 'plain', '--truncate'],
  ['plain.csv', '--table', 'public.plain'],
  ['plain.ndjson', '--table', 'plain', '--connections', '1', '--batch-size', '1'],
  ['new.csv', '--table', 'made_of_csv', '--create'],
  ['broken.csv', '--table', 'made_and_dropped', '--create'],
  ['new.ndjson', '--table', 'public.made_of_ndjson', '--create'],
  ['bad.csv', '--table', 'strict', '--truncate', '--rejects', 'rejects.ndjson'],
  ['bad.csv', '--table', 'deferred', '--truncate', '--rejects', 'rejects.ndjson'],
  ['bad.csv', '--table', 'strict', '--rejects', 'rejects.ndjson', '--on-conflict', 'update', '--key', 'id'],
  ['bad.csv', '--table', 'strict', '--rejects', 'rejects.ndjson', '--atomic', '--truncate'],
  ['many.csv', '--table', 'plain', '--truncate', '--import', 'many', '--batch-size', '3'],
  ['many.csv', '--table', 'plain', '--truncate', '--import', 'many', '--batch-size', '3'],
  ['bad.csv', '--table', 'strict', '--truncate', '--import', 'bad', '--rejects', 'rejects.ndjson'],
  ['bad.csv', '--table', 'strict', '--truncate', '--import', 'bad', '--rejects', 'rejects.ndjson'],
  ['plain.csv', '--table', 'keyed', '--truncate', '--on-conflict', 'update', '--key', 'id'],
  ['plain.csv', '--table', 'keyed', '--on-conflict', 'ignore', '--key', 'id'],
  ['plain.csv', '--table', 'keyed', '--on-conflict', 'ignore'],
  ['plain.ndjson', '--table', 'keyed', '--on-conflict', 'update', '--key', 'id', '--import', 'keyed'],
  ['unique.csv', '--table', 'divided', '--truncate'],
  ['plain.csv', '--table', 'divided', '--on-conflict', 'update', '--key', 'id'],
  ['unique.csv', '--table', 'secured', '--truncate'],
  ['plain.csv', '--table', 'secured', '--on-conflict', 'update', '--key', 'id'],
  ['plain.csv', '--table', 'folded', '--truncate', '--on-conflict', 'update', '--key', 'note'],
  [
    'plain.csv',
    '--table',
    'partial',
    '--truncate',
    '--on-conflict',
    'update',
    '--key',
    'id',
    '--atomic',
    '--batch-size',
    '1',
  ],
  ['bad.csv', '--table', 'folded', '--on-conflict', 'ignore', '--key', 'note', '--rejects', 'rejects.ndjson'],
];

interface Row {
  id: unknown;
  at: unknown;
  note: string | null;
}

const row = (id: unknown, note: string | null = 'a'): Row => ({
  id,
  at: new Date('2024-05-01T10:00:00Z'),
  note,
});

const COPIES: readonly (readonly [
  name: string,
  rows: readonly Row[],
  options: Partial<CopyOptions<Row, pg.PoolClient>>,
])[] = [
  ['by default', [row(1), row(2)], { table: 'plain' }],
  ['with a schema and columns', [row(1)], { table: 'plain', schema: 'public', columns: ['id', 'note'] }],
  ['as text', [row(1)], { table: 'plain', format: 'text' }],
  ['in binary', [row(1)], { table: 'plain', format: 'binary' }],
  ['bad rows', [row(1), row('x'), row(2, null), row(3, 'no')], { table: 'strict' }],
  ['bad rows of a deferred constraint', [row(1), row(1), row(2)], { table: 'deferred' }],
  ['update', [row(1), row(1), row(2, 'b')], { table: 'keyed', onConflict: 'update', key: ['id'] }],
  ['ignore', [row(1), row(1), row(2, 'b')], { table: 'keyed', onConflict: 'ignore', key: ['id'] }],
  ['ignore without a key', [row(1), row(3)], { table: 'keyed', onConflict: 'ignore' }],
  [
    'update with bad rows',
    [row(1), row('x'), row(2)],
    { table: 'strict', onConflict: 'update', key: ['id'] },
  ],
  [
    'exactly once',
    [row(1), row(2)],
    { table: 'plain', importId: 'copy', positionOf: ({ id }) => Number(id) },
  ],
  [
    'exactly once with bad rows',
    [row(1), row(2, null), row(3)],
    { table: 'strict', importId: 'bad copy', positionOf: ({ id }) => Number(id) },
  ],
  [
    'beforeCommit',
    [row(1)],
    { table: 'plain', beforeCommit: (client) => client.query('SELECT 42 /* user */') },
  ],
  ['a partitioned table', [row(1), row(2)], { table: 'divided' }],
  ['a table with row-level security', [row(1), row(2)], { table: 'secured' }],
  ['a table with row-level security, bad rows', [row(1), row('x')], { table: 'secured' }],
  [
    'update with row-level security',
    [row(1), row(1)],
    { table: 'secured', onConflict: 'update', key: ['id'] },
  ],
  ...(['update', 'ignore'] as const).flatMap((onConflict) =>
    (
      [
        ['folded', 'note'],
        ['partial', 'id'],
        ['own', 'note'],
        ['nulls', 'note'],
      ] as const
    ).map(
      ([table, key]) =>
        [
          `${onConflict} of ${table}`,
          [row(1), row(2, 'A'), row(1, 'b'), row(3, 'c')],
          { table, onConflict, key: [key] },
        ] as const,
    ),
  ),
  [
    'update by an expression with defaults and bad rows',
    [row(1), { note: 'A' } as Row, row('x', 'x'), row(1, 'b'), { id: 4, note: 'B' } as Row],
    { table: 'folded', columns: ['id', 'at', 'note'], onConflict: 'update', key: ['note'] },
  ],
  [
    'defaults',
    [row(1), { note: 'b' } as Row, { id: 3 } as Row],
    { table: 'folded', columns: ['id', 'at', 'note'] },
  ],
  [
    'defaults as text',
    [row(1), { note: 'b' } as Row],
    { table: 'folded', columns: ['id', 'at', 'note'], format: 'text' },
  ],
  ['rows of another form', [row(1)], { table: 'plain', row: ({ id, note }) => ({ id, note }) }],
  ['weights', [row(1)], { table: 'weighed', weightColumn: 'weight' }],
];

/** The texts of indexes above, as far as the server may write them without a schema. */
const OF_INDEXES = /^(function lower\(|operator <?>|type (text|folding)) in /;

/** A type with operators of its own in a schema that others may write to, like `citext`. */
const OWN_TYPE = `
  CREATE TYPE folding;
  CREATE FUNCTION folding_in(cstring) RETURNS folding STRICT IMMUTABLE LANGUAGE internal AS 'textin';
  CREATE FUNCTION folding_out(folding) RETURNS cstring STRICT IMMUTABLE LANGUAGE internal AS 'textout';
  CREATE TYPE folding (INPUT = folding_in, OUTPUT = folding_out, LIKE = text, COLLATABLE = true);
  CREATE CAST (folding AS text) WITHOUT FUNCTION AS IMPLICIT;
  CREATE FUNCTION folding_cmp(folding, folding) RETURNS int STRICT IMMUTABLE LANGUAGE sql AS
    'SELECT pg_catalog.bttextcmp(pg_catalog.lower($1::pg_catalog.text), pg_catalog.lower($2::pg_catalog.text))';
  ${[
    ['lt', '<'],
    ['le', '<='],
    ['eq', '='],
    ['ge', '>='],
    ['gt', '>'],
  ]
    .map(
      ([
        name,
        sign,
      ]) => `CREATE FUNCTION folding_${name}(folding, folding) RETURNS bool STRICT IMMUTABLE LANGUAGE sql AS
        'SELECT public.folding_cmp($1, $2) OPERATOR(pg_catalog.${sign}) 0';
      CREATE OPERATOR ${sign} (FUNCTION = folding_${name}, LEFTARG = folding, RIGHTARG = folding);`,
    )
    .join('\n')}
  CREATE OPERATOR CLASS folding_ops DEFAULT FOR TYPE folding USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 folding_cmp(folding, folding)`;

beforeAll(async () => {
  for (const [name, text] of Object.entries(FILES)) await writeFile(path.join(cli.directory, name), text);
  const admin = new pg.Client({ connectionString: database.url, application_name: 'set-up' });
  admin.on('error', () => undefined);
  await admin.connect();
  await admin.query(`
    CREATE ROLE mallory; CREATE ROLE loader LOGIN PASSWORD 'secret'; CREATE ROLE chief LOGIN SUPERUSER PASSWORD 'secret';
    GRANT CREATE, USAGE ON SCHEMA public TO mallory, loader;
    SET ROLE loader;
    CREATE TABLE plain (id int, at timestamptz, note text);
    CREATE TABLE strict (id int PRIMARY KEY, at timestamptz, note text NOT NULL CHECK (note <> 'no'));
    CREATE TABLE deferred (id int UNIQUE DEFERRABLE INITIALLY DEFERRED, at timestamptz, note text);
    CREATE TABLE keyed (id int PRIMARY KEY, at timestamptz, note text UNIQUE);
    CREATE TABLE divided (id int PRIMARY KEY, at timestamptz, note text) PARTITION BY RANGE (id);
    CREATE TABLE divided_1 PARTITION OF divided FOR VALUES FROM (0) TO (2);
    CREATE TABLE divided_2 PARTITION OF divided FOR VALUES FROM (2) TO (100);
    CREATE TABLE seen (path text);
    CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN INSERT INTO public.seen VALUES (pg_catalog.current_setting(''search_path'')); RETURN NULL; END';
    CREATE TRIGGER see AFTER INSERT ON keyed FOR EACH STATEMENT EXECUTE FUNCTION see();
    CREATE TABLE secured (id int PRIMARY KEY, at timestamptz, note text);
    ALTER TABLE secured ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    CREATE POLICY everything ON secured USING (true);
    CREATE TABLE folded (id int DEFAULT 7, at timestamptz DEFAULT now(), note text);
    CREATE UNIQUE INDEX ON folded (lower(note));
    CREATE TRIGGER see BEFORE INSERT ON folded FOR EACH STATEMENT EXECUTE FUNCTION see();
    CREATE TABLE partial (id int, at timestamptz, note text);
    CREATE UNIQUE INDEX ON partial (id) WHERE id > 0 AND note <> 'x';
    CREATE TABLE weighed (id int, at timestamptz, note text, weight float8);
    RESET ROLE`);
  await admin.query(OWN_TYPE);
  await admin.query(`SET ROLE loader; CREATE TABLE own (id int, at timestamptz, note folding);
    CREATE UNIQUE INDEX ON own (note) WHERE note > 'A'; CREATE TABLE nulls (id int, at timestamptz, note text)`);
  const { rows: versions } = await admin.query<{ isNew: boolean }>(
    `SELECT current_setting('server_version_num')::int >= 150000 AS "isNew"`,
  );
  await admin.query(
    `CREATE UNIQUE INDEX ON nulls (note) ${versions[0]!.isNew ? 'NULLS NOT DISTINCT' : ''}; RESET ROLE`,
  );
  await plantLookAlikes(admin, 'public');
  planted = await plantedObjects(admin);
  await admin.end();
});

/** The path, who loads. The first column is what other roles' objects come after, or before: the server's own. */
const CASES: readonly (readonly [place: string, user: string, searchPath: string])[] = [
  ['after', 'chief', '"$user", public'],
  ['before', 'loader', '"$user", public, pg_catalog'],
  ...(IS_CAMPAIGN
    ? ([
        ['after', 'loader', '"$user", public'],
        ['before', 'chief', '"$user", public, pg_catalog'],
      ] as const)
    : []),
];

test.each(CASES)(
  'look-alikes %s the server’s own on the search path: no statement of ours uses any, as %s',
  async (_, user, searchPath) => {
    const name = new URL(database.url).pathname.slice(1);
    const settings = [
      `search_path = ${searchPath}`,
      'debug_print_parse = on',
      'debug_pretty_print = off',
      `log_statement = 'all'`,
    ];
    await withClient(serverUrl, async (client) => {
      for (const setting of settings) {
        await client.query(`ALTER ROLE ${user} IN DATABASE ${name} SET ${setting}`);
      }
    });
    const url = Object.assign(new URL(database.url), { username: user, password: 'secret' });
    const since = await logTime(serverUrl);

    const faults = [
      ...(await runLoads(url.href)),
      ...(await runCopies(database.pool({ connectionString: url.href }))),
      ...(await runConsume(database.pool({ connectionString: url.href }))),
    ];

    const log = await readServerLog(serverUrl, since, name);
    const ours = log.filter(
      ({ application }) => application.startsWith('spillway') && !application.endsWith('admin'),
    );
    expect(usesOfPlanted(ours)).toEqual([]);
    expect(faults).toEqual([]);
    expect(new Set(ours.map((entry) => entry.user))).toEqual(new Set([user]));
    const statements = ours.flatMap((entry) => statementOf(entry) ?? []);
    expect(statements.length).toBeGreaterThan(100);
    const ownFaults = statements.flatMap((text) =>
      searchPathFaults(text).filter((fault) => !text.includes('BEGIN ATOMIC') || !OF_INDEXES.test(fault)),
    );
    expect(new Set(ownFaults)).toEqual(new Set());
    const paths = await database.query<{ path: string }>('DELETE FROM public.seen RETURNING path');
    expect([...new Set(paths.map((seen) => seen.path))]).toEqual([searchPath]);
  },
);

/** @returns what failed that should not */
async function runLoads(url: string): Promise<string[]> {
  await database.query(
    'DROP TABLE IF EXISTS public.made_of_csv, public.made_of_ndjson, public.spillway_lanes, public.spillway_dead_letters, public.spillway_import_ranges, public.spillway_imports',
  );
  const faults: string[] = [];
  for (const [file, ...flags] of LOADS) {
    const { code, stderr } = await cli.run(['load', file, '--quiet', ...flags], {
      env: { DATABASE_URL: url },
    });
    const isExpected =
      (file === 'broken.csv' ? code === 1 : code === 0) || (code === 3 && flags.includes('--rejects'));
    if (!isExpected) faults.push(`${[file, ...flags].join(' ')}: ${stderr}`);
  }
  const env = { DATABASE_URL: `${url}?target_session_attrs=read-write` };
  const { code, stderr } = await cli.run(['query', 'SELECT 42 /* user */'], { env });
  return code === 0 ? faults : [...faults, stderr];
}

async function runCopies(pool: pg.Pool): Promise<string[]> {
  const faults: string[] = [];
  for (const [name, rows, options] of COPIES) {
    const { table = '' } = options;
    await database.query(`TRUNCATE public.${table}`);
    const copy = copyInto<Row, pg.PoolClient>(pool, options as CopyOptions<Row, pg.PoolClient>);
    const failed: Error[] = [];
    const sink = new BackpressureWritable<Row>(copy, {
      onFailed: (failures) => {
        failed.push(...failures.map(({ error }) => error));
      },
    });
    sink.on('error', (error) => failed.push(error));
    for (const item of rows) sink.write(item);
    await new Promise((resolve) => sink.once('close', resolve).end());
    if (!name.includes('bad')) faults.push(...failed.map(({ message }) => `${name}: ${message}`));
  }
  return faults;
}

/** A log in several lanes, with a dead letter. */
async function runConsume(pool: pg.Pool): Promise<string[]> {
  await database.query(`TRUNCATE public.plain`);
  const log = new MemoryLog({ laneSize: 3 });
  for (const id of [1, 2, 3, 4, 5, 6, 7]) log.append(row(id));
  log.append(row('x'));
  log.onPublish = () => undefined;
  const limits = { deadLetterSubject: 'copies', maxRejects: 9 };
  const options = { table: 'plain', importId: 'log', leaseMs: 1_000, untilCaughtUp: true, ...limits };
  try {
    const load = consumeLog(log, pool, options);
    await load.finished;
    await load.progress();
    await consumeLog(log, pool, { ...options, importId: 'in order', onConflict: 'ignore' }).finished;
    const [found] = await database.query('SELECT count(*)::int AS letters FROM public.spillway_dead_letters');
    return found!['letters'] === 2 ? [] : [`dead letters: ${JSON.stringify(found)}`];
  } catch (error) {
    return [`consumeLog: ${(error as Error).message}`];
  }
}

/** A statement that came from the client. */
function statementOf({ message }: LogEntry): string | undefined {
  const text = /^(?:statement|execute [^:]*): (.*)$/s.exec(message)?.[1];
  return text?.includes('/* user */') === true ? undefined : text;
}

/** Calls, and what the server has made of a statement: its operators, functions, aggregates and types by their numbers. */
function usesOfPlanted(log: readonly LogEntry[]): string[] {
  const uses = new Set<string>();
  for (const { message, detail, context, query } of log) {
    const where = `${query ?? ''} ${context ?? ''}`.slice(0, 200);
    if (message.startsWith(PLANTED)) uses.add(`${message} in ${where}`);
    // What triggers do is theirs.
    if (message !== 'parse tree:' || context !== null || query?.includes('/* user */') === true) continue;
    for (const [, field, number] of (detail ?? '').matchAll(/:(\w+) (\d{5,})\b/g)) {
      const what = planted.get(number!);
      if (what !== undefined) uses.add(`${what} as ${field} of ${where}`);
    }
  }
  return [...uses];
}
