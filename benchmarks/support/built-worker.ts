/** Builds a worker as JavaScript, so that what translates TypeScript takes no part of its memory. */

import { rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build as bundle, type Plugin } from 'esbuild';

const ROOT = new URL('../../', import.meta.url);

let built = 0;

/**
 * @param name of a file in this folder, without its end
 * @param sources of the library, which is built in then. Default: the package
 * @returns the path of the built file, and what deletes it
 */
export async function buildWorker(
  name: string,
  sources?: string,
): Promise<{ file: string; remove: () => Promise<void> }> {
  built += 1;
  // Inside the checkout, so that it finds the packages that it imports.
  const file = fileURLToPath(new URL(`benchmarks/.${name}-${process.pid}-${built}.mjs`, ROOT));
  await bundle({
    entryPoints: [fileURLToPath(new URL(`./${name}.ts`, import.meta.url))],
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    plugins: sources === undefined ? [] : [libraryOf(sources)],
    // The one that this program runs by says whether `spillway` is the built package or its sources.
    tsconfig: process.env['TSX_TSCONFIG_PATH'] ?? fileURLToPath(new URL('tsconfig.json', ROOT)),
  });
  return { file, remove: () => rm(file, { force: true }) };
}

function libraryOf(sources: string): Plugin {
  return {
    name: 'library',
    setup(build) {
      build.onResolve({ filter: /^spillway(\/postgres)?$/ }, ({ path: name }) => ({
        path: path.join(sources, name.replace('spillway', '.'), 'index.ts'),
      }));
    },
  };
}
