/**
 * Keeps the compiled code of CommonJS modules in a folder, for Node.js before 22.1, which does not do so by itself.
 *
 * A file of the folder belongs to one text of one module: its name is the SHA-256 of both. V8 refuses what another version of it, or other
 * flags, have made. Source of the way: the package v8-compile-cache.
 */

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import Module from 'node:module';
import path from 'node:path';
import { Script } from 'node:vm';

/** What Node's loader has, beside what its types say. */
interface LoadedModule {
  readonly exports: unknown;
  _compile: (this: LoadedModule, text: string, file: string) => unknown;
  require(name: string): unknown;
}

interface Loader {
  readonly prototype: LoadedModule;
  wrap(text: string): string;
  readonly _cache: object;
  _resolveFilename(name: string, from: LoadedModule): string;
}

type Wrapper = (
  exports: unknown,
  require: unknown,
  module: LoadedModule,
  file: string,
  folder: string,
) => unknown;

/** Code that V8 keeps cannot import anything, and no line for the shell can be wrapped. */
const NEVER_KEPT = /^#!|\bimport\s*\(/;

/** From now on, modules are compiled from what the folder has of them; the others are added when the process ends. */
export function keepModules(folder: string): void {
  const loader = Module as unknown as Loader;
  const { prototype } = loader;
  const compile = prototype._compile;
  const missing = new Map<string, Script>();
  const compileKept = function (this: LoadedModule, text: string, file: string): unknown {
    if (NEVER_KEPT.test(text)) return compile.call(this, text, file);
    const kept = path.join(folder, createHash('sha256').update(`${file}\0`).update(text).digest('hex'));
    const cachedData = readIfThere(kept);
    const script = new Script(loader.wrap(text), { filename: file, ...(cachedData && { cachedData }) });
    if (cachedData === undefined || script.cachedDataRejected === true) missing.set(kept, script);
    const run = script.runInThisContext() as Wrapper;
    return run.call(this.exports, this.exports, requireOf(loader, this), this, file, path.dirname(file));
  };
  prototype._compile = compileKept;
  process.once('exit', () => write(folder, missing));
}

function requireOf(loader: Loader, module: LoadedModule): unknown {
  const require = (name: string): unknown => module.require(name);
  const resolve = (name: string): string => loader._resolveFilename(name, module);
  return Object.assign(require, { resolve, cache: loader._cache, main: undefined });
}

function readIfThere(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

/** Only what V8 has by now is kept: the functions that were called are compiled. */
function write(folder: string, scripts: ReadonlyMap<string, Script>): void {
  // Another process may read a file at the same time.
  let made: string | undefined;
  try {
    if (scripts.size > 0) mkdirSync(folder, { mode: 0o700, recursive: true });
    for (const [file, script] of scripts) {
      made = `${file}.${process.pid}`;
      writeFileSync(made, script.createCachedData(), { mode: 0o600 });
      renameSync(made, file);
    }
  } catch {
    // The next run compiles again. On a full disk, what was begun would stay.
    if (made !== undefined) removeIfPossible(made);
  }
}

function removeIfPossible(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    // It stays.
  }
}
