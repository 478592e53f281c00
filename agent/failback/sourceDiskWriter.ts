// The only place of this program that writes disks of a source. Everything else opens them for reading; eslint.config.js lets
// nobody outside of this folder import this module, and nobody but it open a file of others for writing.
import { constants } from 'node:fs';
import { link, open, readFile, realpath, rename, stat, unlink, type FileHandle } from 'node:fs/promises';
import { vhdFooterSizeBytes } from '../../lib/vhd/fixed.ts';
import { LifeboatError } from '../../lib/errors.ts';
import { openDisk } from '../disk/openDisk.ts';
import type { DiskReader } from '../disk/reader.ts';
import { errnoOf, writeError } from '../fileErrors.ts';
import { writeFully } from '../fileWrite.ts';
import type { DiskPlace } from '../track/frozenView.ts';

/** A disk of the source, open for writing. Whoever has one has made sure that its machine is off. */
export interface WritableDisk extends AsyncDisposable {
  /** Absolute, symbolic links resolved. */
  readonly path: string;
  /** The same disk, for comparing. */
  readonly reader: DiskReader;
  /** Inside the disk; calls may run at the same time for places that do not overlap. */
  write(offsetBytes: number, bytes: Uint8Array): Promise<void>;
  /** What was written is durable when it resolves. */
  sync(): Promise<void>;
  /** May be called twice. */
  close(): Promise<void>;
}

const unknown = (disk: string, message: string): LifeboatError =>
  new LifeboatError('SourceDiskUnknown', message, { target: disk });

/** Throws `SourceDiskUnknown` for a disk of another size, or of a kind whose bytes cannot be written one for one. */
function requireWritable(disk: string, reader: DiskReader, sizeBytes: number): void {
  const { variant = '', location = '' } = reader.identity.chain[0] ?? {};
  if (reader.sizeBytes !== sizeBytes) {
    const message = `Disk ${disk} (${location}) has ${reader.sizeBytes} bytes, and the recovery point ${sizeBytes}: it is another disk.`;
    throw unknown(disk, message);
  }
  if (variant === 'raw' || variant === 'block device' || variant === 'vhd fixed') return;
  const message = `Disk ${disk} (${location}) is ${variant === '' ? 'a server' : variant}, which a failback cannot write: only raw images, block devices and fixed VHDs. Make one of ${sizeBytes} bytes (Convert-VHD -VHDType Fixed, qemu-img convert, or an empty file), attach it to the machine, name it in agent.yaml, and start the agent again.`;
  throw unknown(disk, message);
}

/** Throws `SourceMachineRunning` when a process holds a lock on the file, as QEMU does on the images of its machines. Linux only. */
async function requireUnlocked(disk: string, path: string): Promise<void> {
  const locks = await readFile('/proc/locks', 'utf8').catch(() => '');
  const { dev, ino } = await stat(path);
  const hex = (value: number): string => value.toString(16).padStart(2, '0');
  // As the kernel writes it: major and minor number of the device, and the inode.
  const name = ` ${hex((dev >>> 8) & 0xfff)}:${hex((dev & 0xff) | ((dev >>> 12) & 0xfff00))}:${ino} `;
  if (!locks.includes(name)) return;
  const message = `Disk ${disk} (${path}) is locked by another process: a running machine, or a tool that has it open.`;
  throw new LifeboatError('SourceMachineRunning', message, { target: disk });
}

/** Opens the disk in place. Throws `SourceDiskUnknown`, `SourceMachineRunning`, and errors of the disk and its file. */
export async function openForWriting(place: DiskPlace, sizeBytes: number): Promise<WritableDisk> {
  const { disk, location, format } = place;
  const reader = await openDisk(location, { format });
  try {
    requireWritable(disk, reader, sizeBytes);
    const path = await realpath(location);
    await requireUnlocked(disk, path);
    const isDevice = reader.identity.chain[0]?.variant === 'block device';
    // A device that is mounted, or part of another one, cannot be opened exclusively.
    const handle = await open(path, isDevice ? constants.O_RDWR | constants.O_EXCL : 'r+').catch(
      (error: unknown) => {
        throw cannotOpen(error, disk, path);
      },
    );
    return writableDisk({ path, reader, handle });
  } catch (error) {
    await reader.close();
    throw error;
  }
}

function cannotOpen(error: unknown, disk: string, path: string): unknown {
  if (errnoOf(error) !== 'EBUSY') return writeError(error, path, 'Nothing was written.');
  const message = `Disk ${disk} (${path}) is in use: a running machine, a mount, or another volume has it.`;
  return new LifeboatError('SourceMachineRunning', message, { target: disk, cause: error });
}

function writableDisk({
  path,
  reader,
  handle,
}: Pick<WritableDisk, 'path' | 'reader'> & { handle: FileHandle }): WritableDisk {
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> =>
    (closed ??= Promise.all([reader.close(), handle.close()]).then(() => undefined));
  const partly = 'The disk is incomplete until the failback has ended.';
  return {
    ...{ path, reader, close, [Symbol.asyncDispose]: close },
    async write(offsetBytes, bytes) {
      if (offsetBytes < 0 || offsetBytes + bytes.length > reader.sizeBytes)
        throw new RangeError(
          `write [${offsetBytes}, ${offsetBytes + bytes.length}) of ${reader.sizeBytes} bytes`,
        );
      await writeFully(handle, offsetBytes, bytes).catch((error: unknown) => {
        throw writeError(error, path, partly);
      });
    },
    async sync() {
      await handle.datasync().catch((error: unknown) => {
        throw writeError(error, path, partly);
      });
    },
  };
}

const candidatePath = (path: string): string => `${path}.failback`;
const keptPath = (path: string): string => `${path}.before-failback`;

/**
 * Opens the new disk that takes the place of the original one at the end: a file beside it, of the same kind and size, empty at
 * first. `isNew` when nothing of an earlier attempt was there. Throws as `openForWriting`.
 */
export async function openNewDisk(
  place: DiskPlace,
  sizeBytes: number,
): Promise<{ disk: WritableDisk; isNew: boolean }> {
  const path = await realpath(place.location);
  await using original = await openDisk(path, { format: place.format });
  requireWritable(place.disk, original, sizeBytes);
  const { variant } = original.identity.chain[0] ?? {};
  if (variant === 'block device')
    throw unknown(
      place.disk,
      `Disk ${place.disk} (${path}) is a device: "failback: newDisk" needs an image file.`,
    );
  const footer = variant === 'vhd fixed' ? await footerOf(path) : Buffer.alloc(0);
  const candidate = candidatePath(path);
  const fileBytes = sizeBytes + footer.length;
  const found = await stat(candidate).catch(() => undefined);
  const isNew = found?.size !== fileBytes;
  try {
    await using handle = await open(candidate, isNew ? 'w' : 'r+', found?.mode ?? (await stat(path)).mode);
    if (isNew) {
      await handle.truncate(fileBytes);
      await writeFully(handle, sizeBytes, footer);
    }
  } catch (error) {
    throw writeError(error, candidate, 'The original disk is as it was.');
  }
  const format = variant === 'vhd fixed' ? 'vhd' : 'raw';
  return { disk: await openForWriting({ disk: place.disk, location: candidate, format }, sizeBytes), isNew };
}

async function footerOf(path: string): Promise<Buffer> {
  await using handle = await open(path, 'r');
  const { size } = await handle.stat();
  const footer = Buffer.alloc(vhdFooterSizeBytes);
  await handle.read(footer, 0, footer.length, size - footer.length);
  return footer;
}

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
  throw unknown(disk, message);
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
