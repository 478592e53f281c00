// VHDX: fixed, dynamic, differencing (AVHDX).
import { imageCorrupt } from '../errors.ts';
import { ImageDisk, type ImageLayout } from '../imageDisk.ts';
import type { ImageFile } from '../imageFile.ts';
import { PageCache } from '../pageCache.ts';
import type { OpenParent, ParentClaim } from '../parents.ts';
import type { DiskReader } from '../reader.ts';
import { VhdxBlocks } from './blocks.ts';
import { vhdxSignature } from './header.ts';
import type { VhdxMetadata } from './metadata.ts';
import { readVhdxStructures } from './structures.ts';

/** True when the file begins as a VHDX does. */
export async function looksLikeVhdx(file: ImageFile): Promise<boolean> {
  if (file.sizeBytes < vhdxSignature.length) return false;
  return (await file.read(0, vhdxSignature.length)).toString('latin1') === vhdxSignature;
}

function parentClaim(
  file: ImageFile,
  metadata: VhdxMetadata,
  locator: ReadonlyMap<string, string>,
): ParentClaim {
  const guidOf = (key: string): string | undefined => locator.get(key)?.replace(/[{}]/g, '').toLowerCase();
  const parentIds = [guidOf('parent_linkage'), guidOf('parent_linkage2')].filter((id) => id !== undefined);
  if (parentIds.length === 0) throw imageCorrupt(file.path, 'its parent locator has no parent_linkage');
  const paths = ['relative_path', 'volume_path', 'absolute_win32_path'].map((key) => locator.get(key) ?? '');
  return {
    childPath: file.path,
    childSizeBytes: metadata.sizeBytes,
    format: 'vhdx',
    locators: paths.filter((path) => path !== ''),
    parentIds,
  };
}

/** Opens a VHDX. The file is the reader's from then on; when this throws, it stays the caller's. */
export async function openVhdx(file: ImageFile, openParent: OpenParent): Promise<DiskReader> {
  if (!(await looksLikeVhdx(file))) throw imageCorrupt(file.path, `does not begin with "${vhdxSignature}"`);
  const { header, log, overlaid, regions, metadata } = await readVhdxStructures(file);
  const tables = new PageCache(overlaid.readInto, overlaid.sizeBytes);
  const blocks = new VhdxBlocks(tables, regions.blockTable.offsetBytes, metadata);
  const { parentLocator, sizeBytes, logicalSectorSizeBytes } = metadata;
  const layout: ImageLayout = {
    format: 'vhdx',
    link: {
      location: file.path,
      variant: parentLocator ? 'vhdx differencing' : 'vhdx',
      imageId: header.dataWriteGuid,
      diskId: metadata.virtualDiskId,
    },
    versionText: file.versionText,
    sizeBytes,
    logicalSectorSizeBytes,
    readInto: overlaid.readInto,
    fd: log.writes.length === 0 ? file.fd : undefined,
    locate: (range) => blocks.locate(range),
    closeFile: () => file.close(),
  };
  if (!parentLocator) return new ImageDisk(layout);
  return new ImageDisk(layout, await openParent(parentClaim(file, metadata, parentLocator)));
}
