import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { transformSync } from 'esbuild';
import { minify_sync } from 'terser';
import { defineConfig, type Options } from 'tsup';

type Plugin = NonNullable<Options['esbuildPlugins']>[number];

/** What users import. */
const ENTRIES = ['index', 'postgres/index', 'jetstream/index', 'opentelemetry/index', 'report/index'];
/** Built as CommonJS only, to be small. What it imports is CommonJS, too. With the names of its exports. */
const WRAPPED: Readonly<Record<string, string>> = {
  'postgres/index': 'copyInto, consumeLog, CopyError, LogError',
  'jetstream/index': 'jetStreamLog, LogError',
  'opentelemetry/index': 'instrument',
  'report/index': 'createReport',
};

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

/** Whose names stay as they are written, in stacks and to debuggers. */
const CORE = ['index', ...PARTS];

/** An entry that is built by itself, with the program that makes such pages. */
const REPORT = 'report/index';
/** The programs that are built together with the library, and share its code. */
const SHARING = ['load-command', 'query/query', 'import-module'];
/** It takes what it shares from the program of `load`, and from the library. As an entry of theirs, it would cut their code into more files. */
const CONSUME = 'consume-command';
/** CommonJS that shares nothing: few files start sooner, and to share so little would make the package larger. */
const STARTING = ['main', 'program'];
/** Built with `report/index`, and shares its code. Built with the library, it would divide that into more files, which take time to load. */
const REPORTING = ['report/load-report', 'report/consume-report'];
/** What is loaded by itself: the command line, and what it loads when it is needed. */
const PROGRAMS = [
  ...STARTING,
  ...SHARING,
  CONSUME,
  ...REPORTING,
  'server/embedded/embedded-server',
  'live/live-view',
];

/** All programs stand side by side in `dist/cli`. */
const nameOf = (file: string): string => path.basename(file, '.js');

/** Characters. Lines are short enough that a stack says where it was. */
const LINE_LIMIT = 500;

const VERSION = (JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version;

const NOTICE = 'cli/THIRD-PARTY-LICENSES.txt';

// A function, so that cleaning is done once and before all builds: tsup runs them side by side.
export default defineConfig((flags) => {
  const outDir = flags.outDir ?? 'dist';
  if (flags.outDir === undefined) rmSync(outDir, { recursive: true, force: true });
  const licences = licencesIn(outDir);
  return [
    esModules(outDir),
    commonJs(outDir, licences),
    consume(licences),
    reports(outDir, licences),
    start(outDir, licences),
    commandLine(licences),
  ];
});

const common: Options = {
  target: 'node20',
  removeNodeProtocol: false,
  // Errors are still printed; the list of files would bury what `npm start` has to say.
  silent: true,
  esbuildOptions(options) {
    // Less to download, and less for Node to read. Names stay.
    options.minifyWhitespace = true;
    options.minifySyntax = true;
    options.lineLimit = LINE_LIMIT;
    options.define = { ...options.define, 'process.env.SPILLWAY_VERSION': JSON.stringify(VERSION) };
  },
};

/** A program. */
const alone: Options = {
  ...common,
  // One file for each: to find and read another one takes Node longer than to read some code twice.
  splitting: false,
};

const sourcesOf = (files: readonly string[]) =>
  Object.fromEntries(files.map((file) => [file, `src/${file}.ts`]));

const programsOf = (files: readonly string[]) =>
  Object.fromEntries(files.map((file) => [`cli/${nameOf(file)}`, `src/cli/${file}.ts`]));

/** A program that another one loads is a file of its own. Chunks in `dist` load it, too: `imports` of package.json says where it stands. */
const programs: Plugin = {
  name: 'programs',
  setup(build) {
    build.onResolve({ filter: /^\..*\.js$/ }, ({ path: file, kind }) => {
      const name = nameOf(file);
      const isProgram = kind === 'dynamic-import' && PROGRAMS.some((program) => nameOf(program) === name);
      return isProgram ? { path: `#cli/${name}`, external: true } : undefined;
    });
  },
};

/** commander starts programs for commands that are files of their own. We have none, and `node:child_process` takes 3 ms to load. */
const withoutSubprocesses: Plugin = {
  name: 'without-subprocesses',
  setup(build) {
    const namespace = 'without-subprocesses';
    build.onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      importer.includes('/node_modules/commander/') ? { path: 'empty', namespace } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace }, () => ({ contents: 'module.exports = {};' }));
  },
};

const libraryPlugins: Plugin[] = [
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
];

const library: Options = {
  ...common,
  splitting: true,
  // With the sources in them, source maps would double the package; without, they would point to files that are not shipped.
  sourcemap: false,
  // A chunk that is only imported for its side effects is left out: no file has any, and bundlers warn of such imports.
  treeshake: { moduleSideEffects: 'no-external' },
};

