/** `--create` while another session makes a table of the same name. */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { useCli } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';

const cli = useCli();
const database = useTestDatabase();

test.each([
  ['another role’s: refused by name', true],
  ['the user’s own: used', false],
])('a table that is made at the same time, %s', async (_, isForeign) => {
  const role = `spillway_test_other_${process.pid}`;
  await database.query(`CREATE ROLE ${role}; GRANT CREATE, USAGE ON SCHEMA public TO ${role}`);
  await writeFile(path.join(cli.directory, 'x.csv'), 'a\n1\n');
  const other = await database.pool().connect();
  try {
    await other.query(isForeign ? `SET ROLE ${role}` : 'SELECT');
    await other.query('BEGIN; CREATE TABLE public.planted (a bigint)');
    const { result } = cli.start(['load', 'x.csv', '--table', 'planted', '--create', '--quiet'], {
      env: { DATABASE_URL: database.url },
    });
    await expect
      .poll(
        () =>
          database.query(
            `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`,
          ),
        { timeout: 10_000 },
      )
      .toHaveLength(1);
    await other.query('COMMIT');
    const { code, stderr } = await result;
    if (isForeign) {
      expect(code).toBe(1);
      expect(stderr).toContain(`the table "public"."planted" was made by "${role}" at the same time`);
    } else {
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    }
    expect(await database.query('SELECT a FROM public.planted')).toHaveLength(isForeign ? 0 : 1);
  } finally {
    await other.query('ROLLBACK; RESET ROLE');
    other.release();
    await database.query(`DROP TABLE public.planted; DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
});
