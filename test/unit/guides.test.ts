/** What the README and the guides point at is there: files, headings, and the files of the walks in src/README.md. */

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const guides = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file !== '' && existsSync(path.join(root, file)));
const textOf = (file: string): string => readFileSync(path.join(root, file), 'utf8');

/** The anchors that a page of Markdown has, by GitHub's rule. */
function anchorsOf(text: string): string[] {
  const headings = [...text.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ (.*)$/gm)];
  return headings.map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe('links', () => {
  it.each(guides)('of %s lead to files and headings that are there', (guide) => {
    const text = textOf(guide);
    for (const [, link] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link!)) continue;
      const [file, anchor] = link!.split('#') as [string, string | undefined];
      const target = file === '' ? guide : path.join(path.dirname(guide), file);
      expect(existsSync(path.join(root, target)), link).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(textOf(target)), link).toContain(anchor);
    }
  });
});

test('each file that the walks of src/README.md name is there', () => {
  const named = [
    ...textOf('src/README.md').matchAll(/(?<![\w/])([a-z]+(?:\/[a-z]+)*\/[a-z]+(?:-[a-z]+)*)(?![\w/-])/g),
  ]
    .map(([, name]) => name!)
    .filter((name) => !name.startsWith('test/'));
  expect(named.length).toBeGreaterThan(30);
  for (const name of named) {
    const candidates = [name, `${name}.ts`, `postgres/${name}`, `postgres/${name}.ts`];
    expect(
      candidates.some((file) => existsSync(path.join(root, 'src', file))),
      name,
    ).toBe(true);
  }
});
