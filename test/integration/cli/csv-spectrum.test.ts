/** The corpus `csv-spectrum`, which many parsers of CSV are measured by: through the whole command line into a table, and out again. */

import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { useCli } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';

const cli = useCli();
const database = useTestDatabase();
const corpus = path.dirname(createRequire(import.meta.url).resolve('csv-spectrum'));
/** Quotes stand inside unquoted fields, which `--strict` refuses. */
const REFUSED = ['location_coordinates'];

const names = readdirSync(path.join(corpus, 'csvs')).map((file) => path.basename(file, '.csv'));

function load(name: string, table: string, ...flags: string[]) {
  const file = path.join(corpus, 'csvs', `${name}.csv`);
  return cli.run(['load', '-q', '-t', table, '--to', database.url, '--null', 'NULL', ...flags, file]);
}

describe('csv-spectrum', () => {
  it.each(names.filter((name) => !REFUSED.includes(name)))('%s', async (name) => {
    const expected = JSON.parse(readFileSync(path.join(corpus, 'json', `${name}.json`), 'utf8')) as Record<
      string,
      string
    >[];
    const columns = Object.keys(expected[0]!);
    const table = await database.table(columns.map((column) => `"${column}" text`).join(', '));
    expect(await load(name, table)).toMatchObject({ code: 0, stderr: '' });
    expect(await database.query(`SELECT * FROM ${table} ORDER BY ctid`)).toEqual(expected);
  });

  it.each(REFUSED)('--strict refuses %s by its line; with --rejects it is a reject', async (name) => {
    const table = await database.table(
      '"Contact Phone Number" text, "Location Coordinates" text, "Cities" text, "Counties" text',
    );
    const refused = await load(name, table, '--strict');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/location_coordinates\.csv:2: /);
    const rejects = path.join(cli.directory, 'rejects.ndjson');
    expect((await load(name, table, '--strict', '--rejects', rejects)).code).toBe(3);
    expect(readFileSync(rejects, 'utf8').split('\n').length).toBe(2);
  });
});
