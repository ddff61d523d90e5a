/**
 * Random columns whose values change at random places, loaded with random flags and killed at random moments.
 *
 * What the whole file says decides: types and values must be those of a reading that knows all of it from the beginning.
 */

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { useLoads } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { testRuns, testSeed } from '../../support/test-runs.js';

const database = useTestDatabase();
const { cli, file, freshName, load } = useLoads(database);

const pad = (number: number): string => String(number).padStart(2, '0');
const day = (random: SeededRandom): string => `2024-${pad(random.int(1, 12))}-${pad(random.int(1, 28))}`;

/** Fields as they stand in the file. */
const FIELDS: Readonly<Record<string, (random: SeededRandom) => string>> = {
  whole: (random) => String(random.int(-5000, 5000)),
  large: (random) => `${random.int(10 ** 9, 2 ** 31)}${random.int(10 ** 10, 9 * 10 ** 10)}`,
  decimal: (random) => `${random.int(-99, 99)}.${random.int(10, 99)}0`,
  dot: (random) => `.${random.int(1, 9)}`,
  trailing: (random) => `${random.int(1, 99)}.`,
  code: (random) => `00${random.int(1, 9)}`,
  exponent: (random) => `${random.int(1, 9)}E2`,
  truth: (random) => random.pick(['TRUE', 'false', 'True', 'true']),
  yes: (random) => random.pick(['yes', 't', '1']),
  day,
  moment: (random) => `${day(random)} ${pad(random.int(0, 23))}:${pad(random.int(0, 59))}:00`,
  word: (random) => random.pick(['word', 'a b', '"x, y"', '"say ""hi"""', 'naïve', '2024-13-01']),
  marker: (random) => random.pick(['NA', '-', 'NULL', '""']),
  empty: () => '',
};
const USUAL = ['whole', 'whole', 'decimal', 'dot', 'truth', 'day', 'moment', 'word', 'empty', 'large'];
const SAMPLE = 10_000;
const MARKERS: ReadonlySet<string> = new Set(['NA', '-', 'NULL', '']);

interface Column {
  readonly fields: readonly string[];
}

/** Values of one kind, but for single ones of others, and another kind from some place on. */
function column(random: SeededRandom, rows: number): Column {
  let kind = random.pick(USUAL);
  const others = new Map<number, string>();
  for (let left = random.int(0, 3); left > 0; left -= 1)
    others.set(random.int(0, rows - 1), random.pick(Object.keys(FIELDS)));
  const turn = random.chance(0.3) ? random.int(0, rows - 1) : rows;
  const fields: string[] = [];
  for (let row = 0; row < rows; row += 1) {
    if (row === turn) kind = random.pick(USUAL);
    fields.push(FIELDS[others.get(row) ?? kind]!(random));
  }
  return { fields };
}

/** Written apart from the code under test. */
function kindOf(text: string): string {
  if (/^(true|false)$/i.test(text)) return 'boolean';
  if (/^(0|-?[1-9]\d*)$/.test(text)) {
    const value = BigInt(text);
    return value < 2n ** 63n && value >= -(2n ** 63n) ? 'bigint' : 'numeric';
  }
  if (/^-?((0|[1-9]\d*)?\.\d+|(0|[1-9]\d*)\.)$/.test(text)) return 'numeric';
  if (/^2024-(0\d|1[0-2])-\d\d$/.test(text)) return 'date';
  return /^2024-\d\d-\d\d \d\d:\d\d:\d\d$/.test(text) ? 'timestamp without time zone' : 'text';
}

const WIDER: readonly (readonly string[])[] = [
  ['bigint', 'numeric'],
  ['date', 'timestamp without time zone'],
];

/** @param type that the column has. Text fits any column of whose first values the load knows none. */
function expectedOf({ fields }: Column, found: string): { type: string; values: (string | null)[] } {
  const values = fields.map((field) => {
    if (field === '') return null;
    return field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field;
  });
  const kinds = new Set(
    values.filter((value) => value !== null && !MARKERS.has(value)).map((value) => kindOf(value!)),
  );
  const [first] = kinds;
  const wider = WIDER.find((pair) => [...kinds].every((kind) => pair.includes(kind)));
  const isUnknown = values.slice(0, SAMPLE).every((value) => value === null || MARKERS.has(value));
  const type =
    kinds.size === 0 || (isUnknown && found === 'text')
      ? 'text'
      : kinds.size === 1
        ? first!
        : (wider?.[1] ?? 'text');
  if (type === 'text') return { type, values };
  const stored = (value: string): string => {
    if (type === 'boolean') return value.toLowerCase();
    if (type === 'numeric') return value.replace(/^(-?)\./, '$10.').replace(/\.$/, '');
    return type.startsWith('timestamp') && value.length === 10 ? `${value} 00:00:00` : value;
  };
  return {
    type,
    values: values.map((value) => (value === null || MARKERS.has(value) ? null : stored(value))),
  };
}

