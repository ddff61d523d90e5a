import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { defineConfig, type Options } from 'tsup';

/** What users import. */
const ENTRIES = ['index', 'postgres/index'];

/**
 * Files of their own, which `index.js` exports from: a bundler that follows `sideEffects` drops the ones that are not used.
 * Code that several of them share goes to chunks. The rest of `index.js` is dropped statement by statement. Each further file costs
 * Node about 0.4 ms when it loads the package.
 */
const PARTS = [
  'stream/backpressure-writable',
  'stream/backpressure-transform',
  'controller/backpressure-controller',
];

/** What is loaded by itself: the command line, and what it loads when it is needed. */
const PROGRAMS = [
  'main',
  'load-command',
  'query/query',
  'server/embedded/embedded-server',
  'report/progress-bar',
];

/** All programs stand side by side in `dist/cli`. */
const nameOf = (file: string): string => path.basename(file, '.js');

const NOTICE = 'cli/THIRD-PARTY-LICENSES.txt';

// A function, so that cleaning is done once and before both builds: tsup runs them side by side.
export default defineConfig((flags) => {
  const outDir = flags.outDir ?? 'dist';
  if (flags.outDir === undefined) rmSync(outDir, { recursive: true, force: true });
  return [library, commandLine(outDir)];
});

const common: Options = {
  target: 'node20',
  removeNodeProtocol: false,
  // Errors are still printed; the list of files would bury what `npm start` has to say.
  silent: true,
};

const sourcesOf = (files: readonly string[]) =>
  Object.fromEntries(files.map((file) => [file, `src/${file}.ts`]));

const library: Options = {
  ...common,
  entry: sourcesOf([...ENTRIES, ...PARTS]),
  format: ['esm', 'cjs'],
  splitting: true,
  dts: { entry: sourcesOf(ENTRIES) },
  // Code is shipped with its names and lines, so that a stack can be read. Source maps with the sources would double the package.
  sourcemap: false,
  // Without it, tsup makes CommonJS chunks by a tool that rewrites `?.` into a closure and class fields into methods.
  // A chunk that is only imported for its side effects is left out: no file has any, and bundlers warn of such imports.
  treeshake: { moduleSideEffects: 'no-external' },
  esbuildPlugins: [
    {
      name: 'index-exports-parts',
      setup(build) {
        const extension = build.initialOptions.outExtension?.['.js'] ?? '.js';
        build.onResolve({ filter: /^\./ }, ({ path: file, importer }) =>
          path.relative('src', importer) === 'index.ts' && PARTS.some((part) => file === `./${part}.js`)
            ? { path: file.replace(/\.js$/, extension), external: true, sideEffects: false }
            : undefined,
        );
      },
    },
  ],
};

/** tsup builds in whatever is not a peer: the package needs no dependency at run time. */
function commandLine(outDir: string): Options {
  return {
    ...common,
    entry: Object.fromEntries(PROGRAMS.map((file) => [`cli/${nameOf(file)}`, `src/cli/${file}.ts`])),
    format: ['esm'],
    // One file for each: to find and read another one takes Node longer than to read some code twice.
    splitting: false,
    // CommonJS packages that are built in ask for Node's own modules by `require`.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    esbuildOptions(options) {
      // Node has less to read at each start. Names stay, and lines are short enough that a stack says where it was.
      options.minifyWhitespace = true;
      options.lineLimit = 120;
    },
    plugins: [
      {
        name: 'executable',
        renderChunk(code, info) {
          if (path.basename(info.path) !== 'main.js') return undefined;
          info.mode = 0o755;
          return { code: code.startsWith('#!') ? code : `#!/usr/bin/env node\n${code}` };
        },
      },
    ],
    esbuildPlugins: [
      {
        name: 'programs',
        setup(build) {
          build.onResolve({ filter: /^\..*\.js$/ }, ({ path: file, kind }) => {
            const name = nameOf(file);
            const isProgram =
              kind === 'dynamic-import' && PROGRAMS.some((program) => nameOf(program) === name);
            return isProgram ? { path: `./${name}.js`, external: true } : undefined;
          });
        },
      },
      {
        name: 'third-party-licences',
        setup(build) {
          build.onEnd(async ({ metafile }) => {
            if (metafile === undefined) return;
            const file = path.join(outDir, NOTICE);
            await mkdir(path.dirname(file), { recursive: true });
            await writeFile(file, licenceNotice(Object.keys(metafile.inputs)));
          });
        },
      },
    ],
  };
}

/** The licence of every package that one of `inputs` belongs to. */
function licenceNotice(inputs: readonly string[]): string {
  const folders = new Set<string>();
  for (const input of inputs) {
    const folder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0];
    if (folder !== undefined) folders.add(folder);
  }
  const notices = [...folders].map((folder) => {
    const manifest = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as {
      name: string;
      version: string;
      license?: string;
    };
    const file = readdirSync(folder).find((name) => /^(licen[cs]e|copying)/i.test(name));
    if (file === undefined) throw new Error(`${manifest.name} has no licence file, and is built in`);
    const text = readFileSync(path.join(folder, file), 'utf8').trim();
    return `${manifest.name} ${manifest.version} (${manifest.license ?? 'see below'})\n\n${text}\n`;
  });
  const rule = `\n${'-'.repeat(80)}\n\n`;
  return ['The command line of Spillway contains these packages.\n', ...notices.sort()].join(rule);
}