function esModules(outDir: string): Options {
  // With the entry for PostgreSQL, the core is divided by what is used without the rest of it. Its wrapper takes the place of the file.
  const built = ENTRIES.filter((entry) => WRAPPED[entry] === undefined || entry === 'postgres/index');
  const others = built.filter((entry) => !CORE.includes(entry));
  return {
    ...library,
    entry: sourcesOf([...built, ...PARTS]),
    format: ['esm'],
    plugins: [
      {
        name: 'short-names',
        // What `treeshake` has made comes after `renderChunk`.
        buildEnd({ writtenFiles }) {
          for (const { name: file } of writtenFiles) {
            const isOther = others.some((name) => path.resolve(outDir, `${name}.js`) === path.resolve(file));
            const code = readFileSync(file, 'utf8');
            writeFileSync(file, isOther ? withShortNames(code, 'esm') : withNames(code, 'esm'));
          }
        },
      },
    ],
    onSuccess: () => {
      writeTypes(outDir);
      for (const [entry, names] of Object.entries(WRAPPED))
        writeFileSync(
          path.join(outDir, `${entry}.js`),
          `import entry from './${path.basename(entry)}.cjs';\nexport const { ${names} } = entry;\n`,
        );
      return Promise.resolve();
    },
    esbuildPlugins: libraryPlugins,
  };
}

/** The types of ES modules are those of CommonJS: twice in the package, they would be a twentieth of it. */
function writeTypes(outDir: string): void {
  for (const entry of ENTRIES) {
    const file = path.join(outDir, entry);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(`${file}.d.ts`, `export * from './${path.basename(entry)}.cjs';\n`);
  }
}

/**
 * CommonJS, and `spillway load`, which shares its code: twice in the package, it would be a quarter of it. As CommonJS it starts sooner than as
 * ES modules, whose files Node reads and links one by one.
 */
function commonJs(outDir: string, licences: Plugin): Options {
  const entries = ENTRIES.filter((entry) => entry !== REPORT);
  return {
    ...sharedCommonJs(outDir, licences),
    entry: { ...sourcesOf([...entries, ...PARTS]), ...programsOf(SHARING) },
    dts: { entry: sourcesOf(ENTRIES) },
  };
}

/** Alone, as it shares little. */
function reports(outDir: string, licences: Plugin): Options {
  return {
    ...sharedCommonJs(outDir, licences, withoutIndentation),
    entry: { ...sourcesOf([REPORT]), ...programsOf(REPORTING) },
  };
}

function sharedCommonJs(outDir: string, licences: Plugin, shorten = withShortNames): Options {
  return {
    ...library,
    format: ['cjs'],
    // Besides, without `treeshake`, tsup makes CommonJS chunks by a tool that rewrites `?.` into a closure and class fields into methods.
    plugins: [
      {
        name: 'dynamic-imports',
        renderChunk: (code) => ({ code: withoutDynamicImports(code) }),
        // What `treeshake` has made comes after the hook before.
        buildEnd({ writtenFiles }) {
          const files = new Map<string, string>();
          for (const { name } of writtenFiles) {
            if (!name.endsWith('.cjs')) continue;
            const code = readFileSync(name, 'utf8');
            files.set(path.resolve(name), code.replace(CHUNKS, 'Promise.resolve().then(()=>require($1))'));
          }
          const shared = sharedBy(
            [...files.keys()].filter((file) => isOfCore(file, outDir)),
            files,
          );
          for (const [file, code] of files)
            writeFileSync(file, shared.has(file) ? withNames(code, 'cjs') : shorten(code, 'cjs'));
        },
      },
    ],
    esbuildPlugins: [...libraryPlugins, programs, licences],
  };
}

/** Our own CommonJS, such packages and Node's modules are required: to import them, Node reads them twice. The others by a file of their own. */
const REQUIRED =
  /\bimport\("(pg|pg-copy-streams|@nats-io\/[\w-]+|node:[^"]+|\.\.\/jetstream\/index\.cjs|#cli\/(?:program|load-command|load-report|consume-report|consume-command|query))"\)/g;
const IMPORTED = /\bimport\("([^."][^"]*)"\)/g;
const isOfCore = (file: string, outDir: string): boolean =>
  CORE.some((entry) => file === path.resolve(outDir, `${entry}.cjs`));

/** Returns the files, and all that they require of the others. */
function sharedBy(entries: readonly string[], files: ReadonlyMap<string, string>): Set<string> {
  const shared = new Set(entries);
  for (const file of shared) {
    for (const [, required] of files.get(file)!.matchAll(/\brequire\(['"](\.[^'"]+)['"]\)/g)) {
      const found = path.resolve(path.dirname(file), required!);
      if (files.has(found)) shared.add(found);
    }
  }
  return shared;
}

