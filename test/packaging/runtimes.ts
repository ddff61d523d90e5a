/** The programs that run the package: Node.js, Bun and Deno, as npm has them. Each is installed once, and kept until `npm ci`. */

import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChild } from './child.js';

export interface Runtime {
  readonly title: string;
  /** On npm. Node.js by its major version; the others as README.md names them, so that a new release turns no run red. */
  readonly npmName: 'node' | 'bun' | 'deno';
  readonly npmVersion: string;
  /** What comes before the name of a program. */
  readonly args: readonly string[];
}

const node = (major: number): Runtime => ({
  title: `Node ${major}`,
  npmName: 'node',
  npmVersion: String(major),
  args: [],
});

export const NODES: readonly Runtime[] = [node(20), node(22), node(24), node(26)];
export const BUN: Runtime = { title: 'Bun', npmName: 'bun', npmVersion: '1.4.5', args: [] };
export const DENO: Runtime = {
  title: 'Deno',
  npmName: 'deno',
  npmVersion: '2.9.6',
  args: ['run', '--allow-all', '--no-prompt', '--no-remote'],
};
export const RUNTIMES: readonly Runtime[] = [...NODES, BUN, DENO];

const CACHE = fileURLToPath(new URL('../../node_modules/.cache/spillway-runtimes', import.meta.url));
const LONGEST_INSTALL_MS = 240_000;

const folderOf = ({ npmName, npmVersion }: Runtime): string => path.join(CACHE, `${npmName}-${npmVersion}`);

/** The folder to put in front of PATH. */
export const binOf = (runtime: Runtime): string => path.join(folderOf(runtime), 'node_modules/.bin');

export const programOf = (runtime: Runtime): string => path.join(binOf(runtime), runtime.npmName);

/** Installs the runtime unless it is there, and returns the version that it prints. */
export async function installRuntime(runtime: Runtime): Promise<string> {
  const folder = folderOf(runtime);
  if (!existsSync(folder)) {
    // Under another name until it is complete.
    const partial = `${folder}.${process.pid}`;
    await mkdir(partial, { recursive: true });
    await writeFile(path.join(partial, 'package.json'), manifestOf(runtime));
    try {
      await npmInstall(partial, [`${runtime.npmName}@${runtime.npmVersion}`]);
      await rename(partial, folder);
    } catch (error) {
      await rm(partial, { recursive: true, force: true });
      throw error;
    }
  }
  const { stdout } = await runChild(programOf(runtime), ['--version'], { cwd: folder });
  return /\d+\.\d+\.\d+/.exec(stdout)![0];
}

/** Their install scripts fetch the program for this machine. */
function manifestOf({ npmName }: Runtime): string {
  return JSON.stringify({ name: 'runtime', private: true, allowScripts: { [npmName]: true } });
}

export async function npmInstall(cwd: string, packages: readonly string[]): Promise<void> {
  const quiet = ['--no-audit', '--no-fund', '--update-notifier=false', '--loglevel=error'];
  const { code, stderr } = await runChild('npm', ['install', ...quiet, ...packages], {
    cwd,
    limitMs: LONGEST_INSTALL_MS,
  });
  if (code !== 0) throw new Error(`npm cannot install ${packages.join(', ')}:\n${stderr}`);
}
