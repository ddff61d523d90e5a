/**
 * Keeps compiled code between runs: V8 then compiles nothing that is already in the cache. Node.js 22 does so by itself; for Node.js 20,
 * CommonJS modules are kept by `kept-modules.ts`.
 *
 * What is in the cache is executed. So it is used only in a folder that nobody else can enter or replace; otherwise there is none. Node's
 * own `NODE_COMPILE_CACHE` and `NODE_DISABLE_COMPILE_CACHE` come first.
 */

import { existsSync, lstatSync, mkdirSync, realpathSync } from 'node:fs';
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
  if (environment['NODE_DISABLE_COMPILE_CACHE'] === '1') return;
  try {
    const folder = privateFolder(cacheFolder(environment, os.homedir()), user);
    if (folder === undefined) return;
    if (enableCompileCache === undefined)
      keepModules(path.join(folder, `${process.version}-${process.arch}`, archiveOf(process.argv)));
    else enableCompileCache(folder);
  } catch {
    // There is no home, or nothing can be written there.
  }
}

/** Each command of each installation has an archive, as others run other functions. */
function archiveOf([, program = '', command = '']: readonly string[]): string {
  return path.join(realpathSync(program), ['load', 'consume', 'query'].includes(command) ? command : 'help');
}

/** Where this system keeps a user's caches. */
export function cacheFolder(environment: Environment, home: string, platform = process.platform): string {
  const given = environment['XDG_CACHE_HOME'];
  const caches = platform === 'darwin' ? path.join(home, 'Library', 'Caches') : path.join(home, '.cache');
  return path.join(given !== undefined && path.isAbsolute(given) ? given : caches, 'spillway');
}

const OTHERS = 0o077;
const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/**
 * Makes the folder if it is missing and nobody else may write above it. With `sudo`, HOME may be of a user who could not use what root makes.
 *
 * @returns its path without links; undefined if another user may enter it, or put another one in its place
 */
export function privateFolder(folder: string, user: number): string | undefined {
  if (!path.isAbsolute(folder)) throw new Error(`no place of its own: ${folder}`);
  if (!isTrusted(realpathSync(existingOf(folder)), user)) return undefined;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const own = realpathSync(folder);
  const { uid, mode } = lstatSync(own);
  // Node.js makes folders in it, which others may write to if the umask allows that.
  return uid === user && (mode & OTHERS) === 0 && isTrusted(path.dirname(own), user) ? own : undefined;
}

/** The folder, or the next one above that is there. */
function existingOf(folder: string): string {
  return existsSync(folder) ? folder : existingOf(path.dirname(folder));
}

/** Nobody else can replace what the user has in a folder, or in those above. A sticky one, such as `/tmp`, protects it. */
function isTrusted(folder: string, user: number): boolean {
  const { uid, mode } = lstatSync(folder);
  if (uid !== user && uid !== 0) return false;
  if ((mode & OTHERS_WRITE) !== 0 && (mode & STICKY) === 0) return false;
  const above = path.dirname(folder);
  return above === folder || isTrusted(above, user);
}
