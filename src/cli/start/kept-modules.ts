/**
 * Keeps compiled code of CommonJS modules between runs, for Node.js before 22.1, which does not do so by itself.
 *
 * ```text
 *   a module is required ──► in the archive, and its file is the same? ──► compiled from there, without a look at the file
 *                              │ no
 *                              ▼
 *                            compiled by V8 ──► when the process ends, the archive is written again, with all that was used
 * ```
 *
 * V8 refuses what another version of it, or other flags, have made. Source of the way: the package v8-compile-cache.
 */

import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import Module, { isBuiltin } from 'node:module';
import path from 'node:path';
import { Script } from 'node:vm';
import {
  identityOf,
  manifestOf,
  ModuleArchive,
  packModules,
  type Identity,
  type Meaning,
  type SourceModule,
} from './module-archive.js';

/** What Node's loader has, beside what its types say. */
interface LoadedModule {
  readonly exports: unknown;
  readonly filename: string | null;
  _compile: (this: LoadedModule, text: string, file: string) => unknown;
  require(name: string): unknown;
}

type Load = (module: LoadedModule, file: string) => void;
type Resolve = (name: string, from: LoadedModule | undefined, isMain?: unknown, options?: unknown) => string;

interface Loader {
  readonly prototype: LoadedModule;
  readonly _extensions: { '.js': Load };
  readonly _cache: object;
  _resolveFilename: Resolve;
  wrap(text: string): string;
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

/** From now on, modules come from the archive. What it lacks is added when the process ends. */
export function keepModules(archiveFile: string): void {
  const kept = new KeptModules(ModuleArchive.read(archiveFile));
  kept.hook(Module as unknown as Loader);
  process.once('exit', () => kept.write(archiveFile));
}

class KeptModules {
  readonly #archive: ModuleArchive;
  /** What this run has used. */
  readonly #scripts = new Map<string, { readonly module: SourceModule; readonly script: Script }>();
  readonly #names = new Map<string, Meaning>();
  /** Of files that are about to be read: what is read must not be older than what is known of it. */
  readonly #identities = new Map<string, Identity>();
  /** Whether the archive lacks some of it. */
  #isNew = false;

  constructor(archive: ModuleArchive) {
    this.#archive = archive;
  }

  hook(loader: Loader): void {
    const { prototype, _extensions: extensions, _resolveFilename: resolve } = loader;
    const compile = prototype._compile;
    const { '.js': load } = extensions;
    const run = (to: LoadedModule, file: string, module: SourceModule, code?: Buffer): unknown => {
      const wrapper = this.#compile(
        loader.wrap(module.text),
        file,
        module,
        code,
      ).runInThisContext() as Wrapper;
      return wrapper.call(to.exports, to.exports, requireOf(loader, to), to, file, path.dirname(file));
    };
    const loadKept: Load = (module, file) => {
      const kept = this.#archive.find(file);
      if (kept !== undefined) run(module, file, kept, kept.code);
      else {
        const identity = identityOf(file);
        if (identity !== undefined) this.#identities.set(file, identity);
        load(module, file);
      }
    };
    const identities = this.#identities;
    const compileKept = function (this: LoadedModule, text: string, file: string): unknown {
      const identity = identities.get(file);
      if (identity === undefined || NEVER_KEPT.test(text)) return compile.call(this, text, file);
      return run(this, file, { text, identity });
    };
    const resolveKept: Resolve = (name, from, isMain, options) => {
      if (!from?.filename || isBuiltin(name) || options !== undefined)
        return resolve(name, from, isMain, options);
      const folder = path.dirname(from.filename);
      const kept = this.#archive.resolve(folder, name);
      if (kept !== undefined) return kept.file;
      const manifest = manifestOf(folder, name);
      const file = resolve(name, from, isMain);
      if (manifest !== undefined) this.#names.set(`${folder}\0${name}`, { file, manifest });
      return file;
    };
    extensions['.js'] = loadKept;
    prototype._compile = compileKept;
    loader._resolveFilename = resolveKept;
  }

  #compile(wrapped: string, file: string, module: SourceModule, code: Buffer | undefined): Script {
    const script = new Script(wrapped, { filename: file, ...(code && { cachedData: code }) });
    if (code === undefined || script.cachedDataRejected === true) this.#isNew = true;
    this.#scripts.set(file, { module, script });
    return script;
  }

  /** Only what V8 has by now is kept: the functions that were called are compiled. */
  write(archiveFile: string): void {
    if (!this.#isNew) return;
    const made = `${archiveFile}.${process.pid}`;
    try {
      const modules = this.#archive.modules();
      for (const [file, { module, script }] of this.#scripts)
        modules.set(file, { ...module, code: script.createCachedData() });
      mkdirSync(path.dirname(archiveFile), { mode: 0o700, recursive: true });
      const bytes = packModules(modules, new Map([...this.#archive.names, ...this.#names]));
      // Another process may read it at the same time, and after a crash of the system it must be whole.
      writeFileSync(made, bytes, { mode: 0o600, flush: true });
      renameSync(made, archiveFile);
    } catch {
      // The next run compiles again. On a full disk, what was begun would stay.
      removeIfPossible(made);
    }
  }
}

function requireOf(loader: Loader, module: LoadedModule): unknown {
  const require = (name: string): unknown => module.require(name);
  const resolve = (name: string): string => loader._resolveFilename(name, module);
  return Object.assign(require, { resolve, cache: loader._cache, main: undefined });
}

function removeIfPossible(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    // It stays.
  }
}
