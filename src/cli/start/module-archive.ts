/**
 * A file that holds modules: their texts, the code that V8 has made of them, and what names they require others by.
 *
 * ```text
 *   4 bytes: length of the index │ index, as JSON │ text, code, text, code, …   each begins at a multiple of 8 bytes, as V8 reads code in place
 * ```
 */

import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';

/** Size, times and number of a file. If they are the same, so are its contents: each write to it changes `ctime`. */
export type Identity = readonly number[];

export interface SourceModule {
  readonly text: string;
  /** Of the file that it was read from. */
  readonly identity: Identity;
}

interface KeptModule extends SourceModule {
  readonly code: Buffer;
}

interface Entry {
  readonly identity: Identity;
  readonly start: number;
  readonly textBytes: number;
  readonly codeBytes: number;
}

/** The file that a name means in a folder. */
export interface Meaning {
  readonly file: string;
  /** See {@link manifestOf}. */
  readonly manifest: Identity;
}

interface Index {
  /** By file. */
  readonly modules: readonly (readonly [string, Entry])[];
  /** By folder and name. */
  readonly names: readonly (readonly [string, Meaning])[];
  /** Of all texts and code: the file may have been cut. */
  readonly totalBytes: number;
}

const HEAD_BYTES = 4;
const ALIGNMENT = 8;
const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

export class ModuleArchive {
  readonly #modules: ReadonlyMap<string, Entry>;
  readonly names: ReadonlyMap<string, Meaning>;
  /** Texts and code. */
  readonly #bytes: Buffer;
  /** Files that were looked at, and whether they are the same as when they were kept. */
  readonly #sameFiles = new Map<string, boolean>();

  private constructor({ modules, names }: Index, bytes: Buffer) {
    this.#modules = new Map(modules);
    this.names = new Map(names);
    this.#bytes = bytes;
  }

  /** One that is not there, or not whole, is empty. */
  static read(file: string): ModuleArchive {
    try {
      const bytes = readFileSync(file);
      const end = HEAD_BYTES + bytes.readUInt32LE();
      const index = JSON.parse(bytes.toString('utf8', HEAD_BYTES, end)) as Index;
      const contents = bytes.subarray(aligned(end));
      if (contents.length === index.totalBytes) return new ModuleArchive(index, contents);
    } catch {
      // It is missing, or not whole.
    }
    return new ModuleArchive({ modules: [], names: [], totalBytes: 0 }, Buffer.alloc(0));
  }

  /** Returns a module if its file is the same as when it was kept. */
  find(file: string): KeptModule | undefined {
    const entry = this.#modules.get(file);
    return entry !== undefined && this.#isSame(file, entry) ? this.#moduleOf(entry) : undefined;
  }

  /** Returns what a name means in a folder if the files that say so are the same as when it was kept. */
  resolve(folder: string, name: string): Meaning | undefined {
    const meaning = this.names.get(`${folder}\0${name}`);
    if (meaning === undefined) return undefined;
    const { file, manifest } = meaning;
    const entry = this.#modules.get(file);
    if (entry === undefined || !this.#isSame(file, entry)) return undefined;
    return areSame(manifest, manifestOf(folder, name)) ? meaning : undefined;
  }

  /** All whose files are still the same. */
  modules(): Map<string, KeptModule> {
    const same = [...this.#modules].filter(([file, entry]) => this.#isSame(file, entry));
    return new Map(same.map(([file, entry]) => [file, this.#moduleOf(entry)]));
  }

  #moduleOf({ identity, start, textBytes, codeBytes }: Entry): KeptModule {
    const end = start + textBytes;
    const text = this.#bytes.toString('utf8', start, end);
    return { text, identity, code: this.#bytes.subarray(aligned(end), aligned(end) + codeBytes) };
  }

  #isSame(file: string, { identity }: Entry): boolean {
    let isSame = this.#sameFiles.get(file);
    if (isSame === undefined) {
      isSame = areSame(identity, identityOf(file));
      this.#sameFiles.set(file, isSame);
    }
    return isSame;
  }
}

/** Undefined for a file that is not there. */
export function identityOf(file: string): Identity | undefined {
  const found = statSync(file, { throwIfNoEntry: false });
  return found && [found.size, found.mtimeMs, found.ctimeMs, found.ino, found.dev];
}

/** What such a name means depends on files of one package only, which does not change while they are the same. */
const WITHIN_PACKAGE = /^(?:\.\.?\/|#)/;
const PACKAGE = /^(?:@[^/]+\/)?[^/]+/;

/**
 * The `package.json` of the package that a name belongs to, as Node looks for it: it is another one if the package is updated, or stands
 * elsewhere. Empty for a name within a package, undefined if Node finds the file in another way.
 */
export function manifestOf(folder: string, name: string): Identity | undefined {
  if (WITHIN_PACKAGE.test(name)) return [];
  const found = PACKAGE.exec(name);
  if (found === null) return undefined;
  const manifest = path.join('node_modules', found[0], 'package.json');
  for (let from = folder; ; from = path.dirname(from)) {
    const identity =
      path.basename(from) === 'node_modules' ? undefined : identityOf(path.join(from, manifest));
    if (identity !== undefined || from === path.dirname(from)) return identity;
  }
}

function areSame(one: Identity, other: Identity | undefined): boolean {
  return other !== undefined && one.every((value, place) => value === other[place]);
}

/** Returns the bytes of an archive. Names of files that are not in it are left out. */
export function packModules(
  modules: ReadonlyMap<string, KeptModule>,
  names: ReadonlyMap<string, Meaning>,
): Buffer {
  const entries: [string, Entry][] = [];
  const parts: Buffer[] = [];
  let start = 0;
  const add = (bytes: Buffer): void => {
    parts.push(bytes, Buffer.alloc(aligned(bytes.length) - bytes.length));
    start += aligned(bytes.length);
  };
  for (const [file, { text, identity, code }] of modules) {
    const bytes = Buffer.from(text);
    entries.push([file, { identity, start, textBytes: bytes.length, codeBytes: code.length }]);
    add(bytes);
    add(code);
  }
  const index: Index = {
    modules: entries,
    names: [...names].filter(([, { file }]) => modules.has(file)),
    totalBytes: start,
  };
  const head = Buffer.from(JSON.stringify(index));
  const length = Buffer.alloc(HEAD_BYTES);
  length.writeUInt32LE(head.length);
  const padding = Buffer.alloc(aligned(HEAD_BYTES + head.length) - HEAD_BYTES - head.length);
  return Buffer.concat([length, head, padding, ...parts]);
}
