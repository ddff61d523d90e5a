/** A role without rights: each error names the GRANTs that are missing, and with them the same command works. */

import { afterEach, describe, expect, test } from 'vitest';
import { useConsume } from '../../support/consume-cli.js';
import { noNatsServer } from '../../support/nats-server.js';
import { useTestDatabase } from '../../support/postgres.js';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { CliResult } from '../../support/cli.js';

describe.skipIf(noNatsServer)(`a role without rights (${noNatsServer ?? 'on servers of its own'})`, () => {
  const database = useTestDatabase();
  const nats = useConsume(database);
  let roles: string[] = [];

  /** A role that nobody has given anything, and the URL by which it connects. */
  async function makeRole(): Promise<{ role: string; env: Record<string, string> }> {
    const role = `loader_${Date.now().toString(36)}_${roles.length}`;
    await database.query(
      `CREATE ROLE ${role} LOGIN PASSWORD 'x'; REVOKE TEMPORARY ON DATABASE ${name()} FROM PUBLIC`,
    );
    roles.push(role);
    const url = new URL(database.url);
    url.username = role;
    url.password = 'x';
    return { role, env: { DATABASE_URL: url.href } };
  }

  const name = (): string => new URL(database.url).pathname.slice(1);

  afterEach(async () => {
    for (const role of roles) await database.query(`DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
    roles = [];
  });

  const grantsOf = ({ stderr }: CliResult): string[] => stderr.match(/GRANT [^;]+/g) ?? [];

  /** Runs a command, and gives the role what its error names, until it succeeds. Returns what was named each time. */
  async function grantStepByStep(run: () => Promise<CliResult>): Promise<string[][]> {
    const steps: string[][] = [];
    for (;;) {
      const result = await run();
      if (result.code === 0) return steps;
      const grants = grantsOf(result);
      expect(grants, result.stderr).not.toEqual([]);
      expect(result.stderr).toMatch(/permission denied/);
      steps.push(grants);
      expect(steps.length, JSON.stringify(steps)).toBeLessThan(4);
      await database.query(grants.join('; '));
    }
  }

  async function filled(): Promise<string> {
    const stream = await nats.streams.make();
    await nats.streams.publish(stream, [{ n: 1 }, { n: 2 }]);
    return stream;
  }

  test('consume: of the schema, the table and its sequence, for an import that makes its tables', async () => {
    await database.query(
      'CREATE SCHEMA IF NOT EXISTS fresh; CREATE TABLE fresh.t (id serial PRIMARY KEY, n int)',
    );
    const { role, env } = await makeRole();
    const stream = await filled();
    const args = ['--stream', stream, '--table', 'fresh.t', '--import', 'fresh'];
    const steps = await grantStepByStep(() => nats.consume(args, { env }));
    expect(steps).toEqual([
      [`GRANT USAGE, CREATE ON SCHEMA fresh TO ${role}`, `GRANT INSERT ON fresh.t TO ${role}`],
      [`GRANT USAGE ON SEQUENCE fresh.t_id_seq TO ${role}`],
    ]);
    expect(await database.query('SELECT n FROM fresh.t ORDER BY n')).toEqual([{ n: 1 }, { n: 2 }]);
    await database.query('DROP SCHEMA fresh CASCADE');
  });

  test('consume: of the tables that say what is loaded, if somebody else has made them, with dead letters and upserts', async () => {
    const table = await database.table('n int PRIMARY KEY, t text');
    const [first, stream] = [await filled(), await nats.streams.make()];
    await nats.streams.publish(stream, [{ n: 1, t: 'a' }, 'no json', { n: 1, t: 'b' }]);
    await nats.consume(['--stream', first, '--table', table, '--import', `admin ${table}`]);
    const { role, env } = await makeRole();
    await database.query(`GRANT USAGE ON SCHEMA public TO ${role}`);
    const args = [
      ...['--stream', stream, '--table', table, '--import', table],
      ...['--on-conflict', 'update', '--key', 'n', '--max-rejects', '5'],
    ];
    let last: CliResult | undefined;
    const steps = await grantStepByStep(async () => {
      last = await nats.consume(args, { env });
      // One message is no JSON.
      return last.code === 3 ? { ...last, code: 0 } : last;
    });
    expect(steps).toEqual([
      [
        `GRANT TEMPORARY ON DATABASE ${name()} TO ${role}`,
        `GRANT SELECT, INSERT, UPDATE ON public.${table} TO ${role}`,
        expect.stringMatching(
          new RegExp(
            `^GRANT SELECT, INSERT, UPDATE, DELETE ON (?=.*public\\.spillway_imports)(?=.*public\\.spillway_lanes)(?=.*public\\.spillway_dead_letters).* TO ${role}$`,
          ),
        ),
      ],
    ]);
    expect(last!.stderr).toContain('1 dead letter');
    expect(await database.query(`SELECT n, t FROM ${table} WHERE n = 1`)).toEqual([{ n: 1, t: 'b' }]);
  });

  test('load: of the table, and of what --import and --truncate need', async () => {
    const table = await database.table('n int');
    const file = path.join(nats.cli.directory, 'rights.csv');
    await writeFile(file, 'n\n1\n2\n');
    const { role, env } = await makeRole();
    const load = (...flags: string[]) =>
      grantStepByStep(() => nats.cli.run(['load', '-q', '-t', table, ...flags, file], { env }));
    expect(await load()).toEqual([[`GRANT INSERT ON public.${table} TO ${role}`]]);
    expect(await load('--truncate', '--import', table)).toEqual([
      [
        expect.stringMatching(/^GRANT (CREATE ON SCHEMA public|TRUNCATE ON)/),
        expect.stringMatching(/^GRANT (TRUNCATE|SELECT, INSERT, UPDATE, DELETE) ON/),
      ],
    ]);
    expect(await database.query(`SELECT n FROM ${table} ORDER BY n`)).toEqual([{ n: 1 }, { n: 2 }]);
  });

  test('an error that another right is not the cause of stays as it is', async () => {
    const table = await database.table('n int');
    const { role, env } = await makeRole();
    await database.query(
      `CREATE FUNCTION ${table}_f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM * FROM pg_catalog.pg_authid; RETURN NEW; END $$;
       CREATE TRIGGER f BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION ${table}_f(); GRANT INSERT ON ${table} TO ${role}`,
    );
    const result = await nats.cli.run(['load', '-q', '-t', table, '-', '--format', 'csv'], {
      env,
      stdin: 'n\n1\n',
    });
    expect([result.code, result.stderr]).toEqual([
      1,
      expect.stringContaining('permission denied for table pg_authid'),
    ]);
    expect(result.stderr).not.toContain('GRANT');
  });
});