/**
 * Code outside of the core: short names make it smaller by a tenth. Exports and the names of errors stay. esbuild gives frequent names to what is
 * frequent, and terser makes a twentieth less of it.
 */
function withShortNames(code: string, format: 'cjs' | 'esm'): string {
  const { code: short } = transformSync(code, { minify: true, format, platform: 'node', target: 'node20' });
  return compressed(short, format, false);
}

/** For code whose templates are HTML: white space at the beginning of their lines has no meaning. */
const withoutIndentation: typeof withShortNames = (code, format) =>
  withShortNames(code, format).replace(/\n +/g, '\n');

/** The core keeps the names of its functions and classes, so that a stack can be read. */
const withNames = (code: string, format: 'cjs' | 'esm'): string => compressed(code, format, true);

function compressed(code: string, format: 'cjs' | 'esm', keepsNames: boolean): string {
  return minify_sync(code, {
    module: format === 'esm',
    toplevel: true,
    ecma: 2020,
    keep_fnames: keepsNames,
    keep_classnames: keepsNames,
    // A function that is moved into the one place that calls it would be made again at each call.
    compress: { ecma: 2020, passes: 3, inline: false, reduce_funcs: false },
    // Bundlers need the annotations, to drop what is not used.
    format: { max_line_len: LINE_LIMIT, preserve_annotations: true },
  }).code!;
}

/** Of our own chunks. */
const CHUNKS = /\bimport\(('\.\.?\/[^']+\.cjs')\)/g;

function withoutDynamicImports(code: string): string {
  return code
    .replace(REQUIRED, (_, name: string) => {
      const module = `require("${name}")`;
      return `Promise.resolve().then(()=>(${/^(?:node:|[#@.])/.test(name) ? module : `{default:${module}}`}))`;
    })
    .replace(IMPORTED, 'require("#cli/import-module").importModule("$1")');
}

/** What `bin` names, and what it loads. */
function start(outDir: string, licences: Plugin): Options {
  return {
    ...alone,
    entry: programsOf(STARTING),
    format: ['cjs'],
    onSuccess: () => {
      // Scripts name the file as it was called while it was an ES module.
      writeFileSync(path.join(outDir, 'cli/main.js'), "#!/usr/bin/env node\nimport './main.cjs';\n", {
        mode: 0o755,
      });
      return Promise.resolve();
    },
    plugins: [
      {
        name: 'executable',
        renderChunk(code, info) {
          if (path.basename(info.path) === 'main.cjs') info.mode = 0o755;
          return { code: withShortNames(withoutDynamicImports(code), 'cjs') };
        },
      },
    ],
    esbuildPlugins: [programs, licences, withoutSubprocesses],
  };
}

/** What `consume` takes from other programs, by its place in `src`. */
const TAKEN: Readonly<Record<string, string>> = {
  'cli/load/parts': '#cli/load-command',
  'postgres/index': '../postgres/index.cjs',
  'jetstream/index': '../jetstream/index.cjs',
};

const taken: Plugin = {
  name: 'taken',
  setup(build) {
    build.onResolve({ filter: /^\..*\.js$/ }, ({ path: file, resolveDir }) => {
      const place = path.relative('src', path.join(resolveDir, file)).replace(/\.js$/, '');
      return TAKEN[place] === undefined ? undefined : { path: TAKEN[place], external: true };
    });
  },
};

function consume(licences: Plugin): Options {
  return {
    ...alone,
    entry: programsOf([CONSUME]),
    format: ['cjs'],
    plugins: [
      {
        name: 'short-names',
        renderChunk: (code) => ({ code: withShortNames(withoutDynamicImports(code), 'cjs') }),
      },
    ],
    esbuildPlugins: [taken, licences],
  };
}

/** The other programs. tsup builds in whatever is not a peer: the package needs no dependency at run time. */
function commandLine(licences: Plugin): Options {
  return {
    ...alone,
    entry: programsOf(
      PROGRAMS.filter((file) => ![...STARTING, ...SHARING, CONSUME, ...REPORTING].includes(file)),
    ),
    format: ['esm'],
    // CommonJS packages that are built in ask for Node's own modules by `require`.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    plugins: [{ name: 'short-names', renderChunk: (code) => ({ code: withShortNames(code, 'esm') }) }],
    esbuildPlugins: [programs, licences],
  };
}

/** Writes the licences of all packages that the builds with this plugin have built in. */
function licencesIn(outDir: string): Plugin {
  const inputs = new Set<string>();
  return {
    name: 'third-party-licences',
    setup(build) {
      build.onEnd(({ metafile }) => {
        for (const input of Object.keys(metafile?.inputs ?? {})) inputs.add(input);
        const file = path.join(outDir, NOTICE);
        mkdirSync(path.dirname(file), { recursive: true });
        writeFileSync(file, licenceNotice([...inputs]));
      });
    },
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
