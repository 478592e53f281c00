import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['./test/support/eventLoop.ts'],
    reporters: ['default', './test/support/summaryReporter.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    coverage: {
      provider: 'v8',
      include: ['lib/hrl/**', 'lib/merge/**'],
      reporter: ['text'],
      // What a number in a log can make this code do has to be tried.
      thresholds: { 'lib/hrl/**': { branches: 95 }, 'lib/merge/**': { branches: 95 } },
    },
    pool: 'forks',
    poolOptions: { forks: { maxForks: 2, minForks: 1 } },
  },
});
