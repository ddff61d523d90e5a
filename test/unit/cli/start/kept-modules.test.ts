/** Modules that are kept compiled do what they do otherwise. Each case runs in a process of its own, as Node's loader is changed. */

import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const root = mkdtempSync(path.join(os.tmpdir(), 'spillway-kept-modules-'));
const keeper = path.join(root, 'keeper.mjs');
let folder: string;
let archive: string;
let module: string;
let runs = 0;

beforeAll(async () => {
  await build({
    entryPoints: ['src/cli/start/kept-modules.ts'],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: keeper,
  });
});

beforeEach(() => {
  runs += 1;
  folder = path.join(root, `run-${runs}`);
  archive = path.join(folder, 'kept', 'archive');
  module = path.join(folder, 'app', 'module.cjs');
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

function write(file: string, text: string): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** Puts a package into a `node_modules` of the run's folder. */
function install(parent: string, name: string, text: string, main = 'index.js'): void {
  const at = path.join(folder, parent, 'node_modules', name);
  write(path.join(at, 'package.json'), JSON.stringify({ name, main }));
  write(path.join(at, main), text);
}

/** What a process prints that requires the module, after it was written if a text is given. */
async function load(text?: string): Promise<string> {
  if (text !== undefined) write(module, text);
  const program = `
    import { createRequire } from 'node:module';
    import { keepModules } from ${JSON.stringify(pathToFileURL(keeper).href)};
    keepModules(${JSON.stringify(archive)});
    console.log(JSON.stringify(await createRequire(import.meta.url)(${JSON.stringify(module)})));`;
  const file = path.join(folder, 'program.mjs');
  write(file, program);
  const { stdout, stderr } = await run(process.execPath, [file]);
  return stdout.trim() + stderr;
}

/** The archive is another file each time that it is written. */
const written = (): number => statSync(archive).ino;

describe('a module that is kept compiled', () => {
  it('has its exports, its place and the modules that it requires', async () => {
    const text = `
      'use strict';
      exports.sum = [1, 2].reduce((a, b) => a + b);
      exports.file = require('node:path').basename(__filename);
      exports.isOwn = this === module.exports && require.resolve(__filename) === __filename;`;
    const expected = '{"sum":3,"file":"module.cjs","isOwn":true}';
    expect(await load(text)).toBe(expected);
    const first = written();
    expect(await load()).toBe(expected);
    // It was not written again, so V8 has taken it.
    expect(written()).toBe(first);
  });

  it('is taken from the archive, together with what it requires', async () => {
    install('', 'number', 'module.exports = require("./lib/one") + 1;', 'main.js');
    write(path.join(folder, 'node_modules/number/lib/one.js'), 'module.exports = "ONE";');
    expect(await load('module.exports = require("number");')).toBe('"ONE1"');
    const bytes = readFileSync(archive, 'latin1');
    writeFileSync(archive, bytes.replaceAll('ONE', 'TWO'), 'latin1');
    expect(await load()).toBe('"TWO1"');
  });

  it('is compiled again if its text is another, also of the same length', async () => {
    expect(await load('module.exports = 1;')).toBe('1');
    expect(await load('module.exports = 2;')).toBe('2');
    expect(await load()).toBe('2');
  });

  it('is another one if a file that it requires goes, and one of another name comes', async () => {
    write(path.join(folder, 'app/other.js'), 'module.exports = 1;');
    expect(await load('module.exports = require("./other");')).toBe('1');
    rmSync(path.join(folder, 'app/other.js'));
    write(path.join(folder, 'app/other/index.js'), 'module.exports = 2;');
    expect(await load()).toBe('2');
  });

  it('is kept beside those of earlier runs', async () => {
    const text = 'module.exports = require(require("./which"));';
    for (const name of ['one', 'two'])
      write(path.join(folder, 'app', `${name}.js`), `module.exports = "${name}";`);
    for (const name of ['one', 'two']) {
      write(path.join(folder, 'app/which.js'), `module.exports = "./${name}";`);
      expect(await load(name === 'one' ? text : undefined)).toBe(`"${name}"`);
    }
    const both = readFileSync(archive, 'latin1');
    expect(['one', 'two'].filter((name) => both.includes(`module.exports = "${name}"`))).toEqual([
      'one',
      'two',
    ]);
  });

  it.each([
    ['of no bytes', () => writeFileSync(archive, '')],
    ['of zeros', () => writeFileSync(archive, Buffer.alloc(4096))],
    ['without its end', () => truncateSync(archive, readFileSync(archive).length - 8)],
    ['without most of it', () => truncateSync(archive, 40)],
  ])('is compiled again if the archive is a file %s', async (_, damage) => {
    await load('module.exports = 1;');
    const { length } = readFileSync(archive);
    damage();
    expect(await load()).toBe('1');
    expect(readFileSync(archive)).toHaveLength(length);
  });

  it('is not kept if it imports something', async () => {
    expect(await load("module.exports = import('node:path').then(({ sep }) => sep);")).toBe('"/"');
    expect(existsSync(archive)).toBe(false);
  });

  it('may begin with a line for the shell', async () => {
    expect(await load('#!/usr/bin/env node\nmodule.exports = 1;')).toBe('1');
  });

  it('leaves nothing behind if it cannot be kept', async () => {
    mkdirSync(archive, { recursive: true });
    expect(await load('module.exports = 1;')).toBe('1');
    expect(readdirSync(path.dirname(archive))).toEqual(['archive']);
  });

  it('works without a folder that can be written to', async () => {
    write(path.dirname(archive), '');
    expect(await load('module.exports = 1;')).toBe('1');
  });
});

describe('the name of a package', () => {
  beforeEach(async () => {
    install('', 'number', 'module.exports = 1;');
    expect(await load('module.exports = require("number");')).toBe('1');
    const first = written();
    expect(await load()).toBe('1');
    expect(written()).toBe(first);
  });

  it('means the nearest one, also if that was installed later', async () => {
    install('app', 'number', 'module.exports = 2;');
    expect(await load()).toBe('2');
  });

  it('means another file if its package.json names another', async () => {
    install('', 'number', 'module.exports = 3;', 'other.js');
    expect(await load()).toBe('3');
    expect(readdirSync(path.join(folder, 'node_modules/number'))).toContain('index.js');
  });

  it('means what its link leads to, also if the old version stays', async () => {
    for (const version of [4, 5]) install(`store/${version}`, 'number', `module.exports = ${version};`);
    const link = path.join(folder, 'node_modules/number');
    for (const version of [4, 5]) {
      rmSync(link, { recursive: true });
      symlinkSync(path.join(folder, `store/${version}/node_modules/number`), link);
      expect(await load()).toBe(String(version));
    }
  });

  it('means nothing if the package is gone', async () => {
    rmSync(path.join(folder, 'node_modules'), { recursive: true });
    await expect(load()).rejects.toThrow("Cannot find module 'number'");
  });
});
