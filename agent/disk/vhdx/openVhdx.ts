// VHDX: fixed, dynamic, differencing (AVHDX).
import type { ByteRange } from '../../../lib/storage/ports.ts';
import { imageCorrupt } from '../errors.ts';
import { ImageDisk, type ImageLayout } from '../imageDisk.ts';
import type { ImageFile } from '../imageFile.ts';
import { PageCache } from '../pageCache.ts';
import type { OpenParent, ParentClaim } from '../parents.ts';
import { PlacementList, splitByBitmap, type Placement } from '../placement.ts';
import type { DiskReader } from '../reader.ts';
import { blockGeometry, blockState, checkBlockTable, entryOfBlock, readEntry } from './blockTable.ts';
import { readVhdxHeader, vhdxSignature } from './header.ts';
import { overlayReads, readPendingLog } from './log.ts';
import { readVhdxMetadata, type VhdxMetadata } from './metadata.ts';
import { readRegions, type OverlaidFile } from './regions.ts';

/** True when the file begins as a VHDX does. */
export async function looksLikeVhdx(file: ImageFile): Promise<boolean> {
  if (file.sizeBytes < vhdxSignature.length) return false;
  return (await file.read(0, vhdxSignature.length)).toString('latin1') === vhdxSignature;
}

/** Where the bytes of a VHDX are. */
class VhdxBlocks {
  readonly #tables: PageCache;
  readonly #tableOffsetBytes: number;
  readonly #metadata: VhdxMetadata;
  readonly #chunkRatio: number;

  constructor(tables: PageCache, tableOffsetBytes: number, metadata: VhdxMetadata) {
    this.#tables = tables;
    this.#tableOffsetBytes = tableOffsetBytes;
    this.#metadata = metadata;
    this.#chunkRatio = blockGeometry(metadata).chunkRatio;
  }

  async locate({ offsetBytes, lengthBytes }: ByteRange): Promise<Placement[]> {
    const { blockSizeBytes, parentLocator } = this.#metadata;
    const placements = new PlacementList();
    const end = offsetBytes + lengthBytes;
    const first = Math.floor(offsetBytes / blockSizeBytes);
    const last = Math.ceil(end / blockSizeBytes);
    const firstEntry = entryOfBlock(first, this.#chunkRatio);
    const entryCount = last > first ? entryOfBlock(last - 1, this.#chunkRatio) - firstEntry + 1 : 0;
    const table = await this.#tables.read(this.#tableOffsetBytes + firstEntry * 8, entryCount * 8);
    for (let block = first; block < last; block++) {
      const originBytes = block * blockSizeBytes;
      const from = Math.max(offsetBytes, originBytes);
      const range = { offsetBytes: from, lengthBytes: Math.min(end, originBytes + blockSizeBytes) - from };
      const { state, fileOffsetBytes } = readEntry(
        table,
        (entryOfBlock(block, this.#chunkRatio) - firstEntry) * 8,
      );
      if (state === blockState.fullyPresent)
        placements.add('file', range, fileOffsetBytes + from - originBytes);
      else if (state === blockState.partiallyPresent)
        await this.#addPartial(placements, range, block, fileOffsetBytes);
      // Zero, unmapped and undefined blocks hide what the parent has.
      else placements.add(state === blockState.notPresent && parentLocator ? 'parent' : 'zero', range);
    }
    return placements.items;
  }

  async #addPartial(
    placements: PlacementList,
    range: ByteRange,
    block: number,
    fileOffsetBytes: number,
  ): Promise<void> {
    const { blockSizeBytes, logicalSectorSizeBytes } = this.#metadata;
    const chunk = Math.floor(block / this.#chunkRatio);
    const bitmapEntry = chunk * (this.#chunkRatio + 1) + this.#chunkRatio;
    const { fileOffsetBytes: bitmapOffset } = readEntry(
      await this.#tables.read(this.#tableOffsetBytes + bitmapEntry * 8, 8),
      0,
    );
    const chunkOrigin = chunk * this.#chunkRatio * blockSizeBytes;
    const firstByte = Math.floor((range.offsetBytes - chunkOrigin) / logicalSectorSizeBytes / 8);
    const lastByte = Math.floor(
      (range.offsetBytes + range.lengthBytes - 1 - chunkOrigin) / logicalSectorSizeBytes / 8,
    );
    const bytes = await this.#tables.read(bitmapOffset + firstByte, lastByte - firstByte + 1);
    const bitmap = { bytes, firstSector: firstByte * 8, originBytes: chunkOrigin };
    const layout = { sectorSizeBytes: logicalSectorSizeBytes, lowestBitFirst: true };
    const distance = fileOffsetBytes - block * blockSizeBytes;
    for (const { range: part, isPresent } of splitByBitmap(range, bitmap, layout))
      if (isPresent) placements.add('file', part, part.offsetBytes + distance);
      else placements.add('parent', part);
  }
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
  const header = await readVhdxHeader(file);
  const log = await readPendingLog(file, header);
  const overlaid: OverlaidFile = {
    path: file.path,
    sizeBytes: log.fileSizeBytes,
    readInto: overlayReads(file, log),
  };
  const regions = await readRegions(overlaid);
  const metadata = await readVhdxMetadata(overlaid, regions.metadata);
  await checkBlockTable({ file: overlaid, header, regions, metadata });
  const tables = new PageCache(overlaid.readInto, overlaid.sizeBytes);
  const blocks = new VhdxBlocks(tables, regions.blockTable.offsetBytes, metadata);
  const { parentLocator, sizeBytes, logicalSectorSizeBytes } = metadata;
  const layout: ImageLayout = {
    format: 'vhdx',
    link: {
      location: file.path,
      variant: parentLocator ? 'vhdx differencing' : 'vhdx',
      imageId: header.dataWriteGuid,
    },
    versionText: file.versionText,
    sizeBytes,
    logicalSectorSizeBytes,
    readInto: overlaid.readInto,
    locate: (range) => blocks.locate(range),
    closeFile: () => file.close(),
  };
  if (!parentLocator) return new ImageDisk(layout);
  return new ImageDisk(layout, await openParent(parentClaim(file, metadata, parentLocator)));
}