/** Runs the load until it ends, and kills it before at random moments. */
async function killed(args: readonly string[], random: SeededRandom): Promise<void> {
  for (let kills = random.int(1, 5); kills > 0; kills -= 1) {
    const running = cli.start(['load', ...args], { env: { DATABASE_URL: database.url } });
    await delay(random.int(100, 1200));
    running.child.kill('SIGKILL');
    const { code } = await running.result;
    if (code !== null) return;
  }
}

it('random columns are loaded as the whole file says', { timeout: 3_600_000 }, async () => {
  for (let run = 0; run < testRuns(3); run += 1) {
    const seed = testSeed() + run;
    const random = new SeededRandom(seed);
    const rows = random.int(10_001, 60_000);
    const columns = Array.from({ length: random.int(1, 5) }, () => column(random, rows));
    const ragged = random.chance(0.3)
      ? new Set([random.int(0, rows - 1), random.int(0, rows - 1)])
      : new Set<number>();
    const names = columns.map((_, index) => `c${index}`);
    const lines = Array.from({ length: rows }, (_, row) => {
      const line = [`r${row}`, ...columns.map(({ fields }) => fields[row]!)].join(',');
      return ragged.has(row) ? `${line},,,` : line;
    });
    const parts = random.chance(0.3) ? [lines.slice(0, 9_000), lines.slice(9_000)] : [lines];
    const header = ['id', ...names].join(',');
    const files: string[] = [];
    for (const part of parts) files.push(await file('random.csv', `${[header, ...part].join('\n')}\n`));
    const table = freshName('t');
    const rejects = freshName('rejects.ndjson');
    const isResumed = random.chance(0.6);
    const isPiped = !isResumed && random.chance(0.5);
    const args = [
      ...(isPiped ? ['-', '--format', 'csv'] : files),
      ...['--create', '-q', '-t', table],
      ...(ragged.size === 0 ? [] : ['--rejects', rejects]),
      ...(isResumed
        ? ['--import', table, '--connections', String(random.int(1, 3))]
        : random.pick([[], ['--atomic'], ['--batch-size', '777']])),
    ];
    if (isResumed) await killed(args, random);
    const stdin = `${[header, ...lines].join('\n')}\n`;
    const { code, stderr } = await load(args, { longestRunMs: 120_000, ...(isPiped && { stdin }) });
    const context = { seed, args: args.join(' ') };
    // What was stored in another form cannot become a text again, and a pipe cannot be read again.
    if (isPiped && code === 1) {
      expect({ stderr, ...context }).toMatchObject({
        stderr: expect.stringContaining('give --type ') as string,
      });
      await database.query(`DROP TABLE IF EXISTS "${table}"`);
      continue;
    }
    expect({ code, stderr, ...context }).toEqual({ code: ragged.size === 0 ? 0 : 3, stderr: '', ...context });
    if (ragged.size > 0) {
      const rejected = (await readFile(path.join(cli.directory, rejects), 'utf8')).split('\n').slice(0, -1);
      const records = rejected.map((line) => (JSON.parse(line) as { record: number }).record - 1);
      expect({ records: records.toSorted((a, b) => a - b), ...context }).toEqual({
        records: [...ragged].toSorted((a, b) => a - b),
        ...context,
      });
    }
    const good = (values: readonly (string | null)[]) => values.filter((_, row) => !ragged.has(row));
    for (const [index, name] of names.entries()) {
      const found = await database.query<{ type: string; value: string | null }>(
        `SELECT pg_typeof("${name}")::text AS type, "${name}"::text AS value FROM "${table}" ORDER BY pg_catalog.substr(id, 2)::int`,
      );
      // A record with too many fields says nothing of its columns.
      const fields = good(columns[index]!.fields) as string[];
      const expected = expectedOf({ fields }, found[0]!.type);
      const wrong = found.findIndex(({ value }, row) => value !== expected.values[row]);
      expect({
        name,
        type: found[0]!.type,
        rows: found.length,
        wrong:
          wrong === -1
            ? undefined
            : { row: wrong, found: found[wrong]!.value, expected: expected.values[wrong] },
        ...context,
      }).toEqual({ name, type: expected.type, rows: expected.values.length, wrong: undefined, ...context });
    }
    await database.query(`DROP TABLE "${table}"`);
  }
});
