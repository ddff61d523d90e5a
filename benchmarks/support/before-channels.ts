/** The library as it was before its events were published on channels, beside that of this checkout: both built in the same way. */

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { buildWorker } from './built-worker.js';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface BuiltSources {
  /** The commit. Undefined: there is no history to take it from. */
  readonly before: string | undefined;
  /** @returns the worker's file with the library of this checkout, and with that of before */
  build(worker: string): Promise<{ now: string; before: string }>;
  remove(): Promise<void>;
}

/** The commit is `SPILLWAY_BENCH_BEFORE`, or by default the last one before `src/signals` came. */
export async function beforeChannels(): Promise<BuiltSources> {
  const commit = await commitBefore().catch(() => undefined);
  const folder = await mkdtemp(path.join(os.tmpdir(), 'spillway-before-'));
  const removals: (() => Promise<void>)[] = [() => rm(folder, { recursive: true, force: true })];
  if (commit !== undefined) {
    const archive = path.join(folder, 'src.tar');
    await run('git', ['archive', '--output', archive, commit, 'src'], { cwd: ROOT });
    await run('tar', ['-xf', archive, '-C', folder]);
  }
  return {
    before: commit,
    async build(worker) {
      const files: string[] = [];
      for (const sources of [ROOT, folder]) {
        const built = await buildWorker(worker, path.join(sources, 'src'));
        removals.push(built.remove);
        files.push(built.file);
      }
      return { now: files[0]!, before: files[1]! };
    },
    async remove() {
      await Promise.all(removals.map((removal) => removal()));
    },
  };
}

async function commitBefore(): Promise<string | undefined> {
  const given = process.env['SPILLWAY_BENCH_BEFORE'];
  const added = await git('log', '--diff-filter=A', '--format=%h', '--', 'src/signals');
  const wanted = given ?? `${added.split('\n').at(-1)!}^`;
  return git('rev-parse', '--short', '--verify', `${wanted}^{commit}`);
}

async function git(...args: string[]): Promise<string> {
  const { stdout } = await run('git', args, { cwd: ROOT });
  return stdout.trim();
}
