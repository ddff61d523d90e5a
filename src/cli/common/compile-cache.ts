/**
 * Keeps compiled code between runs: V8 then compiles nothing that is already in the cache. Node.js 22 does so by itself; for Node.js 20,
 * CommonJS modules are kept by `kept-modules.ts`.
 *
 * What is in the cache is executed. So it is used only in a folder that nobody else can write to or replace; otherwise there is none. Node's
 * own `NODE_COMPILE_CACHE` and `NODE_DISABLE_COMPILE_CACHE` come first.
 */

import { lstatSync, mkdirSync, realpathSync, type Stats } from 'node:fs';
import module from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { keepModules } from './kept-modules.js';

/** Node.js 22.1 and later. */
const { enableCompileCache } = module as { enableCompileCache?: (directory: string) => unknown };

type Environment = Readonly<Record<string, string | undefined>>;

export function cacheCompiledCode(environment: Environment): void {
  const user = process.getuid?.();
  // Windows does not say who may write to a folder.
  if (user === undefined) return;
  if (enableCompileCache === undefined && environment['NODE_DISABLE_COMPILE_CACHE'] === '1') return;
  try {
    const folder = privateFolder(cacheFolder(environment, os.homedir()), user);
    if (folder === undefined) return;
    if (enableCompileCache === undefined) keepModules(path.join(folder, process.version));
    else enableCompileCache(folder);
  } catch {
    // There is no home, or nothing can be written there.
  }
}

/** Where this system keeps a user's caches. */
export function cacheFolder(environment: Environment, home: string, platform = process.platform): string {
  const given = environment['XDG_CACHE_HOME'];
  const caches = platform === 'darwin' ? path.join(home, 'Library', 'Caches') : path.join(home, '.cache');
  return path.join(given !== undefined && path.isAbsolute(given) ? given : caches, 'spillway');
}

const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/**
 * Makes the folder if it is missing.
 *
 * @returns its path without links; undefined if another user may write to it, or put another one in its place
 */
export function privateFolder(folder: string, user: number): string | undefined {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const own = realpathSync(folder);
  const found = lstatSync(own);
  if (!found.isDirectory() || found.uid !== user || (found.mode & OTHERS_WRITE) !== 0) return undefined;
  for (let above = own; above !== path.dirname(above);) {
    above = path.dirname(above);
    if (!isTrusted(lstatSync(above), user)) return undefined;
  }
  return own;
}

/** Nobody else can replace what the user has in it. A sticky folder, such as `/tmp`, protects it. */
function isTrusted({ uid, mode }: Stats, user: number): boolean {
  return (uid === user || uid === 0) && ((mode & OTHERS_WRITE) === 0 || (mode & STICKY) !== 0);
}
