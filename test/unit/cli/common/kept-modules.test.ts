/** Modules that are kept compiled do what they do otherwise. Each case runs in a process of its own, as Node's loader is changed. */

import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const root = mkdtempSync(path.join(os.tmpdir(), 'spillway-kept-modules-'));
const keeper = path.join(root, 'keeper.mjs');
const module = path.join(root, 'module.cjs');
let folder: string;
let runs = 0;

beforeAll(async () => {
  await build({
    entryPoints: ['src/cli/common/kept-modules.ts'],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: keeper,
  });
});

beforeEach(() => {
  runs += 1;
  folder = path.join(root, `kept-${runs}`);
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

/** What a process prints that requires the module. */
async function load(text: string): Promise<string> {
  writeFileSync(module, text);
  const program = `
    import { createRequire } from 'node:module';
    import { keepModules } from ${JSON.stringify(pathToFileURL(keeper).href)};
    keepModules(${JSON.stringify(folder)});
    console.log(JSON.stringify(await createRequire(import.meta.url)(${JSON.stringify(module)})));`;
  const file = path.join(root, 'program.mjs');
  writeFileSync(file, program);
  const { stdout, stderr } = await run(process.execPath, [file]);
  return stdout.trim() + stderr;
}

const kept = (): string[] => readdirSync(folder).sort();

describe('a module that is kept compiled', () => {
  it('has its exports, its place and the modules that it requires', async () => {
    const text = `
      'use strict';
      exports.sum = [1, 2].reduce((a, b) => a + b);
      exports.file = require('node:path').basename(__filename);
      exports.isOwn = this === module.exports && require.resolve(__filename) === __filename;`;
    const expected = '{"sum":3,"file":"module.cjs","isOwn":true}';
    expect(await load(text)).toBe(expected);
    const first = kept();
    expect(first).toHaveLength(1);
    const { mtimeMs } = statSync(path.join(folder, first[0]!));
    expect(await load(text)).toBe(expected);
    expect(kept()).toEqual(first);
    // It was not written again, so V8 has taken it.
    expect(statSync(path.join(folder, first[0]!)).mtimeMs).toBe(mtimeMs);
  });

  it('is compiled again if its text is another, also of the same length', async () => {
    expect(await load('module.exports = 1;')).toBe('1');
    expect(await load('module.exports = 2;')).toBe('2');
    expect(kept()).toHaveLength(2);
  });

  it('is compiled again if what was kept is damaged', async () => {
    await load('module.exports = 1;');
    const file = path.join(folder, kept()[0]!);
    const length = readFileSync(file).length;
    writeFileSync(file, Buffer.alloc(16));
    expect(await load('module.exports = 1;')).toBe('1');
    expect(readFileSync(file)).toHaveLength(length);
  });

  it('is not kept if it imports something', async () => {
    expect(await load("module.exports = import('node:path').then(({ sep }) => sep);")).toBe('"/"');
    expect(readdirSync(root)).not.toContain(path.basename(folder));
  });

  it('may begin with a line for the shell', async () => {
    expect(await load('#!/usr/bin/env node\nmodule.exports = 1;')).toBe('1');
  });

  it('leaves nothing behind if it cannot be kept', async () => {
    await load('module.exports = 1;');
    const [name] = kept();
    rmSync(path.join(folder, name!));
    mkdirSync(path.join(folder, name!));
    expect(await load('module.exports = 1;')).toBe('1');
    expect(kept()).toEqual([name]);
  });

  it('works without a folder that can be written to', async () => {
    writeFileSync(folder, '');
    expect(await load('module.exports = 1;')).toBe('1');
  });
});
