/** The view of long commands, in a real pseudo-terminal. The table is locked, so that a load lasts as long as the test needs it. */

import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { useCli } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';
import { inTerminal, type PseudoTerminal, type TerminalOptions } from '../../support/pseudo-terminal.js';

const ROWS = 1_000;
const cli = useCli();
const database = useTestDatabase();

interface Held {
  readonly terminal: PseudoTerminal;
  readonly table: string;
  /** The process that holds the lock. */
  readonly holder: number;
  /** Lets the load go on. */
  readonly release: () => Promise<unknown>;
}

/** Starts a load that waits for the lock of its table. */
async function startLoad(
  options: Partial<TerminalOptions> = {},
  flags: readonly string[] = [],
  command = (args: readonly string[]) => [process.execPath, ...args],
): Promise<Held> {
  const table = await database.table('a int, b text');
  await writeFile(path.join(cli.directory, 'rows.csv'), `a,b\n${'1,x\n'.repeat(ROWS)}`);
  const holder = new pg.Client({ connectionString: database.url, application_name: 'holder' });
  await holder.connect();
  onTestFinished(() => holder.end());
  await holder.query(`BEGIN; LOCK TABLE ${table}`);
  const terminal = inTerminal(command([cli.main, 'load', 'rows.csv', '-t', table, ...flags]), {
    cwd: cli.directory,
    ...options,
    env: { DATABASE_URL: database.url, ...options.env },
  });
  const { processID } = holder as unknown as { processID: number };
  return { terminal, table, holder: processID, release: () => holder.query('ROLLBACK') };
}

/** The server has the rows, and waits for the lock. */
async function untilLocked(table: string): Promise<void> {
  await expect
    .poll(
      () => database.query(`SELECT 1 FROM pg_locks WHERE NOT granted AND relation = '${table}'::regclass`),
      { timeout: 25_000 },
    )
    .toHaveLength(1);
}

/** After some seconds, the view says that the server does not answer, and why. */
const ONE_LINE = /^(?:waiting for (?:the server|a lock)|100 %, 0 rows)/;
const withoutNote = (lines: readonly string[]): readonly string[] =>
  lines.filter((line) => !/^waiting for (?:the server for|a lock held by) /.test(line));
const hasBlock = (lines: readonly string[]): boolean =>
  withoutNote(lines).at(-1)?.startsWith('faults ') === true;
/** Nothing but the block, and no line of it as wide. */
const isBlockBelow = (columns: number, lines: readonly string[]): boolean =>
  hasBlock(lines) &&
  titles(lines) === 1 &&
  withoutNote(lines).length === 7 &&
  lines.every(({ length }) => length < columns);
const titles = (lines: readonly string[]): number =>
  lines.filter((line) => line.startsWith('rows.csv ')).length;

