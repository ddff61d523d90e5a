import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Any rejection or exception that no test awaited fails the run: the library promises that there are none.
    dangerouslyIgnoreUnhandledErrors: false,
  },
});
