// The only place of this program that writes disks of a source. Everything else opens them for reading; eslint.config.js lets
// nobody outside of this folder import this module, and nobody but it open a file of others for writing.
import { constants } from 'node:fs';
import { open, readFile, realpath, stat, type FileHandle } from 'node:fs/promises';
import { vhdFooterSizeBytes } from '../../lib/vhd/fixed.ts';
import { isLifeboatError, LifeboatError } from '../../lib/errors.ts';
import { AgentError } from '../agentError.ts';
import { openImageFile } from '../disk/imageFile.ts';
import { openDisk } from '../disk/openDisk.ts';
import type { DiskChainLink, DiskReader } from '../disk/reader.ts';
import { looksLikeVhdx } from '../disk/vhdx/openVhdx.ts';
import { readVhdxStructures, type VhdxStructures } from '../disk/vhdx/structures.ts';
import { errnoOf, writeError } from '../fileErrors.ts';
import { writeFully } from '../fileWrite.ts';
import type { DiskPlace } from '../track/frozenView.ts';
import { containerFile } from './containerFile.ts';
import { plainWriter, type DiskWriter } from './diskWriter.ts';
import { candidatePath } from './swap.ts';
import { isSameDisk, makeEmptyVhdx } from './vhdx/emptyVhdx.ts';
import { openVhdxWriter } from './vhdx/writeVhdx.ts';

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

const writableVariants = ['raw', 'block device', 'vhd fixed', 'vhdx'];

/** Throws `SourceDiskUnknown` for a disk of another size, or of a kind that cannot be written. */
function requireWritable(disk: string, reader: DiskReader, sizeBytes: number): DiskChainLink {
  const [link] = reader.identity.chain;
  const { variant = '', location = '' } = link ?? {};
  if (reader.sizeBytes !== sizeBytes) {
    const message = `Disk ${disk} (${location}) has ${reader.sizeBytes} bytes, and the recovery point ${sizeBytes}: it is another disk.`;
    throw unknown(disk, message);
  }
  if (link && writableVariants.includes(variant)) return link;
  const message = `Disk ${disk} (${location}) is ${variant === '' ? 'a server' : variant}, which a failback cannot write: only raw images, block devices, fixed VHDs, and VHDX that are not differencing. Make one of ${sizeBytes} bytes (Convert-VHD, qemu-img convert, or an empty file), attach it to the machine, name it in agent.yaml, and start the agent again.`;
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
  let handle: FileHandle | undefined;
  try {
    const link = requireWritable(disk, reader, sizeBytes);
    const path = await realpath(location);
    await requireUnlocked(disk, path);
    // A device that is mounted, or part of another one, cannot be opened exclusively.
    const flags = link.variant === 'block device' ? constants.O_RDWR | constants.O_EXCL : 'r+';
    handle = await open(path, flags).catch((error: unknown) => {
      throw cannotOpen(error, disk, path);
    });
    const leftBehind = 'The disk is incomplete until the failback has ended.';
    const file = await containerFile(handle, { path, leftBehind });
    const writer = link.variant === 'vhdx' ? await openVhdxWriter(file, link) : plainWriter(file, reader);
    return writableDisk({ path, writer, opened: [reader, handle] });
  } catch (error) {
    await Promise.all([reader.close(), handle?.close()]);
    throw error;
  }
}

function cannotOpen(error: unknown, disk: string, path: string): unknown {
  if (errnoOf(error) !== 'EBUSY') return writeError(error, path, 'Nothing was written.');
  const message = `Disk ${disk} (${path}) is in use: a running machine, a mount, or another volume has it.`;
  return new LifeboatError('SourceMachineRunning', message, { target: disk, cause: error });
}

interface OpenedDisk {
  path: string;
  writer: DiskWriter;
  /** Closed with the disk. */
  opened: readonly { close(): Promise<void> }[];
}

function writableDisk({ path, writer, opened }: OpenedDisk): WritableDisk {
  const { reader } = writer;
  const closeAll = async (): Promise<void> => {
    // Too much room is no reason to fail; what matters was said by sync().
    await writer.trim().catch(() => undefined);
    await Promise.all(opened.map((each) => each.close()));
  };
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= closeAll());
  return {
    ...{ path, reader, close, [Symbol.asyncDispose]: close },
    async write(offsetBytes, bytes) {
      if (offsetBytes < 0 || offsetBytes + bytes.length > reader.sizeBytes)
        throw new RangeError(
          `write [${offsetBytes}, ${offsetBytes + bytes.length}) of ${reader.sizeBytes} bytes`,
        );
      await writer.write(offsetBytes, bytes);
    },
    sync: () => writer.sync(),
  };
}

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
  const { variant } = requireWritable(place.disk, original, sizeBytes);
  if (variant === 'block device')
    throw unknown(
      place.disk,
      `Disk ${place.disk} (${path}) is a device: "failback: newDisk" needs an image file.`,
    );
  const candidate = candidatePath(path);
  let isNew: boolean;
  try {
    if (variant === 'vhdx') isNew = await beginVhdx(path, candidate);
    else isNew = await beginPlain(path, candidate, { sizeBytes, hasFooter: variant === 'vhd fixed' });
  } catch (error) {
    throw writeError(error, candidate, originalUntouched);
  }
  const format = original.identity.format;
  return { disk: await openForWriting({ disk: place.disk, location: candidate, format }, sizeBytes), isNew };
}

const originalUntouched = 'The original disk is as it was.';

/** True when it was made anew. */
async function beginPlain(
  path: string,
  candidate: string,
  { sizeBytes, hasFooter }: { sizeBytes: number; hasFooter: boolean },
): Promise<boolean> {
  const footer = hasFooter ? await footerOf(path) : Buffer.alloc(0);
  const fileBytes = sizeBytes + footer.length;
  const found = await stat(candidate).catch(() => undefined);
  if (found?.size === fileBytes) return false;
  await using handle = await open(candidate, 'w', found?.mode ?? (await stat(path)).mode);
  await handle.truncate(fileBytes);
  await writeFully(handle, sizeBytes, footer);
  return true;
}

/** True when it was made anew. */
async function beginVhdx(path: string, candidate: string): Promise<boolean> {
  await using source = await openImageFile(path);
  const original = await readVhdxStructures(source);
  if (await isBegunVhdx(candidate, original)) return false;
  await using handle = await open(candidate, 'w', (await stat(path)).mode);
  const file = await containerFile(handle, { path: candidate, leftBehind: originalUntouched });
  await makeEmptyVhdx(file, original);
  return true;
}

async function isBegunVhdx(candidate: string, original: VhdxStructures): Promise<boolean> {
  try {
    await using found = await openImageFile(candidate);
    return (await looksLikeVhdx(found)) && isSameDisk(await readVhdxStructures(found), original);
  } catch (error) {
    const isNone = error instanceof AgentError && error.code === 'FileNotFound';
    if (isNone || isLifeboatError(error, 'DiskImageCorrupt', 'DiskImageUnsupported')) return false;
    throw error;
  }
}

async function footerOf(path: string): Promise<Buffer> {
  await using handle = await open(path, 'r');
  const { size } = await handle.stat();
  const footer = Buffer.alloc(vhdFooterSizeBytes);
  await handle.read(footer, 0, footer.length, size - footer.length);
  return footer;
}