describe('the view of a load in a terminal', () => {
  it('follows the size of the terminal, and leaves only the summary behind', async () => {
    const { terminal, release } = await startLoad();
    const lines = await terminal.until((shown) => isBlockBelow(100, shown));
    expect(lines[1]).toMatch(/^read {5}100 % of 0\.0 MiB, .*█{30,}$/);
    // Ever smaller, with the lines of before wrapped by the terminal.
    await terminal.resize(60, 24);
    await terminal.until((shown) => isBlockBelow(60, shown));
    await terminal.resize(45, 24);
    await terminal.until((shown) => isBlockBelow(45, shown));
    await terminal.resize(30, 24);
    await terminal.until((shown) => shown.length === 1 && ONE_LINE.test(shown[0]!));
    await terminal.resize(100, 24);
    await terminal.until((shown) => isBlockBelow(100, shown));
    await release();
    expect(await terminal.exitCode).toBe(0);
    expect((await terminal.lines())[0]).toMatch(/^1,000 rows into "t\d+"/);
    expect(titles(await terminal.lines())).toBe(0);
    expect(terminal.written()).not.toContain('\u001b[?25l');
  });

  it.each([
    ['narrow', 32, 24],
    ['low', 100, 6],
  ])('is one line on a %s terminal', async (_, columns, rows) => {
    const { terminal, release } = await startLoad({ columns, rows });
    await terminal.until((lines) => lines.length === 1 && ONE_LINE.test(lines[0]!));
    await release();
    expect(await terminal.exitCode).toBe(0);
  });

  it('says who holds the lock that it waits for, and no more when the lock is gone', async () => {
    const { terminal, holder, release } = await startLoad();
    const note = (lines: readonly string[]) => lines.find((line) => line.startsWith('waiting for a lock'));
    const lines = await terminal.until((shown) => note(shown) !== undefined);
    expect(note(lines)).toMatch(
      new RegExp(
        `^waiting for a lock held by process ${holder} \\(application "holder", idle in transaction for \\d+ s\\)$`,
      ),
    );
    await release();
    expect(await terminal.exitCode).toBe(0);
    expect(note(await terminal.lines())).toBeUndefined();
  });

  it('is coloured, but not with NO_COLOR', async () => {
    for (const [env, isColoured] of [
      [{}, true],
      [{ NO_COLOR: '1' }, false],
    ] as const) {
      const { terminal, release } = await startLoad({ env });
      await terminal.until(hasBlock);
      expect(terminal.written().includes('\u001b[36m')).toBe(isColoured);
      await release();
      await terminal.exitCode;
    }
  });

  it.each<[string, Record<string, string>, readonly string[]]>([
    ['a dumb terminal', { TERM: 'dumb' }, []],
    ['continuous integration', { CI: 'true' }, []],
    ['--quiet', {}, ['--quiet']],
  ])('is not there with %s', async (_, env, flags) => {
    const { terminal, table, release } = await startLoad({ env }, flags);
    await untilLocked(table);
    // Far longer than it takes until a view is drawn.
    await delay(1_500);
    expect(terminal.written()).toBe('');
    await release();
    expect(await terminal.exitCode).toBe(0);
    expect(terminal.written()).not.toContain('\u001b');
    if (flags.length > 0) expect(terminal.written()).toBe('');
  });

  it('stays out of --json', async () => {
    const { terminal, release } = await startLoad({}, ['--json'], (args) => [
      '/bin/sh',
      '-c',
      'exec "$@" > out.json',
      'sh',
      process.execPath,
      ...args,
    ]);
    await terminal.until(hasBlock);
    await release();
    expect(await terminal.exitCode).toBe(0);
    const json = await readFile(path.join(cli.directory, 'out.json'), 'utf8');
    expect(JSON.parse(json)).toMatchObject({ rows: ROWS });
  });

  it('shows that it stops, and leaves one line behind after a second Ctrl-C', async () => {
    const { terminal } = await startLoad();
    await terminal.until(hasBlock);
    terminal.type('\u0003');
    await terminal.until((lines) => lines.some((line) => line.startsWith('stopping: ')));
    await delay(1_200);
    terminal.type('\u0003');
    expect(await terminal.exitCode).toBe(130);
    const lines = await terminal.lines();
    // Long enough to be wrapped, below what the terminal shows of Ctrl-C itself.
    expect(lines.join('')).toMatch(
      /spillway: ended at once by a second SIGINT; 1000 rows were read.*loaded$/,
    );
    expect(titles(lines)).toBe(0);
    expect(lines.length).toBeLessThanOrEqual(3);
    expect(terminal.written()).not.toContain('\u001b[?25l');
  });

  it('is drawn below what the shell has written after Ctrl-Z and fg', async () => {
    const { terminal, release } = await startLoad();
    await terminal.until(hasBlock);
    process.kill(terminal.pid, 'SIGSTOP');
    process.kill(terminal.pid, 'SIGCONT');
    await terminal.until((lines) => titles(lines) === 2);
    await release();
    expect(await terminal.exitCode).toBe(0);
    expect(titles(await terminal.lines())).toBe(1);
  });
});

describe('other commands in a terminal', () => {
  it('query says that it waits for an answer, and leaves only the answer behind', async () => {
    const terminal = inTerminal(
      [process.execPath, cli.main, 'query', 'SELECT 7 AS n, pg_sleep(2)::text AS s'],
      {
        cwd: cli.directory,
        env: { DATABASE_URL: database.url },
      },
    );
    await terminal.until((lines) =>
      lines.some((line) => line.startsWith('waiting for the answer to SELECT 7')),
    );
    expect(await terminal.exitCode).toBe(0);
    expect((await terminal.lines())[0]).toMatch(/^n \| s/);
  });

  it('consume says that it connects, and stops at Ctrl-C', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    onTestFinished(() => void silent.close());
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as { port: number };
    const args = `consume nats://127.0.0.1:${port} --stream EVENTS --table t --import i`.split(' ');
    const terminal = inTerminal([process.execPath, cli.main, ...args], {
      cwd: cli.directory,
      env: { DATABASE_URL: database.url },
    });
    const lines = await terminal.until((shown) => shown.length === 2);
    expect(lines[0]).toMatch(/^stream "EVENTS" into "t" +\d+ s$/);
    expect(lines[1]).toBe(`connecting to NATS (127.0.0.1:${port})`);
    terminal.type('\u0003');
    expect(await terminal.exitCode).toBe(0);
    expect(await terminal.lines()).toEqual(['stopped by SIGINT before anything was loaded']);
  });
});
