/** Builds a worker as JavaScript, so that what translates TypeScript takes no part of its memory. */

import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ROOT = new URL('../../', import.meta.url);

/** @param name of a file in this folder, without its end @returns the path of the built file, and what deletes it */
export async function buildWorker(name: string): Promise<{ file: string; remove: () => Promise<void> }> {
  // Inside the checkout, so that it finds the packages that it imports.
  const file = fileURLToPath(new URL(`benchmarks/.${name}-${process.pid}.mjs`, ROOT));
  await build({
    entryPoints: [fileURLToPath(new URL(`./${name}.ts`, import.meta.url))],
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    // The one that this program runs by says whether `spillway` is the built package or its sources.
    tsconfig: process.env['TSX_TSCONFIG_PATH'] ?? fileURLToPath(new URL('tsconfig.json', ROOT)),
  });
  return { file, remove: () => rm(file, { force: true }) };
}
