// The same change of a 2 GiB disk, a tenth of it in random writes of 4 to 64 KiB, applied to the raw image in three ways:
// our log, a qcow2 overlay with `qemu-img commit`, and `rdiff patch`. All files are in the page cache. Peers that are not
// installed are left out.
import { execFile } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { writeDeltaLog } from '../../agent/deltaLog.ts';
import { openDiskSource } from '../../agent/diskSource.ts';
import { joinExtents, readExtents } from '../../agent/extents.ts';
import { openFileSource } from '../../agent/fileSource.ts';
import { filePageTarget } from '../../cli/hrl/filePageTarget.ts';
import { verifyHrl } from '../../lib/hrl/verify.ts';
import { applyMerge } from '../../lib/merge/apply.ts';
import { planMerge } from '../../lib/merge/plan.ts';
import type { ByteRange } from '../../lib/storage/ports.ts';
import { randomChanges } from '../generatedChanges.ts';
import { median, type Measurement } from '../measurements.ts';

const run = promisify(execFile);
const diskBytes = 2 * 2 ** 30;
const chunkBytes = 64 * 2 ** 20;
const roundCount = 5;
const installHint = 'apt-get install qemu-utils rdiff';

interface Images {
  base: string;
  changed: string;
  log: string;
  overlay: string;
  delta: string;
  patched: string;
}

