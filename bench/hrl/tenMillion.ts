// A log of ten million writes, as the command sees it: how long checking, inspecting, applying and merging take, and the most
// memory of the process. Needs about 10 GiB where temporary files go.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeDeltaLog } from '../../agent/deltaLog.ts';
import type { HrlWrite } from '../../lib/hrl/writer.ts';
import { planMerge } from '../../lib/merge/plan.ts';
import { chooseOrder } from '../../lib/merge/estimate.ts';
import { defaultWindowBytes } from '../../lib/merge/windows.ts';
import { openFileSource } from '../../agent/fileSource.ts';
import { readHrl } from '../../lib/hrl/reader.ts';
import { randomSource } from '../generatedChanges.ts';
import type { BenchGroup, Measurement } from '../measurements.ts';
import { findCpuSeconds, findPeakMemoryMiB } from '../processStats.ts';

const entryCount = 10_000_000;
const diskBytes = 2 * 2 ** 30;
const pollMs = 50;
const program = join('dist', 'cli', 'lifeboat.mjs');

export const largeLogBench: BenchGroup = {
  what: 'a log of ten million writes of 512 bytes: verify, inspect, apply, merge (10 GiB; only when it is named)',
  isOnRequest: true,
  async run(progress) {
    const folder = mkdtempSync(join(tmpdir(), 'bench-log-'));
    try {
      return await benchLog(folder, progress);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

async function benchLog(folder: string, progress: (line: string) => void): Promise<Measurement[]> {
  const [log, image, merged] = ['log.hrl', 'disk.raw', 'merged.hrl'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  progress('writing the log');
  await writeDeltaLog(log, randomWrites(), {
    uniqueId: '10000000-0000-4000-8000-000000000000',
    createdAt: new Date('2026-05-01T00:00:00Z'),
  });
  const detail = `${entryCount} writes of 512 B all over 2 GiB, log of ${(statSync(log).size / 2 ** 30).toFixed(2)} GiB`;
  const measured = [...(await benchPlanning(log, progress, detail))];
  for (const [what, args] of [
    ['verify', ['verify', log]],
    ['inspect', ['inspect', log]],
    ['apply', ['apply', log, image, '--size', String(diskBytes)]],
    ['merge', ['merge', merged, log]],
  ] as const) {
    progress(`lifeboat hrl ${what}`);
    const { seconds, cpuSeconds, peakMiB } = await runCommand(['hrl', ...args]);
    measured.push({ what: `hrl ${what}`, value: seconds, unit: 's', detail });
    if (cpuSeconds !== undefined)
      measured.push({ what: `hrl ${what}, processor`, value: cpuSeconds, unit: 's', detail: 'all threads' });
    if (peakMiB !== undefined)
      measured.push({
        what: `hrl ${what}, memory`,
        value: peakMiB,
        unit: 'MiB',
        detail: 'most of the process',
      });
  }
  return measured;
}

async function* randomWrites(): AsyncGenerator<HrlWrite> {
  const random = randomSource(20_260_501);
  const data = new Uint8Array(512);
  for (let index = 0; index < entryCount; index++) {
    data.fill(1 + (index % 255));
    yield { diskOffset: random(diskBytes / 512) * 512, data };
  }
}

/** What a merge does before it reads a byte of data. */
async function benchPlanning(
  log: string,
  progress: (line: string) => void,
  detail: string,
): Promise<Measurement[]> {
  progress('planning');
  await using source = await openFileSource(log);
  const seconds = async <T>(work: () => T | Promise<T>): Promise<[T, number]> => {
    const startedAt = performance.now();
    const result = await work();
    return [result, (performance.now() - startedAt) / 1000];
  };
  const [{ entries }, readSeconds] = await seconds(() => readHrl(source));
  const [segments, planSeconds] = await seconds(() => planMerge(entries));
  const [order, orderSeconds] = await seconds(() => chooseOrder(segments, defaultWindowBytes));
  return [
    { what: 'read the metadata', value: readSeconds, unit: 's', detail },
    { what: 'plan', value: planSeconds, unit: 's', detail: `${segments.count} segments` },
    { what: 'choose the order', value: orderSeconds, unit: 's', detail: `that of the ${order}` },
  ];
}

interface CommandRun {
  seconds: number;
  cpuSeconds: number | undefined;
  peakMiB: number | undefined;
}

async function runCommand(args: string[]): Promise<CommandRun> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
  let cpuSeconds: number | undefined;
  let peakMiB: number | undefined;
  const poll = setInterval(() => {
    // The last look before the end counts: the kernel remembers the most.
    const pid = child.pid ?? 0;
    peakMiB = findPeakMemoryMiB(pid) ?? peakMiB;
    if (peakMiB !== undefined) cpuSeconds = Math.max(findCpuSeconds(pid) ?? 0, cpuSeconds ?? 0);
  }, pollMs);
  const [exitCode] = (await once(child, 'exit')) as [number | null];
  clearInterval(poll);
  if (exitCode !== 0) throw new Error(`lifeboat ${args.join(' ')} ended with ${exitCode}`);
  return { seconds: (performance.now() - startedAt) / 1000, cpuSeconds, peakMiB };
}
