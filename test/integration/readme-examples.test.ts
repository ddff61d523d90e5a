import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { useTestDatabase } from '../support/postgres.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const tsconfig = path.join(root, 'test/support/readme.tsconfig.json');
/** Inside the checkout, so that the examples find the packages that they import. */
const folder = path.join(root, 'test/.readme');

interface Example {
  section: string;
  code: string;
}

/** The guides whose examples are run, too. */
const GUIDES = [
  'README.md',
  'src/sink/README.md',
  'src/stream/README.md',
  'src/controller/README.md',
  'src/shutdown/README.md',
  'src/report/README.md',
  'src/postgres/README.md',
  'src/postgres/encoding/README.md',
  'src/opentelemetry/README.md',
];

/** The TypeScript blocks of the README, the guides and the docstrings, each with the heading or the file that it stands under. */
function examples(): Example[] {
  const sources = readdirSync(path.join(root, 'src'), { encoding: 'utf8', recursive: true });
  const files = sources.filter((file) => file.endsWith('.ts')).sort();
  return [...GUIDES.flatMap(examplesOf), ...files.flatMap(docstringExamplesOf)];
}

function docstringExamplesOf(file: string): Example[] {
  const source = readFileSync(path.join(root, 'src', file), 'utf8');
  const blocks = source.matchAll(/^ *\* ```ts\n((?: *\*.*\n)*?) *\* ```$/gm);
  return [...blocks].map((block) => ({ section: file, code: block[1]!.replaceAll(/^ *\* ?/gm, '') }));
}

function examplesOf(file: string): Example[] {
  const readme = readFileSync(path.join(root, file), 'utf8');
  const blocks = [...readme.matchAll(/^```ts\n([\s\S]*?)^```$/gm)];
  return blocks.map((block) => {
    const headings = [...readme.slice(0, block.index).matchAll(/^#+ (.*)$/gm)];
    return { section: headings.at(-1)![1]!, code: block[1]! };
  });
}

describe('every TypeScript example of the README, the guides and the docstrings', () => {
  const database = useTestDatabase();
  const all = examples();
  let work: string;

  beforeAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    all.forEach(({ code }, index) => writeFileSync(path.join(folder, `example-${index}.ts`), code));
    work = mkdtempSync(path.join(tmpdir(), 'spillway-readme-'));
    const events = Array.from({ length: 5_000 }, (_, index) => ({
      at: '2026-01-01T00:00:00Z',
      name: `event ${index}`,
    }));
    writeFileSync(
      path.join(work, 'events.ndjson'),
      events.map((event) => `${JSON.stringify(event)}\n`).join(''),
    );
    await database.query('CREATE TABLE events (at timestamptz, name text)');
    await database.query('CREATE TABLE readings (sensor text, value float8, tags text[])');
    await database.query('CREATE TABLE latest (sensor text PRIMARY KEY, value float8)');
    await database.query('CREATE TABLE visits (day date, at timestamp)');
  });

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
    rmSync(work, { recursive: true, force: true });
  });

  it('compiles', async () => {
    await run(process.execPath, [path.join(root, 'node_modules/typescript/bin/tsc'), '-p', tsconfig], {
      cwd: root,
    });
  });

  it.each(all.map(({ section }, index) => [index, section] as const))(
    'runs: %i, under "%s"',
    async (index) => {
      const url = new URL(database.url);
      const env = {
        ...process.env,
        TSX_TSCONFIG_PATH: tsconfig,
        PGHOST: url.hostname,
        PGPORT: url.port,
        PGUSER: decodeURIComponent(url.username),
        PGPASSWORD: decodeURIComponent(url.password),
        PGDATABASE: url.pathname.slice(1),
      };
      const tsx = path.join(root, 'node_modules/tsx/dist/cli.mjs');
      const example = path.join(folder, `example-${index}.ts`);
      await run(process.execPath, [tsx, example], { cwd: work, env, timeout: 20_000 });
    },
  );

  it('the one with bad rows has inserted the good ones, the last of each key', async () => {
    expect(await database.query('SELECT * FROM latest')).toEqual([{ sensor: 'x1', value: 2 }]);
  });

  it('the one with dates has stored them by the clock of UTC', async () => {
    expect(await database.query('SELECT day::text, at::text FROM visits')).toEqual([
      { day: '2024-05-17', at: '2024-05-17 22:30:00' },
    ]);
  });

  it('the first one has stored what it read', async () => {
    const [row] = await database.query(
      'SELECT count(*)::int AS rows, count(DISTINCT name)::int AS names FROM events',
    );
    expect(row).toEqual({ rows: 5_000, names: 5_000 });
  });
});
