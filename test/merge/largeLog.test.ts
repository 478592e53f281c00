// A log much larger than memory allows to hold: 3 GiB, computed as it is read. Memory is asserted; time is only printed.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

/** Runs the program alone in a process. */
function runAlone(...args: string[]): unknown {
  const output = execFileSync(process.execPath, [program, ...args], { encoding: 'utf8' });
  console.log(output);
  return JSON.parse(output);
}

it(
  '3 GiB are verified, planned and applied in bounded memory, every newest sector lands once',
  { timeout: 180_000 },
  () => {
    const report = runAlone() as Report;
    expect(report.sizeBytes).toBeGreaterThan(3 * gib);
    expect(report.keptBytes).toBe(56 * 1024 ** 2);
    // As much as there is room for; where files are in memory there is none.
    expect(report.spooledBytes).toBeLessThanOrEqual(gib);
    expect(report.landedBytes).toBe(report.liveBytes);
    expect(report.liveBytes).toBe(150_001 * 16_384);
    expect(report.result).toMatchObject({ writtenBytes: report.liveBytes, clearedBytes: 0 });
    expect(report.peakMiB).toBeLessThan(256);
    expect(report.planMillionMiB).toBeLessThan(300);
    expect(report.planMillionSegments).toBeGreaterThan(900_000);
  },
);

it('six logs merged at once hold together no more than one may', { timeout: 180_000 }, () => {
  const report = runAlone('many') as { manyWrittenBytes: number; manyPeakMiB: number };
  expect(report.manyWrittenBytes).toBe(6 * 130 * 127 * 16_384);
  expect(report.manyPeakMiB).toBeLessThan(256);
});
