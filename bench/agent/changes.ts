// The same change of a 2 GiB image, 1 % and 10 % of it in random writes of 4 to 64 KiB, found, made into a delta and applied to
// a copy of the old state: with a scan against stored digests, with a tracker that knows the changes, with rsync, with rdiff
// (signature, delta, patch), and by copying everything with qemu-img convert. Files are in the page cache; nobody waits until
// the copy is on the disk, except for our log, which is always made durable. Peers that are not installed are left out.
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { writeDeltaLog } from '../../agent/deltaLog.ts';
import { readExtents, totalsOfExtents, joinExtents } from '../../agent/extents.ts';
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
import { diskBytes, makeImages, syncFile, timed } from '../hrl/images.ts';
import { median, type Measurement } from '../measurements.ts';

const run = promisify(execFile);
const rounds = 3;

interface Files {
  folder: string;
  /** The source: first the old state, then the new one. */
  source: string;
  base: string;
  changed: string;
  target: string;
  log: string;
}

async function shipLog(
  { log, target }: Files,
  source: RandomAccessSource,
  extents: readonly ByteRange[],
): Promise<number> {
  const joined = joinGaps(extents);
  const made = await writeDeltaLog(log, readExtents(source, joined), {
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

async function succeeds(command: string): Promise<boolean> {
  return run(command, ['--version']).then(
    () => true,
    () => false,
  );
}

async function byRdiff({ folder, base, changed, target }: Files): Promise<number> {
  const [signature, delta] = [join(folder, 'signature'), join(folder, 'delta')];
  for (const path of [signature, delta, target]) rmSync(path, { force: true });
  await run('rdiff', ['signature', base, signature]);
  await run('rdiff', ['delta', signature, changed, delta]);
  await run('rdiff', ['patch', base, delta, target]);
  return statSync(delta).size;
}

async function byRsync({ changed, target }: Files): Promise<number> {
  const { stdout } = await run('rsync', [
    '--inplace',
    '--no-whole-file',
    '--ignore-times',
    '--stats',
    changed,
    target,
  ]);
  return Number(/Total bytes sent: ([\d,]+)/.exec(stdout)?.[1]?.replaceAll(',', '') ?? Number.NaN);
}

type Way = 'scan' | 'tracked' | 'rsync' | 'rdiff' | 'qemu-img convert';

/** Seconds and shipped bytes of every way, for one ratio of changes. */
async function measureRatio(
  files: Files,
  percent: number,
  progress: (line: string) => void,
): Promise<Measurement[]> {
  const { source, base, changed, target, folder } = files;
  const changes = joinExtents(randomChanges(diskBytes, (diskBytes * percent) / 100, percent));
  const changedBytes = changes.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  progress(`${percent} %: making two images of 2 GiB, and the digests of the old one`);
  await makeImages(files, changes);
  copyFileSync(base, source);
  const scanFolder = join(folder, `scan-${percent}`);
  await using tracker = new ScanTracker({
    folder: scanFolder,
    views: restingDisks([{ disk: 'os', location: source, format: 'raw' }]),
  });
  const first = await tracker.freeze({});
  await first.confirm();
  copyFileSync(changed, source);
  const byScan = async (): Promise<number> => {
    const cycle = await tracker.freeze({ since: first.reference });
    const [disk] = cycle.disks;
    const bytes = disk ? await shipLog(files, disk.reader, disk.extents) : 0;
    await cycle.abort();
    return bytes;
  };
  const byTracker = async (): Promise<number> => {
    await using file = await openFileSource(source);
    return await shipLog(files, file, changes);
  };
  const ways: [Way, () => Promise<number>][] = [
    ['scan', byScan],
    ['tracked', byTracker],
  ];
  if (await succeeds('rsync')) ways.push(['rsync', () => byRsync(files)]);
  if (await succeeds('rdiff')) ways.push(['rdiff', () => byRdiff(files)]);
  if (await succeeds('qemu-img'))
    ways.push([
      'qemu-img convert',
      async () => {
        await run('qemu-img', ['convert', '-f', 'raw', '-O', 'raw', changed, target]);
        return diskBytes;
      },
    ]);
  const seconds = new Map<Way, number[]>(ways.map(([way]) => [way, []]));
  const shipped = new Map<Way, number>();
  for (let round = 0; round < rounds; round++)
    for (const [way, work] of ways) {
      progress(`${percent} %: ${way}, ${round + 1} of ${rounds}`);
      copyFileSync(base, target);
      await syncFile(target);
      seconds.get(way)?.push(await timed(async () => void shipped.set(way, await work())));
      await run('cmp', [target, changed]);
    }
  return ways.map(([way]) => {
    const own = median(seconds.get(way) ?? []);
    const ratios = (['scan', 'tracked'] as const)
      .filter((ours) => ours !== way)
      .map((ours) => `${ours} is ${(own / median(seconds.get(ours) ?? [])).toFixed(1)}× as fast`);
    const bytes = ((shipped.get(way) ?? 0) / changedBytes).toFixed(2);
    return {
      what: `${percent} % changed: ${way}`,
      value: own,
      unit: 's',
      detail: `ships ${bytes}× the changed bytes; ${ratios.join(', ')}`,
    };
  });
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
