// The same change of a 2 GiB disk, a tenth of it in random writes of 4 to 64 KiB, applied to the raw image in three ways:
// our log, a qcow2 overlay with `qemu-img commit`, and `rdiff patch`; each until its bytes are on the disk, and each
// without waiting for that. All files are in the page cache. Peers that are not installed are left out.
import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openFileSource } from '../../agent/fileSource.ts';
import { applyToFile } from '../../cli/hrl/applyToFile.ts';
import { readHrl } from '../../lib/hrl/reader.ts';
import { verifyHrl } from '../../lib/hrl/verify.ts';
import { planMerge } from '../../lib/merge/plan.ts';
import { median, type Measurement } from '../measurements.ts';
import { benchCreate } from './create.ts';
import { changesOfDisk, diskBytes, makeImages, roundCount, syncFile, timed } from './images.ts';

const run = promisify(execFile);
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
    const { changes, changedBytes } = changesOfDisk();
    await makeImages(images, changes);
    progress('making logs');
    const created = await benchCreate(images, changes, changedBytes);
    return [...created, ...(await comparePeers(images, progress))];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Reads the log's metadata, plans and applies; with `isChecked` the whole log is checked before, as the command does. */
async function applyLog({ base, log }: Images, isUnsynced: boolean, isChecked: boolean): Promise<void> {
  await using source = await openFileSource(log);
  const read = isChecked
    ? (await verifyHrl(source, { diskSizeBytes: diskBytes })).log
    : await readHrl(source);
  const handle = await open(base, 'r+');
  await applyToFile({ source, segments: planMerge(read.entries), handle, isUnsynced });
  await handle.close();
}

async function patchWithRdiff({ base, delta, patched }: Images): Promise<void> {
  rmSync(patched, { force: true });
  await run('rdiff', ['patch', `${base}.old`, delta, patched]);
}

const steps = ['apply', 'checkAndApply', 'qemu', 'rdiff'] as const;
/** What each step took in each round, until the bytes are on the disk and without; a peer that is missing has no rounds. */
type Seconds = Record<(typeof steps)[number], { synced: number[]; unsynced: number[] }>;

async function comparePeers(images: Images, progress: (line: string) => void): Promise<Measurement[]> {
  const { base, changed, overlay, patched } = images;
  progress(`making an overlay and an rdiff delta (${installHint})`);
  const [hasQemu, hasRdiff] = await preparePeers(images);
  const commit = (cacheMode: string) => run('qemu-img', ['commit', '-q', '-d', '-t', cacheMode, overlay]);
  const none = () => ({ synced: [], unsynced: [] });
  const seconds: Seconds = { apply: none(), checkAndApply: none(), qemu: none(), rdiff: none() };
  for (let round = 0; round <= roundCount; round++) {
    progress(round === 0 ? 'warming up' : `apply ${round} of ${roundCount}`);
    const times: [keyof Seconds, keyof Seconds['apply'], () => Promise<unknown>][] = [
      ['apply', 'synced', () => applyLog(images, false, false)],
      ['apply', 'unsynced', () => applyLog(images, true, false)],
      ['checkAndApply', 'synced', () => applyLog(images, false, true)],
      ['checkAndApply', 'unsynced', () => applyLog(images, true, true)],
    ];
    if (hasQemu)
      times.push(['qemu', 'synced', () => commit('writeback')], ['qemu', 'unsynced', () => commit('unsafe')]);
    if (hasRdiff)
      times.push(
        ['rdiff', 'synced', () => patchWithRdiff(images).then(() => syncFile(patched))],
        ['rdiff', 'unsynced', () => patchWithRdiff(images)],
      );
    for (const [step, kind, action] of times) {
      const taken = await timed(action);
      if (round > 0) seconds[step][kind].push(taken);
      // Nobody pays for what another left in the cache.
      await syncFile(step === 'rdiff' ? patched : base);
    }
    if (!(await succeeds(() => run('cmp', [base, changed]))))
      throw new Error('The image is not what it should be after the log was applied.');
  }
  return summarize(seconds);
}

/** Says for each peer whether it is there. */
async function preparePeers({ base, changed, overlay, delta }: Images): Promise<[boolean, boolean]> {
  copyFileSync(base, `${base}.old`);
  const hasQemu = await succeeds(async () => {
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', changed, '-F', 'raw', overlay]);
    await run('qemu-img', ['rebase', '-q', '-b', base, '-F', 'raw', overlay]);
  });
  const hasRdiff = await succeeds(async () => {
    await run('rdiff', ['signature', base, `${delta}.signature`]);
    await run('rdiff', ['delta', `${delta}.signature`, changed, delta]);
  });
  return [hasQemu, hasRdiff];
}

const names: Record<keyof Seconds, string> = {
  apply: 'apply a log to a raw image',
  checkAndApply: 'check and apply it',
  qemu: 'qemu-img commit',
  rdiff: 'rdiff patch',
};
const details: Record<keyof Seconds, string> = {
  apply: `median of ${roundCount}, a tenth of 2 GiB in writes of 4 to 64 KiB; metadata, plan, data`,
  checkAndApply: 'sha256 of the log, structure, bounds before the first write',
  qemu: 'whole process; clusters of 64 KiB; checks nothing',
  rdiff: 'whole process; writes a new image; checks nothing',
};

function summarize(seconds: Seconds): Measurement[] {
  const results: Measurement[] = [];
  for (const kind of ['synced', 'unsynced'] as const) {
    const suffix = kind === 'synced' ? ', on the disk' : ', not synced';
    for (const step of steps) {
      if (seconds[step][kind].length === 0) continue;
      const value = median(seconds[step][kind]);
      results.push({ what: `${names[step]}${suffix}`, value, unit: 's', detail: details[step] });
    }
    for (const peer of ['qemu', 'rdiff'] as const)
      for (const ours of ['apply', 'checkAndApply'] as const) {
        const own = seconds[ours][kind];
        const ratios = seconds[peer][kind].map((peerSeconds, round) => peerSeconds / (own[round] ?? 0));
        if (ratios.length === 0) continue;
        const what = `${names[peer]} / ${ours === 'apply' ? 'apply' : 'check and apply'}${suffix}`;
        const detail = `median of the ratios; ${ratios.map((ratio) => ratio.toFixed(1)).join(', ')}`;
        results.push({ what, value: median(ratios), unit: '×', detail });
      }
  }
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
