/** The command line as its users have it: bundled, and run as a process of its own. */

import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import {
  chmod,
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Options } from 'tsup';
import { afterAll, beforeAll } from 'vitest';
import tsupConfig from '../../tsup.config.js';
import { isBuildCurrent } from './current-build.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Far beyond what most runs take: a run that needs longer hangs. */
const LONGEST_RUN_MS = 60_000;
const LONGEST_BUILD_MS = 240_000;
const DAY_MS = 24 * 3_600_000;

export interface CliResult {
  /** `null` where a signal ended it. */
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: Record<string, string | undefined>;
  /** Text or bytes for standard input; without it, standard input is empty. */
  stdin?: string | Buffer;
  cwd?: string;
  uid?: number;
  /** Who takes longer hangs. Default 60 000 ms. */
  longestRunMs?: number;
}

export interface RunningCli {
  readonly child: ChildProcess;
  readonly result: Promise<CliResult>;
}

export interface Cli {
  /** A folder for the input files of the test file. */
  readonly directory: string;
  /** The bundle's entry. */
  readonly main: string;
  run(args: readonly string[], options?: RunOptions): Promise<CliResult>;
  start(args: readonly string[], options?: RunOptions): RunningCli;
}

/** The command line, bundled. `withPackages: false` puts it where none of its peers can be found. */
export function useCli({ withPackages = true } = {}): Cli {
  let root = '';
  let directory = '';
  beforeAll(async () => {
    root = await bundledCli();
    directory = await mkdtemp(path.join(os.tmpdir(), 'spillway-cli-input-'));
    if (withPackages) return;
    const bare = path.join(directory, 'bare');
    await cp(root, bare, { recursive: true });
    root = bare;
    // A machine under load takes its time.
  }, LONGEST_BUILD_MS);
  afterAll(() => rm(directory, { recursive: true, force: true }));
  const start = (args: readonly string[], options: RunOptions = {}): RunningCli =>
    startNode([path.join(root, 'dist/cli/main.cjs'), ...args], { cwd: directory, ...options });
  return {
    get directory() {
      return directory;
    },
    get main() {
      return path.join(root, 'dist/cli/main.cjs');
    },
    start,
    run: (args, options) => start(args, options).result,
  };
}

export interface Loads {
  readonly cli: Cli;
  /** A name in the folder of input files that no other test has. */
  freshName: (name: string) => string;
  /** Writes an input file under a fresh name, and returns that name. */
  file: (name: string, content: string | Buffer) => Promise<string>;
  /** Runs `spillway load` against the database of the test file. */
  load: (args: readonly string[], options?: RunOptions) => Promise<CliResult>;
}

/** The command line as `useCli` makes it, for test files that load many inputs into their database. */
export function useLoads(database: { readonly url: string }): Loads {
  const cli = useCli();
  let files = 0;
  const freshName = (name: string) => `${(files += 1)}-${name}`;
  return {
    cli,
    freshName,
    async file(name, content) {
      const unique = freshName(name);
      await writeFile(path.join(cli.directory, unique), content);
      return unique;
    },
    load: (args, options = {}) =>
      cli.run(['load', ...args], { ...options, env: { DATABASE_URL: database.url, ...options.env } }),
  };
}

/**
 * Returns the folder of the command line, bundled of the sources as they are. The first test file that asks builds it, and all others use that.
 * It stands within the project, so that `pg` and its like are found as they are from an installed package.
 */
async function bundledCli(): Promise<string> {
  const parent = path.join(ROOT, 'node_modules', '.cache', 'spillway-cli');
  const folder = path.join(parent, await hashOfSources());
  if (existsSync(folder)) return folder;
  await mkdir(parent, { recursive: true });
  const own = await mkdtemp(path.join(parent, 'building-'));
  try {
    // For tests that run it as another user.
    await chmod(own, 0o755);
    await copyFile(path.join(ROOT, 'package.json'), path.join(own, 'package.json'));
    const outDir = path.join(own, 'dist');
    if (await isBuildCurrent()) await cp(path.join(ROOT, 'dist'), outDir, { recursive: true });
    else await buildInto(outDir);
    await rename(own, folder);
    await removeOld(parent);
  } catch (error) {
    await rm(own, { recursive: true, force: true });
    // Another test file has built the same meanwhile.
    if (!existsSync(folder)) throw error;
  }
  return folder;
}

/** Returns a name that changes with everything that the bundle is made of. */
async function hashOfSources(): Promise<string> {
  const sources = await readdir(path.join(ROOT, 'src'), { recursive: true, withFileTypes: true });
  const files = [
    ...['package.json', 'package-lock.json', 'tsconfig.json', 'tsup.config.ts'].map((file) =>
      path.join(ROOT, file),
    ),
    ...sources.filter((entry) => entry.isFile()).map(({ parentPath, name }) => path.join(parentPath, name)),
  ];
  const hash = createHash('sha256');
  for (const file of files.toSorted()) hash.update(`${file}\n`).update(await readFile(file));
  return hash.digest('hex').slice(0, 16);
}

/** Removes bundles of earlier sources, but for those of today, which another run of tests may use. */
async function removeOld(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const folder = path.join(parent, name);
    if ((await stat(folder)).mtimeMs < Date.now() - DAY_MS)
      await rm(folder, { recursive: true, force: true });
  }
}

/** Builds the command line alone, as the project does. */
async function buildInto(outDir: string): Promise<void> {
  const configs = (tsupConfig as (flags: Options) => Options[])({ outDir });
  for (const config of configs) {
    if (!Object.keys(config.entry ?? {}).some((name) => name.startsWith('cli/'))) continue;
    await build({ ...config, config: false, silent: true, outDir, clean: false, dts: false });
  }
}

function startNode(args: string[], options: RunOptions): RunningCli {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(PG|DATABASE_URL|NODE_|VITEST)/.test(name),
  );
  const child = spawn(process.execPath, args, {
    cwd: options.cwd,
    env: { ...Object.fromEntries(inherited), ...options.env },
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  // It may end without having read it.
  child.stdin.on('error', () => undefined);
  if (options.stdin !== undefined) child.stdin.end(options.stdin);
  const result = new Promise<CliResult>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`hangs: ${args.slice(1).join(' ')}\nstdout: ${stdout}\nstderr: ${stderr}`));
    }, options.longestRunMs ?? LONGEST_RUN_MS);
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr });
    });
  });
  return { child, result };
}
