import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import LongFirst from './test/support/longFirst.ts';
import { sharedFiles } from './test/support/sharedFiles.ts';

const shared = sharedFiles(join(import.meta.dirname, 'test'));

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: 'shared', include: shared, pool: 'threads' } },
      {
        extends: true,
        test: { name: 'alone', include: ['test/**/*.test.ts'], exclude: shared, pool: 'forks' },
      },
    ],
    globalSetup: ['./test/support/builtPrograms.ts'],
    setupFiles: ['./test/support/eventLoop.ts'],
    reporters: ['default', './test/support/summaryReporter.ts'],
    sequence: { sequencer: LongFirst },
    // On a machine that has other work: nothing that comes late is a failure.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
    coverage: {
      provider: 'v8',
      include: ['lib/hrl/**', 'lib/merge/**'],
      reporter: ['text'],
      // What a number in a log can make this code do has to be tried.
      thresholds: { 'lib/hrl/**': { branches: 95 }, 'lib/merge/**': { branches: 95 } },
    },
    poolOptions: {
      // The processes wait for programs that they started most of the time.
      threads: { isolate: false, maxThreads: 2, minThreads: 1 },
      forks: { maxForks: 2, minForks: 1 },
    },
  },
});
