import { defineConfig } from 'vitest/config';
import LongFirst from './test/support/longFirst.ts';

/** Folders whose tests start hosts, emulators and guests: each file in a process of its own. */
const withProcesses = ['host', 'durable', 'conformance', 'contract', 'e2e', 'qemu', 'cli', 'sdk', 'package'];
const processFiles = withProcesses.map((folder) => `test/${folder}/**/*.test.ts`);

export default defineConfig({
  test: {
    globalSetup: ['./test/support/builtPrograms.ts'],
    setupFiles: ['./test/support/eventLoop.ts'],
    reporters: ['default', './test/support/summaryReporter.ts'],
    sequence: { sequencer: LongFirst },
    // On a machine that has other work: nothing that comes late is a failure.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
    coverage: { provider: 'v8', include: ['lib/hrl/**', 'lib/merge/**'], reporter: ['text'] },
    // Both kinds run at the same time: one computes while the other waits.
    poolOptions: {
      forks: { maxForks: 2, minForks: 1 },
      threads: { maxThreads: 1, minThreads: 1, isolate: false },
    },
    projects: [
      { extends: true, test: { name: 'processes', pool: 'forks', include: processFiles } },
      {
        extends: true,
        // One thread that loads every module once. No file leaves anything to the next one.
        test: { name: 'pure', pool: 'threads', include: ['test/**/*.test.ts'], exclude: processFiles },
      },
    ],
  },
});
