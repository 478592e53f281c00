// Where the bytes of a VHDX are, by its block table and its sector bitmaps.
import type { ByteRange } from '../../../lib/storage/ports.ts';
import type { PageCache } from '../pageCache.ts';
import { PlacementList, splitByBitmap, type Placement } from '../placement.ts';
import { blockGeometry, blockState, entryOfBlock, readEntry } from './blockTable.ts';
import type { VhdxMetadata } from './metadata.ts';

/** How tables and bitmaps are read: through a cache where nobody writes. */
type TableReads = Pick<PageCache, 'read'>;

/** Where the bytes of a VHDX are. */
export class VhdxBlocks {
  readonly #tables: TableReads;
  readonly #tableOffsetBytes: number;
  readonly #metadata: VhdxMetadata;
  readonly #chunkRatio: number;

  constructor(tables: TableReads, tableOffsetBytes: number, metadata: VhdxMetadata) {
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
