/** The layout of `src/`: small rooms, small files, and imports that form no circle. */

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, it } from 'vitest';

const MOST_FILES_PER_ROOM = 12;
const MOST_LINES_PER_FILE = 350;
const SOURCE = fileURLToPath(new URL('../../src', import.meta.url));
const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
);
const texts = new Map(files.map((file) => [file, readFileSync(path.join(SOURCE, file), 'utf8')]));

it(`a room of src/ has at most ${MOST_FILES_PER_ROOM} files`, () => {
  const counts = new Map<string, number>();
  for (const file of files) counts.set(path.dirname(file), (counts.get(path.dirname(file)) ?? 0) + 1);
  const full = [...counts].filter(([, count]) => count > MOST_FILES_PER_ROOM);
  expect(full.map(([room, count]) => `${room}: ${count} files`)).toEqual([]);
});

it(`a file of src/ has fewer than ${MOST_LINES_PER_FILE} lines`, () => {
  const long = [...texts].map(([file, text]) => ({ file, lines: text.split('\n').length - 1 }));
  const over = long.filter(({ lines }) => lines >= MOST_LINES_PER_FILE);
  expect(over.map(({ file, lines }) => `${file}: ${lines} lines`)).toEqual([]);
});

it('imports within src/ form no circle, imports of types included', () => {
  const imports = new Map(files.map((file) => [file, importsOf(file)]));
  expect(circlesOf(imports)).toEqual([]);
});

it('a circle of imports is found', () => {
  const imports = new Map([
    ['a', ['b']],
    ['b', ['c', 'd']],
    ['c', ['b']],
    ['d', []],
  ]);
  expect(circlesOf(imports)).toEqual(['b > c > b']);
});

/** The files of `src/` that a file imports: statically, for their types only, or by `import()`. */
function importsOf(file: string): string[] {
  return ts
    .preProcessFile(texts.get(file)!)
    .importedFiles.map(({ fileName }) => fileName)
    .filter((name) => name.startsWith('.'))
    .map((name) => path.join(path.dirname(file), name).replace(/\.js$/, '.ts'));
}

/** Walks the graph in depth. An import of a file that is still being walked closes a circle. */
function circlesOf(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]): void => {
    const start = way.indexOf(file);
    if (start >= 0) circles.push([...way.slice(start), file].join(' > '));
    if (start >= 0 || done.has(file)) return;
    for (const imported of imports.get(file) ?? []) visit(imported, [...way, file]);
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  return circles;
}