export async function benchLocalFiles(progress: (line: string) => void): Promise<Measurement[]> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-hrl-'));
  const at = (name: string): string => join(folder, name);
  const images: Images = {
    ...{ base: at('base.raw'), changed: at('changed.raw'), log: at('log.hrl') },
    ...{ overlay: at('overlay.qcow2'), delta: at('delta.rdiff'), patched: at('patched.raw') },
  };
  try {
    progress('making two images of 2 GiB');
    const changes = joinExtents(randomChanges(diskBytes, diskBytes / 10, 3));
    await makeImages(images, changes);
    const createSeconds = await medianOf(() => createLog(images, changes));
    return [
      {
        what: 'log from known extents',
        value: bytesOf(changes) / 2 ** 30 / createSeconds,
        unit: 'GiB/s',
        detail: 'read, digest and file included',
      },
      ...(await comparePeers(images, progress)),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const bytesOf = (changes: readonly ByteRange[]): number =>
  changes.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);

async function makeImages({ base, changed }: Images, changes: readonly ByteRange[]): Promise<void> {
  const image = await open(base, 'w');
  const chunk = new Uint8Array(chunkBytes);
  for (let offset = 0; offset < diskBytes; offset += chunkBytes)
    await image.write(randomFillSync(chunk), 0, chunkBytes, offset);
  await image.close();
  copyFileSync(base, changed);
  const copy = await open(changed, 'r+');
  for (const { offsetBytes, lengthBytes } of changes)
    await copy.write(randomFillSync(chunk.subarray(0, lengthBytes)), 0, lengthBytes, offsetBytes);
  await copy.close();
}

/** Median of the seconds that a step takes. */
async function medianOf(step: () => Promise<void>): Promise<number> {
  const seconds: number[] = [];
  for (let round = 0; round < roundCount; round++) seconds.push(await timed(step));
  return median(seconds);
}

async function timed(step: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await step();
  return (performance.now() - startedAt) / 1000;
}

async function createLog({ changed, log }: Images, changes: readonly ByteRange[]): Promise<void> {
  await using disk = await openDiskSource(changed);
  const options = { uniqueId: crypto.randomUUID(), createdAt: new Date(), replace: true };
  await writeDeltaLog(log, readExtents(disk, changes), options);
}

/** Checks and applies the log until it is on the disk; returns the seconds of each. */
async function applyLog({ base, log }: Images): Promise<{ check: number; apply: number }> {
  await using source = await openFileSource(log);
  const startedAt = performance.now();
  const { log: read } = await verifyHrl(source, { diskSizeBytes: diskBytes });
  const checkedAt = performance.now();
  const image = await open(base, 'r+');
  await applyMerge({ source, segments: planMerge(read.entries), target: filePageTarget(image) });
  await image.sync();
  await image.close();
  return { check: (checkedAt - startedAt) / 1000, apply: (performance.now() - checkedAt) / 1000 };
}

/** What each step took in each round; a peer that is not installed has no rounds. */
type Seconds = Record<'apply' | 'checkAndApply' | 'qemu' | 'rdiff', number[]>;

async function comparePeers(images: Images, progress: (line: string) => void): Promise<Measurement[]> {
  const { base, changed, overlay, delta, patched } = images;
  progress(`making an overlay and an rdiff delta (${installHint})`);
  const hasQemu = await succeeds(async () => {
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', changed, '-F', 'raw', overlay]);
    await run('qemu-img', ['rebase', '-q', '-b', base, '-F', 'raw', overlay]);
  });
  const hasRdiff = await succeeds(async () => {
    await run('rdiff', ['signature', base, `${delta}.signature`]);
    await run('rdiff', ['delta', `${delta}.signature`, changed, delta]);
  });
  const seconds: Seconds = { apply: [], checkAndApply: [], qemu: [], rdiff: [] };
  for (let round = 1; round <= roundCount; round++) {
    progress(`apply ${round} of ${roundCount}`);
    // rdiff first: it needs the base as it was, and the others bring it to the same bytes each time.
    if (hasRdiff && round === 1) copyFileSync(base, `${base}.old`);
    if (hasRdiff) {
      rmSync(patched, { force: true });
      seconds.rdiff.push(await timed(() => run('rdiff', ['patch', `${base}.old`, delta, patched])));
    }
    const { check, apply } = await applyLog(images);
    seconds.apply.push(apply);
    seconds.checkAndApply.push(check + apply);
    if (hasQemu) seconds.qemu.push(await timed(() => run('qemu-img', ['commit', '-q', '-d', overlay])));
    const isSame = await succeeds(() => run('cmp', [base, changed]));
    if (!isSame) throw new Error('The image is not what it should be after the log was applied.');
  }
  return summarize(seconds);
}

function summarize({ apply, checkAndApply, qemu, rdiff }: Seconds): Measurement[] {
  const ratio = (peer: number[], ours: number[]): number =>
    median(peer.map((peerSeconds, round) => peerSeconds / (ours[round] ?? 0)));
  const detail = `median of ${roundCount}, a tenth of 2 GiB in writes of 4 to 64 KiB; fsync included`;
  const inRound = 'median of the ratios';
  const results: Measurement[] = [
    { what: 'apply a log to a raw image', value: median(apply), unit: 's', detail },
    {
      what: 'check and apply it',
      value: median(checkAndApply),
      unit: 's',
      detail: 'sha256 of the log, structure, bounds',
    },
  ];
  if (qemu.length > 0)
    results.push(
      {
        what: 'qemu-img commit',
        value: median(qemu),
        unit: 's',
        detail: 'clusters of 64 KiB; checks nothing; syncs too',
      },
      { what: 'qemu-img commit / apply', value: ratio(qemu, apply), unit: '×', detail: inRound },
      {
        what: 'qemu-img commit / check and apply',
        value: ratio(qemu, checkAndApply),
        unit: '×',
        detail: inRound,
      },
    );
  if (rdiff.length > 0)
    results.push(
      { what: 'rdiff patch', value: median(rdiff), unit: 's', detail: 'writes a new image; does not sync' },
      { what: 'rdiff patch / apply', value: ratio(rdiff, apply), unit: '×', detail: inRound },
      {
        what: 'rdiff patch / check and apply',
        value: ratio(rdiff, checkAndApply),
        unit: '×',
        detail: inRound,
      },
    );
  return results;
}

async function succeeds(step: () => Promise<unknown>): Promise<boolean> {
  try {
    await step();
    return true;
  } catch {
    return false;
  }
}
