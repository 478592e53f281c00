// The new disk of a failback takes the place of the original, and gives it back.
import { link, realpath, rename, stat, unlink } from 'node:fs/promises';
import { LifeboatError } from '../../lib/errors.ts';
import { errnoOf, writeError } from '../fileErrors.ts';
import type { DiskPlace } from '../track/frozenView.ts';

/** Where the new disk lies until it is whole. */
export const candidatePath = (path: string): string => `${path}.failback`;
const keptPath = (path: string): string => `${path}.before-failback`;

/** An original disk that was set aside, and where. */
export interface KeptDisk {
  path: string;
  keptPath: string;
}

/** Where the original will be kept. Throws `SourceDiskUnknown` when something else lies there already. */
export async function planSwap({ disk, location }: DiskPlace): Promise<KeptDisk> {
  const path = await realpath(location);
  const kept = { path, keptPath: keptPath(path) };
  const [old, original] = await Promise.all([stat(kept.keptPath).catch(() => undefined), stat(path)]);
  if (!old || (old.ino === original.ino && old.dev === original.dev)) return kept;
  const message = `${kept.keptPath} is there already: the original disk ${disk} of an earlier failback. Move it away first.`;
  throw new LifeboatError('SourceDiskUnknown', message, { target: disk });
}

/**
 * Puts the new disk in the place of the original, which is kept beside it; the place is never empty. May be called again, after
 * a crash too, as long as the original is the same.
 */
export async function swapIn({ path, keptPath: kept }: KeptDisk): Promise<void> {
  try {
    await link(path, kept).catch((error: unknown) => {
      if (errnoOf(error) !== 'EEXIST') throw error;
    });
    await rename(candidatePath(path), path).catch((error: unknown) => {
      // Done by an earlier call.
      if (errnoOf(error) !== 'ENOENT') throw error;
    });
  } catch (error) {
    throw writeError(error, path, 'The original disk is as it was.');
  }
}

/** The failback was undone: the original takes its place again. May be called again. */
export async function swapBack({ path, keptPath: kept }: KeptDisk): Promise<void> {
  await rename(kept, path).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw writeError(error, path, `The original disk is ${kept}.`);
  });
}

/** The failback was confirmed: the original is not needed any more. May be called again. */
export async function removeKept({ keptPath: kept }: KeptDisk): Promise<void> {
  await unlink(kept).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw writeError(error, kept, 'It is still there.');
  });
}
