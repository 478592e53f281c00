// The one way to open a disk.
import { formatNbdUri, isNbdUri, parseNbdUri } from '../nbd/address.ts';
import { detectFormat } from './detectFormat.ts';
import { imageUnsupported } from './errors.ts';
import { openImageFile, type ImageFile } from './imageFile.ts';
import { NbdDisk } from './nbdDisk.ts';
import { parentOpener, type OpenParent } from './parents.ts';
import { openQcow2 } from './qemuNbd.ts';
import { openRaw } from './rawDisk.ts';
import type { DiskFormat, DiskReader } from './reader.ts';
import { openVhd } from './vhd/openVhd.ts';
import { openVhdx } from './vhdx/openVhdx.ts';

export interface OpenDiskOptions {
  /** Taken from content and name when omitted; needed where the two disagree. */
  format?: DiskFormat | undefined;
}

function openAs(file: ImageFile, format: DiskFormat, openParent: OpenParent): Promise<DiskReader> {
  switch (format) {
    case 'raw':
      return Promise.resolve(openRaw(file));
    case 'vhd':
      return openVhd(file, openParent);
    case 'vhdx':
      return openVhdx(file, openParent);
    case 'qcow2':
      return openQcow2(file);
    case 'nbd':
      throw imageUnsupported(file.path, 'is a file; an NBD disk is given as nbd://host:port/export');
  }
}

async function openImage(
  path: string,
  format: DiskFormat | undefined,
  openParent: OpenParent,
): Promise<DiskReader> {
  const file = await openImageFile(path);
  try {
    return await openAs(file, format ?? (await detectFormat(file)), openParent);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Opens the disk at `location`: a path of an image or block device, or the URI of an NBD export. The whole chain is
 * opened and checked. Throws LifeboatError `BrokenVhdChain` (a BrokenChainError with the fault), `DiskImageCorrupt`,
 * `DiskImageUnsupported`, `SourceUnavailable`, `SourceAnswerInvalid`, and AgentError for files that cannot be opened.
 */
export async function openDisk(location: string, options: OpenDiskOptions = {}): Promise<DiskReader> {
  const { format } = options;
  if (!isNbdUri(location)) return openImage(location, format, parentOpener(openImage));
  if (format !== undefined && format !== 'nbd')
    throw imageUnsupported(location, `is an NBD export and cannot be opened as ${format}`);
  const address = parseNbdUri(location);
  return NbdDisk.open({ ...address, location: formatNbdUri(address) });
}
