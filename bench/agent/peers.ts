// What else finds and applies the changes of an image: whole programs, each leaving the new state in `target`. What is not
// installed is left out.
import { execFile } from 'node:child_process';
import { copyFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { diskBytes } from '../hrl/images.ts';

const run = promisify(execFile);

export interface PeerFiles {
  folder: string;
  base: string;
  changed: string;
  /** In the old state when a peer begins. */
  target: string;
}

export interface Peer {
  name: string;
  /** Of our ways the one that does as much: `scan` for those that look for changes, `tracked` for those that are given them. */
  rivalOf: 'scan' | 'tracked' | 'both';
  /** Once for the images, before the clock runs. */
  prepare?: (files: PeerFiles) => Promise<void>;
  /** Returns what it would send. */
  work: (files: PeerFiles) => Promise<number>;
}

async function byRsync({ changed, target }: PeerFiles): Promise<number> {
  const flags = ['--inplace', '--no-whole-file', '--ignore-times', '--stats'];
  const { stdout } = await run('rsync', [...flags, changed, target]);
  return Number(/Total bytes sent: ([\d,]+)/.exec(stdout)?.[1]?.replaceAll(',', '') ?? Number.NaN);
}

async function byRdiff({ folder, base, changed, target }: PeerFiles): Promise<number> {
  const [signature, delta] = [join(folder, 'signature'), join(folder, 'delta')];
  for (const path of [signature, delta, target]) rmSync(path, { force: true });
  await run('rdiff', ['signature', base, signature]);
  await run('rdiff', ['delta', signature, changed, delta]);
  await run('rdiff', ['patch', base, delta, target]);
  return statSync(delta).size;
}

async function byConvert({ changed, target }: PeerFiles): Promise<number> {
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'raw', changed, target]);
  return diskBytes;
}

const overlayOf = ({ folder }: PeerFiles): string => join(folder, 'overlay.qcow2');

/** An overlay of the old state that holds the changes, as a running machine would have made it. */
async function makeOverlay(files: PeerFiles): Promise<void> {
  const overlay = overlayOf(files);
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', files.changed, '-F', 'raw', overlay]);
  // `rebase` keeps what differs from the new backing file; after that it stands on the target by name alone.
  await run('qemu-img', ['rebase', '-q', '-b', files.base, '-F', 'raw', overlay]);
  copyFileSync(files.base, files.target);
  await run('qemu-img', ['rebase', '-q', '-u', '-b', files.target, '-F', 'raw', overlay]);
}

async function byCommit(files: PeerFiles): Promise<number> {
  // Without waiting for the disk, as the other peers; the overlay stays for the next round.
  await run('qemu-img', ['commit', '-q', '-d', '-t', 'unsafe', overlayOf(files)]);
  return statSync(overlayOf(files)).size;
}

async function isInstalled(command: string): Promise<boolean> {
  return run(command, ['--version']).then(
    () => true,
    () => false,
  );
}

export async function findPeers(): Promise<Peer[]> {
  const [hasRsync, hasRdiff, hasQemu] = await Promise.all(['rsync', 'rdiff', 'qemu-img'].map(isInstalled));
  const qemu: Peer[] = [
    { name: 'qemu-img convert (copies everything)', rivalOf: 'both', work: byConvert },
    {
      name: 'qemu-img commit (of an overlay that is there)',
      rivalOf: 'tracked',
      prepare: makeOverlay,
      work: byCommit,
    },
  ];
  return [
    ...(hasRsync ? [{ name: 'rsync', rivalOf: 'both', work: byRsync } as const] : []),
    ...(hasRdiff ? [{ name: 'rdiff', rivalOf: 'both', work: byRdiff } as const] : []),
    ...(hasQemu ? qemu : []),
  ];
}
