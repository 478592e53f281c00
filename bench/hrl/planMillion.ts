// A million random, overlapping writes: how long planning takes, and how much memory.
import { allocateEntries, type HrlEntries } from '../../lib/hrl/entries.ts';
import { planMerge } from '../../lib/merge/plan.ts';
import { randomSource } from '../generatedChanges.ts';
import { median, type Measurement } from '../measurements.ts';

const entryCount = 1_000_000;
const roundCount = 5;

export function benchPlan(progress: (line: string) => void): Measurement[] {
  progress('planning a million writes');
  const entries = randomEntries();
  const seconds: number[] = [];
  const memoryMiB: number[] = [];
  for (let round = 0; round < roundCount; round++) {
    const before = process.memoryUsage.rss();
    const startedAt = performance.now();
    planMerge(entries);
    seconds.push((performance.now() - startedAt) / 1000);
    memoryMiB.push((process.memoryUsage.rss() - before) / 2 ** 20);
  }
  const detail = `median of ${roundCount}, writes of 512 B to 64 KiB all over 64 GiB`;
  return [
    { what: 'plan of 1 M writes', value: median(seconds), unit: 's', detail },
    {
      what: 'plan of 1 M writes, memory',
      value: Math.max(...memoryMiB),
      unit: 'MiB',
      detail: 'largest growth of the process',
    },
  ];
}

function randomEntries(): HrlEntries {
  const random = randomSource(12_345);
  const entries = allocateEntries(entryCount);
  let dataOffset = 8192;
  for (let index = 0; index < entryCount; index++) {
    const length = (1 + random(128)) * 512;
    entries.diskOffsets[index] = random(2 ** 27) * 512;
    entries.lengths[index] = length;
    entries.dataOffsets[index] = dataOffset;
    dataOffset += length;
  }
  return entries;
}
