/** However much garbage a load makes, most of it is collected soon. */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { useCli } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();
const cli = useCli();

/** Tells at the end how large the space for young objects has become. It does not shrink while they are made. */
const PROBE = `
  import v8 from 'node:v8';
  process.on('exit', () => {
    const space = v8.getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space');
    process.stderr.write('young: ' + space.space_size + '\\n');
  });
`;

test('the space for young objects stays small where each record becomes a row', async () => {
  const table = await database.table('a int, b int');
  const probe = path.join(cli.directory, 'probe.mjs');
  const file = path.join(cli.directory, 'rows.csv');
  await writeFile(probe, PROBE);
  await writeFile(file, `a,b\n${'1,2\n'.repeat(400_000)}`);
  // A strategy that may drop goes row by row.
  const args = ['load', file, '--table', table, '--to', database.url, '--strategy', 'drop_newest', '--quiet'];
  const { stderr } = await cli.run(args, { env: { NODE_OPTIONS: `--import ${probe}` } });
  expect(Number(/young: (\d+)/.exec(stderr)?.[1])).toBeLessThan(8 * 1024 * 1024);
}, 60_000);
