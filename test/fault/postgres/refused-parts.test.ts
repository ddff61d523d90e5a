/** A refused batch of --rejects is inserted in parts. A connection that goes between or within them costs and doubles no row. */

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { useCli } from '../../support/cli.js';
import { loseCommits } from '../../support/lost-commits.js';
import { startProxy, type TestProxy } from '../../support/postgres-proxy.js';
import { useTestDatabase } from '../../support/postgres.js';

/** One batch, four parts. */
const ROWS = 30_000;
const BAD_EVERY = 1_000;
const GOOD = ROWS - ROWS / BAD_EVERY;

const database = useTestDatabase();
const cli = useCli();
let proxy: TestProxy;
beforeEach(async () => {
  proxy = await startProxy(database.url);
});
afterEach(() => proxy.close());

/** Takes the connection away at a COMMIT, once. Returns whether it has. */
function loseCommit(which: number, loses: 'commit' | 'answer'): () => boolean {
  let isLost = false;
  loseCommits(proxy, (commit) => {
    if (commit !== which) return undefined;
    isLost = true;
    return loses;
  });
  return () => isLost;
}

test.each([
  [1, 'commit', []],
  [1, 'answer', []],
  [2, 'commit', []],
  [3, 'answer', []],
  [4, 'answer', []],
  [5, 'answer', ['--import', 'parts']],
] as const)(
  'the connection goes at COMMIT %i, with the %s (%j): each row is there once, and each bad one is written once',
  async (which, loses, flags) => {
    const table = await database.table('a int, b text');
    const file = path.join(cli.directory, 'parts.csv');
    const rejects = path.join(cli.directory, `parts-${which}-${loses}-${flags.length}.ndjson`);
    const lines = Array.from({ length: ROWS }, (_, row) =>
      row % BAD_EVERY === 7 ? `x${row},y` : `${row},y`,
    );
    await writeFile(file, `a,b\n${lines.join('\n')}\n`);
    const isLost = loseCommit(which, loses);
    const url = database.urlVia(proxy.host, proxy.port);
    const args = [
      'load',
      file,
      '-t',
      table,
      '--to',
      url,
      '--connections',
      '1',
      '--rejects',
      rejects,
      '--json',
    ];
    const { code, stdout, stderr } = await cli.run([...args, ...flags, '--quiet']);
    expect([isLost(), code, stderr]).toEqual([true, 3, '']);
    expect(JSON.parse(stdout)).toMatchObject({ rows: GOOD });
    expect(
      await database.query(`SELECT count(*)::int AS rows, count(DISTINCT a)::int AS different FROM ${table}`),
    ).toEqual([{ rows: GOOD, different: GOOD }]);
    const records = (await readFile(rejects, 'utf8')).trimEnd().split('\n');
    expect(new Set(records.map((line) => (JSON.parse(line) as { record: number }).record)).size).toBe(
      records.length,
    );
    expect(records).toHaveLength(ROWS / BAD_EVERY);
  },
  60_000,
);

test.each(['commit', 'answer'] as const)(
  'the connection goes at the COMMIT of a batch without a bad row, with the %s: each row is there once',
  async (loses) => {
    const table = await database.table('a int, b text');
    const file = path.join(cli.directory, 'whole.csv');
    await writeFile(file, `a,b\n${Array.from({ length: ROWS }, (_, row) => `${row},y`).join('\n')}\n`);
    const isLost = loseCommit(1, loses);
    const url = database.urlVia(proxy.host, proxy.port);
    const rejects = path.join(cli.directory, `whole-${loses}.ndjson`);
    const args = ['load', file, '-t', table, '--to', url, '--connections', '1', '--rejects', rejects];
    const { code, stderr } = await cli.run([...args, '--quiet']);
    expect([isLost(), code, stderr]).toEqual([true, 0, '']);
    expect(
      await database.query(`SELECT count(*)::int AS rows, count(DISTINCT a)::int AS different FROM ${table}`),
    ).toEqual([{ rows: ROWS, different: ROWS }]);
  },
  60_000,
);
