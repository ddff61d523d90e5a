/** `npx spillway load` in a terminal, and one Ctrl-C: npm forwards the signal that the terminal has sent already. */

import { spawn, spawnSync } from 'node:child_process';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { useCli } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';

const ROWS = 400_000;
const cli = useCli();
const database = useTestDatabase();

/** A folder in which `npx` finds the command line. */
async function installed(): Promise<string> {
  const folder = path.join(cli.directory, 'project');
  const bin = path.join(folder, 'node_modules/.bin');
  await mkdir(bin, { recursive: true });
  await writeFile(path.join(folder, 'package.json'), '{}');
  await chmod(cli.main, 0o755);
  await symlink(cli.main, path.join(bin, 'spillway'));
  return folder;
}

/** Runs a command in a pseudo-terminal, in which Ctrl-C can be typed. */
function inTerminal(command: string, cwd: string) {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(PG|DATABASE_URL|NODE_|VITEST|npm_)/.test(name),
  );
  const env = {
    ...Object.fromEntries(inherited),
    DATABASE_URL: database.url,
    // It replaces itself by the command, so that what npm forwards reaches that (dash stays between them).
    npm_config_script_shell: 'bash',
  };
  const child = spawn('script', ['-qec', command, '/dev/null'], { cwd, env, stdio: 'pipe' });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  child.stdin.on('error', () => undefined);
  const timer = setTimeout(() => child.kill('SIGKILL'), 50_000);
  const ended = new Promise<{ code: number | null; output: string }>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, output });
    });
  });
  return { interrupt: () => void child.stdin.write('\u0003'), isOver: () => child.exitCode !== null, ended };
}

const hasScript = spawnSync('script', ['-qec', 'bash -c true', '/dev/null']).status === 0;

describe.skipIf(!hasScript)('npx spillway load and one Ctrl-C in mid-load (needs script and bash)', () => {
  it.each([
    ['is drained', '', /stopped by SIGINT after [^\n]*rows\.csv:(\d+); the rows up to there were loaded/],
    ['with --atomic is rolled back', '--atomic', /stopped by SIGINT; nothing was loaded/],
  ])('%s, says where it stopped, and exits with 130', async (_name, flags, message) => {
    const folder = flags === '' ? await installed() : path.join(cli.directory, 'project');
    const lines = Array.from({ length: ROWS }, (_, row) => `${row},${'x'.repeat(60)}`);
    await writeFile(path.join(folder, 'rows.csv'), `a,b\n${lines.join('\n')}\n`);
    const table = await database.table('a int, b text');
    const began = `${table}_began`;
    await database.query(`CREATE SEQUENCE "${began}"`);
    // Each statement takes a while, so that some are under way when the second signal comes.
    await database.query(
      `CREATE FUNCTION "${table}_wait"() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_catalog.nextval('"${began}"'); PERFORM pg_catalog.pg_sleep(0.5); RETURN NULL; END$$`,
    );
    await database.query(
      `CREATE TRIGGER wait AFTER INSERT ON "${table}" FOR EACH STATEMENT EXECUTE FUNCTION "${table}_wait"()`,
    );
    const { interrupt, isOver, ended } = inTerminal(
      `npx --no-install spillway load -t ${table} ${flags} rows.csv`,
      folder,
    );
    const hasBegun = async () =>
      (await database.query(`SELECT 1 FROM "${began}" WHERE is_called`)).length > 0;
    while (!isOver() && !(await hasBegun())) await delay(20);
    interrupt();
    const { code, output } = await ended;
    const [count] = await database.query<{ rows: number; last: number | null }>(
      `SELECT count(*)::int AS rows, max(a) AS last FROM "${table}"`,
    );
    expect(output).toMatch(message);
    expect(output).not.toContain('second SIGINT');
    expect(code).toBe(130);
    const { rows, last } = count!;
    expect(rows).toBeLessThan(ROWS);
    if (flags === '') {
      // Line 1 is the header, and every row up to the line that is named is there.
      expect(rows).toBeGreaterThan(0);
      expect([rows, last]).toEqual([Number(message.exec(output)![1]) - 1, rows - 1]);
    } else expect(rows).toBe(0);
  });
});
