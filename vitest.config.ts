import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (file: string) => fileURLToPath(new URL(`./src/${file}`, import.meta.url));

/** A long campaign of random cases takes as long as it was asked for. */
const isCampaign = process.env['SPILLWAY_TEST_RUNS'] !== undefined;
const timeout = (usualMs: number) => (isCampaign ? 24 * 3_600_000 : usualMs);

export default defineConfig({
  // Tests and the README's examples may name the package as users do; they need no build.
  resolve: {
    alias: [
      { find: /^spillway$/, replacement: source('index.ts') },
      { find: /^spillway\/postgres$/, replacement: source('postgres/index.ts') },
      { find: /^spillway\/jetstream$/, replacement: source('jetstream/index.ts') },
      { find: /^spillway\/opentelemetry$/, replacement: source('opentelemetry/index.ts') },
      { find: /^spillway\/report$/, replacement: source('report/index.ts') },
    ],
  },
  test: {
    // Any rejection or exception that no test awaited fails the run: the library promises that there are none.
    dangerouslyIgnoreUnhandledErrors: false,
    pool: 'forks',
    setupFiles: [fileURLToPath(new URL('./test/support/assert-ledger.ts', import.meta.url))],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/{unit,property,simulator,soak}/**/*.test.ts'],
          // Only what hangs takes as long, on any machine.
          testTimeout: timeout(120_000),
          // The default leaves one processor free, which is half of a small machine.
          maxWorkers: '100%',
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'server',
          include: ['test/{integration,fault,recipes}/**/*.test.ts'],
          exclude: ['test/fault/slow/**'],
          testTimeout: timeout(180_000),
          hookTimeout: 180_000,
          // Most of these files start a server of their own: two at a time, and after the others.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          // Real faults that take their time: servers that go down, disks that fill up, many kills.
          name: 'faults',
          include: ['test/fault/slow/**/*.test.ts'],
          testTimeout: timeout(180_000),
          hookTimeout: 60_000,
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          // The package as it is built, on other runtimes. It installs from the registry, and so is no part of `npm test`.
          name: 'packaging',
          include: ['test/packaging/**/*.test.ts'],
          globalSetup: ['test/packaging/setup.ts'],
          setupFiles: [],
          testTimeout: timeout(180_000),
          hookTimeout: 60_000,
          maxWorkers: 2,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
