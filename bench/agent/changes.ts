// The same change of a 2 GiB image, 1 % and 10 % of it in random writes of 4 to 64 KiB, found, made into a log and applied to
// a copy of the old state: with a scan against stored digests, and with a tracker that knows the changes; beside what else does
// it (peers.ts), in turns. Files are in the page cache. Nobody waits until the copy is on the disk, except that our log is always
// made durable, which no peer does.
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { writeDeltaLog } from '../../agent/deltaLog.ts';
import { totalsOfExtents, joinExtents } from '../../agent/extents.ts';
import { unreadExtents } from '../../agent/unreadExtents.ts';
import { openFileSource } from '../../agent/fileSource.ts';
import { joinGaps } from '../../agent/track/joinGaps.ts';
import { restingDisks } from '../../agent/track/restingDisks.ts';
import { ScanTracker } from '../../agent/track/scan/tracker.ts';
import { applyToFile } from '../../cli/hrl/applyToFile.ts';
import type { RandomAccessSource } from '../../lib/disk/source.ts';
import { readHrl } from '../../lib/hrl/reader.ts';
import { planMerge } from '../../lib/merge/plan.ts';
import type { ByteRange } from '../../lib/storage/ports.ts';
import { randomChanges } from '../generatedChanges.ts';
import { diskBytes, makeImages, syncFile, timed, touchFreeMemory } from '../hrl/images.ts';
import { median, type Measurement } from '../measurements.ts';
import { findPeers, type Peer, type PeerFiles } from './peers.ts';

const run = promisify(execFile);
const rounds = 3;

interface Files extends PeerFiles {
  /** The source: first the old state, then the new one. */
  source: string;
  log: string;
}

/** Makes the log and applies it; returns its size. */
async function shipLog(
  { log, target }: Files,
  source: RandomAccessSource,
  extents: readonly ByteRange[],
): Promise<number> {
  const joined = joinGaps(extents);
  const made = await writeDeltaLog(log, unreadExtents(source, joined), {
    ...{ uniqueId: randomUUID(), createdAt: new Date(), expected: totalsOfExtents(joined), replace: true },
  });
  await using file = await openFileSource(log);
  const handle = await open(target, 'r+');
  await applyToFile({
    source: file,
    segments: planMerge((await readHrl(file)).entries),
    handle,
    isUnsynced: true,
  });
  await handle.close();
  return made.sizeBytes;
}

interface Way {
  name: string;
  work: () => Promise<number>;
  rivalOf?: Peer['rivalOf'];
  /** Of each round. */
  seconds: number[];
  shippedBytes: number;
}

/** Ratios of the same round, so that a machine that gets busier in between changes nothing. */
const ratioOf = (way: Way, ours: Way): number =>
  median(way.seconds.map((seconds, round) => seconds / (ours.seconds[round] ?? Number.NaN)));

/** Every way on the same change; every result is compared with the new state. */
async function measureWays(
  files: Files,
  ways: readonly Way[],
  progress: (line: string) => void,
): Promise<void> {
  for (let round = 0; round < rounds; round++)
    for (const way of ways) {
      progress(`${way.name}, ${round + 1} of ${rounds}`);
      copyFileSync(files.base, files.target);
      await syncFile(files.target);
      await touchFreeMemory(files.folder);
      way.seconds.push(await timed(async () => void (way.shippedBytes = await way.work())));
      await run('cmp', [files.target, files.changed]);
    }
}

/** Seconds and shipped bytes of every way, for one ratio of changes. */
async function measureRatio(
  files: Files,
  percent: number,
  progress: (line: string) => void,
): Promise<Measurement[]> {
  const { source, base, changed, folder } = files;
  const changes = joinExtents(randomChanges(diskBytes, (diskBytes * percent) / 100, percent));
  const changedBytes = changes.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  progress(`${percent} %: making two images of 2 GiB, and the digests of the old one`);
  await makeImages(files, changes);
  copyFileSync(base, source);
  await using tracker = new ScanTracker({
    folder: join(folder, `scan-${percent}`),
    views: restingDisks([{ disk: 'os', location: source, format: 'raw' }]),
  });
  const first = await tracker.freeze({});
  await first.confirm();
  copyFileSync(changed, source);
  const findSeconds: number[] = [];
  const byScan = async (): Promise<number> => {
    const startedAt = performance.now();
    const cycle = await tracker.freeze({ since: first.reference });
    findSeconds.push((performance.now() - startedAt) / 1000);
    const [disk] = cycle.disks;
    const bytes = disk ? await shipLog(files, disk.reader, disk.extents) : 0;
    await cycle.abort();
    return bytes;
  };
  const byTracker = async (): Promise<number> => {
    await using file = await openFileSource(source);
    return await shipLog(files, file, changes);
  };
  const empty = () => ({ seconds: [], shippedBytes: 0 });
  const scan: Way = { name: 'scan', work: byScan, ...empty() };
  const tracked: Way = { name: 'tracked', work: byTracker, ...empty() };
  const ways = [scan, tracked];
  for (const { name, rivalOf, prepare, work } of await findPeers()) {
    await prepare?.(files);
    ways.push({ name, rivalOf, work: () => work(files), ...empty() });
  }
  await measureWays(files, ways, (line) => progress(`${percent} %: ${line}`));
  const told = (way: Way): string => {
    const shipped = `ships ${(way.shippedBytes / changedBytes).toFixed(3)}× the changed blocks`;
    const rivals = [scan, tracked].filter(({ name }) => way.rivalOf === 'both' || way.rivalOf === name);
    const ratios = rivals.map((ours) => `${ours.name} is ${ratioOf(way, ours).toFixed(1)}× as fast`);
    return [shipped, ...ratios].join('; ');
  };
  const finding: Measurement = {
    what: `${percent} % changed: finding the changes by a scan`,
    value: diskBytes / 2 ** 30 / median(findSeconds),
    unit: 'GiB/s',
    detail: 'two threads; reads the image whole, compares with the digests, and writes the new ones',
  };
  const measured = ways.map((way) => ({
    what: `${percent} % changed: ${way.name}`,
    value: median(way.seconds),
    unit: 's',
    detail: told(way),
  }));
  return [finding, ...measured];
}

export async function benchChanges(progress: (line: string) => void): Promise<Measurement[]> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-agent-'));
  const at = (name: string): string => join(folder, name);
  const files: Files = {
    ...{ folder, source: at('source.raw'), base: at('base.raw'), changed: at('changed.raw') },
    ...{ target: at('target.raw'), log: at('cycle.hrl') },
  };
  try {
    return [...(await measureRatio(files, 1, progress)), ...(await measureRatio(files, 10, progress))];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
