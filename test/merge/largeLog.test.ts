// A log much larger than memory allows to hold: 3 GiB, computed as it is read. Memory is asserted; time is only printed.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, it } from 'vitest';

const gib = 1024 ** 3;
/** What largeLogRun.ts prints. */
interface Report {
  sizeBytes: number;
  liveBytes: number;
  keptBytes: number;
  spooledBytes: number;
  landedBytes: number;
  result: { writtenBytes: number; clearedBytes: number; readBytes: number };
  peakMiB: number;
  planMillionMiB: number;
  planMillionSegments: number;
}

let folder = '';
let program = '';
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lifeboat-large-'));
  program = join(folder, 'largeLogRun.mjs');
  const entry = join(import.meta.dirname, 'largeLogRun.ts');
  await build({
    entryPoints: [entry],
    outfile: program,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
  });
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Runs the program alone in a process. This one goes on meanwhile: the test runner expects signs of life. */
async function runAlone(...args: string[]): Promise<unknown> {
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...args]);
  console.log(stdout);
  return JSON.parse(stdout);
}

it(
  '3 GiB are verified, planned and applied in bounded memory, every newest sector lands once',
  { timeout: 180_000 },
  async () => {
    const report = (await runAlone()) as Report;
    expect(report.sizeBytes).toBeGreaterThan(3 * gib);
    expect(report.keptBytes).toBe(56 * 1024 ** 2);
    // None where the temporary folder is in memory.
    expect([0, 256 * 1024 ** 2]).toContain(report.spooledBytes);
    expect(report.landedBytes).toBe(report.liveBytes);
    expect(report.liveBytes).toBe(150_001 * 16_384);
    expect(report.result).toMatchObject({ writtenBytes: report.liveBytes, clearedBytes: 0 });
    expect(report.peakMiB).toBeLessThan(256);
    expect(report.planMillionMiB).toBeLessThan(300);
    expect(report.planMillionSegments).toBeGreaterThan(900_000);
  },
);

it('six logs merged at once hold together no more than one may', { timeout: 180_000 }, async () => {
  const report = (await runAlone('many')) as { manyWrittenBytes: number; manyPeakMiB: number };
  expect(report.manyWrittenBytes).toBe(6 * 130 * 127 * 16_384);
  expect(report.manyPeakMiB).toBeLessThan(256);
});
